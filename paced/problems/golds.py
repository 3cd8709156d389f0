"""Gold answers as text: what a cell of any type writes, or why nothing could ever equal it.

Tables give numbers types that the answer never had: a column of integers with one gap is a column of floats in pandas,
and "3.0" would be compared with what models write, "3". A gold that cannot be met counts against the student in
silence, since each of its rollouts fails.
Left out: text that is not a number. Whether the recipe's grader can read it is the grader's matter.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from paced.run.tablefile.cells import is_missing

EXACT_FLOATS = 1 << 53
"""Whole numbers up to here keep their digits as floats of 64 bits."""
ABSENT = {"nan", "NaN", "<NA>", "NaT", "#N/A", "#NA", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!"}
"""Texts that pandas makes of an absent value when a column is turned into text, and a spreadsheet's errors."""
WHOLE = re.compile(r"[-+]?[0-9]+(?P<point>\.0+)?")


def as_text(value: object, *, from_csv: bool = False) -> tuple[str, bool, str]:
    """A gold answer, or an id, as text.

    Args:
        value: the cell; not missing.
        from_csv: the cell has no type of its own, so that 3 is the integer.

    Returns: the text; whether it is an integer, by its type or because it ends in .0, as a float column leaves it when
        it is turned into text; and what would make it usable, '' where it is.

    Example:
        >>> as_text(3.0), as_text("3.0"), as_text("3"), as_text("3", from_csv=True)
        (('3', True, ''), ('3.0', True, ''), ('3', False, ''), ('3', True, ''))
        >>> as_text(1e-07)[0], as_text(float("inf"))[2]
        ('0.0000001', 'Write a finite answer, or leave the row out.')
    """
    if isinstance(value, str):
        if value.strip() in ABSENT:
            return value, False, "This is how a table writes an absent value: write the answer, or leave the row out."
        whole = WHOLE.fullmatch(value.strip())
        return value, whole is not None and bool(from_csv or whole["point"]), ""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or is_missing(value):
        return "", False, "Write text."
    if isinstance(value, int):
        return str(value), True, ""
    if not math.isfinite(value):
        return str(value), False, "Write a finite answer, or leave the row out."
    if isinstance(value, float) and abs(value) > EXACT_FLOATS:
        return str(value), False, "A float this large has lost digits: write the answer as text or as an integer."
    if value == int(value):
        return str(int(value)), True, ""
    return format(Decimal(str(value)), "f"), False, ""
