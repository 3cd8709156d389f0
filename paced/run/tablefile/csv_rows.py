"""Rows of CSV and TSV with strict quotes: every line of the file belongs to a row or to a fault.

A quote that is not closed where its cell ends is a fault of the line that opened it, and reading resumes with the line
after that one. A reader that is not strict takes the lines up to the next quote for one cell: fewer rows, and the
numbers of another one. The cells themselves are split by :mod:`csv`.
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from paced.errors import BadRow
from paced.run.tablefile.cells import shown
from paced.run.tablefile.containers import text_lines

LARGEST_CELL = (1 << 31) - 1
"""Characters; Python's own limit of 131,072 is too small for a completion."""


def rows(
    path: Path, faults: list[BadRow], is_row: Callable[[dict[str, str]], bool]
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of each row below the header; see :func:`paced.run.tablefile.read_rows`."""
    mark = separator(path)
    names: list[str] | None = None
    for row, cells, lines in _records(text_lines(path), mark, faults):
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = check_names(path, cells)
        elif len(cells) != len(names):
            fix = f"The header has {len(names)} columns; quote cells that hold the separator."
            faults.append(BadRow(row=row, column="(line)", found=f"{len(cells)} cells", fix=fix))
        elif len(lines) > 1 and _swallows(lines, names, mark, is_row):
            fix = f"A quote opened here swallows the rows up to {row + len(lines) - 1}: remove it, or write JSON lines."
            faults.append(BadRow(row=row, column="(line)", found=shown(lines[0].rstrip("\r\n")), fix=fix))
        else:
            yield row, dict(zip(names, cells, strict=True))


def header(path: Path, faults: list[BadRow]) -> list[str]:
    """The cells of the first row that is not blank; none when its quotes are broken or there is no row."""
    for _, cells, _ in _records(text_lines(path), separator(path), faults):
        if faults:
            break
        if any(cell.strip() for cell in cells):
            return check_names(path, cells)
    return []


def separator(path: Path) -> str:
    """A tab in .tsv, else whichever of comma, semicolon and tab cuts the first line into most cells."""
    if path.name.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"
    line = next((line for line in text_lines(path) if line.strip()), "")
    return max(",;\t", key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def check_names(path: Path, names: list[str]) -> list[str]:
    """Return the names of columns, or say which appears twice; blank ones may."""
    twice = sorted(name for name, count in Counter(names).items() if name.strip() and count > 1)
    if twice:
        raise ValueError(f"{path}: column {', '.join(map(shown, twice))} appears twice. Rename one of the two.")
    return names


class _RecordLines:
    """The lines that a reader takes for one record; those after a broken quote can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._returned: deque[str] = deque()
        self.taken: list[str] = []
        self.row = 1

    def __iter__(self) -> _RecordLines:
        return self

    def __next__(self) -> str:
        line = self._returned.popleft() if self._returned else next(self._lines)
        self.taken.append(line)
        return line

    def finish(self, keep: int | None = None) -> tuple[int, list[str]]:
        """(row of its first line, lines) of the record; it ends after ``keep`` lines, the others are read again."""
        row, record = self.row, self.taken[:keep]
        self._returned.extendleft(reversed(self.taken[len(record) :]))
        self.row, self.taken = row + len(record), []
        return row, record


def _records(lines: Iterable[str], mark: str, faults: list[BadRow]) -> Iterator[tuple[int, list[str], list[str]]]:
    """(row, cells, lines) of each record, blank ones included."""
    csv.field_size_limit(LARGEST_CELL)
    source = _RecordLines(lines)
    reader = csv.reader(source, delimiter=mark, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            end = source.row + len(source.taken) - 1
            row, (line, *_) = source.finish(keep=1)
            reach = "" if end == row else f" (it reaches to row {end})"
            fix = f'A quote opened here is not closed where its cell ends{reach}: close it, or write "" for a quote.'
            faults.append(BadRow(row=row, column="(line)", found=shown(line.rstrip("\r\n")), fix=fix))
            reader = csv.reader(source, delimiter=mark, strict=True)
        else:
            row, record = source.finish()
            yield row, cells, record


def _swallows(lines: list[str], names: list[str], mark: str, is_row: Callable[[dict[str, str]], bool]) -> bool:
    """Whether the lines of one row are rows by themselves: the first, the last, and more than half of them."""

    def by_itself(line: str) -> bool:
        cells = [cell.strip('"') for cell in line.rstrip("\r\n").split(mark)]
        return len(cells) == len(names) and is_row(dict(zip(names, cells, strict=True)))

    rows_alone = [by_itself(line) for line in lines if line.strip()]
    return rows_alone[0] and rows_alone[-1] and 2 * sum(rows_alone) > len(rows_alone)
