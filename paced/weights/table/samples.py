"""Graded rollouts, one a row, counted by problem: a rollout that comes twice counts once, and the note says so.

A resumed job writes rollouts again that it had written before. Where a column says which rollout of its problem a row
is, a repeat with the same outcome is left out, and one with another outcome is a fault of the file. Without such a
column equal rows may be two rollouts that ended alike: all are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from paced.errors import BadRow
from paced.run.tablefile import Row
from paced.run.tablefile.cells import number_of, shown
from paced.weights.table.ids import NameKinds
from paced.weights.table.rows import name_of, outcome_of, sample_of
from paced.weights.table.spellings import PERHAPS_INDEX, PERHAPS_TEXT, Layout, plain_name


@dataclass(kw_only=True)
class SampleTally:
    """The rollouts of a file, counted."""

    counts: dict[Hashable, list[int]] = field(default_factory=dict)
    """Problem -> [passed, graded]."""
    num_rows: int = 0
    """Rows that say which problem, which rollout and which outcome."""
    num_ungradable: int = 0
    """Rollouts that the grader, not the student, failed."""
    num_repeated: int = 0
    """Rows that repeat an earlier one in every cell, left out."""
    num_resampled: int = 0
    """Rows that repeat a rollout and its outcome, but not every cell; left out."""
    num_contradicting: int = 0
    """Rows that repeat a rollout with another outcome: faults."""
    num_equal: int = 0
    """Rows that equal an earlier one where nothing says which rollout a row is; counted."""

    def notes(self, layout: Layout) -> tuple[str, ...]:
        """What a person should know about the rows left out, and those that perhaps should have been."""
        notes = []
        if left_out := self.num_repeated + self.num_resampled:
            key = f"{layout.problem_id} and {layout.sample_index}"
            but = f"; {self.num_resampled:,} of them differ from it in other cells" if self.num_resampled else ""
            notes.append(f"left out: {left_out:,} repeated {_rows(left_out)}, with {key} of an earlier row{but}")
        if self.num_equal:
            notes.append(
                f"{self.num_equal:,} {_rows(self.num_equal)} equal an earlier one in every cell and count: no column, "
                "such as sample_index, says which rollout a row is"
            )
        return tuple(notes)


def with_index(layout: Layout, names: Iterable[str], rows: Callable[[], Iterable[Row]]) -> Layout:
    """The layout with the column that numbers the rollouts of each problem, if the rows show that one does.

    Args:
        layout: of graded rollouts.
        names: all columns of the file.
        rows: gives the rows; read once for each column that comes into question.

    Returns: the layout with a ``sample_index`` that holds numbers where its name alone may mean the rollout's text, or
        that is called like a seed or an epoch and has another value for each row of a problem, equal rows apart.
    """
    if layout.problem_id is None:
        return layout
    if plain_name(layout.sample_index) in PERHAPS_TEXT:
        _, record = next(iter(rows()), (0, {}))
        if number_of(record.get(layout.sample_index)) is None:
            layout = replace(layout, sample_index="")
    if layout.sample_index:
        return layout
    perhaps = [name for name in names if plain_name(name) in PERHAPS_INDEX and name != layout.problem_id]
    numbers = (name for name in perhaps if _numbers_rollouts(replace(layout, sample_index=name), rows()))
    return replace(layout, sample_index=next(numbers, ""))


def _numbers_rollouts(layout: Layout, rows: Iterable[Row]) -> bool:
    """Whether rows of one problem with one index are equal, and at most half of the rows are such repeats."""
    cells: dict[Hashable, int] = {}
    problems: set[Hashable] = set()
    num_rows = 0
    for row, record in rows:
        name, index, cells_of_row = name_of(record, layout, row, []), sample_of(record, layout, row, []), _hash(record)
        if index is None or cells.setdefault((name, index), cells_of_row) != cells_of_row:
            return False
        problems.add(name)
        num_rows += 1
    return len(cells) > len(problems) and 2 * len(cells) >= num_rows


def tally_samples(file: str, layout: Layout, rows: Iterable[Row], bad: list[BadRow]) -> SampleTally:
    """Count the rollouts of a file.

    Args:
        file: what a message calls it.
        layout: its columns.
        rows: one for each graded rollout.
        bad: receives the rows that cannot be used.

    Raises:
        ValueError: the column that should number the rollouts has one value for each problem, and the rows differ.
    """
    tally = SampleTally()
    earlier: dict[Hashable, tuple[int, str, int]] = {}  # rollout -> (row, outcome, hash of all cells)
    equal: set[int] = set()
    kinds = NameKinds(layout.problem_id)
    for row, record in rows:
        name, outcome = name_of(record, layout, row, bad), outcome_of(record, layout.first, row, bad)
        index = sample_of(record, layout, row, bad) if layout.sample_index else row
        if name is None or outcome is None or index is None or not kinds.check(name, row, bad):
            continue
        tally.num_rows += 1
        if layout.sample_index:
            first, first_outcome, first_cells = earlier.setdefault((name, index), (row, outcome, _hash(record)))
            if first != row:
                if first_outcome != outcome:
                    fix = f"Row {first} has this rollout with another outcome: keep one of the two."
                    bad.append(BadRow(row=row, column=layout.first, found=shown(record[layout.first]), fix=fix))
                    tally.num_contradicting += 1
                elif first_cells == _hash(record):
                    tally.num_repeated += 1
                else:
                    tally.num_resampled += 1
                continue
        elif len(record) > len(layout.columns):
            cells = _hash(record)
            tally.num_equal += cells in equal
            equal.add(cells)
        _count(tally, name, outcome)
    if len(earlier) == len(tally.counts) and (tally.num_resampled or tally.num_contradicting):
        raise ValueError(
            f"{file}: column {shown(layout.sample_index)} cannot number the rollouts: it has one value a problem, "
            f"though rows of one problem differ ({tally.num_rows:,} rows, {len(tally.counts):,} problems). "
            "Remove or rename it."
        )
    return tally


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _count(tally: SampleTally, name: Hashable, outcome: str) -> None:
    counts = tally.counts.setdefault(name, [0, 0])
    if outcome == "ungradable":
        tally.num_ungradable += 1
    else:
        counts[0] += outcome == "passed"
        counts[1] += 1


def _hash(record: dict[str, Any]) -> int:
    return hash(json.dumps(record, sort_keys=True, default=str))
