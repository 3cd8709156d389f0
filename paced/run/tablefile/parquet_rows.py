"""Rows of parquet, and one plain sentence for a file whose pages or footer are damaged."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from paced.run.tablefile.containers import open_bytes, readable
from paced.run.tablefile.csv_rows import check_names

ROWS_AT_ONCE = 4096
"""Rows that are Python objects at one time: texts of completions are long."""
ROWS_IN_BATCH = 1 << 17
"""Rows of a record batch of which only some become Python objects."""


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the record counted from 1, cells by column); see :func:`paced.run.tablefile.read_rows`."""
    number = 0
    for batch in record_batches(path, None, ROWS_AT_ONCE):
        for record in records_of(path, batch):
            number += 1
            yield number, record


def record_batches(path: Path, columns: Sequence[str] | None, size: int = ROWS_IN_BATCH) -> Iterator[Any]:
    """The ``pyarrow.RecordBatch`` es of a file, one after another.

    Args:
        path: the file.
        columns: those that are read; None for all.
        size: rows of a batch, at most.

    Raises:
        ValueError: a damaged file.
    """
    with open_parquet(path) as file:
        yield from file.iter_batches(batch_size=size, columns=None if columns is None else list(columns))


def records_of(path: Path, batch: Any) -> list[dict[str, Any]]:
    """The rows of a batch of a file; numbers of 16 and 32 bits as the shortest decimal that stands for them.

    Raises:
        ValueError: text that is not UTF-8, which shows only now.
    """
    import numpy as np
    import pyarrow as pa

    with _sentences(path):
        records: list[dict[str, Any]] = batch.to_pylist()
    for field in batch.schema:
        if field.type in (pa.float32(), pa.float16()):
            width = np.float32 if field.type == pa.float32() else np.float16
            for record in records:
                if record[field.name] is not None:
                    record[field.name] = float(str(width(record[field.name])))
    return records


def column_types(path: Path) -> dict[str, Any]:
    """Name -> Arrow type of each column.

    Raises:
        ValueError: a damaged file, or one name twice.
    """
    with open_parquet(path) as file:
        return {field.name: field.type for field in file.schema_arrow}


@contextlib.contextmanager
def open_parquet(path: Path) -> Iterator[Any]:
    """The opened ``pyarrow.parquet.ParquetFile``; what goes wrong while it is read becomes a sentence.

    Raises:
        ValueError: a damaged file, one that is not parquet, text that is not UTF-8, or one column name twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _sentences(path):
        with readable(path), open_bytes(path) as raw:
            source = pa.BufferReader(raw.read()) if isinstance(raw, gzip.GzipFile) else path
        with pq.ParquetFile(source) as file:
            check_names(path, list(file.schema_arrow.names))
            yield file


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: holds text that is not UTF-8. Write that column as UTF-8 text.") from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0].rstrip(". ") if str(error) else type(error).__name__
        raise ValueError(f"{path}: is damaged, or not parquet ({reason}). Write the file again.") from error
