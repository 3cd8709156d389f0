"""What cannot be compared: answers over a cap on length, nesting, digits or exponents, and broken gold answers.

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


def gold_fault(answer: str) -> str:
    r"""Why no answer could be compared with this gold answer, as a part of a sentence; empty when one could.

    Example:
        >>> gold_fault(r"\frac{1}{"), gold_fault("$$"), gold_fault(r"\frac{1}{2}")
        ('has brackets that do not close', 'is empty', '')
    """
    cap = over_caps(answer)  # first: what follows reads nested braces, and 3,000 pairs of them look like an empty set
    if cap:
        return cap
    if not re.sub(r"\\(?:text|mathrm|boxed|fbox|left|right|quad) ?", "", answer).strip("\\ ${}()[]\t\n,.;:"):
        return (
            ""
            if re.search(r"\\\{\s*\\\}|\{\s*\}|^\.$", answer) and "\\text" not in answer and "boxed" not in answer
            else "is empty"
        )
    if num_open(answer) != 0:
        return "has brackets that do not close"
    if re.search(r"\\(?:frac|sqrt|text|boxed) ?(?:\Z|\{ *\})", answer):
        return "has a command without its argument"
    return ""


def num_open(text: str) -> int:
    r"""Braces that are open at the end of a text, negative as soon as one closes that was never opened.

    Example:
        >>> num_open("{{}"), num_open("}{"), num_open(r"\{")
        (1, -1, 0)
    """
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return depth
    return depth
