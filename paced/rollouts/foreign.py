"""Completions that another tool has sampled, read and checked as our own are: every problem, K of each, nothing twice.

JSON lines, a JSON list, parquet or CSV, gzipped or not, one completion a row or a list of them; the caller says which
column is which (``foreign_rows.py``). A row is matched with its problem by id, or by the exact text of the problem or
of its prompt, white space made equal. Several files, such as those of independent jobs, are read as one.
Left out: token ids made from text. Tokenizing a text again does not give the tokens that were sampled, so that a dump
of texts gives pass rates and is refused for training along rollouts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paced.errors import BadRow, BadRows, ConfigError
from paced.models.tokens import absent_ids, vocabulary_size
from paced.records import Problem, Rollout
from paced.rollouts.decoding import decoded
from paced.rollouts.foreign_matching import Matching
from paced.rollouts.foreign_rows import Completion, Layout, completions_of, find_layout
from paced.run.recordfile import Integers, Mapped, Spool
from paced.run.seeds import text_key
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
) -> tuple[Sequence[Rollout], list[str]]:
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
        none, ``seed`` is 0 unless the file has one. They are in a temporary file (``$TMPDIR``) and read one by one.

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
    files = files_of(path)
    name = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    dump = _Dump(problems, Matching(problems, others, prompts or {}), tokenizer)
    with contextlib.closing(dump.spool):
        faults = [dump.read(number, file, columns or {}) for number, file in enumerate(files)]
        for number, fault in dump.repeats(files):
            faults[number].append(fault)
        bad = [
            BadRows(str(file), sorted(rows, key=lambda fault: fault.row))
            for file, rows in zip(files, faults, strict=True)
            if rows
        ]
        sentences = _count_faults(name, problems, dump.attempted, num_samples, equal_counts=equal_counts)
        if len(bad) == 1 and not sentences:
            raise bad[0]
        if bad or sentences:
            raise ConfigError("\n".join([*sentences, *map(str, bad)]))
        return dump.rollouts(), [f"{name}: {note}" for note in dump.notes()]


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


class _Dump:
    """What was read so far: completions in a temporary file, and of each one its problem, index and row."""

    def __init__(self, problems: Sequence[Problem], matching: Matching, tokenizer: Any) -> None:
        self.problems, self.matching, self.tokenizer = problems, matching, tokenizer
        self.spool: Spool[Rollout] = Spool(Rollout)
        self.places, self.indices = array("i"), array("q")  # of each completion; -1 for one without an index
        self.files, self.rows = array("i"), array("q")
        self.attempted = np.zeros(len(problems), dtype=np.int64)  # [num_problems], rows at fault among them
        self.texts = np.zeros(len(problems), dtype=np.uint64)  # [num_problems], hash of the latest text
        self.differ = np.zeros(len(problems), dtype=bool)  # [num_problems], whether there was another
        self.layouts: dict[int, Layout] = {}  # number of the file -> which column is which
        self.unused: dict[str, None] = {}
        self.num_passed_over = self.num_silent = self.num_untokenized = 0

    def read(self, number: int, file: Path, columns: Mapping[str, str]) -> list[BadRow]:
        """Take the completions of the n-th file; return its rows that cannot be used."""
        faults: list[BadRow] = []
        layout: Layout | None = None
        for row, record in _rows(file, faults):
            if layout is None:
                self.layouts[number] = layout = find_layout(str(file), record, columns)
                used = {column.partition(".")[0] for column in layout.columns.values()} | {*layout.columns.values()}
                self.unused |= dict.fromkeys(name for name in record if name not in used | {"seed"})
            for completion, place in self._take(record, layout, row, faults):
                self.files.append(number)
                self.rows.append(row)
                self._keep(completion, place, _seed_of(record))
        if layout is None and not faults:
            raise ConfigError(f"{file}: holds no row. Write one for each completion.")
        return faults

    def _take(
        self, record: Mapping[str, Any], layout: Layout, row: int, faults: list[BadRow]
    ) -> Iterator[tuple[Completion, int]]:
        """The completions of a row with the place of their problem."""
        before = len(faults)
        place = self.matching.place_of(record, layout, row, faults)
        if place is None or place >= len(self.problems):
            self.num_passed_over += len(faults) == before
            return
        completions = completions_of(record, layout, row, faults)
        self.attempted[place] += len(completions) or 1
        for completion in completions:
            yield self._decoded(completion, layout, row, faults), place

    def _keep(self, completion: Completion, place: int, seed: int) -> None:
        text = np.uint64(text_key(completion.text or ""))
        self.differ[place] |= self.texts[place] not in (0, text)
        self.texts[place] = text
        self.num_silent += completion.finish_reason is None
        self.num_untokenized += not completion.token_ids
        self.places.append(place)
        self.indices.append(-1 if completion.sample_index is None else completion.sample_index)
        self.spool.append(
            Rollout(
                problem_id=self.problems[place].problem_id,
                sample_index=0,  # counted when all are there
                token_ids=completion.token_ids,
                text=completion.text or "",
                finish_reason=completion.finish_reason or "stop",
                seed=seed,
            )
        )

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

    def repeats(self, files: Sequence[Path]) -> Iterator[tuple[int, BadRow]]:
        """(number of the file, fault) of each completion whose index another one of its problem has."""
        places, indices = np.array(self.places), np.array(self.indices)  # [num_completions]
        order = np.lexsort((indices, places))  # [num_completions]; equal ones as they came
        changes = (np.diff(places[order]) != 0) | (np.diff(indices[order]) != 0)  # [num_completions - 1]
        begins = np.concatenate([np.ones(min(1, len(order)), dtype=bool), changes])  # [num_completions]
        first = np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))  # [num_completions]
        for at in np.flatnonzero(~begins & (indices[order] >= 0)).tolist():
            earlier, later = int(order[first[at]]), int(order[at])
            row, file = self.rows[earlier], files[self.files[earlier]]
            name = self.problems[self.places[later]].problem_id
            yield (
                self.files[later],
                BadRow(
                    row=self.rows[later],
                    column=self.layouts[self.files[later]].columns["sample_index"],
                    found=str(self.indices[later]),
                    fix=f"Row {row} of {file.name} has the same sample of problem {shown(name)}: keep one.",
                ),
            )

    def rollouts(self) -> Sequence[Rollout]:
        """All of them: problem after problem, its samples in the order of their index or else as they came."""
        places, indices = np.array(self.places), np.array(self.indices)  # [num_completions]
        unnumbered = np.zeros(len(self.problems), dtype=bool)  # [num_problems]
        unnumbered[places[indices < 0]] = True
        order = np.lexsort((np.where(unnumbered[places], 0, indices), places))  # [num_completions]
        places = places[order]  # [num_completions]
        samples = np.arange(len(order)) - np.searchsorted(places, places)  # [num_completions]
        stored = self.spool.records().take(order)
        return Mapped(range(len(stored)), lambda at: dataclasses.replace(stored[at], sample_index=int(samples[at])))

    def notes(self) -> Iterator[str]:
        """What a person should know of how the rows were read."""
        count = len(self.spool)
        layouts = dict.fromkeys(map(str, self.layouts.values()))
        yield f"{count:,} completions read by {' or '.join(layouts)}"
        if self.unused:
            yield f"columns not used: {', '.join(name if name.isprintable() else ascii(name) for name in self.unused)}"
        if self.num_passed_over:
            yield f"{self.num_passed_over:,} rows of other problems were passed over"
        if self.num_silent:
            yield (
                f"{self.num_silent:,} of {count:,} completions do not say how they ended and count as ended, none as "
                "truncated"
            )
        if self.num_untokenized:
            yield (
                f"{self.num_untokenized:,} of {count:,} completions have no token ids: they give pass rates, and no "
                "training"
            )
        several = self.attempted > 1  # [num_problems]
        if several.any() and not self.differ[several].any():
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
    name: str, problems: Sequence[Problem], counts: Integers, num_samples: int | None, *, equal_counts: bool
) -> list[str]:
    """Problems without completions, or with another number of them; a row at fault counts as what it was to be."""
    faults = []
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        names = _some(problems, absent)
        faults.append(f"{name}: {len(absent):,} of {len(counts):,} problems have no completion ({names}).")
    numbers = Counter(counts[counts > 0].tolist())
    wanted = num_samples or (numbers.most_common(1)[0][0] if numbers and equal_counts else None)
    other = np.flatnonzero((counts > 0) & (counts != wanted)) if wanted is not None else absent[:0]
    if len(other):
        by_count = ", ".join(
            f"{count} for {number:,}" for count, number in sorted(Counter(counts[other].tolist()).items())
        )
        rule = f"{wanted} completions" if num_samples else f"the same number of completions, {wanted} for most"
        faults.append(
            f"{name}: every problem must have {rule}, got {by_count} of {len(counts):,} problems "
            f"({_some(problems, other)})."
        )
    return faults


def _some(problems: Sequence[Problem], places: Integers) -> str:
    names = [shown(problems[place].problem_id) for place in places[:3].tolist()]
    return ", ".join(names) + (", ..." if len(places) > 3 else "")


def _begins_with(decoded: str, text: str) -> bool:
    """Whether a text is the beginning of what tokens read, white space and half a character at the end aside."""
    return "".join(decoded.split()).startswith("".join(text.split()).rstrip("\ufffd"))
