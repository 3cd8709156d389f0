"""The answer type ``choice``: the gold answer is the letter of an option, with its text or without."""

from __future__ import annotations

from paced.grading.compare import Comparison, shown
from paced.grading.equality import by_choice, option_of
from paced.grading.notation import notation


def compare_choice(*, extracted: str, answer: str) -> Comparison:
    """Equal when the same option is named, by its letter or, where the gold answer says it, by its text.

    Example:
        >>> compare_choice(extracted="(B)", answer="B").verdict, compare_choice(extracted="B or C", answer="B").verdict
        ('correct', 'incorrect')
    """
    gold = notation(answer)
    if option_of(gold) is None:
        return Comparison(
            verdict="gold_unparseable", reason=f"The gold answer {shown(answer)!r} is not the letter of an option."
        )
    outcome = by_choice(gold, notation(extracted))
    if outcome is not None and outcome[0]:
        return Comparison(verdict="correct", reason="The option of the gold answer.")
    return Comparison(verdict="incorrect", reason=f"{shown(extracted)!r} is not the option {shown(answer)!r}.")
