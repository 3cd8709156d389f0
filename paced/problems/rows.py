"""One row of a table as a problem, or what is wrong with it: the rules for cells, alike for every adapter."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from paced.errors import BadRow
from paced.grading.comparisons import answer_types
from paced.grading.guess import answer_type_of
from paced.grading.numerals import parse_integer
from paced.problems.adapters import Adapter
from paced.problems.columns import Roles, UnusableCell
from paced.problems.golds import as_text
from paced.problems.messages import read_messages
from paced.records import Problem
from paced.run.storage import text_hash
from paced.run.tablefile.cells import fault_of_text, is_missing, shown

REQUIRED = ("problem", "answer")
_DIGITS = re.compile(r"[0-9]{1,18}")
LABELS = ("answer", "source", "subject", "level")
"""Texts that many problems share: each different one is in memory once."""
TEXTS = ("problem_id", "problem", "answer", "solution", "source", "subject", "level")


class RowReader:
    """Reads the rows of one file: an adapter, where its columns are, and whether cells have types of their own."""

    def __init__(self, adapter: Adapter, roles: Roles, *, from_csv: bool = False, file: str = "") -> None:
        self._adapter, self._roles, self._from_csv, self._file = adapter, roles, from_csv, file
        self._types = answer_types()

    def read(self, number: int, row: Mapping[str, Any]) -> Problem | list[BadRow]:
        """The problem of one row, or each cell that keeps it from being one.

        Edges: a problem without an id of its own has the id ''.
        """
        cells = {role: row.get(column) for role, column in self._roles.items()}
        own_id = cells.get("problem_id")
        self._row, self._id = number, "" if is_missing(own_id) else str(own_id)
        try:
            fields = self._adapter.read(cells)
        except UnusableCell as fault:
            return [self._fault(fault.role, fault.value, fault.fix)]
        faults: list[BadRow] = []
        integers: set[str] = set()
        values = {name: self._text(name, fields.get(name), faults, integers) for name in TEXTS}
        kind = fields.get("answer_type")
        if is_missing(kind):
            plain = "answer" in integers or _DIGITS.fullmatch(values["answer"])
            kind = "integer" if plain else answer_type_of(values["answer"])
        elif kind not in self._types:
            faults.append(self._fault("answer_type", kind, f"Write one of {', '.join(self._types)}."))
        elif kind == "integer" and values["answer"].strip() and parse_integer(values["answer"]) is None:
            fix = "Write an integer, or set answer_type to exact."
            faults.append(self._fault("answer", values["answer"], fix))
        if not is_missing(fields.get("messages")):
            values["messages"], fix = read_messages(fields["messages"])
            faults += [self._fault("messages", fields["messages"], fix)] if fix else []
        if faults or any(not values[name].strip() for name in REQUIRED):
            return faults
        return Problem(answer_type=str(kind), **values)

    def _text(self, name: str, value: object, faults: list[BadRow], integers: set[str]) -> str:
        """A cell as text; '' where nothing is there, or where a fault is added."""
        if is_missing(value) and not isinstance(value, str):
            if name in REQUIRED:
                faults.append(self._fault(name, value, "Every problem needs one."))
            return ""
        written, fix = value if isinstance(value, str) else "", ""
        if is_missing(value) and name in (*REQUIRED, "problem_id"):
            if name == "problem_id":
                return ""
            fix = "Write something, or leave the row out."
        elif name in ("answer", "problem_id"):
            written, is_integer, fix = as_text(value, from_csv=self._from_csv and name == "answer")
            integers.update([name] if is_integer else [])
        elif not isinstance(value, str):
            fix = "Write text."
        fix = fix or fault_of_text(written)
        if fix:
            faults.append(self._fault(name, value, fix))
            return ""
        return sys.intern(written) if name in LABELS else written

    def _fault(self, role: str, value: object, fix: str) -> BadRow:
        column = self._column(role)
        return BadRow(row=self._row, column=column, found=shown(value), fix=fix, file=self._file, id=self._id)

    def _column(self, role: str) -> str:
        """The column that a role's value comes from: worked solutions and chats give the answer where no other does."""
        return self._roles.get(role) or next(
            (self._roles[other] for other in ("worked", "chat") if other in self._roles and role in REQUIRED), role
        )


def problem_id_of(text: str) -> str:
    """The id of a problem that brings none: 16 hexadecimal digits of a hash of its text, white space made equal.

    Indentation is kept: two programs that differ in it are two problems.

    Example:
        >>> problem_id_of("2 + 2") == problem_id_of(" 2  +\\n2\\n")
        True
        >>> problem_id_of("if x:\\n    a()\\n    b()") == problem_id_of("if x:\\n    a()\\nb()")
        False
    """
    return text_hash(_bare(text))[:16]


def _bare(text: str) -> str:
    """A problem's text with every run of white space as one space, except for the indentation of a line.

    Indentation that all lines share goes, and so do line breaks before a line without any: a text that was wrapped, or
    moved to the right as a whole, is the same problem.
    """
    if "\n " not in text and "\n\t" not in text and "\r" not in text:  # no line is indented but perhaps the first
        return " ".join(text.split())
    lines = textwrap.dedent(text.replace("\r\n", "\n").replace("\r", "\n")).strip().split("\n")
    bare = ""
    for line in lines:
        if words := line.split():
            indent = line[: len(line) - len(line.lstrip())]
            bare += (f"\n{indent}" if indent else " ") + " ".join(words)
    return bare.strip()
