"""A file's counts as a histogram, which is all that a fit needs: ten million rows of parquet in some hundred megabytes.

Rows are read batch by batch and only counted. Names of problems are read too, since one that comes twice is a fault,
but only a 64-bit key of each is kept: equal names have equal keys, so that no repetition is missed. Whatever is
unusual, two names with one key included, is left to ``read.py``, which reads the whole file and names each fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from paced.arrays import Integers, Keys
from paced.run.tablefile import format_of
from paced.run.tablefile.parquet_rows import record_batches
from paced.weights.counts import MOST_ROLLOUTS, CountHistogram
from paced.weights.table.read import layout_of, notes_of, read_counts
from paced.weights.table.spellings import Layout

LARGEST_K = 1024
"""Rollouts of a problem up to which pairs (s, K) are counted in a dense table."""
LONGEST_NAME = 512
"""Bytes of a name up to which names get keys."""
FIRST_BYTES = np.array([2 ** (8 * num_bytes) - 1 for num_bytes in range(9)], dtype=np.uint64)
"""Masks of the first 0..8 bytes of a little-endian word."""


@dataclass(frozen=True, eq=False)
class FileCells:
    """The counts of a file and how they were read."""

    cells: CountHistogram
    layout: Layout
    """The columns that were used."""
    notes: tuple[str, ...]
    """What a person should know of how the file was read."""


def read_cells(path: Path) -> FileCells:
    """Read the histogram of (num_passed, num_rollouts) of a file.

    Args:
        path: as :func:`paced.weights.table.read.read_counts`.

    Raises:
        ValueError, BadRows: as :func:`paced.weights.table.read.read_counts`.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = file.write_text("id,correct,total\\n7,3,8\\n9,3,8\\n")
        >>> cells = read_cells(file).cells
        >>> cells.num_passed.tolist(), cells.num_problems.tolist()
        ([3], [2])
    """
    if format_of(path) == "parquet":
        layout = layout_of(path)
        cells = _counted(path, layout)
        if cells is not None:
            return FileCells(cells, layout, notes_of(layout, cells.num_passed, cells.num_rollouts))
    table = read_counts(path)
    cells = CountHistogram.of(table.num_passed, table.num_rollouts, place="fit")
    return FileCells(cells, table.layout, table.all_notes)


def _counted(path: Path, layout: Layout) -> CountHistogram | None:
    """The histogram if every row is usable and every name differs, else None."""
    if layout.kind == "samples" or layout.sample_index or layout.rate or layout.also_rollouts:
        return None
    names = [name for name in (layout.problem_id, layout.first, layout.second) if name is not None]
    table = np.zeros((0, 0), dtype=np.int64)
    seen = _Names()
    for batch in record_batches(path, names):
        pairs = _pairs(batch, layout)
        if pairs is None or (layout.problem_id is not None and not seen.add(batch.column(layout.problem_id))):
            return None
        passed, rollouts = pairs
        if not len(passed):
            continue
        width = int(rollouts.max()) + 1
        if width > len(table):
            larger = np.zeros((width, width), dtype=np.int64)
            larger[: len(table), : len(table)] = table
            table = larger
        table += np.bincount(rollouts * len(table) + passed, minlength=table.size).reshape(table.shape)
    rollouts, passed = np.nonzero(table)
    if not len(passed) or not seen.all_differ():
        return None
    return CountHistogram(passed, rollouts, table[rollouts, passed])


def _pairs(batch: Any, layout: Layout) -> tuple[Integers, Integers] | None:
    """(s, K) of a batch, or None if one of them is not a count."""
    import pyarrow as pa

    columns = [batch.column(layout.first), batch.column(layout.second)]
    if any(not pa.types.is_integer(column.type) or column.null_count for column in columns):
        return None
    passed, rollouts = (column.to_numpy() for column in columns)
    usable = (passed >= 0) & (passed <= rollouts) & (rollouts >= 1) & (rollouts <= min(LARGEST_K, MOST_ROLLOUTS))
    return (passed.astype(np.int64, copy=False), rollouts.astype(np.int64, copy=False)) if usable.all() else None


@dataclass(eq=False)
class _Names:
    """Keys of the names so far; those of numbers that only rise need no sorting."""

    keys: list[Keys] = field(default_factory=list)
    rising: bool = True
    last: int | None = None

    def add(self, names: Any) -> bool:
        """Take the names of a batch; False for a type, a blank name or a length that has no keys."""
        import pyarrow as pa

        if names.null_count:
            return False
        if pa.types.is_integer(names.type):
            numbers = names.to_numpy()
            if len(numbers):
                after_last = self.last is None or int(numbers[0]) > self.last
                self.rising = self.rising and after_last and bool((numbers[1:] > numbers[:-1]).all())
                self.last = int(numbers[-1])
            self.keys.append(numbers.astype(np.int64).view(np.uint64))
            return True
        self.rising = False
        if not (pa.types.is_string(names.type) or pa.types.is_large_string(names.type)):
            return False
        keys = _keys_of_texts(names)
        if keys is not None:
            self.keys.append(keys)
        return keys is not None

    def all_differ(self) -> bool:
        """Whether no two names have the same key."""
        if self.rising or not self.keys:
            return True
        keys = np.concatenate(self.keys)
        self.keys.clear()
        keys.sort()
        return not bool((keys[1:] == keys[:-1]).any())


def _keys_of_texts(names: Any) -> Keys | None:
    """A 64-bit key of each text, from its bytes eight at a time; None where a text may be blank or is very long."""
    import pyarrow as pa

    if not len(names):
        return np.zeros(0, dtype=np.uint64)
    _, offsets, data = names.buffers()
    kind = np.int32 if pa.types.is_string(names.type) else np.int64
    ends = np.frombuffer(offsets, dtype=kind)[names.offset : names.offset + len(names) + 1].astype(np.int64)
    text = np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]] if data is not None else np.zeros(0, dtype=np.uint8)
    starts, lengths = ends[:-1] - ends[0], np.diff(ends)
    # Only visible ASCII: neither blank, nor a NUL, nor a byte that is not UTF-8.
    if lengths.min() < 1 or lengths.max() > LONGEST_NAME or text.min() <= 32 or text.max() >= 127:
        return None
    padded = np.concatenate([text, np.zeros(8, dtype=np.uint8)])
    words = np.ndarray((len(text) + 1,), dtype="<u8", buffer=padded, strides=(1,))  # the eight bytes from each place on
    keys = lengths.astype(np.uint64)
    for begin in range(0, int(lengths.max()), 8):
        in_word = np.clip(lengths - begin, 0, 8)  # bytes of each text in this word
        keys ^= words[np.minimum(starts + begin, len(text))] & FIRST_BYTES[in_word]
        keys *= np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys
