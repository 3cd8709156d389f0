"""What an accuracy is a share of: completions that were cut, ones that could not be graded, problems left out.

A completion cut by the token limit counts as failed, so an evaluation in which all were cut says 0.0 about a limit and
nothing about a student. A problem of which no completion could be graded is in no mean and in no pair. Both are said
wherever the accuracy is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from paced.records import PassRate

NAMED = 5
"""Problems that a sentence names before it counts the rest."""
MANY = 0.5
"""Share of completions cut above which an accuracy is called one of the token limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Denominator:
    """The completions and problems behind one accuracy."""

    num_problems: int
    """Problems asked."""
    num_completions: int
    """Completions of all problems, graded or not."""
    num_truncated: int
    """Completions that the token limit cut; they count as failed."""
    num_ungradable: int
    """Completions that could not be graded; they count as nothing."""
    ungraded: tuple[str, ...]
    """Ids of the problems without any completion that could be graded."""

    @property
    def truncated_share(self) -> float:
        """Completions cut over all completions, in [0, 1]."""
        return self.num_truncated / self.num_completions if self.num_completions else 0.0


def denominator(rates: Sequence[PassRate]) -> Denominator:
    """What the accuracy of these counts is a share of.

    Example:
        >>> denominator([PassRate(problem_id="a", num_passed=1, num_rollouts=4, num_truncated=3)]).truncated_share
        0.75
    """
    return Denominator(
        num_problems=len(rates),
        num_completions=sum(rate.num_rollouts + rate.num_ungradable for rate in rates),
        num_truncated=sum(rate.num_truncated for rate in rates),
        num_ungradable=sum(rate.num_ungradable for rate in rates),
        ungraded=tuple(rate.problem_id for rate in rates if not rate.num_rollouts),
    )


def remarks(place: str, behind: Denominator, limit: int) -> list[str]:
    """Sentences on what a reader of an accuracy must know; none where every completion ended and was graded.

    Args:
        place: whose accuracy on what, as the sentence begins: ``base on 'heldout'``.
        behind: what the accuracy is a share of.
        limit: the token limit of these completions.

    Example:
        >>> rates = [PassRate(problem_id="a", num_passed=0, num_rollouts=2, num_truncated=2)]
        >>> remarks("base on 'x'", denominator(rates), 64)
        ["base on 'x': every completion was cut by max_new_tokens=64; this accuracy says nothing about the student."]
    """
    said = []
    if behind.num_truncated and behind.num_truncated == behind.num_completions - behind.num_ungradable:
        said.append(
            f"{place}: every completion was cut by max_new_tokens={limit}; "
            "this accuracy says nothing about the student."
        )
    elif behind.truncated_share > MANY:
        said.append(
            f"{place}: {100 * behind.truncated_share:.0f} % of the completions were cut by max_new_tokens={limit}; "
            "this accuracy is more about the limit than about the student."
        )
    if behind.ungraded:
        said.append(
            f"{place}: {len(behind.ungraded):,} of {behind.num_problems:,} problems could not be graded and are in no "
            f"mean and no difference: {listed(behind.ungraded)}."
        )
    elif behind.num_ungradable:
        said.append(
            f"{place}: {behind.num_ungradable:,} of {behind.num_completions:,} completions could not be graded and "
            "are in no mean."
        )
    return said


def listed(problem_ids: Iterable[str]) -> str:
    """The first few of these ids, and how many more there are.

    Example:
        >>> listed("abcdefg")
        'a, b, c, d, e and 2 more'
    """
    names = list(problem_ids)
    rest = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest
