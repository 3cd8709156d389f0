"""Which answer type a gold answer gets when its row names none: decided by its text alone, once, when it is read.

The rule does not look at what is installed: a verdict must be the same on every machine, so that a type whose packages
are absent is refused (``comparisons.py``), not replaced.
"""

from __future__ import annotations

import re

from paced.grading.numerals import read_quantity

_OPTION = re.compile(r"\(?[A-J]\)?")
_MATHEMATICS = re.compile(r"[0-9\\^_=<>+*/|π∞√]|^[-−]?\s*[a-zA-Z](?:\s*[-−]\s*[a-zA-Z])*$|^[(\[{].*[)\]}]$")


def answer_type_of(answer: str) -> str:
    r"""``integer``, ``choice``, ``math`` or ``exact``: the first that a gold answer looks like.

    An integer is one number with an integer value and no unit; an option one of the letters A to J, with brackets or
    without; mathematics has a digit, a command of LaTeX, an operator or brackets, or is letters one by one with signs
    between; all else is words, which a hyphen may join.

    Example:
        >>> [answer_type_of(gold) for gold in ("073", "1,024", "B", r"\frac{1}{2}", "3.5", "(1, 2)", "x", "p - q")]
        ['integer', 'integer', 'choice', 'math', 'math', 'math', 'math', 'math']
        >>> answer_type_of("Evelyn"), answer_type_of("well-known")
        ('exact', 'exact')
    """
    quantity = read_quantity(answer)
    if (
        quantity is not None
        and quantity[0].denominator == 1
        and not quantity[1]
        and re.fullmatch(r"[-+−]?[\s\d,]+", answer)
    ):
        return "integer"
    if _OPTION.fullmatch(answer.strip()):
        return "choice"
    return "math" if _MATHEMATICS.search(answer) else "exact"
