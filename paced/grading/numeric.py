r"""The answer type ``numeric``: a number within the tolerance that the gold answer states.

``3.14`` states half a unit of its last digit, ``3.14 \pm 0.05`` its own tolerance; a whole number or an expression
states none and takes :data:`RELATIVE_TOLERANCE`. Left out: a tolerance in the recipe, which would not be the problem's.
"""

from __future__ import annotations

import re
from fractions import Fraction

from paced.grading.balls import ordered, same_value
from paced.grading.caps import over_caps
from paced.grading.compare import Comparison, shown
from paced.grading.notation import notation
from paced.grading.shapes import Shape, read_shape
from paced.grading.terms import Tree, variables

RELATIVE_TOLERANCE = Fraction(1, 10**6)
"""Tolerance of a gold answer that states none, as a share of its value."""


def compare_numeric(*, extracted: str, answer: str) -> Comparison:
    r"""Equal when the values differ by at most the gold answer's tolerance; a unit may be absent, not another one.

    Example:
        >>> [compare_numeric(extracted=said, answer="3.14").verdict for said in (r"\pi", "3.1449", "3.15", "pie")]
        ['correct', 'correct', 'incorrect', 'incorrect']
        >>> compare_numeric(extracted="3.18", answer=r"3.14 \pm 0.05").reason
        'Within 1/20 of the gold answer.'
    """
    if cap := over_caps(answer):
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} {cap}.")
    stated, _, own = notation(answer).partition("\\pm")
    gold, said = _number(stated), _number(notation(extracted)) if not over_caps(extracted) else None
    tolerance = _number(own) if own else Shape("value", (_tolerance(stated, gold),)) if gold else None
    if gold is None or tolerance is None:
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} is not a number.")
    if said is None:
        return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not a number.")
    if gold.unit and said.unit and gold.unit != said.unit:
        return Comparison(verdict="incorrect", reason=f"The unit {shown(said.unit)!r} is not {shown(gold.unit)!r}.")
    distance: Tree = ("abs", ("+", said.parts[0], ("neg", gold.parts[0])))
    bound = shown(str(tolerance.parts[0][1])) if tolerance.parts[0][0] == "num" else "a millionth"
    if ordered(distance, tolerance.parts[0]) or same_value(distance, tolerance.parts[0]):
        return Comparison(verdict="correct", reason=f"Within {bound} of the gold answer.")
    return Comparison(verdict="incorrect", reason=f"{shown(extracted)} is not within {bound} of {shown(answer)}.")


def _number(text: str) -> Shape | None:
    """A value without variables; a label before it is dropped."""
    shape = read_shape(text)
    return shape if shape.kind == "value" and not variables(shape.parts[0]) else None


def _tolerance(stated: str, gold: Shape) -> Tree:
    decimals = re.search(r"[0-9]*\.([0-9]+)(?:[eE]([-+]?[0-9]{1,3})| ?\* ?10\^\{?(-?[0-9]{1,3})\}?)?", stated)
    if decimals is None:
        return ("*", ("num", RELATIVE_TOLERANCE), ("abs", gold.parts[0]))
    exponent = int(decimals[2] or decimals[3] or 0) - len(decimals[1])
    return ("num", Fraction(1, 2) * Fraction(10) ** exponent)
