"""Completions that another tool has sampled, read and checked as our own are: every problem, K of each, nothing twice.

JSON lines, a JSON list, parquet or CSV, gzipped or not, one completion a row or a list of them; the caller says which
column is which (``foreign_rows.py``). A row is matched with its problem by id, or by the exact text of the problem or
of its prompt, white space made equal. Several files, such as those of independent jobs, are read as one.
Left out: token ids made from text. Tokenizing a text again does not give the tokens that were sampled, so that a dump
of texts gives pass rates and is refused for training along rollouts.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paced.errors import BadRow, BadRows, ConfigError
from paced.models.tokens import absent_ids, vocabulary_size
from paced.records import Problem, Rollout
from paced.rollouts.decoding import decoded
from paced.rollouts.foreign_rows import Completion, Layout, cell, completions_of, find_layout, id_of, message_text
from paced.run.tablefile import Row, read_rows, shown


def read_completions(
    path: str | Path | Sequence[str | Path],
    problems: Sequence[Problem],
    *,
    columns: Mapping[str, str] | None = None,
    prompts: Mapping[str, Iterable[str]] | None = None,
    num_samples: int | None = None,
    equal_counts: bool = True,
    others: Sequence[Problem] | None = (),
    tokenizer: Any = None,
) -> tuple[list[Rollout], list[str]]:
    """Read and check the completions of every problem.

    Args:
        path: a file of :data:`paced.run.tablefile.FORMATS`, a pattern such as ``shards/*.jsonl``, or several of them.
        problems: the tasks whose completions are needed, ids unique.
        columns: role -> column or path into it, for those that are not called as in our own files: ``problem_id``,
            ``prompt``, ``sample_index``, ``text``, ``token_ids``, ``finish_reason``.
        prompts: problem id -> further texts by which a row without id may name the problem, e.g. its rendered prompt.
        num_samples: K, completions that each problem must have; None for the number that the file has.
        equal_counts: every problem must have the same number. Pass rates alone can do without.
        others: problems whose rows are passed over, e.g. those of another stage; None passes over every row that
            belongs to none of ``problems``.
        tokenizer: of the model that sampled. It decodes rows without text, and holds given token ids against its
            vocabulary and against the text.

    Returns: the rollouts in the order of ``problems``, each problem's samples numbered from 0 in the order of their
        index or else of the file, and sentences that a person should know. ``token_ids`` is empty where the file has
        none, ``seed`` is 0 unless the file has one.

    Raises:
        ConfigError: a file that cannot be read, columns that cannot be found, problems without completions or with
            another number of them; everything that is wrong with several files.
        BadRows: rows of one file, where they are all that is wrong.

    Edges: a completion of which the file does not say how it ended counts as ended, and a note says so. A sample index
        that comes twice is a fault, whatever the text; rows without an index are samples even when they are equal.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "dump.jsonl"
        >>> _ = file.write_text('{"uid": 7, "response": ["4", "5"], "why": ["stop", "length"]}\\n')
        >>> task = Problem(problem_id="7", problem="2+2", answer="4")
        >>> names = {"problem_id": "uid", "text": "response", "finish_reason": "why"}
        >>> rollouts, _ = read_completions(file, [task], columns=names)
        >>> [(rollout.sample_index, rollout.text, rollout.finish_reason) for rollout in rollouts]
        [(0, '4', 'stop'), (1, '5', 'length')]
    """
    matching = _Matching(problems, others, prompts or {})
    dump = _Dump(matching, tokenizer)
    files = files_of(path)
    bad = [BadRows(str(file), rows) for file in files if (rows := dump.read(file, columns or {}))]
    name = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    sentences = _count_faults(name, problems, dump, num_samples, equal_counts=equal_counts)
    if len(bad) == 1 and not sentences:
        raise bad[0]
    if bad or sentences:
        raise ConfigError("\n".join([*sentences, *map(str, bad)]))
    rollouts = [rollout for problem in problems for rollout in dump.rollouts_of(problem.problem_id)]
    return rollouts, [f"{name}: {note}" for note in dump.notes(rollouts)]


def files_of(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files that a path, a pattern or several of them name, each once, those of a pattern sorted.

    Raises:
        ConfigError: a pattern that no file has, or no path at all.
    """
    files: dict[Path, None] = {}
    for one in [path] if isinstance(path, (str, Path)) else path:
        text = str(one)
        is_pattern = not Path(text).exists() and glob.has_magic(text)
        matching = sorted(map(Path, glob.glob(text, recursive=True))) if is_pattern else [Path(text)]
        if not matching:
            raise ConfigError(f"{text}: no file has a name of this pattern.")
        files |= dict.fromkeys(matching)
    if not files:
        raise ConfigError("completions: must name a file, got none.")
    return list(files)


@dataclass
class _Sample:
    """One completion of the file."""

    completion: Completion
    seed: int


class _Matching:
    """Which problem a row belongs to."""

    def __init__(
        self, problems: Sequence[Problem], others: Sequence[Problem] | None, prompts: Mapping[str, Iterable[str]]
    ) -> None:
        self.wanted = {problem.problem_id for problem in problems}
        self.passes_over = others is None
        self.ids: dict[str, None] = {}
        self.by_text: dict[str, str] = {}
        self.shared: set[str] = set()
        for problem in (*problems, *(others or ())):
            if problem.problem_id not in self.ids:
                self.ids[problem.problem_id] = None
                for text in {problem.problem, *prompts.get(problem.problem_id, ())}:
                    self._add(" ".join(text.split()), problem.problem_id)

    def _add(self, text: str, problem_id: str) -> None:
        if self.by_text.setdefault(text, problem_id) != problem_id:
            self.shared.add(text)

    def problem_of(self, record: Mapping[str, Any], layout: Layout, row: int, faults: list[BadRow]) -> str | None:
        """The id of a row's problem; None for one that is passed over or at fault."""
        column = layout.columns.get("problem_id")
        if column is None:
            return self._by_text(record, layout.columns["prompt"], row, faults)
        value = cell(record, column)
        name, fix = id_of(value)
        if not fix and name not in self.ids:
            if self.passes_over:
                return None
            fix = f"No problem has this id; theirs are like {shown(next(iter(self.ids), ''))}."
        said = message_text(cell(record, layout.columns.get("prompt", "")))
        text = " ".join(said.split()) if isinstance(said, str) else ""
        if not fix and text not in self.shared and self.by_text.get(text, name) != name:
            fix = f"By its {layout.columns['prompt']} the row belongs to the problem {shown(self.by_text[text])}."
        if fix:
            faults.append(BadRow(row=row, column=column, found=shown(value), fix=fix))
            return None
        return name

    def _by_text(self, record: Mapping[str, Any], column: str, row: int, faults: list[BadRow]) -> str | None:
        said = message_text(cell(record, column))
        text = " ".join(said.split()) if isinstance(said, str) else ""
        if text in self.by_text and text not in self.shared:
            return self.by_text[text]
        if text and text not in self.shared and self.passes_over:
            return None
        fix = "No problem, and no prompt of one, has this text: name the column of the problem's id."
        if text in self.shared:
            fix = "Several problems have this text: name the column of the problem's id."
        elif not text:
            fix = "Write the text of the problem or of its prompt."
        faults.append(BadRow(row=row, column=column, found=shown(said), fix=fix))
        return None


@dataclass
class _Dump:
    """What was read so far."""

    matching: _Matching
    tokenizer: Any
    samples: dict[str, list[_Sample]] = field(default_factory=dict)
    known: dict[tuple[str, int], str] = field(default_factory=dict)
    attempted: Counter[str] = field(default_factory=Counter)
    layouts: dict[str, None] = field(default_factory=dict)
    unused: dict[str, None] = field(default_factory=dict)
    num_passed_over: int = 0

    def read(self, file: Path, columns: Mapping[str, str]) -> list[BadRow]:
        """Take one file's completions; return its rows that cannot be used."""
        faults: list[BadRow] = []
        layout: Layout | None = None
        for row, record in _rows(file, faults):
            if layout is None:
                layout = find_layout(str(file), record, columns)
                self.layouts[str(layout)] = None
                used = {column.partition(".")[0] for column in layout.columns.values()} | {*layout.columns.values()}
                self.unused |= dict.fromkeys(name for name in record if name not in used | {"seed"})
            self._take(file, record, layout, row, faults)
        if layout is None and not faults:
            raise ConfigError(f"{file}: holds no row. Write one for each completion.")
        return sorted(faults, key=lambda fault: fault.row)

    def _take(self, file: Path, record: Mapping[str, Any], layout: Layout, row: int, faults: list[BadRow]) -> None:
        before = len(faults)
        problem_id = self.matching.problem_of(record, layout, row, faults)
        if problem_id is None or problem_id not in self.matching.wanted:
            self.num_passed_over += len(faults) == before
            return
        completions = completions_of(record, layout, row, faults)
        self.attempted[problem_id] += len(completions) or 1
        for completion in completions:
            completion = self._decoded(completion, layout, row, faults)
            place = f"row {row} of {file.name}"
            if completion.sample_index is not None:
                first = self.known.setdefault((problem_id, completion.sample_index), place)
                if first is not place:
                    fix = f"{first.capitalize()} has the same sample of problem {shown(problem_id)}: keep one."
                    found = str(completion.sample_index)
                    column = layout.columns["sample_index"]
                    faults.append(BadRow(row=row, column=column, found=found, fix=fix))
            self.samples.setdefault(problem_id, []).append(_Sample(completion, _seed_of(record)))

    def _decoded(self, completion: Completion, layout: Layout, row: int, faults: list[BadRow]) -> Completion:
        """The completion with its text, its tokens held against the tokenizer."""
        if not completion.token_ids:
            return completion
        column = layout.columns["token_ids"]
        if self.tokenizer is None:
            if completion.text is None:
                raise ConfigError("completions: rows of token ids alone need the tokenizer of the model, got none.")
            return completion
        limit = vocabulary_size(self.tokenizer)
        unknown = [one for one in completion.token_ids if one >= limit] or sorted(
            set(completion.token_ids) & set(absent_ids(self.tokenizer))
        )
        if unknown:
            fix = f"The model's tokenizer has {limit:,} tokens and not this one: the file is of another model."
            faults.append(BadRow(row=row, column=column, found=str(unknown[0]), fix=fix))
            return completion
        (readable,) = decoded(self.tokenizer, [completion.token_ids])
        if completion.text is None:
            return Completion(
                text=readable,
                token_ids=completion.token_ids,
                finish_reason=completion.finish_reason,
                sample_index=completion.sample_index,
            )
        whole = self.tokenizer.decode(completion.token_ids, skip_special_tokens=False)
        bare = self.tokenizer.decode(completion.token_ids, skip_special_tokens=True)  # as other tools decode
        if not any(_begins_with(one, completion.text) for one in (readable, bare, whole)):
            fix = (
                f"They read {shown(readable)} and the text {shown(completion.text)}: give the completion's own tokens."
            )
            faults.append(BadRow(row=row, column=column, found=shown(list(completion.token_ids)), fix=fix))
        return completion

    def rollouts_of(self, problem_id: str) -> list[Rollout]:
        """A problem's samples, in the order of their index or else of the file."""
        samples = self.samples[problem_id]
        indexed = [one for one in samples if one.completion.sample_index is not None]
        if len(indexed) == len(samples):
            samples = sorted(samples, key=lambda one: one.completion.sample_index or 0)
        return [
            Rollout(
                problem_id=problem_id,
                sample_index=index,
                token_ids=one.completion.token_ids,
                text=one.completion.text or "",
                finish_reason=one.completion.finish_reason or "stop",
                seed=one.seed,
            )
            for index, one in enumerate(samples)
        ]

    def notes(self, rollouts: Sequence[Rollout]) -> Iterator[str]:
        """What a person should know of how the rows were read."""
        count = len(rollouts)
        yield f"{count:,} completions read by {' or '.join(self.layouts)}"
        if self.unused:
            yield f"columns not used: {', '.join(name if name.isprintable() else ascii(name) for name in self.unused)}"
        if self.num_passed_over:
            yield f"{self.num_passed_over:,} rows of other problems were passed over"
        silent = sum(one.completion.finish_reason is None for samples in self.samples.values() for one in samples)
        if silent:
            yield f"{silent:,} of {count:,} completions do not say how they ended and count as ended, none as truncated"
        untokenized = sum(not rollout.token_ids for rollout in rollouts)
        if untokenized:
            yield f"{untokenized:,} of {count:,} completions have no token ids: they give pass rates, and no training"
        several = [samples for samples in self.samples.values() if len(samples) > 1]
        if several and all(len({one.completion.text for one in samples}) == 1 for samples in several):
            yield "all completions of each problem are the same text: were they sampled with one seed, or greedily?"


def _seed_of(record: Mapping[str, Any]) -> int:
    """The seed of a row of our own files; 0 for one without."""
    seed = record.get("seed")
    return seed if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**64 else 0


def _rows(file: Path, faults: list[BadRow]) -> Iterator[Row]:
    try:
        yield from read_rows(file, faults)
    except BadRows:
        raise
    except OSError as error:
        reason = str(error) if error.errno is None else f"{file}: cannot be read ({error.strerror})."
        raise ConfigError(reason) from error
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _count_faults(
    name: str, problems: Sequence[Problem], dump: _Dump, num_samples: int | None, *, equal_counts: bool
) -> list[str]:
    """Problems without completions, or with another number of them; a row at fault counts as what it was to be."""
    counts = {problem.problem_id: dump.attempted[problem.problem_id] for problem in problems}
    absent = [problem_id for problem_id, count in counts.items() if not count]
    faults = []
    if absent:
        faults.append(f"{name}: {len(absent):,} of {len(counts):,} problems have no completion ({_some(absent)}).")
    numbers = Counter(count for count in counts.values() if count)
    wanted = num_samples or (numbers.most_common(1)[0][0] if numbers and equal_counts else None)
    other = {problem_id: count for problem_id, count in counts.items() if count and count != wanted}
    if wanted is not None and other:
        found = ", ".join(f"{count} for {number:,}" for count, number in sorted(Counter(other.values()).items()))
        rule = f"{wanted} completions" if num_samples else f"the same number of completions, {wanted} for most"
        faults.append(
            f"{name}: every problem must have {rule}, got {found} of {len(counts):,} problems ({_some(other)})."
        )
    return faults


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(map(shown, listed[:3])) + (", ..." if len(listed) > 3 else "")


def _begins_with(decoded: str, text: str) -> bool:
    """Whether a text is the beginning of what tokens read, white space and half a character at the end aside."""
    return "".join(decoded.split()).startswith("".join(text.split()).rstrip("\ufffd"))
