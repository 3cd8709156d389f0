"""The rows of a table that may be wrong: each fault becomes a :class:`paced.errors.BadRow`, and reading goes on."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paced.errors import BadRow
from paced.records import UNGRADABLE
from paced.weights.table.spellings import Layout

PASS_WORDS = {"true", "1", "1.0", "yes", "correct", "pass", "passed", "t", "y"}
FAIL_WORDS = {
    "false", "0", "0.0", "no", "incorrect", "wrong", "fail", "failed", "f", "n", "no_answer", "truncated",
}  # fmt: skip


def name_of(record: dict[str, Any], layout: Layout, row: int, bad: list[BadRow], *, default: str) -> str | None:
    """The problem's name, or None after noting why there is none; ``default`` for files that have no names."""
    if layout.problem_id is None:
        return default
    value = record.get(layout.problem_id)
    if value is None or (isinstance(value, str) and not value.strip()):
        fix = "Give every problem a name of its own."
        bad.append(BadRow(row=row, column=layout.problem_id, found=shown(value), fix=fix))
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def count_of(record: dict[str, Any], column: str, row: int, bad: list[BadRow], *, smallest: int) -> int | None:
    """A count, or None after noting why it is none."""
    value = record.get(column)
    found, fix = shown(value), ""
    number: float = math.nan
    if value is None or (isinstance(value, str) and not value.strip()):
        fix = "Write the count, or remove the row."
    elif isinstance(value, bool):
        fix = "Write a whole number, not true or false."
    else:
        try:
            number = float(value)
        except (TypeError, ValueError):
            fix = "Write a whole number in digits."
        else:
            if not math.isfinite(number):
                fix = "Write a finite count, or remove the row."
            elif number != int(number):
                fix = "Write the number of passes, not a rate or a mean." if 0 < number < 1 else "Write a whole number."
            elif number < smallest:
                fix = (
                    "A problem needs at least one rollout: remove the row."
                    if smallest and number == 0
                    else "A count cannot be negative."
                )
            elif number > 2**53:
                fix = "No one makes so many rollouts: check the number."
    if fix:
        bad.append(BadRow(row=row, column=column, found=found, fix=fix))
        return None
    return int(number)


def outcome_of(record: dict[str, Any], column: str, row: int, bad: list[BadRow]) -> str | None:
    """passed, failed or ungradable, or None after noting why it is none of them."""
    value = record.get(column)
    word = str(value).strip().lower() if value is not None else ""
    if word in PASS_WORDS:
        return "passed"
    if word in FAIL_WORDS:
        return "failed"
    if word in UNGRADABLE:
        return "ungradable"
    fix = "Write 1 or 0, true or false, or a verdict such as correct or incorrect."
    if not word:
        fix = "Write the outcome, or remove the row if the rollout was not graded."
    elif word in {"-1", "-1.0"}:
        fix = "Write 0 for a failed rollout; scores of ±1 have no meaning as a mean."
    bad.append(BadRow(row=row, column=column, found=shown(value), fix=fix))
    return None


def rows(path: Path, kind: str, bad: list[BadRow]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line as an editor counts, record) of each usable line; others go to ``bad``."""
    if kind == "parquet":
        import pyarrow.parquet as pq

        number = 0
        for batch in pq.ParquetFile(path).iter_batches():
            for record in batch.to_pylist():
                number += 1
                yield number, record
    elif kind == "jsonl":
        for number, record in json_rows(path):
            if isinstance(record, dict):
                yield number, record
            else:
                fix = "Write one JSON object, {...}, on each line."
                bad.append(BadRow(row=number, column="(line)", found=shown(record), fix=fix))
    else:
        yield from _csv_rows(path, bad)


def _csv_rows(path: Path, bad: list[BadRow]) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter(path))
        names: list[str] | None = None
        start = 1
        for cells in reader:
            here, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = cells
            elif len(cells) != len(names):
                fix = f"The header has {len(names)} columns; quote cells that hold the separator."
                bad.append(BadRow(row=here, column="(line)", found=f"{len(cells)} cells", fix=fix))
            else:
                yield here, dict(zip(names, cells, strict=True))


class _NotJson(str):
    """A line that is not JSON, kept to be shown."""

    __slots__ = ()


def json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """(line, value) of each line that is not blank; a line that is not JSON comes as its own text."""
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError:
                    yield number, _NotJson(line.strip())


def open_text(path: Path) -> io.StringIO | io.TextIOWrapper:
    """The file as text, a byte order mark left out; bytes that are not UTF-8 are named by their line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}: row {number} is not UTF-8 (byte {line[error.start]:#04x} at position {error.start + 1}). "
                    "Save the file as UTF-8."
                ) from error
    return path.open("r", encoding="utf-8-sig", newline="")


def delimiter(path: Path) -> str:
    """The separator of a text table: a tab, or whichever of comma and semicolon the first line has more of."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open("rb") as file:
        line = file.readline(1 << 16)
    return max(",;\t", key=lambda mark: line.count(mark.encode()))


def shown(value: Any) -> str:
    """A value as a reader finds it, without control characters and cut to sixty."""
    if value is None:
        return "nothing"
    if isinstance(value, str) and not value.strip():
        return "an empty cell" if not value else f"{value!r}"[:60]
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    text = str.__repr__(value) if isinstance(value, _NotJson) and value.isprintable() else text
    return text if len(text) <= 60 else f"{text[:57]}..."
