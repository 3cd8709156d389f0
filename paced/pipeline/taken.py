"""Files of other tools in the place of a step: rollouts, pass rates and references, checked as our own are.

``rollouts.from`` and ``pass_rates.from`` stand for the first stage alone, whose student is the one that came with the
recipe: nobody else's file says what a later student can solve. The teacher is frozen, so ``references.from`` stands for
every stage along references. Preflight and the steps read the files with the same functions.
Left out: token ids of rollouts made from text. Text tokenized again is not what was sampled, so that such rollouts give
pass rates alone; a reference, which the student is shown as supervised training shows one, is tokenized.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from paced.errors import ConfigError
from paced.models.tokens import vocabulary_size
from paced.problems.golds import as_text
from paced.problems.prompts import Reader, make_prompts
from paced.records import PassRate, Problem, Rollout
from paced.rollouts.foreign import files_of, read_completions
from paced.run.config import RunConfig
from paced.run.recordfile import Mapped
from paced.run.schema import FileSource
from paced.run.storage import file_hash, text_hash
from paced.weights.table.read import read_counts

ROLLOUT_FILE, RATE_FILE, REFERENCE_FILE = "rollout file", "pass rate file", "reference file"
"""What the files are called in a step's record."""


def sources_of(config: RunConfig) -> dict[str, FileSource]:
    """The files that take a step's place: what a record calls one -> where it is."""
    sources = {
        ROLLOUT_FILE: config.rollouts.from_,
        RATE_FILE: config.pass_rates.from_,
        REFERENCE_FILE: config.references.from_,
    }
    return {name: source for name, source in sources.items() if source is not None}


def source_of(config: RunConfig, step: str, stage_number: int) -> tuple[str, FileSource] | None:
    """The file that takes the place of a step, by what a record calls it; None for a step that is computed.

    Args:
        config: the recipe.
        step: ``rollout``, ``grade`` or ``reference``.
        stage_number: counted from 1.
    """
    name = {"rollout": ROLLOUT_FILE, "grade": RATE_FILE, "reference": REFERENCE_FILE}[step]
    source = sources_of(config).get(name)
    return (name, source) if source is not None and (stage_number == 1 or step == "reference") else None


def needs_rollouts(config: RunConfig, stage_number: int) -> bool:
    """Whether a stage has rollouts before it is trained: for its pass rates, or to be trained along."""
    return source_of(config, "grade", stage_number) is None or trains_along_rollouts(config, stage_number)


def trains_along_rollouts(config: RunConfig, stage_number: int) -> bool:
    """Whether a stage is trained along the rollouts that it begins with, and so needs their token ids."""
    stage = config.stages[stage_number - 1]
    return stage.along == "rollout" and not stage.fresh_rollouts


def content_of(source: FileSource) -> str:
    """The files of a source by content: SHA-256 of the one, or of all their hashes in order.

    Raises:
        ConfigError: no file, or one that cannot be read.
    """
    try:
        hashes = [file_hash(file) for file in files_of(source.path)]
    except OSError as error:
        raise ConfigError(f"{source.path}: cannot be read ({error.strerror}). Restore the file.") from error
    return hashes[0] if len(hashes) == 1 else text_hash(*hashes)


def is_present(source: FileSource) -> bool:
    """Whether every file of a source can be read."""
    try:
        content_of(source)
    except ConfigError:
        return False
    return True


def origin_of(source: FileSource, written: FileSource) -> dict[str, Any]:
    """Where a step's results were taken from, for its record.

    Args:
        source: with a path from the working folder.
        written: the same as the run's configuration has it.
    """
    return {"path": written.path, "sha256": content_of(source), "columns": dict(written.columns)}


def take_rollouts(
    config: RunConfig, problems: Sequence[Problem], others: Sequence[Problem], *, tokenizer: Any
) -> tuple[Sequence[Rollout], list[str]]:
    """The first stage's rollouts from ``rollouts.from``: K of every problem, in the order of ``problems``.

    Args:
        config: the recipe.
        problems: of the first stage.
        others: further problems of the run, whose rows are passed over.
        tokenizer: the student's.

    Returns: the rollouts and what a person should know of the file.

    Raises:
        ConfigError, BadRows: as :func:`paced.rollouts.foreign.read_completions`; completions without token ids where
            the stage is trained along them.
    """
    source = config.rollouts.from_
    assert source is not None
    rollouts, notes = read_completions(
        source.path,
        problems,
        columns=source.columns,
        prompts=_prompt_texts(config, problems, tokenizer, "student"),
        num_samples=config.rollouts.num_samples,
        others=_others(config, others),
        tokenizer=tokenizer,
    )
    bare = sum(not rollout.token_ids for rollout in rollouts)
    if bare and trains_along_rollouts(config, 1):
        raise ConfigError(
            f"rollouts.from: a stage along rollouts needs their token ids, got {bare:,} of {len(rollouts):,} without, "
            "and text tokenized again is not what was sampled. Name the column with columns: {token_ids: …}, or train "
            "with along: reference or fresh_rollouts: true."
        )
    return rollouts, notes


def take_references(
    config: RunConfig, problems: Sequence[Problem], others: Sequence[Problem], *, tokenizer: Any
) -> tuple[Sequence[Rollout], list[str]]:
    """References of every problem from ``references.from``, tokenized with their end where there is text alone.

    The file has ``references.num_samples`` of each problem. Whether they leak, were cut or are wrong is looked at as
    for those that are sampled (``references.py``).

    Args:
        config: the recipe.
        problems: of the stages along references.
        others: further problems of the run, whose rows are passed over.
        tokenizer: the teacher's, which cuts text as the student's does.

    Raises:
        ConfigError, BadRows: as :func:`paced.rollouts.foreign.read_completions`; a reference without any token.
    """
    source = config.references.from_
    assert source is not None
    references, notes = read_completions(
        source.path,
        problems,
        columns=source.columns,
        prompts=_prompt_texts(config, problems, tokenizer, "teacher"),
        num_samples=config.references.num_samples,
        others=_others(config, others),
        tokenizer=tokenizer,
    )
    notes = [note for note in notes if "have no token ids" not in note]
    empty = [one.problem_id for one in references if not one.token_ids and not one.text.strip()]
    if empty:
        raise ConfigError(
            f"references.from: a reference must have text or token ids, got none for {len(empty):,} problems "
            f"({', '.join(map(repr, empty[:3]))}{', ...' if len(empty) > 3 else ''})."
        )
    end = _end_token(config, tokenizer)
    tokenized: Mapped[Rollout] = Mapped(
        references,
        lambda one: one if one.token_ids else dataclasses.replace(one, token_ids=_tokens(one, end, tokenizer)),
    )
    count = sum(not one.token_ids for one in references)
    if count:
        name = tokenizer.convert_ids_to_tokens(end)
        notes.append(f"{source.path}: {count:,} references are tokenized from their text, {name!r} at the end of each")
    return tokenized, notes


def take_pass_rates(
    config: RunConfig, problems: Sequence[Problem], others: Sequence[Problem]
) -> tuple[list[PassRate], list[str]]:
    """The first stage's pass rates from ``pass_rates.from``, in the order of ``problems``; K may differ.

    Args:
        config: the recipe.
        problems: of the first stage.
        others: further problems of the run, whose rows are passed over.

    Raises:
        ConfigError, BadRows: a table that cannot be read, problems that it does not have, and rows of unknown ones.
    """
    source = config.pass_rates.from_
    assert source is not None
    (path, *more) = files_of(source.path)
    if more:
        raise ConfigError(f"pass_rates.from: must be one table, got {len(more) + 1} files of {source.path}.")
    try:
        table = read_counts(path, columns=source.columns)
    except FileNotFoundError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except ConfigError:
        raise
    except ValueError as error:
        raise error if hasattr(error, "rows") else ConfigError(str(error)) from error
    if table.layout.problem_id is None:
        raise ConfigError(
            f"{path}: a table in a step's place must name its problems. Add a column 'problem_id', or name the one "
            "that has it with columns: {problem_id: …}."
        )
    names = [as_text(name)[0] for name in table.problem_ids.to_pylist()]
    counts = dict(zip(names, zip(table.num_passed.tolist(), table.num_rollouts.tolist(), strict=True), strict=True))
    by_text = {" ".join(name.split()): count for name, count in counts.items()}

    def count_of(problem: Problem) -> tuple[int, int] | None:
        return counts.get(problem.problem_id) or by_text.get(" ".join(problem.problem.split()))

    known = {one for problem in (*problems, *others) for one in (problem.problem_id, " ".join(problem.problem.split()))}
    unknown = [name for name in names if name not in known and " ".join(name.split()) not in known]
    absent = [problem.problem_id for problem in problems if count_of(problem) is None]
    faults = []
    if absent:
        faults.append(f"{len(absent):,} of {len(problems):,} problems have no pass rate ({_some(absent)})")
    if unknown and not _leaves_some_out(config):
        faults.append(f"{len(unknown):,} of {len(names):,} rows belong to no problem ({_some(unknown)})")
    if faults:
        raise ConfigError(f"{path}: {'; '.join(faults)}. Problems are matched by '{table.layout.problem_id}'.")
    rates = []
    for problem in problems:
        passed, graded = count_of(problem) or (0, 0)
        rates.append(PassRate(problem_id=problem.problem_id, num_passed=passed, num_rollouts=graded))
    columns = ", ".join(table.layout.columns)
    return rates, [
        f"{path}: pass rates of {len(rates):,} problems by {columns}",
        *(f"{path}: {n}" for n in table.notes),
    ]


def _others(config: RunConfig, others: Sequence[Problem]) -> Sequence[Problem] | None:
    """With ``problems.limit`` or a quarantine a file of all problems has rows of which the run does not know."""
    return None if _leaves_some_out(config) else others


def _leaves_some_out(config: RunConfig) -> bool:
    return bool(config.problems.limit) or config.prompts.too_long == "quarantine"


def _prompt_texts(
    config: RunConfig, problems: Sequence[Problem], tokenizer: Any, reader: Reader
) -> dict[str, tuple[str, str]]:
    """Problem -> its rendered prompt, and that without special tokens, as other tools write it."""
    prompts = make_prompts(
        problems, reader=reader, config=config.prompts, tokenizer=tokenizer, file=config.problems.path
    )
    return {
        prompt.problem_id: (prompt.text, tokenizer.decode(prompt.token_ids, skip_special_tokens=True))
        for prompt in prompts
    }


def _end_token(config: RunConfig, tokenizer: Any) -> int:
    """What ends a reference: ``prompts.end_of_answer``, or the teacher's end-of-sequence token."""
    if config.prompts.end_of_answer:
        return int(tokenizer.encode(config.prompts.end_of_answer, add_special_tokens=False)[0])
    if tokenizer.eos_token_id is None:
        raise ConfigError("references.from: the tokenizer has no end-of-sequence token. Set prompts.end_of_answer.")
    return int(tokenizer.eos_token_id)


def _tokens(reference: Rollout, end: int, tokenizer: Any) -> tuple[int, ...]:
    ids = tuple(tokenizer.encode(reference.text, add_special_tokens=False))
    assert all(0 <= one < vocabulary_size(tokenizer) for one in ids)
    return ids if reference.finish_reason == "length" else (*ids, end)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
