"""Compare an extracted answer with the gold answer, and say why they agree or differ.

Left out: mathematics (``math.py``), options and tolerances (``choice.py``, ``numeric.py``), and the table of all answer
types (``comparisons.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from paced.grading.caps import gold_fault
from paced.grading.latex import one_spelling
from paced.grading.numerals import read_quantity
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
    """Equal as integers in any dress of docs/grading.md: 073, 73.0, $73$ are the same; unlike units differ."""
    gold, said = read_quantity(answer), read_quantity(extracted)
    if gold is None or gold[0].denominator != 1:
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} is not an integer.")
    if said is None or said[0].denominator != 1:
        return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not an integer.")
    if said[0] == gold[0] and said[1] and gold[1] and said[1] != gold[1]:
        return Comparison(verdict="incorrect", reason=f"The unit {shown(said[1])!r} is not {shown(gold[1])!r}.")
    if said[0] == gold[0]:
        return Comparison(verdict="correct", reason="Equal to the gold answer as an integer.")
    return Comparison(verdict="incorrect", reason=f"{shown(extracted)} is not {shown(answer)}.")


def shown(text: str) -> str:
    """Text as it is stored with a grade: cut to :data:`MAX_SHOWN` characters."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
