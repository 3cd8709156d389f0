"""Training problems whose prompts are longer than the recipe allows: named before a run, or left out and counted.

A prompt that is cut asks another question, so none is ever cut. With ``prompts.too_long: quarantine`` the problem is
left out of the training set for both readers and written to ``quarantine.jsonl``; rows in are rows out and rows left
out. ``paced rate``, which asks the student alone, has the same settings. Left out: held-out problems, of which a
benchmark must lose none. They need to fit into the model, no more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paced.errors import ConfigError
from paced.pipeline.training_file import read_training_file
from paced.problems.files import ProblemFile
from paced.problems.prompts import Prompt, Reader, make_prompts, over_limit
from paced.run.config import PromptsConfig, RunConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class LongPrompt:
    """One problem that was left out, and why."""

    problem_id: str
    """The problem."""
    row: int
    """Its row in the problem file."""
    reader: Reader
    """Whose prompt is too long."""
    num_tokens: int
    """Tokens of that prompt."""
    limit: int
    """``prompts.max_student_tokens`` or ``prompts.max_teacher_tokens``."""


def training_problems(config: RunConfig) -> tuple[ProblemFile, list[LongPrompt]]:
    """The training set of a recipe, and the problems that are left out of it.

    Raises:
        ConfigError: the file cannot be read, or all of its problems are left out.
        BadRows: rows that cannot be used.
    """
    file = read_training_file(config.problems, config.grading)
    if config.prompts.too_long != "quarantine":
        return file, []
    from paced.models.loading import load_tokenizer, teacher_model

    prompts: dict[Reader, list[Prompt]] = {}
    for reader, model in (("student", config.student), ("teacher", teacher_model(config))):
        prompts[reader] = make_prompts(  # type: ignore[index]
            file.problems, reader=reader, config=config.prompts, tokenizer=load_tokenizer(model),  # type: ignore[arg-type]
            file=config.problems.path, rows=file.rows,
        )  # fmt: skip
    return left_out(file, long_prompts(file, prompts, config.prompts), config.problems.path)


def left_out(
    file: ProblemFile, long: Sequence[LongPrompt], path: str, *, written: str = "quarantine.jsonl"
) -> tuple[ProblemFile, list[LongPrompt]]:
    """The file without the problems of ``long``, with a note on how many there are; and ``long``.

    Args:
        file: the problems.
        long: those that are left out.
        path: what an error calls the file.
        written: where they are named, for the note.

    Raises:
        ConfigError: no problem is left.
    """
    absent = {one.problem_id for one in long}
    kept = [index for index, problem in enumerate(file.problems) if problem.problem_id not in absent]
    if not kept:
        raise ConfigError(f"{path}: no problem is left. {_sentence(long, len(file.problems))}")
    return dataclasses.replace(
        file,
        problems=tuple(file.problems[index] for index in kept),
        rows=tuple(file.rows[index] for index in kept),
        notes=(*file.notes, *quarantine_notes(long, len(file.problems), written)),
    ), list(long)


def long_prompts(
    file: ProblemFile, prompts: Mapping[Reader, Sequence[Prompt]], config: PromptsConfig
) -> list[LongPrompt]:
    """Every problem with a prompt over its limit, once, in the order of the file.

    Args:
        file: the problems.
        prompts: of each reader, in the order of the file.
        config: the limits.
    """
    limits: dict[Reader, int] = {"student": config.max_student_tokens, "teacher": config.max_teacher_tokens}
    row_of = {problem.problem_id: row for problem, row in zip(file.problems, file.rows, strict=True)}
    long: dict[str, LongPrompt] = {}
    for reader, made in prompts.items():
        for prompt in over_limit(made, reader=reader, config=config):
            one = LongPrompt(
                problem_id=prompt.problem_id,
                row=row_of[prompt.problem_id],
                reader=reader,
                num_tokens=len(prompt.token_ids),
                limit=limits[reader],
            )
            long.setdefault(prompt.problem_id, one)
    return sorted(long.values(), key=lambda one: one.row)


def length_faults(long: Sequence[LongPrompt], num_problems: int) -> list[str]:
    """The sentence that refuses prompts over their limits; none where there are none.

    Example:
        >>> long = LongPrompt(problem_id="a", row=3, reader="student", num_tokens=1500, limit=1024)
        >>> print(*length_faults([long], 20))
        prompts: 1 of 20 problems has a prompt over its limit: student 1 (over 1,024 tokens); the longest is of \
problem a, row 3, with 1,500. Shorten them, raise prompts.max_student_tokens, or leave them out with \
prompts.too_long=quarantine.
    """
    if not long:
        return []
    limits = " or ".join(f"prompts.max_{reader}_tokens" for reader in dict.fromkeys(one.reader for one in long))
    return [
        f"{_sentence(long, num_problems)} Shorten them, raise {limits}, or leave them out with "
        "prompts.too_long=quarantine."
    ]


def quarantine_notes(long: Sequence[LongPrompt], num_problems: int, written: str) -> list[str]:
    """The sentence on problems that were left out; none where there are none."""
    return [f"{_sentence(long, num_problems)} Left out ({written})."] if long else []


def _sentence(long: Sequence[LongPrompt], num_problems: int) -> str:
    by_reader = {(one.reader, one.limit): 0 for one in long}
    for one in long:
        by_reader[one.reader, one.limit] += 1
    counts = ", ".join(f"{reader} {count:,} (over {limit:,} tokens)" for (reader, limit), count in by_reader.items())
    worst = max(long, key=lambda one: one.num_tokens)
    return (
        f"prompts: {len(long):,} of {num_problems:,} problems {'has' if len(long) == 1 else 'have'} a prompt over its "
        f"limit: {counts}; the longest is of problem {worst.problem_id}, row {worst.row}, with {worst.num_tokens:,}."
    )
