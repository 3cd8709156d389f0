"""Rows of parquet, and one plain sentence for a file whose pages or footer are damaged."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paced.run.tablefile.containers import open_bytes, readable
from paced.run.tablefile.csv_rows import check_names

ROWS_AT_ONCE = 4096
"""Rows that are Python objects at one time: texts of completions are long."""


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the record counted from 1, cells by column); see :func:`paced.run.tablefile.read_rows`."""
    import numpy as np
    import pyarrow as pa

    number = 0
    with open_parquet(path) as file:
        narrow = {
            field.name: np.float32 if field.type == pa.float32() else np.float16
            for field in file.schema_arrow
            if field.type in (pa.float32(), pa.float16())
        }
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for record in batch.to_pylist():
                number += 1
                for name, width in narrow.items():
                    if record[name] is not None:
                        record[name] = float(str(width(record[name])))
                yield number, record


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

    try:
        with readable(path), open_bytes(path) as raw:
            source = pa.BufferReader(raw.read()) if isinstance(raw, gzip.GzipFile) else path
        with pq.ParquetFile(source) as file:
            check_names(path, list(file.schema_arrow.names))
            yield file
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: holds text that is not UTF-8. Write that column as UTF-8 text.") from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0].rstrip(". ") if str(error) else type(error).__name__
        raise ValueError(f"{path}: is damaged, or not parquet ({reason}). Write the file again.") from error
