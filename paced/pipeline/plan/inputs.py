"""How many problems there are and how long sequences get: counted where the files are there, else assumed and said so.

Prompts are measured where the problem file and the model's tokenizer are there.
Left out: how long completions really are, which nobody knows before sampling. They are counted at their token limit,
or at a share of it that the person who plans states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from paced.models.loading import TOKENIZER_FILES, load_tokenizer, teacher_model
from paced.pipeline.training_file import read_training_file
from paced.problems.files import read_problems
from paced.problems.prompts import Reader, make_prompts
from paced.problems.sources import are_there
from paced.run.config import RunConfig

HALF_OF_DAPO = 8699
"""Problems of one track of the paper: DAPO-Math-17k (17,398 problems) in two disjoint parts (§4.1)."""
STUDENT_PROMPT = 1024
"""Longest student prompt of the paper (Table 10), in tokens."""
TEACHER_PROMPT = 3072
"""Longest teacher prompt of the paper (Table 10): problem and expert solution."""
PUBLIC_SETS = {"math-500": 500, "aime-2024": 30, "aime-2025": 30, "mmlu": 14042, "gsm8k": 1319}
"""Name of a public evaluation set -> its published size."""
UNKNOWN_SET = 500
"""Problems of a held-out set that is neither there nor known by name."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The numbers that the work of a run follows from."""

    num_problems: int
    """Training problems."""
    num_heldout: Mapping[str, int]
    """Held-out set -> problems."""
    student_prompt: float
    """Mean tokens of a student prompt."""
    teacher_prompt: float
    """Mean tokens of a teacher prompt."""
    longest_student_prompt: int
    """Most tokens of one."""
    longest_teacher_prompt: int
    """Most tokens of one."""
    fill: float = 1.0
    """Mean length of completions over their token limit, in (0, 1]."""
    assumptions: tuple[str, ...] = field(default=())
    """Sentences on what of this was not counted, and how to say it better."""


def counts_of(
    config: RunConfig,
    *,
    num_problems: int | None = None,
    student_prompt: int | None = None,
    teacher_prompt: int | None = None,
    fill: float = 1.0,
) -> Counts:
    """Count what is there; take what is given instead; assume the rest.

    Args:
        config: the recipe; its problem files are read where they exist.
        num_problems: training problems, instead of the file's.
        student_prompt: tokens, instead of Table 10's.
        teacher_prompt: tokens, instead of Table 10's.
        fill: mean length of completions over their token limit, in (0, 1].

    Raises:
        BadRows: rows of a problem file that cannot be used.
        ConfigError: a tokenizer or a prompt template that cannot be used.
    """
    said: list[str] = []
    if num_problems is None:
        num_problems = _problems(config, said)
    heldout = {}
    for item in config.evaluation.sets:
        known = PUBLIC_SETS.get(item.name)
        if are_there(item.path):
            heldout[item.name] = len(read_problems(item.path, adapter=item.adapter).problems)
        elif known is not None:
            heldout[item.name] = known
            said.append(f"{item.name}: {known:,} problems, its published size ({item.path} is not there)")
        else:
            heldout[item.name] = UNKNOWN_SET
            said.append(f"{item.name}: {UNKNOWN_SET} problems ({item.path} is not there)")
    seen = _prompt_lengths(config, "student", student_prompt, said)
    shown = _prompt_lengths(config, "teacher", teacher_prompt, said)
    share = "" if fill == 1 else f"{100 * fill:g} % of "
    said.append(f"completions as long as {share}their token limit (--fill); memory is counted at the limit")
    return Counts(
        num_problems=num_problems,
        num_heldout=heldout,
        student_prompt=sum(seen) / len(seen),
        teacher_prompt=sum(shown) / len(shown),
        longest_student_prompt=max(seen),
        longest_teacher_prompt=max(shown),
        fill=fill,
        assumptions=tuple(said),
    )


def _problems(config: RunConfig, said: list[str]) -> int:
    path, limit = config.problems.path, config.problems.limit
    if path and are_there(path):
        return len(read_training_file(config.problems, config.grading).problems)
    count = limit or HALF_OF_DAPO
    why = "problems.limit" if limit else "half of DAPO-Math-17k, a track of the paper"
    said.append(f"{count:,} training problems, {why} (--num-problems; {path} is not there)")
    return count


def _prompt_lengths(config: RunConfig, reader: Reader, given: int | None, said: list[str]) -> list[int]:
    """Tokens of every prompt of a reader, or the one length that is given or assumed."""
    if given is not None:
        return [given]
    model = config.student if reader == "student" else teacher_model(config)
    path = config.problems.path
    if path and are_there(path) and any((Path(model.path) / name).is_file() for name in TOKENIZER_FILES):
        file = read_training_file(config.problems, config.grading)
        prompts = make_prompts(
            file.problems, reader=reader, config=config.prompts, tokenizer=load_tokenizer(model), file=path,
            rows=file.rows,
        )  # fmt: skip
        return [len(prompt.token_ids) for prompt in prompts]
    assumed = STUDENT_PROMPT if reader == "student" else TEACHER_PROMPT
    said.append(f"{reader} prompts of {assumed:,} tokens, the paper's limit (--{reader}-prompt)")
    return [assumed]
