"""A table of pass rates as ``paced rate`` writes it: the counts of each problem with its Wilson interval.

``paced fit``, ``paced weigh`` and ``paced export`` read it as it is. A problem none of whose rollouts could be graded
keeps its row, with no pass rate: no row is lost on the way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paced.records import PassRate
from paced.run.inert import refuse_formulas
from paced.run.storage import write_atomic
from paced.weights.table.read import CSV_NAMES, PARQUET_NAMES
from paced.weights.wilson import wilson_interval

JSON_NAMES = (".jsonl",)


def check_table_name(path: Path, problem_ids: Sequence[str] = ()) -> None:
    """Refuse a name from which no format follows, and ids that CSV would hand to a spreadsheet as formulas.

    An id is the key that joins the table with the problems, so it is never changed; numbers such as -3 are harmless.

    Raises:
        ValueError: with what to do.

    Example:
        >>> check_table_name(Path("rates.csv"), ["q1", "-3"])
        >>> check_table_name(Path("rates.csv"), ["=1+1"])
        Traceback (most recent call last):
        ValueError: rates.csv: 1 problem id begins as a formula of a spreadsheet ('=1+1'). Write .parquet or .jsonl ...
    """
    suffix = path.suffix.lower()
    if suffix not in (*PARQUET_NAMES, *CSV_NAMES, *JSON_NAMES):
        raise ValueError(f"{path}: the name must end in .parquet, .csv or .jsonl. Rename the output.")
    if suffix in CSV_NAMES:
        refuse_formulas(path, problem_ids)


def rated_rows(rates: Sequence[PassRate]) -> list[dict[str, Any]]:
    """One row for each problem, in the order given; None where there is no pass rate.

    Example:
        >>> row, = rated_rows([PassRate(problem_id="a", num_passed=4, num_rollouts=8)])
        >>> row["pass_rate"], round(row["pass_rate_low"], 3), round(row["pass_rate_high"], 3)
        (0.5, 0.215, 0.785)
    """
    rows = []
    for rate in rates:
        ends = wilson_interval(rate.num_passed, rate.num_rollouts)
        known = rate.num_rollouts > 0
        rows.append(
            {
                "problem_id": rate.problem_id,
                "num_passed": rate.num_passed,
                "num_rollouts": rate.num_rollouts,
                "num_truncated": rate.num_truncated,
                "num_ungradable": rate.num_ungradable,
                "pass_rate": rate.pass_rate_estimate if known else None,
                "pass_rate_low": ends.low if known else None,
                "pass_rate_high": ends.high if known else None,
            }
        )
    return rows


def write_rated(path: Path, rates: Sequence[PassRate]) -> None:
    """Write the table atomically; the suffix chooses parquet, CSV or JSON lines, the bytes depend on the counts only.

    Raises:
        ValueError: as :func:`check_table_name`.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    check_table_name(path, [rate.problem_id for rate in rates])
    rows = rated_rows(rates)
    if path.suffix.lower() in JSON_NAMES:
        write_atomic(path, "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n" for row in rows))
        return
    counts = [(name, pa.int64()) for name in ("num_passed", "num_rollouts", "num_truncated", "num_ungradable")]
    shares = [(name, pa.float64()) for name in ("pass_rate", "pass_rate_low", "pass_rate_high")]
    table = pa.Table.from_pylist(rows, schema=pa.schema([("problem_id", pa.string()), *counts, *shares]))
    sink = pa.BufferOutputStream()
    if path.suffix.lower() in PARQUET_NAMES:
        pq.write_table(table, sink, compression="zstd")
    else:
        pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    write_atomic(path, sink.getvalue().to_pybytes())
