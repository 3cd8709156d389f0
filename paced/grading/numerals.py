"""Integers and decimals in text, read by rule: no evaluation of any kind, and a cap on length.

Left out: fractions, powers, words and every other notation. They belong to a symbolic comparison, which has its own
limits of time and memory; here everything is linear in the length of the text.
"""

from __future__ import annotations

import re

MAX_DIGITS = 1000
"""Longer numerals are not read: comparing them says nothing, and converting them takes quadratic time."""

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
_INTEGER = re.compile(rf"[-+]?{_DIGITS}(?:\.0*)?")
# A sign counts only where no operand stands before it: 10-5 ends in 5, x=-5 in -5.
_NUMBER = re.compile(rf"(?:(?<![\w.)\]}}])[-+])?{_DIGITS}(?:\.[0-9]+)?")


def parse_integer(text: str) -> int | None:
    """The integer that ``text`` writes, or None: sign, thousands commas, leading zeros and ``.0`` are understood.

    Example:
        >>> parse_integer(" 1,024 "), parse_integer("073"), parse_integer("-3.0"), parse_integer("3.5")
        (1024, 73, -3, None)
    """
    text = _plain(text).strip().strip("$").strip()
    if len(text) > MAX_DIGITS or not _INTEGER.fullmatch(text):
        return None
    return int(text.partition(".")[0].replace(",", ""))


def last_number(text: str) -> str | None:
    """The last integer or decimal in ``text`` without thousands commas or plus sign, or None.

    Example:
        >>> last_number("7 + 5 = 12."), last_number("10-5"), last_number("x = -1,500.25"), last_number("none")
        ('12', '5', '-1500.25', None)
    """
    found = None
    for match in _NUMBER.finditer(_plain(text)):
        found = match.group()
    return found.replace(",", "").lstrip("+") if found is not None else None


def _plain(text: str) -> str:
    """Typographic minus signs as the ASCII one."""
    return text.replace("−", "-").replace("–", "-")
