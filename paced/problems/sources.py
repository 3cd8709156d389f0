"""The files that a path of problems names, and their rows, read in record batches, of which equal rows come together.

A path is a file, a folder of files of one data set, or a pattern such as ``data/train-*.parquet``. The splits of a data
set are never read as one: what is held out would be trained on.
Left out: names on the hub. ``paced data fetch`` writes one to a file, so that a run depends on files alone.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from paced.errors import BadRow, ConfigError
from paced.run.storage import file_hash, text_hash
from paced.run.tablefile import FORMATS, format_of, read_rows
from paced.run.tablefile.parquet_rows import column_types, record_batches, records_of

SPLITS = ("train", "test", "validation", "valid", "val", "dev", "eval")
_SPLIT = re.compile(rf"(?i)(?:^|[^a-z])({'|'.join(SPLITS)})(?:[^a-z]|$)")
_HUB = re.compile(r"(?:hf://datasets/)?[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@\w+)?")

RowsOfOne = tuple[Sequence[int], dict[str, Any]]
"""(the numbers of rows that are the same, in order; their cells by column)."""


def files_of(path: str | Path) -> list[Path]:
    """The files of a path, sorted by name.

    Raises:
        ConfigError: no such file, a folder without one, or one with several splits.

    Example:
        >>> files_of("openai/gsm8k")
        Traceback (most recent call last):
        paced.errors.ConfigError: openai/gsm8k: no such file. If it is a name on the hub, write it to a file first: \
paced data fetch openai/gsm8k@COMMIT --split SPLIT -o problems.parquet
    """
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if _is_table(file, place))
        if not files:
            raise ConfigError(f"{path}: this folder holds no file that ends in {', '.join(FORMATS)}. Give a file.")
    elif not place.exists() and glob.has_magic(str(path)):
        files = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
        if not files:
            raise ConfigError(f"{path}: no file has a name of this pattern.")
    elif not place.exists() and _HUB.fullmatch(str(path)) and not _suffix_known(place):
        name = str(path).removeprefix("hf://datasets/")
        raise ConfigError(
            f"{path}: no such file. If it is a name on the hub, write it to a file first: paced data fetch "
            f"{name if '@' in name else f'{name}@COMMIT'} --split SPLIT -o problems.parquet"
        )
    else:
        return [place]
    splits = {split: file for file in files if (split := _split_of(file, place))}
    if len(splits) > 1:
        names = ", ".join(sorted(splits))
        raise ConfigError(
            f"{path}: holds the splits {names}, which are not one set. Give the files of one, as "
            f"'{place if place.is_dir() else place.parent}/{min(splits, key=SPLITS.index)}-*.parquet'."
        )
    return files


def are_there(path: str | Path) -> bool:
    """Whether a path names a file, a folder, or a pattern that some file has."""
    return Path(path).exists() or bool(glob.has_magic(str(path)) and glob.glob(str(path), recursive=True))


def content_hash(path: str | Path) -> str:
    """SHA-256 of the files that a path names: a file's own, or one over the names and hashes of several."""
    files = files_of(path)
    if len(files) == 1 and files[0] == Path(path):
        return file_hash(files[0])
    return text_hash(*(part for file in files for part in (file.name, file_hash(file))))


def first_rows(path: Path, size: int) -> list[tuple[int, dict[str, Any]]]:
    """The first rows of a file with their numbers."""
    if _is_parquet(path):
        for batch in record_batches(path, None, size):
            return list(enumerate(records_of(path, batch), start=1))
        return []
    return list(islice(read_rows(path, []), size))


def head_of(path: Path, size: int) -> tuple[list[str], list[dict[str, Any]]]:
    """The names of a file's columns and its first rows; of JSON and CSV the names that these rows have."""
    rows = [row for _, row in first_rows(path, size)]
    names = list(column_types(path)) if _is_parquet(path) else list(dict.fromkeys(name for row in rows for name in row))
    return names, rows


def rows_of(
    path: Path, faults: list[BadRow], columns: Sequence[str], *, is_row: Callable[[dict[str, str]], bool]
) -> Iterator[RowsOfOne]:
    """The rows of a file in the order in which each first comes; equal rows of one record batch of parquet together.

    Args:
        path: a file.
        faults: receives what could not be read as a row.
        columns: of parquet, those that are read and must be equal.
        is_row: as :func:`paced.run.tablefile.read_rows` has it.
    """
    if not _is_parquet(path):
        yield from (((number,), row) for number, row in read_rows(path, faults, is_row=is_row))
        return
    first = 1
    for batch in record_batches(path, columns):
        groups = _equal_rows(batch)
        if groups is None:
            yield from (((first + index,), row) for index, row in enumerate(records_of(path, batch)))
        else:
            starts = [group[0] for group in groups]
            yield from zip((group + first for group in groups), records_of(path, batch.take(starts)), strict=True)
        first += batch.num_rows


def _equal_rows(batch: Any) -> list[Any] | None:
    """Indices of the rows of a batch, those that are equal in one array, in the order of the first of each.

    None where a column has a type in which equality is not looked for, and where no two rows are equal.
    """
    import numpy as np

    if not batch.num_rows or not batch.num_columns:
        return None
    codes = np.zeros(batch.num_rows, np.int64)  # [rows]
    for column in batch.columns:
        column_codes = _codes(column)
        if column_codes is None:
            return None
        _, codes = np.unique(codes * (int(column_codes.max()) + 1) + column_codes, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    if len(starts) == batch.num_rows:
        return None
    return sorted(np.split(order, starts[1:]), key=lambda group: group[0])


def _codes(column: Any) -> Any:
    """int64 [rows]: equal numbers for equal cells; None where this cannot be said at little cost."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if column.null_count:
            return None
        if pa.types.is_struct(kind):
            parts = column.flatten()
        else:
            lengths = np.unique(pc.list_value_length(column).to_numpy(zero_copy_only=False))
            if len(lengths) != 1:
                return None
            length, flat = int(lengths[0]), column.flatten()
            parts = [flat.take(pa.array(np.arange(place, len(flat), length))) for place in range(length)]
        codes = np.zeros(len(column), np.int64)
        for part in parts:
            part_codes = _codes(part)
            if part_codes is None:
                return None
            _, codes = np.unique(codes * (int(part_codes.max()) + 1) + part_codes, return_inverse=True)
        return codes
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
    if not (pa.types.is_primitive(kind) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return np.zeros(len(column), np.int64) if pa.types.is_null(kind) else None
    return column.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _is_parquet(path: Path) -> bool:
    """Whether a file is there and is parquet by its name; one that is not there is refused by who reads rows."""
    return format_of(path) == "parquet" and path.is_file()


def _is_table(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not file.is_symlink() and not hidden and _suffix_known(file)


def _suffix_known(file: Path) -> bool:
    return Path(file.name.lower().removesuffix(".gz")).suffix in FORMATS


def _split_of(file: Path, place: Path) -> str:
    inside = file.relative_to(place) if place.is_dir() else Path(file.name)
    match = _SPLIT.search(str(inside))
    return match[1].lower() if match else ""
