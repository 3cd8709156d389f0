"""Hold an extracted answer against the gold answer, and say why they agree or differ.

Left out: symbolic equality. It will be one more entry of :data:`COMPARISONS`, in a worker process that can be killed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from paced.grading.numerals import parse_integer
from paced.records import Verdict

MAX_SHOWN = 200
"""Characters of an extracted answer that are stored with the grade."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The outcome of holding an extracted answer against the gold answer."""

    verdict: Verdict
    """correct, incorrect, or one of the verdicts that blame the grader."""
    reason: str
    """One sentence that a person can check."""


class Compare(Protocol):
    """One way to compare answers; it may be as strict or as clever as it likes, but must say why."""

    def __call__(self, *, extracted: str, answer: str) -> Comparison:
        """Compare the extracted answer with the gold ``answer``."""
        ...


def compare_exact(*, extracted: str, answer: str) -> Comparison:
    """Equal as text, when runs of white space count as one space and a pair of dollar signs around all as nothing."""
    if _bare(extracted) == _bare(answer):
        return Comparison(verdict="correct", reason="Equal to the gold answer as text.")
    return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not the text {shown(answer)!r}.")


def compare_integer(*, extracted: str, answer: str) -> Comparison:
    """Equal as integers: 073, 73.0 and 73 are the same."""
    gold, found = parse_integer(answer), parse_integer(extracted)
    if gold is None:
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} is not an integer.")
    if found is None:
        return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not an integer.")
    if found == gold:
        return Comparison(verdict="correct", reason="Equal to the gold answer as an integer.")
    return Comparison(verdict="incorrect", reason=f"{shown(extracted)} is not {shown(answer)}.")


COMPARISONS: dict[str, Compare] = {"exact": compare_exact, "integer": compare_integer}
"""``answer_type`` of a problem -> how its answer is compared."""


def _bare(text: str) -> str:
    text = " ".join(text.split())
    return text[1:-1].strip() if len(text) >= 2 and text[0] == text[-1] == "$" else text


def shown(text: str) -> str:
    """Text as it is stored with a grade: cut to :data:`MAX_SHOWN` characters."""
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
