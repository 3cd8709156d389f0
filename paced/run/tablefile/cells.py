"""Single cells of a table: whether one holds anything, which number it writes, and how a message shows it."""

from __future__ import annotations

import math
from decimal import Decimal


def is_missing(value: object) -> bool:
    """Whether a cell holds nothing: None, blank text, or NaN, which is how pandas writes an absent value.

    Example:
        >>> [is_missing(value) for value in (None, " ", float("nan"), 0, "nan")]
        [True, True, True, False, False]
    """
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, (float, Decimal)) and math.isnan(value))


def number_of(value: object) -> int | float | None:
    """The number that a cell holds or writes in digits, an int where it is whole; None for anything else.

    Truth values are not numbers here, and neither is what only Python reads as one (``1_000``, other scripts' digits).

    Example:
        >>> [number_of(value) for value in ("8", " 8.0", 2.5, "3e2", "1_0", True, "eight")]
        [8, 8, 2.5, 300, None, None, None]
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if not value.isascii() or "_" in value:
            return None
        try:
            number = float(value)
        except ValueError:
            return None
    elif isinstance(value, (float, Decimal)):
        number = float(value)
    else:
        return None
    return int(number) if math.isfinite(number) and number == int(number) else number


def fault_of_text(text: str) -> str:
    """Why a text can be neither written nor tokenized, and what to do; empty for a text that can.

    Example:
        >>> fault_of_text("\\ud83d")
        'Half of a surrogate pair is not a character: write the whole character.'
    """
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "Half of a surrogate pair is not a character: write the whole character."
    return "Remove the NUL character." if "\0" in text else ""


def shown(value: object) -> str:
    """A value as a message shows it: without control characters and cut to sixty.

    Example:
        >>> shown("nine"), shown(None), shown("\\x1b[31m")
        ("'nine'", 'nothing', "'\\\\x1b[31m'")
    """
    if value is None:
        return "nothing"
    if isinstance(value, str) and not value.strip():
        return "an empty cell" if not value else repr(value)[:60]
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
