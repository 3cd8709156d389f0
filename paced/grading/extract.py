"""Where a completion says its answer: each rule finds a string or says that there is none.

Model output is only ever searched; nothing here evaluates it, and each rule takes time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from paced.grading.numerals import last_number

MAX_OPEN_BOXES = 16
"""How many boxes, from the last, are tried for one that closes; keeps the time linear in the length."""

Extraction = Callable[[str], str | None]
"""Text of a completion -> its answer, or None when it gives none."""


def whole(text: str) -> str | None:
    """The completion itself, white space at its ends removed; None when nothing is left."""
    return text.strip() or None


def boxed(text: str) -> str | None:
    r"""The content of the last complete ``\boxed{}`` or ``\fbox{}``, or else of the last ``Answer:`` line.

    Text up to the last ``</think>`` is thinking and does not count.

    Example:
        >>> boxed(r"so \boxed{\frac{1}{2}} it is"), boxed("Answer: 34."), boxed("the answer may be 34")
        ('\\frac{1}{2}', '34', None)
    """
    text = text.rpartition("</think>")[2]
    boxes = list(re.finditer(r"\\(?:boxed|fbox)\s*\{", text))
    for match in reversed(boxes[-MAX_OPEN_BOXES:]):
        content = _braced(text, match.end())
        if content is not None:
            return content.strip() or None
    lines = re.findall(r"(?i)answer\s*:\s*([^\n]+)", text)
    return lines[-1].strip().strip("*").strip().removesuffix(".").strip() or None if lines else None


def first_line(text: str) -> str | None:
    """The last number of the first line that is not empty: for few-shot prompts, after whose answer a model goes on.

    Example:
        >>> first_line(" 12\\nQ: 3 + 4\\nA: 7")
        '12'
    """
    return last_number(text.strip().partition("\n")[0])


def digits(text: str) -> str | None:
    """All digits of the completion in order, whatever stands between them (the lab's stochastic phrasing).

    Example:
        >>> digits("w6z1x7")
        '617'
    """
    return "".join(character for character in text if character in "0123456789") or None


EXTRACTIONS: dict[str, Extraction] = {
    "whole": whole,
    "last_number": last_number,
    "first_line": first_line,
    "boxed": boxed,
    "digits": digits,
}
"""``grading.answer_format.name`` in a recipe -> where the answer is written."""


def _braced(text: str, start: int) -> str | None:
    """The text from ``start`` to the brace that closes it; None when it never closes. ``\\{`` and ``\\}`` are text."""
    depth, position = 1, start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[start:position]
        position += 1
    return None
