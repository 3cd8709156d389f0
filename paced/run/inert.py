"""Texts of strangers made harmless where people see them: on a terminal, in a page, in a spreadsheet.

Problems, completions and names come from files and models. A terminal obeys their escape sequences, bidirectional marks
show a text in another order than it is read, and a spreadsheet runs a cell that begins with ``=``.
Left out: HTML, which jinja2 escapes (``analysis/page.py``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from paced.run.tablefile.cells import shown

ACTING = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))
"""Unicode categories that act or cannot be seen: control, format (bidirectional marks), private, separators."""
FORMULA = ("=", "+", "-", "@", "\t")
"""What a cell begins with that a spreadsheet takes for a formula, or passes over on the way to one."""


def inert(text: Any) -> str:
    """Text without characters that act: control, bidirectional and invisible ones become ``\\xNN`` escapes.

    Edges: line breaks and tabs stay.

    Example:
        >>> inert("\\x1b[31mred\\u202e")
        '\\\\x1b[31mred\\\\u202e'
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _acts(character) else character for character in text
    )


def say(text: Any) -> None:
    """Print a text on the output, made inert: it may hold names, problems or answers of strangers."""
    print(inert(text))


def inert_cell(cell: Any) -> Any:
    """A cell of a table that people open: text that a spreadsheet would run gets an apostrophe; numbers stay numbers.

    Example:
        >>> [inert_cell(cell) for cell in ("=1+1", "-x", "-0.5", -0.5, "a")]
        ["'=1+1", "'-x", '-0.5', -0.5, 'a']
    """
    if not isinstance(cell, str):
        return cell
    text = inert(cell)  # a carriage return would begin another row as well
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) and not _is_number(text) else text


def refuse_formulas(file: object, ids: Iterable[str]) -> None:
    """Refuse ids that a CSV would hand to a spreadsheet as formulas; an id joins tables, so that it is never changed.

    Args:
        file: what the message calls the table.
        ids: of its rows; numbers such as -3 are harmless.

    Raises:
        ValueError: with what to do.
    """
    formulas = [one for one in ids if one.startswith((*FORMULA, "\r")) and not _is_number(one)]
    if formulas:
        count = "1 problem id begins" if len(formulas) == 1 else f"{len(formulas):,} problem ids begin"
        raise ValueError(
            f"{file}: {count} as a formula of a spreadsheet ({shown(formulas[0])}). Write .parquet or .jsonl "
            "instead, which keep ids as they are."
        )


def _acts(character: str) -> bool:
    return unicodedata.category(character) in ACTING and character not in "\n\t"


def _is_number(text: str) -> bool:
    """Whether a text is a plain number, which no spreadsheet runs."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text and "\t" not in text
