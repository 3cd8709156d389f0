r"""The answer type ``math``: caps, then text, then this project's own rules of equality, then math-verify in a worker.

Most answers are decided here, in a fraction of a millisecond. Only a notation that ``shapes.py`` does not read (an
integral, a sum, a set given by a condition) is left to math-verify, which never sees words or what is over a cap.
Left out: the processes (``workers.py``). :class:`Undecided` says what is to be asked of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from paced.grading.caps import gold_fault, num_open, over_caps
from paced.grading.compare import Comparison, shown
from paced.grading.equality import equal
from paced.grading.latex import one_spelling
from paced.grading.notation import notation

_SYMBOLIC = re.compile(
    r"\\(?:int|sum|prod|lim|det|mathbb|setminus|cap|begin|bmod|pmod|equiv|Re|Im|max|min|gcd|lcm|partial|nabla|forall)"
    r"|\\\{.*[|:].*\\\}|(?<![A-Za-z])[A-Za-z]\([^()]*\)"
)
_BASE = re.compile(r"[0-9A-Z]\)? ?_(?! ?\{? ?[a-z](?![a-z]))")
"""A subscript that may be the base of a number, which math-verify drops; ``F_n`` and ``F_{k+1}`` are not."""
_WORDS = re.compile(r"[\x01\x02]|(?<![\\A-Za-z])[A-Za-z]{4,}")


@dataclass(frozen=True, slots=True)
class Undecided:
    """A comparison that this process does not make: it is a worker's."""

    answer: str
    """The gold answer."""
    extracted: str
    """The answer of the completion."""


def compare_math(*, extracted: str, answer: str) -> Comparison | Undecided:
    r"""Equal by the rules of docs/grading.md, or left to a worker.

    Args:
        extracted: the answer of a completion.
        answer: the gold answer.

    Edges: a gold answer that is empty, unbalanced or over a cap is ``gold_unparseable``; an answer over a cap is
        ``incorrect``, on every machine.

    Example:
        >>> compare_math(extracted="0.5", answer=r"\frac{1}{2}").reason
        "Equal to the gold answer by the rule 'value'."
        >>> compare_math(extracted=r"\frac12", answer=r"\int_0^1 x\,dx")
        Undecided(answer='\\int_0^1 x\\,dx', extracted='\\frac12')
    """
    fault = gold_fault(answer)
    if fault:
        return Comparison(verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} {fault}.")
    if one_spelling(extracted) == one_spelling(answer):
        return Comparison(verdict="correct", reason="Equal to the gold answer as text.")
    cap = over_caps(extracted)
    if cap:
        return Comparison(verdict="incorrect", reason=f"The answer {cap}.")
    same, rule = equal(answer, extracted)
    if same is None and not _for_worker(answer, extracted):
        return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not read as mathematics.")
    if same is None:
        return Undecided(answer=answer, extracted=extracted)
    if same:
        return Comparison(verdict="correct", reason=f"Equal to the gold answer by the rule '{rule}'.")
    return Comparison(
        verdict="incorrect", reason=f"{shown(extracted)!r} is not {shown(answer)!r} by the rule '{rule}'."
    )


def _for_worker(answer: str, extracted: str) -> bool:
    """Whether math-verify may be asked: both sides are notation without words, and one needs what only it reads."""
    sides = notation(answer), notation(extracted)
    if any(_WORDS.search(re.sub(r"\\(?:begin|end) ?\{[a-z]+\}", "", side)) for side in sides) or any(
        num_open(side) for side in sides
    ):
        return False
    if any(_BASE.search(side) for side in sides):
        return False
    return any(_SYMBOLIC.search(side) for side in sides)
