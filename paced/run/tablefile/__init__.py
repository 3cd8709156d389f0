"""Anyone's table as rows, each with its place: CSV, TSV, JSON lines, a JSON list or parquet, gzipped or not.

The name says the format; whether a file is gzipped is read from its first bytes (``containers.py``). Every format gives
the same rows, and what cannot be read as one is a :class:`paced.errors.BadRow`, never a row less: ``csv_rows.py`` on
quotes, ``json_rows.py`` on keys given twice, ``parquet_rows.py`` on damaged pages, ``cells.py`` on single cells.
Left out: encodings other than UTF-8, quote marks other than ``"``, comment lines, and repairs of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from paced.errors import BadRow, BadRows
from paced.run.tablefile import csv_rows, json_rows, parquet_rows
from paced.run.tablefile.cells import shown
from paced.run.tablefile.containers import check_content

FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
"""Suffix -> format, whatever the suffix's case; each may be gzipped, with or without a further ``.gz``."""

Row = tuple[int, dict[str, Any]]
"""(line of a text as an editor counts, or number of the record in a JSON list or parquet; cells by column)."""


def format_of(path: Path) -> str:
    """csv, json or parquet, from the name.

    Raises:
        ValueError: no known suffix.

    Example:
        >>> format_of(Path("a.CSV.gz")), format_of(Path("b.pq"))
        ('csv', 'parquet')
    """
    kind = FORMATS.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if kind is None:
        raise ValueError(f"{path}: the name must end in {', '.join(FORMATS)}, or one of these and .gz. Rename it.")
    return kind


def read_rows(
    path: Path, faults: list[BadRow], *, is_row: Callable[[dict[str, str]], bool] = lambda cells: False
) -> Iterator[Row]:
    """The rows of a file, one after another.

    Args:
        path: a name with a suffix of ``FORMATS``, perhaps followed by ``.gz``.
        faults: receives the rows that are none: a wrong number of cells, broken quotes, lines that are not JSON.
        is_row: whether the cells of a single line of CSV look like a row. A quoted cell with line breaks is refused
            when the first, the last and most lines of its row look like one: then a stray quote has swallowed rows.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is empty, damaged, not UTF-8 or not what its name says; one sentence with its name.

    Edges: blank lines are not rows. Cells of CSV are text. Numbers of 16 and 32 bits in parquet become the shortest
        decimal that is nearest to them, 0.1 and not 0.10000000149.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = file.write_text('id,n\\nq1,8\\nq2,"8\\nq3,8\\n')
        >>> faults = []
        >>> [row for row, _ in read_rows(file, faults)], [fault.row for fault in faults]
        ([2, 4], [3])
    """
    kind = format_of(path)
    check_content(path, kind)
    if kind == "csv":
        yield from csv_rows.rows(path, faults, is_row)
    elif kind == "json":
        yield from json_rows.rows(path, faults)
    else:
        yield from parquet_rows.rows(path)


def column_names(path: Path) -> list[str]:
    """The names of the columns; for JSON the keys of the first object.

    Raises:
        ValueError: as :func:`read_rows`; no row to take names from; one name twice.
        BadRows: rows, but none that could be read.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = file.write_text("id,passed\\nq1,8\\n")
        >>> column_names(file)
        ['id', 'passed']
    """
    kind = format_of(path)
    check_content(path, kind)
    faults: list[BadRow] = []
    if kind == "csv":
        names = csv_rows.header(path, faults)
    elif kind == "json":
        names = next((list(record) for _, record in json_rows.rows(path, faults)), [])
    else:
        names = list(parquet_rows.column_types(path))
    if faults and not names:
        raise BadRows(str(path), faults)
    if not any(name.strip() for name in names):
        raise ValueError(f"{path}: holds no row. Write the names of the columns and one row for each problem.")
    return names


__all__ = ["FORMATS", "Row", "column_names", "format_of", "read_rows", "shown"]
