"""What a table's columns are called and hold, as an adapter asks it, and cells as text, lists or messages.

An adapter looks at the names and at the first rows; each further row is read by itself, and one that is not like the
first is a bad row (:class:`UnusableCell`), not a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paced.run.tablefile.cells import is_missing

HEAD = 200
"""Rows that an adapter is chosen by."""
Roles = Mapping[str, str]
"""What an adapter reads -> the column that holds it."""
Cells = Mapping[str, Any]
"""What an adapter reads -> the cell of one row."""


class UnusableCell(ValueError):  # noqa: N818 - named by what it holds
    """A cell of which no problem can be made: what it was read as, its value, and what makes it usable."""

    def __init__(self, role: str, value: object, fix: str) -> None:
        super().__init__(fix)
        self.role, self.value, self.fix = role, value, fix


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns and its first rows."""

    names: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...] = ()

    def has(self, *names: str) -> bool:
        """Whether all of these columns are there, spelled so."""
        return set(names) <= set(self.names)

    def find(self, *spellings: str) -> str | None:
        """The first spelling that is there, whatever its case and whether words are joined by ``_``, ``-`` or spaces.

        Example:
            >>> Columns(("Final Answer", "ID")).find("answer", "final_answer")
            'Final Answer'
        """
        there = {plain_name(name): name for name in reversed(self.names)}
        exact = next((name for name in spellings if name in self.names), None)
        return exact or next((there[plain_name(name)] for name in spellings if plain_name(name) in there), None)

    def roles(self, **spellings: Sequence[str]) -> dict[str, str]:
        """Role -> column for each role that has one; no column has two roles."""
        roles: dict[str, str] = {}
        for role, names in spellings.items():
            free = Columns(tuple(name for name in self.names if name not in roles.values()))
            if (column := free.find(*names)) is not None:
                roles[role] = column
        return roles

    def values(self, column: str | None) -> list[Any]:
        """What the first rows hold there, absent cells left out."""
        return [] if column is None else [row[column] for row in self.rows if not is_missing(row.get(column))]

    def mostly(self, column: str | None, test: Callable[[Any], bool]) -> bool:
        """Whether most of the first rows pass a test there; not so where there are none."""
        values = self.values(column)
        return 2 * sum(map(test, values)) > len(values)


def plain_name(name: str) -> str:
    """A column's name without case, spaces, hyphens, points and underscores."""
    return re.sub(r"[\s_.-]+", "", name).casefold()


def structured(value: object) -> Any:
    """A list or an object; text that is one in JSON, as CSV must write it, is read, and anything else is as it was.

    Example:
        >>> structured('["a", "b"]'), structured("[0, 1)"), structured("[5]")
        (['a', 'b'], '[0, 1)', [5])
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def single(role: str, value: object) -> object:
    """The one entry of a list; a cell that is not a list is itself.

    Raises:
        UnusableCell: an empty list, or entries that differ.
    """
    if not isinstance(value, list):
        return value
    entries = [entry for entry in value if not is_missing(entry)]
    if entries and all(type(entry) is type(entries[0]) and entry == entries[0] for entry in entries):
        return entries[0]
    many = f"a list of {len(entries)} answers" if entries else "an empty list"
    raise UnusableCell(role, value, f"This is {many}: write the one that is graded, as text.")


def messages_of(value: object) -> list[dict[str, str]] | None:
    """A chat as objects with role and content, in whichever dress; None for what is not a chat.

    Example:
        >>> messages_of([{"from": "human", "value": "2+2?"}])
        [{'role': 'user', 'content': '2+2?'}]
        >>> messages_of("2+2?") is None
        True
    """
    value = structured(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not value:
        return None
    messages = []
    for entry in value:
        if not isinstance(entry, dict):
            return None
        role = entry.get("role", entry.get("from"))
        content = _content(entry.get("content", entry.get("value")))
        if not isinstance(role, str) or content is None:
            return None
        messages.append({"role": {"human": "user", "gpt": "assistant"}.get(role, role), "content": content})
    return messages


def _content(value: object) -> str | None:
    """The text of a message, also when it is written as parts that are all text."""
    if isinstance(value, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in value]
        return "".join(part for part in parts if isinstance(part, str)) if all(map(_is_text, parts)) else None
    return value if isinstance(value, str) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str)
