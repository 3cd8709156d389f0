"""A file of counts without a fault, read by Arrow: ten million rows in a second. Others are read row by row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from paced.arrays import Integers
from paced.run.tablefile import format_of
from paced.run.tablefile.containers import open_bytes, readable
from paced.run.tablefile.csv_rows import separator
from paced.run.tablefile.parquet_rows import open_parquet
from paced.weights.counts import MOST_ROLLOUTS
from paced.weights.table.ids import numbers_if_plain
from paced.weights.table.spellings import Layout

ODD_BYTES = re.compile(rb'["\x00]|0[xX]')
"""What Arrow reads in another way than Python's csv, or accepts silently: quotes, NUL, counts in hexadecimal."""


def read_clean(path: Path, layout: Layout) -> tuple[Any, Integers, Integers] | None:
    """(names, s, K) of a file of counts without a fault, else None."""
    kind = format_of(path)
    if kind == "json" or layout.also_rollouts:
        return None
    names = [name for name in (layout.problem_id, layout.first, layout.second) if name is not None]
    table = _csv(path, layout, names) if kind == "csv" else _parquet(path, layout, names)
    if table is None or table.num_rows == 0 or any(table[name].null_count for name in names):
        return None
    passed = table[layout.first].to_numpy().astype(np.int64, copy=False)
    rollouts = table[layout.second].to_numpy().astype(np.int64, copy=False)
    if not bool(((passed >= 0) & (passed <= rollouts) & (rollouts >= 1) & (rollouts <= MOST_ROLLOUTS)).all()):
        return None
    ids = _ids(table, layout)
    if ids is None:
        return None
    return (numbers_if_plain(ids) if kind == "csv" and layout.problem_id else ids), passed, rollouts


def _csv(path: Path, layout: Layout, names: list[str]) -> Any:
    import pyarrow as pa
    import pyarrow.csv

    with readable(path), open_bytes(path) as file:
        while block := file.read(1 << 20):
            if ODD_BYTES.search(block):
                return None
    types = {layout.first: pa.int64(), layout.second: pa.int64()}
    if layout.problem_id is not None:
        types[layout.problem_id] = pa.string()
    try:
        with readable(path), open_bytes(path) as file:
            return pyarrow.csv.read_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(use_threads=False),
                parse_options=pyarrow.csv.ParseOptions(delimiter=separator(path), quote_char=False),
                convert_options=pyarrow.csv.ConvertOptions(include_columns=names, column_types=types),
            )
    except (pa.ArrowException, KeyError):
        return None


def _parquet(path: Path, layout: Layout, names: list[str]) -> Any:
    import pyarrow as pa

    with open_parquet(path) as file:
        table = file.read(columns=names)
        table.validate(full=True)  # text that is not UTF-8
    whole = all(pa.types.is_integer(table[name].type) for name in (layout.first, layout.second))
    return table if whole else None


def _ids(table: Any, layout: Layout) -> Any:
    """The names as one Arrow array if all of them differ and none is blank or has a NUL, else None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if layout.problem_id is None:
        return pa.array(range(table.num_rows), pa.int64())
    ids = table[layout.problem_id].combine_chunks()
    is_text = pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)
    if not (is_text or pa.types.is_integer(ids.type)) or pc.count_distinct(ids).as_py() != len(ids):
        return None
    if is_text:
        blank = pc.equal(pc.utf8_trim_whitespace(ids), "")
        if pc.any(pc.or_(blank, pc.match_substring(ids, "\0"))).as_py():
            return None
    return ids
