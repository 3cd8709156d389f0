"""The rows of a problem set as they come together: new problems, repeats, conflicting golds, and bad rows put aside.

Each row is counted once: it is the first of a problem, a repeat of one, or bad. The same text with two golds says that
one of them is wrong, not which; so in quarantine all its rows are put aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from paced.errors import BadRow
from paced.grading.numerals import parse_integer
from paced.problems.rows import problem_id_of
from paced.records import Problem
from paced.run.tablefile.cells import shown


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A row that was put aside, with everything that is wrong with it."""

    row: int
    """As :class:`paced.errors.BadRow` counts."""
    faults: tuple[BadRow, ...]
    """At least one."""
    record: Mapping[str, Any] | None = None
    """Its cells that were read; None for a line that could not be read as a row."""

    def as_json(self) -> dict[str, Any]:
        """File, row, id, each fault and the record, as ``quarantine.jsonl`` has them."""
        first = self.faults[0]
        faults = [{"column": one.column, "found": one.found, "fix": one.fix} for one in self.faults]
        return {"file": first.file, "row": self.row, "id": first.id, "faults": faults, "record": self.record}


@dataclass(slots=True)
class Kept:
    """A problem with the rows that say it."""

    problem: Problem
    row: int
    file: str
    record: Mapping[str, Any] | None
    key: str
    """Hash of its text."""
    repeats: list[int] | None = None
    """Rows of the same file that repeat it; None while there is none: a million problems need no lists for that."""
    elsewhere: list[tuple[str, int]] | None = None
    """(file, row) of repeats in other files; None as well."""


class Collection:
    """Problems and bad rows of a set, filled row by row.

    Args:
        keep_records: keep the cells of every row that may be put aside.
    """

    def __init__(self, *, keep_records: bool = False) -> None:
        self._keep_records = keep_records
        self.num_rows = 0
        self.num_repeated = 0
        self._by_text: dict[str, Kept] = {}
        self._by_id: dict[str, Kept] = {}
        self._ambiguous: set[str] = set()
        self._bad: list[Quarantined] = []

    def add_faults(self, rows: Sequence[int], faults: Sequence[BadRow], record: Mapping[str, Any] | None) -> None:
        """Rows that are the same and cannot be used."""
        self.num_rows += len(rows)
        record = record if self._keep_records else None
        for row in rows:
            again = tuple(fault if fault.row == row else replace(fault, row=int(row)) for fault in faults)
            self._bad.append(Quarantined(row=int(row), faults=again, record=record))

    def add(
        self, rows: Sequence[int], problem: Problem, record: Mapping[str, Any], *, column: Mapping[str, str],
        file: str, own_ids: bool,
    ) -> Kept | None:  # fmt: skip
        """Rows that are the same and say a problem: the one that is kept, or None where they are bad.

        Args:
            rows: their numbers in the file.
            problem: with the id that the row brings, or ''.
            record: their cells.
            column: role -> column, for faults.
            file: its name, where there are several.
            own_ids: whether a row with an id is a problem of its own, even when it repeats another's text.
        """
        first = int(rows[0])
        key = problem_id_of(problem.problem)
        own_id = problem.problem_id

        def fault(role: str, value: str, fix: str) -> BadRow:
            return BadRow(row=first, column=column.get(role, role), found=shown(value), fix=fix, file=file, id=own_id)

        earlier = self._by_text.get(key)
        if earlier is not None and not _same_gold(earlier.problem, problem):
            self._ambiguous.add(key)
            gold = earlier.problem.answer.strip()
            fix = f"Row {_place(earlier, file)} gives the same problem {gold!r}."
            self.add_faults(rows, [fault("answer", problem.answer, fix)], record)
            return None
        if earlier is not None and not (own_ids and own_id):
            self.repeat(earlier, rows, file)
            return earlier
        same_id = self._by_id.get(own_id) if own_id else None
        if same_id is not None and own_ids:
            fix = f"Row {_place(same_id, file)} has the same id."
            self.add_faults(rows, [fault("problem_id", own_id, fix)], record)
            return None
        identified = problem if own_id and same_id is None else replace(problem, problem_id=key)
        kept = Kept(identified, first, file, record if self._keep_records else None, key)
        self._by_text.setdefault(key, kept)
        self._by_id[identified.problem_id] = kept
        self.num_rows += 1
        self.repeat(kept, rows[1:], file)
        return kept

    def repeat(self, kept: Kept, rows: Sequence[int], file: str) -> None:
        """Rows of a file that say a problem again."""
        self.num_rows += len(rows)
        self.num_repeated += len(rows)
        if not len(rows):
            return
        if file == kept.file:
            kept.repeats = kept.repeats or []
            kept.repeats.extend(map(int, rows))
        else:
            kept.elsewhere = kept.elsewhere or []
            kept.elsewhere.extend((file, int(row)) for row in rows)

    @property
    def faults(self) -> list[BadRow]:
        """Everything that is wrong, in the order of files and rows."""
        return [fault for one in self._in_order() for fault in one.faults]

    def settled(self) -> tuple[list[Kept], tuple[Quarantined, ...]]:
        """The problems that are certain, and all rows put aside, those of ambiguous problems too. Ends the counting."""
        certain = []
        for kept in self._by_id.values():
            if kept.key in self._ambiguous:
                self._put_aside(kept)
            else:
                certain.append(kept)
        return certain, tuple(self._in_order())

    def _put_aside(self, kept: Kept) -> None:
        fix = "Another row gives the same problem another answer: keep the one that is right."
        fault = BadRow(
            row=kept.row, column="answer", found=shown(kept.problem.answer), fix=fix, file=kept.file,
            id=kept.problem.problem_id,
        )  # fmt: skip
        repeats = [(kept.file, row) for row in kept.repeats or ()] + (kept.elsewhere or [])
        self.num_repeated -= len(repeats)
        self.num_rows -= 1 + len(repeats)
        for file, row in [(kept.file, kept.row), *repeats]:
            self.add_faults([row], [replace(fault, file=file, row=row)], kept.record)

    def _in_order(self) -> list[Quarantined]:
        """Bad rows by file and number, those of one row as one."""

        def place(one: Quarantined) -> tuple[str, int]:
            return one.faults[0].file, one.row

        return [_joined(list(group)) for _, group in groupby(sorted(self._bad, key=place), key=place)]

    def times_each(self) -> int:
        """How often every problem comes, where that is the same for all; else 0."""
        times = {1 + len(kept.repeats or ()) + len(kept.elsewhere or ()) for kept in self._by_id.values()}
        return times.pop() if len(times) == 1 else 0


def _joined(same_row: list[Quarantined]) -> Quarantined:
    return replace(same_row[0], faults=tuple(fault for one in same_row for fault in one.faults))


def _place(kept: Kept, file: str) -> str:
    return str(kept.row) if kept.file == file else f"{kept.row} of {kept.file}"


def _same_gold(one: Problem, other: Problem) -> bool:
    """Whether two golds are the same text, or the same integer."""
    if one.answer.strip() == other.answer.strip():
        return True
    if one.answer_type == other.answer_type == "integer":
        return parse_integer(one.answer) == parse_integer(other.answer)
    return False
