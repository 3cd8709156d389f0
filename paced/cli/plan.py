"""What a recipe will need, asked before anything runs."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from paced.cli.app import app
from paced.cli.arguments import Count, JsonFile, Method, Overrides, Target
from paced.cli.extras import need_extra
from paced.cli.running import write_json_text
from paced.run.inert import say

Number = Annotated[float, Parameter()]


@app.command(group="Whole jobs")
def plan(
    target: Target,
    *overrides: Overrides,
    gpus: Count = 8,
    device: str = "h200",
    num_problems: Count | None = None,
    student_prompt: Count | None = None,
    teacher_prompt: Count | None = None,
    fill: Number = 1.0,
    utilisation: Number = 0.4,
    bandwidth_share: Number = 0.5,
    decode_rate: Number | None = None,
    reserve: Number = 0.08,
    host_memory: Number | None = None,
    method: Method = "",
    json: JsonFile = None,
) -> int:
    """Say what a recipe needs in memory, work, hours and disk, and which settings would make it fit.

    Needs no GPU, no network and no weights: configurations of well-known models ship with the package.

    Parameters
    ----------
    gpus
        Devices of one computer, with one training process each.
    device
        One of b200, h200, h100, h100-pcie, a100-80, a100-40, mi300x, l40s, rtx-4090, l4, or cpu for this computer.
    num_problems
        Training problems, instead of those of the recipe's file.
    student_prompt
        Tokens of the longest student prompt; the paper's limit unless given.
    teacher_prompt
        Tokens of the longest teacher prompt; the paper's limit unless given.
    fill
        Mean length of completions over their token limit.
    utilisation
        Share of the device's dense peak that training reaches.
    bandwidth_share
        Share of the device's memory bandwidth that decoding reaches.
    decode_rate
        Sampled tokens a second and device, instead of the estimate from bandwidth.
    reserve
        Share of a device's memory that is kept for its context and the allocator.
    host_memory
        Memory of the computer in GB, with which the need of all ranks is compared.
    json
        Write the plan to this file as JSON; - for the standard output.
    """
    need_extra("plan", "train")
    from paced.models.loading import quiet_transformers
    from paced.pipeline.open import read_recipe
    from paced.pipeline.plan.hours import Rates
    from paced.pipeline.plan.make import Question, make_plan
    from paced.pipeline.plan.report import plan_json, plan_lines
    from paced.run.configfile import with_method
    from paced.run.folder import RunFolder

    quiet_transformers()
    settings = RunFolder(target).config() if target.is_dir() else read_recipe(target, overrides)
    question = Question(
        gpus=gpus,
        device=device,
        num_problems=num_problems,
        student_prompt=student_prompt,
        teacher_prompt=teacher_prompt,
        fill=fill,
        reserve=reserve,
        host_memory=None if host_memory is None else 1e9 * host_memory,
        rates=Rates(utilisation=utilisation, bandwidth_share=bandwidth_share, decode_rate=decode_rate),
    )
    result = make_plan(with_method(settings, method) if method else settings, question)
    if json is not None:
        text = plan_json(result)
        if write_json_text(json, text):
            return 0
    for line in plan_lines(result):
        say(line)
    return 0
