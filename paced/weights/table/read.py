"""Counts of passes from anyone's table, and weights back into one: CSV, JSONL or parquet, no run folder needed.

A clean file of counts is read by Arrow at once. If anything in it is odd, the file is read again row by row, so that
every fault is named with its line, column, content and remedy, all in one message (:class:`paced.errors.BadRows`).
Left out: dropping bad rows. A silently shorter table is a wrong table.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paced.errors import BadRow, BadRows
from paced.run.storage import write_atomic
from paced.weights.table import rows as table_rows
from paced.weights.table.spellings import Layout, find_layout

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CountTable:
    """Counts of all problems of a file, in the order in which the problems first appear."""

    problem_ids: Any
    """Names of the problems: a sequence of strings or an Arrow array, length num_problems."""
    num_passed: NDArray[np.int64]
    """s, shape [num_problems]."""
    num_rollouts: NDArray[np.int64]
    """K >= 1, shape [num_problems]."""
    layout: Layout
    """The columns that were used."""
    num_ungradable: int = 0
    """Rollouts left out because the grader, not the student, failed."""
    num_without_rollouts: int = 0
    """Problems left out because none of their rollouts could be graded."""


def read_counts(path: Path) -> CountTable:
    """Read (num_passed, num_rollouts) of each problem, or one row for each graded rollout.

    Args:
        path: ``.csv``/``.tsv``, ``.jsonl`` or ``.parquet``; columns under any spelling that ``spellings.py`` lists.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a format or columns that are not understood, or a file without rows.
        BadRows: rows that cannot be used, all of them.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Give a CSV, JSONL or parquet file of counts.")
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(
            f"{path}: the name must end in {', '.join(FORMATS)}, got '{path.suffix}'. Rename or convert it."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty. Write a header and one row for each problem.")
    names = _header(path, kind)
    layout = find_layout(str(path), names)
    if layout.kind == "counts":
        clean = _read_clean(path, kind, layout)
        return clean if clean is not None else _read_count_rows(path, kind, layout)
    return _read_sample_rows(path, kind, layout)


def write_weights(
    path: Path, table: CountTable, weights: NDArray[np.float64], unit_mean_weights: NDArray[np.float64]
) -> None:
    """Write problem_id, num_passed, num_rollouts, weight, unit_mean_weight; the suffix chooses parquet or CSV.

    Names are written as they came, so that the file joins with the one it was made from.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    columns = {
        "problem_id": pa.array(table.problem_ids, pa.string()),
        "num_passed": table.num_passed,
        "num_rollouts": table.num_rollouts,
        "weight": weights,
        "unit_mean_weight": unit_mean_weights,
    }
    sink = pa.BufferOutputStream()
    if FORMATS.get(path.suffix.lower()) == "parquet":
        pq.write_table(pa.table(columns), sink, compression="zstd")
    elif path.suffix.lower() == ".csv":
        pyarrow.csv.write_csv(pa.table(columns), sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    else:
        raise ValueError(f"write_weights: the name must end in .parquet or .csv, got '{path.name}'. Rename the output.")
    write_atomic(path, sink.getvalue().to_pybytes())


def _header(path: Path, kind: str) -> list[str]:
    """Names of the columns; for JSONL the fields of the first record."""
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(path).names)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: not a parquet file ({error}). Check the file or its name.") from error
    if kind == "csv":
        with table_rows.open_text(path) as file:
            for row in csv.reader(file, delimiter=table_rows.delimiter(path)):
                if any(cell.strip() for cell in row):
                    return row
        raise ValueError(f"{path}: the file holds blank lines only. Write a header and one row for each problem.")
    for _, record in table_rows.json_rows(path):
        if isinstance(record, dict):
            return list(record)
    raise ValueError(f"{path}: no line is a JSON object. Write one object on each line.")


def _read_clean(path: Path, kind: str, layout: Layout) -> CountTable | None:
    """The table if there is nothing to complain about, else None."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv
    import pyarrow.parquet as pq

    wanted = [name for name in (layout.problem_id, layout.first, layout.second) if name is not None]
    if kind == "csv":
        types = {layout.first: pa.int64(), layout.second: pa.int64()}
        if layout.problem_id is not None:
            types[layout.problem_id] = pa.string()
        try:
            table = pyarrow.csv.read_csv(
                path,
                read_options=pyarrow.csv.ReadOptions(use_threads=False),
                parse_options=pyarrow.csv.ParseOptions(delimiter=table_rows.delimiter(path), newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(include_columns=wanted, column_types=types),
            )
        except (pa.ArrowInvalid, KeyError):
            return None
    elif kind == "parquet":
        table = pq.read_table(path, columns=wanted)
        if not all(pa.types.is_integer(table[name].type) for name in (layout.first, layout.second)):
            return None
    else:
        return None
    if table.num_rows == 0 or any(table[name].null_count for name in wanted):
        return None
    passed = table[layout.first].to_numpy().astype(np.int64, copy=False)
    rollouts = table[layout.second].to_numpy().astype(np.int64, copy=False)
    if not bool(((passed >= 0) & (passed <= rollouts) & (rollouts >= 1)).all()):
        return None
    if layout.problem_id is None:
        ids: Any = pa.array(np.arange(len(passed))).cast(pa.string())
    else:
        ids = table[layout.problem_id].cast(pa.string()).combine_chunks()
        if pc.count_distinct(ids).as_py() != len(ids) or pc.any(pc.equal(pc.utf8_trim_whitespace(ids), "")).as_py():
            return None
    return CountTable(problem_ids=ids, num_passed=passed, num_rollouts=rollouts, layout=layout)


def _read_count_rows(path: Path, kind: str, layout: Layout) -> CountTable:
    bad: list[BadRow] = []
    ids: list[str] = []
    counts: list[tuple[int, int]] = []
    seen: dict[str, int] = {}
    for row, record in table_rows.rows(path, kind, bad):
        before = len(bad)
        name = table_rows.name_of(record, layout, row, bad, default=str(len(ids)))
        passed = table_rows.count_of(record, layout.first, row, bad, smallest=0)
        rollouts = table_rows.count_of(record, layout.second, row, bad, smallest=1)
        if passed is not None and rollouts is not None and passed > rollouts:
            fix = f"It must be at most {layout.second} = {rollouts}; are the two columns swapped?"
            bad.append(BadRow(row=row, column=layout.first, found=str(passed), fix=fix))
        if name is not None and name in seen:
            fix = f"Row {seen[name]} has the same problem: add the two rows up or give the problems two names."
            bad.append(BadRow(row=row, column=str(layout.problem_id), found=table_rows.shown(name), fix=fix))
        if len(bad) == before:
            assert name is not None
            assert passed is not None
            assert rollouts is not None
            seen[name] = row
            ids.append(name)
            counts.append((passed, rollouts))
    _finish(path, bad, len(ids))
    passed_all, rollouts_all = np.array(counts, dtype=np.int64).T
    return CountTable(problem_ids=ids, num_passed=passed_all, num_rollouts=rollouts_all, layout=layout)


def _read_sample_rows(path: Path, kind: str, layout: Layout) -> CountTable:
    bad: list[BadRow] = []
    counts: dict[str, list[int]] = {}
    ungradable = 0
    for row, record in table_rows.rows(path, kind, bad):
        name = table_rows.name_of(record, layout, row, bad, default="")
        outcome = table_rows.outcome_of(record, layout.first, row, bad)
        if name is None or outcome is None:
            continue
        tally = counts.setdefault(name, [0, 0])
        if outcome == "ungradable":
            ungradable += 1
        else:
            tally[0] += outcome == "passed"
            tally[1] += 1
    kept = {name: tally for name, tally in counts.items() if tally[1]}
    _finish(path, bad, len(kept))
    passed, rollouts = np.array(list(kept.values()), dtype=np.int64).T
    return CountTable(
        problem_ids=list(kept), num_passed=passed, num_rollouts=rollouts, layout=layout,
        num_ungradable=ungradable, num_without_rollouts=len(counts) - len(kept),
    )  # fmt: skip


def _finish(path: Path, bad: list[BadRow], usable: int) -> None:
    if bad:
        raise BadRows(str(path), sorted(bad, key=lambda one: one.row))
    if not usable:
        raise ValueError(f"{path}: no row of data below the header. Write one row for each problem.")
