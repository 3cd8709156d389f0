"""What is measured on a run, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from paced.cli.app import app
from paced.cli.arguments import NORMAL, Count, Method, Overrides, RunTarget, Stage, Target, Verbosity
from paced.cli.extras import need_extra
from paced.cli.running import working

if TYPE_CHECKING:
    from paced.run.folder import RunFolder
    from paced.run.progress import Progress

Losses = Annotated[tuple[str, ...], Parameter(negative="")]
Names = Annotated[tuple[str, ...], Parameter(negative="")]
Switch = Annotated[bool, Parameter(negative="")]
Chance = Annotated[float, Parameter(validator=Number(gt=0, lt=1))]


@app.command(group="Steps of a run")
def snr(
    target: RunTarget, *, loss: Losses = (), stage: Stage = 1, num_samples: Count = 64, per_bin: Count = 32,
    split: bool = True, method: Method = "", verbosity: Verbosity = NORMAL,
) -> int:  # fmt: skip
    """Measure the head-gradient SNR against pass rate, with nulls and intervals; finished problems are kept.

    Parameters
    ----------
    loss
        Losses to measure, by default reverse_kl_sampled, reverse_kl and forward_kl; jsd, akl …; may be given more
        than once.
    num_samples
        Fresh samples of each problem.
    per_bin
        Most problems of each of ten pass-rate bins.
    split
        Half of the samples for the pass rate, half for the gradients.
    """
    need_extra("snr", "train")
    from paced.analysis.snr.command import LOSSES, SnrSettings, measure_run
    from paced.pipeline.open import open_begun

    asked = SnrSettings(
        losses=loss or LOSSES, stage=stage, num_samples=num_samples, per_bin=per_bin, split=split
    )  # fmt: skip
    folder = open_begun(target, method=method)
    for one in working(folder, lambda folder, progress: measure_run(folder, asked, progress), verbosity=verbosity):
        print(f"{one.loss}: {one.exponents}")
        print(f"figure: {one.figure}")
    return 0


@app.command(group="Steps of a run")
def anatomy(target: RunTarget, *, stage: Stage = 1, method: Method = "", verbosity: Verbosity = NORMAL) -> int:
    """Measure size, coherence and usefulness of each pass-rate group's full gradient; samples are kept."""
    need_extra("anatomy", "train")
    from paced.analysis.anatomy.command import measure_anatomy
    from paced.pipeline.open import open_begun

    folder = open_begun(target, method=method)
    figure = working(
        folder, lambda folder, progress: measure_anatomy(folder, progress, stage=stage), verbosity=verbosity
    )
    print(f"figure: {figure}")
    return 0


@app.command(name="lm-eval", group="Steps of a run")
def lm_eval(
    target: RunTarget, *, task: Names = ("mmlu",), checkpoint: Literal["base", "final", "both"] = "both",
    num_fewshot: Annotated[int | None, Parameter(validator=Number(gte=0))] = None, include_path: Path | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=0))] = 0, chat_template: Switch = False, metric: str = "",
    batch_size: str = "1", python: str = "", method: Method = "", verbosity: Verbosity = NORMAL,
) -> int:  # fmt: skip
    """Measure MMLU or any other task of lm-eval before and after training, and print what was forgotten.

    Parameters
    ----------
    task
        A task or group of lm-eval; may be given more than once.
    checkpoint
        The student before training, after it, or both.
    num_fewshot
        Examples in the prompt; each task's own number unless given.
    include_path
        Folder with task files of your own. They may hold Python, which runs.
    limit
        The first documents of each task only; 0 for all.
    chat_template
        Send the prompt as a chat message.
    metric
        Score of a document that counts; the task's first one unless given.
    batch_size
        As lm-eval takes it: a number, or auto.
    python
        Interpreter that has lm-eval; $PACED_EVAL_PYTHON, or this one, unless given.
    """
    need_extra("lm-eval", "train")
    from paced.analysis.report.lm_eval import CAPTION
    from paced.analysis.report.terminal import as_text
    from paced.analysis.results.lm_eval import lm_eval_table
    from paced.pipeline.evaluate import Checkpoint
    from paced.pipeline.lm_eval import LmEvalSettings, measure_tasks
    from paced.pipeline.open import open_begun

    settings = LmEvalSettings(
        tasks=task, num_fewshot=num_fewshot, include_path=str(include_path or ""), limit=limit,
        apply_chat_template=chat_template, metric=metric,
    )  # fmt: skip
    folder = open_begun(target, method=method)
    checkpoints: tuple[Checkpoint, ...] = ("base", "final") if checkpoint == "both" else (checkpoint,)

    def measure_all(folder: RunFolder, progress: Progress) -> None:
        for one in checkpoints:
            measure_tasks(folder, one, settings, progress, python=python, batch_size=batch_size)

    working(folder, measure_all, verbosity=verbosity)
    table = lm_eval_table(folder)
    if table is not None:
        print(CAPTION)
        print(as_text(table))
    print(f"results: {folder.lm_eval(checkpoints[0]).parent}")
    return 0


@app.command(name="export-tasks", group="Pass rates and training sets")
def export_tasks(target: Target, *overrides: Overrides, output: Annotated[Path, Parameter(alias="-o")]) -> int:
    """Write the held-out sets as task files of lm-eval and lighteval, to measure them without paced.

    Parameters
    ----------
    output
        Folder for the task files, their data and the commands.
    """
    need_extra("export-tasks", "train")
    from paced.pipeline.export_tasks import export_tasks as write_tasks
    from paced.pipeline.open import read_recipe
    from paced.run.folder import RunFolder

    config = RunFolder(target).config() if target.is_dir() else read_recipe(target, overrides)
    write_tasks(config, output)
    print(f"export-tasks: {output}")
    return 0


@app.command(group="Pass rates and training sets")
def power(
    target: Path, *, gain: Chance, after: Path | None = None, name: Names = (), chance: Chance = 0.8,
    num_methods: Count = 1, gain_spread: float | None = None, method: Method = "",
) -> int:  # fmt: skip
    """Say how many held-out problems, or samples of each, would show a gain.

    Parameters
    ----------
    target
        The folder of a run, or a table of one student's counts (num_passed, num_rollouts) on held-out problems.
    gain
        Mean gain that should be seen, 0.03 for three points.
    after
        With a table: the counts of another student on the same problems.
    name
        With a run: a held-out set, all unless given; may be given more than once.
    chance
        With which the gain should be found.
    num_methods
        Compared methods, of which Holm's strictest step asks 0.05 over their number.
    gain_spread
        Standard deviation of the gain over problems, as large as the gain unless given; used where only one student
        has been evaluated.
    """
    from paced.analysis.report.power import PowerQuestion, power_of_run, power_of_tables

    question = PowerQuestion(gain=gain, target=chance, num_methods=num_methods, gain_spread=gain_spread)
    if not target.is_dir():
        print(power_of_tables(target, after, question))
        return 0
    from paced.run.folder import RunFolder

    folder = RunFolder(target)
    print(power_of_run(folder.method(method) if method else folder, question, names=name))
    return 0


@app.command(group="Steps of a run")
def report(target: RunTarget) -> int:
    """Write the page of a run from what is there, and print the table of results."""
    need_extra("report", "report")
    from paced.analysis.report.report import write_report
    from paced.analysis.report.terminal import print_results
    from paced.pipeline.open import open_begun, refuse_empty

    folder = open_begun(target)
    refuse_empty(folder)
    path = write_report(folder)
    print_results(folder)
    print(f"report: {path}")
    return 0
