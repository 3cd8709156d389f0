"""The prompts of a run: rendered once, stored, and read back by every step that needs them.

So a problem has one prompt for sampling and for training, whatever becomes of the clock and of the tokenizer's files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from paced.errors import BadRows, ConfigError
from paced.problems.prompts import Prompt, over_limit
from paced.records import Problem
from paced.rollouts.sampler import Sampler
from paced.run.folder import RunFolder
from paced.run.steprecord import read_all
from paced.run.storage import encode_line, file_hash, read_records, write_atomic


def stage_prompts(run: RunFolder, stage_number: int, sampler: Sampler, problems: Sequence[Problem]) -> list[Prompt]:
    """What the student or the teacher of a stage reads, in the order of the problems; stored by the first step."""
    stage = run.stage(stage_number)
    path = stage.student_prompts if sampler.reader == "student" else stage.teacher_prompts
    config = run.config()
    prompts = stored_prompts(run, path, sampler, problems, source=config.problems.path)
    long = over_limit(prompts, reader=sampler.reader, config=config.prompts)
    if long:
        raise ConfigError(
            f"{config.problems.path}: a training prompt of the {sampler.reader} must have at most "
            f"prompts.max_{sampler.reader}_tokens, got {len(long):,} longer ones (first: problem {long[0].problem_id}, "
            f"{len(long[0].token_ids):,}). Raise it, or set prompts.too_long=quarantine and take the problems again "
            f"(paced run {run.root} --redo problems)."
        )
    return prompts


def stored_prompts(
    run: RunFolder, path: Path, sampler: Sampler, problems: Sequence[Problem], *, source: str
) -> list[Prompt]:
    """The prompts in a file of the run; rendered and stored when it is not there, or not what the steps have read.

    Args:
        run: the run.
        path: JSONL of Prompt.
        sampler: renders them.
        problems: whose prompts, in this order.
        source: what an error calls the problems.
    """
    name = str(path.relative_to(run.root))
    known = {record.read[name] for record in read_all(run) if name in record.read}
    if path.exists() and (not known or file_hash(path) in known):
        with contextlib.suppress(BadRows):
            stored = read_records(path, Prompt)
            if [prompt.problem_id for prompt in stored] == [problem.problem_id for problem in problems]:
                return stored
    prompts = sampler.prompts(problems, source=source)
    write_atomic(path, "".join(f"{encode_line(prompt)}\n" for prompt in prompts))
    return prompts
