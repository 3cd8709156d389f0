"""Rows of JSON: an object on each line, a list of objects, or objects that each take several lines.

A key given twice in one object is a fault of its row; :mod:`json` alone would let the last one win.
Left out: an object that holds the rows under a key, or the columns as lists. Which of several would be a guess.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paced.errors import BadRow
from paced.run.tablefile.cells import shown
from paced.run.tablefile.containers import text_lines

WANTED = "Write one JSON object, {...}, for each row"


def rows(path: Path, faults: list[BadRow]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, or number in the list; object) of each row; see :func:`paced.run.tablefile.read_rows`."""
    for row, value in _values(path):
        if isinstance(value, _DoubledKeys):
            for key in value.twice:
                values = " and ".join(shown(one) for name, one in value.pairs if name == key)
                faults.append(BadRow(row=row, column=key, found=values, fix="The key is given twice: keep one."))
        elif isinstance(value, dict):
            yield row, value
        else:
            reason = f": {value.reason}" if isinstance(value, _Broken) else ""
            faults.append(BadRow(row=row, column="(line)", found=shown(value), fix=f"{WANTED}{reason}."))


class _DoubledKeys(dict[str, Any]):
    """An object in which a key was given twice, with all the pairs that were given."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        self.twice = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)


class _Broken(str):
    """A text that is not JSON, with the reason and the line in it where reading stopped."""

    reason: str
    line: int

    @classmethod
    def of(cls, text: str, reason: str, line: int = 1) -> _Broken:
        """The text with its reason."""
        broken = cls(text)
        broken.reason, broken.line = reason, line
        return broken


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    return record if len(record) == len(pairs) else _DoubledKeys(pairs)


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _decode(text: str) -> Any:
    """The value of a JSON text, or the text itself as :class:`_Broken`."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        return _Broken.of(text, "it is nested too deeply")
    except json.JSONDecodeError as error:
        return _Broken.of(text, f"{error.msg} at position {error.colno}", error.lineno)
    except ValueError as error:  # an integer of more than 4,300 digits
        return _Broken.of(text, str(error).partition(";")[0])


def _values(path: Path) -> Iterator[tuple[int, Any]]:
    """(row, value) of each value; a first line that is one object says that every line is."""
    lines = ((row, line) for row, line in enumerate(text_lines(path), start=1) if line.strip())
    row, line = next(lines, (1, ""))
    first = _decode(line.strip())
    if isinstance(first, (_Broken, list)):
        yield from _spread_values(path)
        return
    second = next(lines, None)
    if second is None:
        _refuse_holder(path, first)
    yield row, first
    for row, line in itertools.chain([second] if second else [], lines):
        yield row, _decode(line.strip())


def _refuse_holder(path: Path, only: object) -> None:
    """Refuse the one value of a file if it is an object of lists or objects: rows, or columns, are inside it."""
    if isinstance(only, dict) and only and all(isinstance(value, (dict, list)) for value in only.values()):
        raise ValueError(f"{path}: holds one JSON object of lists or objects. {WANTED}, in one list.")


def _spread_values(path: Path) -> Iterator[tuple[int, Any]]:
    """The values of a text whose first line is not an object: a list, or values of several lines each."""
    text = "".join(text_lines(path)).replace("\r\n", "\n").replace("\r", "\n")
    whole = _decode(text)
    if isinstance(whole, list):
        yield from enumerate(whole, start=1)
        return
    if not isinstance(whole, _Broken):
        _refuse_holder(path, whole)
    values = _one_after_another(text)
    if values is None:
        lines = text.split("\n")
        values = [(row, _decode(line.strip())) for row, line in enumerate(lines, start=1) if line.strip()]
        # An object that fills a line from its first column: one object a line is meant, and some lines are broken.
        if not any(isinstance(value, dict) and lines[row - 1][0] == "{" for row, value in values):
            raise ValueError(
                f"{path}: is not JSON: row {whole.line}, {whole.reason}. {WANTED}, one a line or in a list."
            )
    yield from values


def _one_after_another(text: str) -> list[tuple[int, Any]] | None:
    """(row, value) of values that follow each other, or None where anything else comes between."""
    values: list[tuple[int, Any]] = []
    position, row = 0, 1
    while position < len(text):
        if text[position].isspace():
            row += text[position] == "\n"
            position += 1
            continue
        try:
            value, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError):
            return None
        values.append((row, value))
        row += text.count("\n", position, end)
        position = end
    return values
