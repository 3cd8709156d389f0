"""Names of problems in the type that they had in the file, so that a table of weights joins with its source.

pandas and Arrow join a column of integers with integers only. CSV has no types, so its names become numbers where
every one is written as a number is, which is what pandas and Arrow make of them too.
Left out: names of which some are numbers and some text. No column holds both.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from paced.errors import BadRow
from paced.run.tablefile import format_of
from paced.run.tablefile.cells import shown
from paced.run.tablefile.parquet_rows import column_types
from paced.weights.table.spellings import Layout

PLAIN_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"
"""An integer of 64 bits as it is written; 007 and 1e3 are names."""
PLAIN_FLOAT = r"^-?[0-9]+\.[0-9]+$"
"""A number with a point; 1.10 is a name if nothing else, since 1.1 is another."""
EXACT_FLOATS = 1 << 53
"""Integers up to here are exact as floats of 64 bits."""


def typed_names(path: Path, layout: Layout, names: Sequence[Hashable]) -> Any:
    """The names as an Arrow array.

    Args:
        path: the file they came from.
        layout: its columns.
        names: one for each problem, all text or all numbers, in any type that a row of the file can hold.
    """
    import pyarrow as pa

    if layout.problem_id is None:
        return pa.array(range(len(names)), pa.int64())
    kind = format_of(path)
    if kind == "parquet":
        declared = column_types(path)[layout.problem_id]
        declared = declared.value_type if pa.types.is_dictionary(declared) else declared
        kept = any(test(declared) for test in (pa.types.is_primitive, pa.types.is_decimal, pa.types.is_large_string))
        return pa.array(names, declared) if kept else pa.array(map(str, names), pa.string())
    if kind == "csv":
        return numbers_if_plain(pa.array(names, pa.string()))
    if all(isinstance(name, int) for name in names):
        fits = all(-(1 << 63) <= name < 1 << 63 for name in names)  # type: ignore[operator]
        return pa.array(names, pa.int64()) if fits else pa.array(map(str, names), pa.string())
    if any(isinstance(name, float) for name in names):
        exact = all(isinstance(name, float) or abs(name) <= EXACT_FLOATS for name in names)  # type: ignore[arg-type]
        return pa.array(names, pa.float64()) if exact else pa.array(map(str, names), pa.string())
    return pa.array(names, pa.string())


def numbers_if_plain(names: Any) -> Any:
    """An Arrow array of texts as integers, or as floats, if every one is written as Python writes such a number.

    Example:
        >>> import pyarrow as pa
        >>> files = ["1", "20"], ["1", "02"], ["1.0", "2.5"], ["1.10", "2.5"], ["1", "q2"]
        >>> [str(numbers_if_plain(pa.array(names)).type) for names in files]
        ['int64', 'string', 'double', 'string', 'string']
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.all(pc.match_substring_regex(names, PLAIN_INTEGER)).as_py():
        return names.cast(pa.int64())
    if pc.all(pc.match_substring_regex(names, PLAIN_FLOAT)).as_py():
        texts = names.to_pylist()
        numbers = [float(text) for text in texts]
        if list(map(str, numbers)) == texts:
            return pa.array(numbers, pa.float64())
    return names


class NameKinds:
    """Watches that a file names its problems by text or by numbers, not by both."""

    def __init__(self, column: str | None) -> None:
        self.column = column
        self.first: tuple[int, bool] | None = None

    def check(self, name: Hashable, row: int, bad: list[BadRow]) -> bool:
        """Whether the name is of the kind of the first one; a fault is noted if it is not."""
        is_text = isinstance(name, str)
        first_row, first_is_text = self.first = self.first or (row, is_text)
        if is_text == first_is_text:
            return True
        fix = f"Row {first_row} names its problem by {'text' if first_is_text else 'a number'}: write all names alike."
        bad.append(BadRow(row=row, column=str(self.column), found=shown(name), fix=fix))
        return False
