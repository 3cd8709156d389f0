"""Every file that is read or written, with the columns of its records: docs/reference/file_formats.md.

    python -m paced.cli.formatpage docs/reference/file_formats.md

Columns, types and meanings are read off the record classes, which are what the code writes and checks on reading. A
test compares the page in docs/ with this, and its paths with those of the run folder.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from paced.cli.formats import SECTIONS, Format
from paced.records import OPTIONAL
from paced.run.configpage import field_docstrings

INTRODUCTION = """\
# Every file that is read or written

Written by `python -m paced.cli.formatpage docs/reference/file_formats.md` from the record classes in the code. Text is
UTF-8. JSON lines have one object a line, with its keys in the order below; parquet has one row for a record. A file is
replaced in one step or grows by whole lines, so a kill leaves the old file or the new one. Shares and rates are in
[0, 1], lengths in tokens, divergences in nats, times in seconds, memory in bytes; other ranges are in the meaning.

Unknown keys, absent ones and values of another type are refused with file, row and column ([errors](errors.md)); a bad
row is never passed over in silence.
"""


def format_page() -> str:
    """The page, in Markdown."""
    parts = [INTRODUCTION]
    for title, formats in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [_section(one) for one in formats]
    return "\n".join(parts)


def _section(one: Format) -> str:
    heading = ", ".join(f"`{path}`" if "." in path or "/" in path else path for path in one.path.split(", "))
    lines = [f"### {heading}", "", f"{one.form[0].upper()}{one.form[1:]}. {one.about}", ""]
    rows = list(columns_of(one.record)) if one.record else list(one.keys)
    if rows:
        lines += ["| column | type | meaning |" if one.record else "| key | type | meaning |", "|---|---|---|"]
        for name, kind, meaning in rows:
            names = ", ".join(f"`{part}`" for part in name.split(", "))
            lines.append(f"| {names} | {kind} | {meaning.replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)


def columns_of(record: type) -> Iterator[tuple[str, str, str]]:
    """(column, type, meaning) of each field of a record class.

    Example:
        >>> from paced.records import ProblemWeight
        >>> list(columns_of(ProblemWeight))[1]
        ('weight', 'number', 'w >= 0, as the weight function gave it.')
    """
    hints, meanings = get_type_hints(record), field_docstrings(record)
    for field in dataclasses.fields(record):
        about = meanings.get(field.name, "")
        for end, place in (("_low", "Lower"), ("_high", "Upper")):
            if not about and field.name.endswith(end):
                about = f"{place} end of the 95 % interval of `{field.name.removesuffix(end)}`."
        assert about, f"{record.__name__}.{field.name} has no docstring"
        if field.metadata.get(OPTIONAL):
            about += " The column is absent where no problem has one."
        yield field.name, type_text(hints[field.name]), about


def type_text(hint: Any) -> str:
    """A type in words.

    Example:
        >>> type_text(tuple[int, ...]), type_text(Literal["stop", "length"]), type_text(float)
        ('list of integers', '`stop` or `length`', 'number')
    """
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Literal:
        words = [f"`{word}`" for word in inside]
        return " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"
    if origin is tuple:
        items = {int: "integers", float: "numbers", str: "texts"}
        return f"list of {items.get(inside[0], 'lists of numbers')}"
    if origin in (Union, types.UnionType):
        return " or ".join(type_text(one) for one in inside)
    return {int: "integer", float: "number", str: "text", bool: "true or false", types.NoneType: "null"}[hint]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(format_page(), encoding="utf-8")
