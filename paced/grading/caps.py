"""What is too big to be compared: caps on length, nesting, digits and exponents, asked before anything is read.

They depend on the answer alone, never on the machine, so that an answer over a cap gets the same verdict everywhere.
"""

from __future__ import annotations

import re

MAX_LENGTH = 2000
"""Characters of an answer."""
MAX_NESTING = 40
"""Brackets of any kind inside each other."""
MAX_DIGITS = 1000
"""Digits of one number."""
MAX_TOWER = 3
"""Exponents of exponents."""
_LONG_NUMBER = re.compile(rf"[0-9]{{{MAX_DIGITS + 1}}}")
_TOWER = re.compile(rf"(?:\^[\s{{(]*+[^\s^{{}}()]*+[\s)}}]*+){{{MAX_TOWER + 1}}}")


def over_caps(text: str) -> str:
    """Which cap an answer is over, as a part of a sentence; empty when it is under all of them.

    Example:
        >>> over_caps("9" * 1500), over_caps("{" * 50), over_caps("9^{9^{9^{9^9}}}"), over_caps("5")
        ('has a number of more than 1,000 digits', 'is nested more than 40 deep', 'is a tower of exponents', '')
    """
    if len(text) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH:,} characters"
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        return f"is nested more than {MAX_NESTING} deep"
    if _LONG_NUMBER.search(text):
        return f"has a number of more than {MAX_DIGITS:,} digits"
    return "is a tower of exponents" if _TOWER.search(text) else ""
