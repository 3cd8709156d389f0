"""Counts of passes from anyone's table, and weights back into one: CSV, JSON or parquet, no run folder needed.

A clean file of counts is read by Arrow at once. If anything in it is unusual, the file is read again row by row, so
that every fault is named with its line, column, content and remedy, all in one message (:class:`paced.errors.BadRows`).
Left out: dropping bad rows. A silently shorter table is a wrong table; the only rows left out are those that repeat a
rollout, and a note says how many.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from paced.arrays import Floats, Integers
from paced.errors import BadRow, BadRows
from paced.run.inert import refuse_formulas
from paced.run.storage import write_atomic
from paced.run.tablefile import Row, column_names, read_rows
from paced.run.tablefile.cells import number_of, shown
from paced.weights.table.clean import read_clean
from paced.weights.table.ids import NameKinds, typed_names
from paced.weights.table.readings import decide
from paced.weights.table.rows import count_of, looks_like_row, name_of, passes_of_rate
from paced.weights.table.samples import tally_samples, with_index
from paced.weights.table.spellings import Layout, find_layout, has_a_role, named_layout, plain_name

UNGRADABLE_COUNT = "num_ungradable"
"""Column of a table of counts that says how many rollouts left the denominator, as ``paced rate`` and runs write it."""
PARQUET_NAMES, CSV_NAMES = (".parquet", ".pq"), (".csv",)
"""Suffixes of the files that weights are written to."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CountTable:
    """Counts of all problems of a file, in the order in which the problems first appear."""

    problem_ids: Any
    """Names of the problems: an Arrow array of the type that they have in the file, length num_problems."""
    num_passed: Integers
    """s, shape [num_problems]."""
    num_rollouts: Integers
    """K >= 1, shape [num_problems]."""
    layout: Layout
    """The columns that were used."""
    num_ungradable: int = 0
    """Rollouts left out because the grader, not the student, failed."""
    num_without_rollouts: int = 0
    """Problems left out because none of their rollouts could be graded."""
    num_repeated: int = 0
    """Rows left out because they repeat a rollout, with the same outcome."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the file was read, one sentence each."""

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, and what was left out."""
        if not self.num_ungradable:
            return self.notes
        left_out = (
            f"left out: {self.num_ungradable:,} rollouts that could not be graded and "
            f"{self.num_without_rollouts:,} problems with no other"
        )
        return (*self.notes, left_out)


def read_counts(path: Path, *, columns: Mapping[str, str] | None = None) -> CountTable:
    """Read (num_passed, num_rollouts) of each problem, or one row for each graded rollout.

    Args:
        path: CSV, TSV, JSON lines, a JSON list or parquet, gzipped or not (:data:`paced.run.tablefile.FORMATS`);
            columns under any spelling that ``spellings.py`` lists.
        columns: role -> column, where the names do not tell: ``problem_id`` with ``num_passed`` and ``num_rollouts``,
            or with ``outcome`` and perhaps ``sample_index``; empty for the file's own names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a format or columns that are not understood, a damaged file, or one without rows.
        BadRows: rows that cannot be used, all of them.

    Edges: a rollout that comes twice, as after a resumed job, counts once if a column such as ``sample_index`` shows
        that it does.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = file.write_text("id,correct,total\\n7,0,8\\n9,1,8\\n")
        >>> table = read_counts(file)
        >>> table.problem_ids.to_pylist(), table.num_passed.tolist(), table.num_rollouts.tolist()
        ([7, 9], [0, 1], [8, 8])
    """
    names = column_names(path)
    layout = layout_of(path, columns=columns)

    def rows() -> Iterator[Row]:
        return read_rows(path, [], is_row=looks_like_row(layout))

    table = _clean_table(path, layout)
    if table is None:
        decided = decide(str(path), layout, rows()) if layout.kind == "either" else layout
        table = (_sample_table if decided.kind == "samples" else _count_table)(path, decided, names)
    if table.layout.kind == "counts" and not table.layout.rate:
        table = replace(table, notes=(*table.notes, *notes_of(layout, table.num_passed, table.num_rollouts)))
    return table


def layout_of(path: Path, *, columns: Mapping[str, str] | None = None) -> Layout:
    """What the columns of a file hold, as far as their names and the index of its rollouts tell; see read_counts."""
    names = column_names(path)
    layout = named_layout(str(path), names, columns) if columns else find_layout(str(path), names)
    if layout.kind == "counts":
        return layout
    return with_index(layout, names, lambda: read_rows(path, [], is_row=looks_like_row(layout)))


def notes_of(layout: Layout, num_passed: Integers, num_rollouts: Integers) -> tuple[str, ...]:
    """What is doubtful about counts in a column such as ``correct``: that it holds nothing but 0 and 1."""
    if layout.kind != "either" or not num_passed.max() <= 1 < num_rollouts.max():
        return ()
    return (f"{shown(layout.first)} is 0 or 1 in every row: read as passes out of {shown(layout.second)}",)


def write_weights(path: Path, table: CountTable, weights: Floats, unit_mean_weights: Floats) -> None:
    """Write problem_id, num_passed, num_rollouts, weight, unit_mean_weight; the suffix chooses parquet or CSV.

    Names are written as they came and in the type they had, so that the file joins with the one it was made from.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    columns = {
        "problem_id": table.problem_ids,
        "num_passed": table.num_passed,
        "num_rollouts": table.num_rollouts,
        "weight": weights,
        "unit_mean_weight": unit_mean_weights,
    }
    sink = pa.BufferOutputStream()
    if path.suffix.lower() in PARQUET_NAMES:
        pq.write_table(pa.table(columns), sink, compression="zstd")
    elif path.suffix.lower() in CSV_NAMES:
        if pa.types.is_floating(table.problem_ids.type):  # Arrow writes 1.0 as 1, another name to who compares texts
            columns["problem_id"] = pa.array(map(str, table.problem_ids.to_pylist()))
        refuse_formulas(path, [str(one) for one in table.problem_ids.to_pylist()])
        pyarrow.csv.write_csv(pa.table(columns), sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    else:
        raise ValueError(f"write_weights: the name must end in .parquet or .csv, got '{path.name}'. Rename the output.")
    write_atomic(path, sink.getvalue().to_pybytes())


def _clean_table(path: Path, layout: Layout) -> CountTable | None:
    """The table if it has whole numbers and one row for each problem, all usable: counts, whatever their name."""
    if layout.kind == "samples" or layout.rate or (layout.kind == "either" and layout.sample_index):
        return None
    clean = read_clean(path, layout)
    if clean is None:
        return None
    ids, passed, rollouts = clean
    layout = replace(layout, kind="counts")
    return CountTable(problem_ids=ids, num_passed=passed, num_rollouts=rollouts, layout=layout)


def _rows(path: Path, layout: Layout, names: list[str], bad: list[BadRow]) -> Iterator[Row]:
    """The rows; a column that a later object of JSON brings is a fault if it would have been read in the first one."""
    known = set(names)
    for row, record in read_rows(path, bad, is_row=looks_like_row(layout)):
        if new := record.keys() - known:
            known |= new
            for name in sorted(filter(has_a_role, new)):
                fix = "The first row has no such column: write the same columns in every row."
                bad.append(BadRow(row=row, column=name, found=shown(record[name]), fix=fix))
        yield row, record


def _count_table(path: Path, layout: Layout, names: list[str]) -> CountTable:
    """The table, row by row; a problem none of whose rollouts could be graded, as its row says, is only counted."""
    bad: list[BadRow] = []
    ungradable_column = next((name for name in names if plain_name(name) == UNGRADABLE_COUNT), "")
    num_ungradable = num_without_rollouts = 0
    first_rows: dict[Hashable, int] = {}
    counts: list[tuple[int, int]] = []
    kinds = NameKinds(layout.problem_id)
    for row, record in _rows(path, layout, names, bad):
        before = len(bad)
        ungradable = number_of(record.get(ungradable_column)) or 0
        num_ungradable += int(ungradable)
        if ungradable > 0 and number_of(record.get(layout.second)) == 0:
            num_without_rollouts += 1
            continue
        name = row if layout.problem_id is None else name_of(record, layout, row, bad)
        rollouts = count_of(record, layout.second, row, bad, smallest=1)
        if layout.rate:
            passed = passes_of_rate(record, layout, row, rollouts, bad)
        else:
            passed = count_of(record, layout.first, row, bad, smallest=0)
        if passed is not None and rollouts is not None:
            if passed > rollouts:
                fix = f"It must be at most {layout.second} = {rollouts}; are the two columns swapped?"
                bad.append(BadRow(row=row, column=layout.first, found=str(passed), fix=fix))
            for other in layout.also_rollouts:
                if number_of(record.get(other)) not in (None, rollouts):
                    fix = f"{layout.second} says {rollouts}: remove the one that is not the number of rollouts."
                    bad.append(BadRow(row=row, column=other, found=shown(record[other]), fix=fix))
        if name is not None and kinds.check(name, row, bad) and first_rows.setdefault(name, row) != row:
            fix = f"Row {first_rows[name]} has the same problem: add the two rows up or give the problems two names."
            bad.append(BadRow(row=row, column=str(layout.problem_id), found=shown(name), fix=fix))
        if len(bad) == before and passed is not None and rollouts is not None:
            counts.append((passed, rollouts))
    _finish(path, bad, len(counts) + num_without_rollouts)
    if not counts:
        raise ValueError(f"{path}: not one of {num_ungradable:,} rollouts could be graded. Grade them again.")
    num_passed, num_rollouts = np.array(counts, dtype=np.int64).T
    ids = typed_names(path, layout, list(first_rows))
    return CountTable(
        problem_ids=ids, num_passed=num_passed, num_rollouts=num_rollouts, layout=layout,
        num_ungradable=num_ungradable, num_without_rollouts=num_without_rollouts,
    )  # fmt: skip


def _sample_table(path: Path, layout: Layout, names: list[str]) -> CountTable:
    """The table of a file with one row for each graded rollout."""
    bad: list[BadRow] = []
    tally = tally_samples(str(path), layout, _rows(path, layout, names, bad), bad)
    kept = {name: counts for name, counts in tally.counts.items() if counts[1]}
    _finish(path, bad, tally.num_rows)
    if not kept:
        raise ValueError(f"{path}: not one of {tally.num_rows:,} rollouts could be graded. Grade them again.")
    num_passed, num_rollouts = np.array(list(kept.values()), dtype=np.int64).T
    notes = tally.notes(layout)
    others = [name for name in names if name not in layout.columns]
    if others and num_rollouts.max() == 1:
        notes += (
            f"every problem has one row, read as one rollout (K = 1); not used: {', '.join(map(shown, others))}. "
            "If one of them is the number of rollouts, call it num_rollouts",
        )
    return CountTable(
        problem_ids=typed_names(path, layout, list(kept)), num_passed=num_passed, num_rollouts=num_rollouts,
        layout=layout, num_ungradable=tally.num_ungradable, num_without_rollouts=len(tally.counts) - len(kept),
        num_repeated=tally.num_repeated + tally.num_resampled, notes=notes,
    )  # fmt: skip


def _finish(path: Path, bad: list[BadRow], usable: int) -> None:
    """Refuse a file with bad rows, all of them named, or without usable ones."""
    if bad:
        raise BadRows(str(path), sorted(bad, key=lambda one: one.row))
    if not usable:
        raise ValueError(f"{path}: no row of data below the header. Write one row for each problem.")
