"""Read a problem set, whole or not at all: every unusable row is named in one message, and no row is lost silently.

A problem set is JSON, CSV or parquet (:mod:`paced.run.tablefile`), one file or a folder of them. Which column holds
what is the adapter's matter (``adapters.py``); what may be in a cell (``rows.py``) and which rows are one problem
(``collection.py``) is the same for all of them. Every row becomes a problem, repeats one, or is bad; bad rows stop the
reading or, where that is asked for, are put aside with their reasons (:class:`paced.problems.collection.Quarantined`).
Left out: corrections. A row whose gold is ambiguous or missing is named, not repaired.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from paced.errors import BadRow, BadRows, ConfigError
from paced.problems.adapters import AUTO, DATASETS, detect, named_roles
from paced.problems.collection import Collection, Kept, Quarantined
from paced.problems.columns import HEAD, Columns, Roles
from paced.problems.rows import RowReader, problem_id_of
from paced.problems.sources import files_of, head_of, rows_of
from paced.problems.spellings import ANSWER, PROBLEM, WORKED
from paced.records import Problem
from paced.run.tablefile import column_names, format_of
from paced.run.tablefile.cells import number_of

COLUMNS = tuple(entry.name for entry in dataclasses.fields(Problem))
REQUIRED = ("problem", "answer")
MAYBE_ABSENT = ("None", "none", "null", "NULL", "N/A", "n/a", "NA")
"""Answers that may be meant and may be what a table makes of an absent value: said, not refused."""
OnBadRow = Literal["error", "quarantine"]
"""Refuse a file with bad rows, or put them aside with their reasons and keep the others."""


@dataclass(frozen=True, kw_only=True)
class ProblemFile:
    """The problems of one set, and what a reader should know about how they were read."""

    problems: tuple[Problem, ...]
    """In the order of the file, ids unique."""
    notes: tuple[str, ...]
    """Sentences on the adapter, columns passed over, repeated rows and bad ones."""
    rows: tuple[int, ...]
    """The row of each problem in its file, as :class:`paced.errors.BadRow` counts."""
    adapter: str = "paced"
    """Name in :data:`paced.problems.adapters.DATASETS`."""
    roles: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What the adapter reads -> the column that holds it."""
    num_rows: int = 0
    """All rows: those of problems, repeats and bad ones; ``limit`` cuts problems only."""
    num_repeated: int = 0
    """Rows that repeat the text and answer of an earlier one."""
    quarantined: tuple[Quarantined, ...] = ()
    """The rows that were put aside, in the order of the file; none where bad rows are an error."""

    def without(self, faults: Mapping[int, BadRow]) -> ProblemFile:
        """The same with further problems put aside.

        Args:
            faults: index of the problem -> what is wrong with it.
        """
        if not faults:
            return self
        more = tuple(Quarantined(row=fault.row, faults=(fault,), record=None) for fault in faults.values())
        kept = [index for index in range(len(self.problems)) if index not in faults]
        return dataclasses.replace(
            self,
            problems=tuple(self.problems[index] for index in kept),
            rows=tuple(self.rows[index] for index in kept),
            quarantined=tuple(sorted((*self.quarantined, *more), key=lambda one: (one.faults[0].file, one.row))),
            notes=(*self.notes, f"{len(more):,} further rows are quarantined; first: {more[0].faults[0]}"),
        )

    def first(self, limit: int) -> ProblemFile:
        """The first ``limit`` problems; all for 0."""
        return dataclasses.replace(self, problems=self.problems[: limit or None], rows=self.rows[: limit or None])

    def counts(self) -> dict[str, Any]:
        """The numbers that must balance: rows = problems before the limit + repeated + quarantined."""
        return {
            "adapter": self.adapter,
            "rows": self.num_rows,
            "problems": self.num_rows - self.num_repeated - len(self.quarantined),
            "repeated": self.num_repeated,
            "quarantined": len(self.quarantined),
            "used": len(self.problems),
        }


def read_problems(
    path: str | Path, *, limit: int = 0, adapter: str = AUTO, on_bad_row: OnBadRow = "error"
) -> ProblemFile:
    """Read and check a problem set.

    Args:
        path: JSON lines, a JSON list, CSV, TSV or parquet, gzipped or not (:data:`paced.run.tablefile.FORMATS`), a
            folder of such files, or a pattern. A row without an id gets a hash of its problem's text.
        limit: keep the first ``limit`` problems; 0 for all. Every row is checked in any case.
        adapter: a name in :data:`paced.problems.adapters.DATASETS`, or ``auto``: the first that knows the columns.
        on_bad_row: ``error``, or ``quarantine``: bad rows are put aside, and nothing but they is lost.

    Raises:
        ConfigError: the file cannot be read, no adapter knows its columns, or it holds no problem.
        BadRows: all rows that cannot be used, each with what would make it usable.

    Edges: a row that repeats the text and answer of an earlier one and has no id of its own is passed over, and the
        notes say how many; the same text with two answers is an error, in quarantine of all its rows. An answer given
        as an integer, as a float that is whole, or in digits in CSV, is compared as an integer; every other one without
        ``answer_type`` has the type that :func:`paced.grading.guess.answer_type_of` reads from its text. NaN is absent.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "sums.jsonl"
        >>> _ = file.write_text('{"problem": "2+2", "answer": 4}\\n')
        >>> read_problems(file).problems[0].answer_type
        'integer'
    """
    files = files_of(path)
    collection = Collection(keep_records=on_bad_row == "quarantine")
    seen = ColumnsSeen()
    chosen = adapter
    roles: Roles = {}
    for file in files:
        try:
            chosen, roles = _adapter(file, chosen)
            _read_into(collection, file, chosen, roles, str(file) if len(files) > 1 else "", seen)
        except OSError as error:
            reason = str(error) if error.errno is None else f"{file}: cannot be read ({error.strerror})."
            raise ConfigError(reason) from error
        except BadRows:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from error
    if not collection.num_rows:
        raise ConfigError(f"{path}: holds no problem. Write one row with 'problem' and 'answer' for each problem.")
    misnamed = seen.misnamed(roles)
    if on_bad_row == "error" and (faults := [*collection.faults, *misnamed]):
        raise BadRows(str(path), sorted(faults, key=lambda fault: (fault.file, fault.row)))
    times = collection.times_each()
    kept, quarantined = collection.settled()
    if not kept:
        raise BadRows(str(path), [*collection.faults, *misnamed])
    read = ProblemFile(
        problems=tuple(one.problem for one in kept),
        rows=tuple(one.row for one in kept),
        notes=(),
        adapter=chosen,
        roles=roles,
        num_rows=collection.num_rows,
        num_repeated=collection.num_repeated,
        quarantined=quarantined,
    )
    golds = [(one.row, one.problem.answer.strip()) for one in kept]
    notes = _notes(Path(path).name, read, golds, seen.unused(roles), times)
    return dataclasses.replace(read, notes=tuple(notes)).first(limit)


def _adapter(file: Path, chosen: str) -> tuple[str, Roles]:
    """The adapter that is named or knows the columns, and the role of each column.

    Raises:
        BadRows: a column that is misspelt, where a required one is missing.
        ConfigError: columns that no adapter knows.
    """
    names, rows = head_of(file, HEAD)
    columns = Columns(tuple(names), tuple(rows))
    if chosen != AUTO:
        return chosen, named_roles(chosen, columns)
    detected = detect(columns)
    if detected is not None:
        return detected
    if not names:  # nothing there, or lines of which none is a row: said when all are read
        return "paced", {name: name for name in COLUMNS}
    there = columns.roles(problem=PROBLEM, answer=(*ANSWER, *WORKED))
    missing = [name for name in REQUIRED if name not in there]
    near = {key: name for key in names if (name := _nearest(key, missing)) is not None}
    if near:
        raise BadRows(str(file), [_misnamed(1, key, name) for key, name in near.items()])
    raise ConfigError(
        f"{file}: no row has {' and '.join(map(repr, missing or REQUIRED))}; columns found: {_listed(names)}. Rename "
        "or add the column; docs/data.md lists the columns that are known."
    )


def _read_into(
    collection: Collection, file: Path, adapter: str, roles: Roles, name: str, seen: ColumnsSeen
) -> None:  # fmt: skip
    """Add every row of a file to the collection, and what could not be read as one."""
    own_ids, kind = DATASETS[adapter].own_ids, format_of(file)
    reader = RowReader(DATASETS[adapter], roles, from_csv=kind == "csv", file=name)
    unreadable: list[BadRow] = []
    earlier: dict[bytes, Kept | list[BadRow]] = {}
    if kind == "parquet":
        seen.add(1, tuple(column_names(file)))

    def is_row(cells: dict[str, str]) -> bool:
        """Whether a single line of CSV is like a row: lines of a text may hold commas too, but not then an answer."""
        return number_of(cells.get(roles.get("answer", ""))) is not None

    for rows, record in rows_of(file, unreadable, list(roles.values()), is_row=is_row):
        if kind != "parquet":
            seen.add(rows[0], tuple(record))
        cells = {column: cell or None for column, cell in record.items()} if kind == "csv" else record
        key = _digest(cells) if kind == "parquet" else b""
        known = earlier.get(key)
        if isinstance(known, Kept):
            collection.repeat(known, rows, name)
            continue
        read = known or reader.read(int(rows[0]), cells)
        entry: Kept | list[BadRow] | None
        if isinstance(read, list):
            collection.add_faults(rows, read, record)
            entry = read
        else:
            entry = collection.add(rows, read, record, column=roles, file=name, own_ids=own_ids)
        if key and entry is not None and not (own_ids and "problem_id" in roles):
            earlier[key] = entry
    for row, faults in groupby(unreadable, key=lambda fault: fault.row):
        collection.add_faults([row], [dataclasses.replace(fault, file=name) for fault in faults], None)


def _digest(cells: Mapping[str, Any]) -> bytes:
    return hashlib.blake2b(repr(cells).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class ColumnsSeen:
    """The names of columns that rows have, and where each was first seen."""

    def __init__(self) -> None:
        self._sets: dict[tuple[str, ...], list[int]] = {}

    def add(self, row: int, names: tuple[str, ...]) -> None:
        """One row's."""
        rows = self._sets.get(names)
        if rows is None:
            self._sets[names] = [row, 1]
        else:
            rows[1] += 1

    def unused(self, roles: Roles) -> list[str]:
        """Columns that nothing is read from, by name."""
        names = {name for names in self._sets for name in names} - set(roles.values())
        return sorted(name for name in names if name.strip())

    def misnamed(self, roles: Roles) -> list[BadRow]:
        """Columns that look like a known one that is missing, each named once with the number of rows it affects."""
        affected: dict[tuple[str, str], list[int]] = {}
        for names, (first, count) in self._sets.items():
            missing = [name for name in COLUMNS if name not in roles and name not in names]
            missing += [name for name in REQUIRED if name in roles and roles[name] not in names]
            for key in set(names) - set(roles.values()):
                near = _nearest(key, missing)
                if near is not None:
                    entry = affected.setdefault((key, near), [first, 0])
                    entry[0], entry[1] = min(entry[0], first), entry[1] + count
        return [_misnamed(row, key, near, count) for (key, near), (row, count) in affected.items()]


def _misnamed(row: int, key: str, near: str, count: int = 1) -> BadRow:
    more = f" ({count} rows)" if count > 1 else ""
    fix = f"There is no '{near}': did you mean that? Rename the column{more}."
    return BadRow(row=row, column=key, found="an unknown column", fix=fix)


def _nearest(key: str, missing: Sequence[str]) -> str | None:
    """The missing column that a name is most like, or None if it is like none of them."""
    near = max(missing, key=lambda column: _likeness(key, column), default=None)
    return near if near is not None and _likeness(key, near) > 0.8 else None


@functools.lru_cache(maxsize=1024)
def _likeness(key: str, column: str) -> float:
    return difflib.SequenceMatcher(None, key.lower().strip(), column).ratio()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name if name.isprintable() else ascii(name) for name in names)


def _notes(
    name: str, read: ProblemFile, golds: Sequence[tuple[int, str]], unused: Sequence[str], times: int
) -> list[str]:  # fmt: skip
    """Sentences on how a set was read."""
    notes = []
    if read.adapter != "paced":
        held = ", ".join(f"{role} from '{column}'" for role, column in read.roles.items())
        notes.append(f"{name}: read as {read.adapter}, {DATASETS[read.adapter].about} ({_listed([held])}).")
    if read.quarantined:
        count, which = len(read.quarantined), "row is" if len(read.quarantined) == 1 else "rows are"
        notes.append(
            f"{name}: {count:,} of {read.num_rows:,} {which} quarantined; first: {read.quarantined[0].faults[0]}"
        )
    empty = [row for row, gold in golds if gold in MAYBE_ABSENT]
    if empty:
        notes.append(
            f"{name}: {len(empty)} of {len(golds)} answers read 'None', 'N/A' or the like (first: "
            f"row {empty[0]}), which may be how a table wrote an absent value."
        )
    if read.num_repeated:
        rows_repeat, were = ("row repeats", "was") if read.num_repeated == 1 else ("rows repeat", "were")
        each = f" (every problem comes {times} times)" if times > 2 else ""
        notes.append(f"{name}: {read.num_repeated:,} {rows_repeat} an earlier problem and {were} passed over{each}.")
    if unused:
        notes.append(f"{name}: columns not used: {_listed(unused)}.")
    return notes


__all__ = ["ProblemFile", "Quarantined", "problem_id_of", "read_problems"]
