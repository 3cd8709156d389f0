"""Compare an extracted answer with the gold answer, and say why they agree or differ.

Left out: mathematics (``math.py``), options and tolerances (``choice.py``, ``numeric.py``), and the table of all answer
types (``comparisons.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from paced.grading.caps import gold_fault, over_caps
from paced.grading.latex import one_spelling
from paced.grading.notation import notation
from paced.grading.numerals import read_quantity
from paced.grading.rationals import rational_value
from paced.grading.shapes import Shape, read_shape
from paced.records import Verdict

MAX_SHOWN = 200
"""Characters of an extracted answer that are stored with the grade."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The outcome of comparing an extracted answer with the gold answer."""

    verdict: Verdict
    """correct, incorrect, or one of the verdicts that blame the grader."""
    reason: str
    """One sentence that a person can check."""


def compare_exact(*, extracted: str, answer: str) -> Comparison:
    """Equal as text, when spellings of the same LaTeX (:func:`one_spelling`) count as one."""
    fault = gold_fault(answer) if "\\" in answer or "$" in answer or not answer.strip() else ""
    if fault:  # LaTeX that no completion could write
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} {fault}.")
    if one_spelling(extracted) == one_spelling(answer):
        return Comparison(verdict="correct", reason="Equal to the gold answer as text.")
    return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not the text {shown(answer)!r}.")


def compare_integer(*, extracted: str, answer: str) -> Comparison:
    r"""Equal as integers in any dress of docs/grading.md: 073, 73.0, $73$ are the same; unlike units differ.

    An answer may also be an expression with that value, as ``2^3\cdot 3``, ``4!`` or ``x = \sqrt{9}``.
    """
    gold, said = read_quantity(answer), read_quantity(extracted) or _expression(extracted)
    if gold is None or gold[0].denominator != 1:
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} is not an integer.")
    if said is None or said[0].denominator != 1:
        return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not an integer.")
    if said[0] == gold[0] and said[1] and gold[1] and said[1] != gold[1]:
        return Comparison(verdict="incorrect", reason=f"The unit {shown(said[1])!r} is not {shown(gold[1])!r}.")
    if said[0] == gold[0]:
        return Comparison(verdict="correct", reason="Equal to the gold answer as an integer.")
    return Comparison(verdict="incorrect", reason=f"{shown(extracted)} is not {shown(answer)}.")


def _expression(text: str) -> tuple[Fraction, str] | None:
    """The value and unit of an answer that is an expression without variables, behind a name or before its rounding."""
    if over_caps(text):
        return None
    shape = read_shape(notation(text))
    # 4210_5 for 4210, whose base is in the question
    if shape.kind == "base" and shape.parts[0].isdecimal() and len(shape.parts[0]) > 1:
        return Fraction(shape.parts[0]), ""
    if shape.kind == "relation" and shape.parts[0] == "=":
        _, left, right, named = shape.parts
        if not shape.name and rational_value(left) != rational_value(right):
            return None
        shape = named if shape.name else Shape("value", (right,))
    value = rational_value(shape.parts[0]) if shape.kind == "value" else None
    return None if value is None else (value, shape.unit)


def shown(text: str) -> str:
    """Text as it is stored with a grade: cut to :data:`MAX_SHOWN` characters."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
