"""Many grades in a sentence: their shares, and what another grading of the same rollouts changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from paced.records import Grade


def describe_grades(grades: list[Grade]) -> str:
    """Shares of the verdicts in words, most frequent first."""
    counts = Counter(grade.verdict for grade in grades)
    shares = ", ".join(f"{100 * count / len(grades):.1f} % {verdict}" for verdict, count in counts.most_common())
    return f"{len(grades):,} completions: {shares}"


def describe_changes(before: Sequence[Grade], after: Sequence[Grade]) -> str:
    """How many verdicts of the same rollouts another grading changed, and from what to what, in words.

    Example:
        >>> old, new = (
        ...     Grade(problem_id="a", sample_index=0, verdict=verdict, extracted="", reason="")
        ...     for verdict in ("incorrect", "correct")
        ... )
        >>> describe_changes([old], [new])
        '1 of 1 verdicts changed (1 incorrect -> correct)'
    """
    held = {(grade.problem_id, grade.sample_index): grade.verdict for grade in before}
    pairs = [(held[key], grade.verdict) for grade in after if (key := (grade.problem_id, grade.sample_index)) in held]
    changed = Counter(f"{old} -> {new}" for old, new in pairs if old != new)
    told = ", ".join(f"{count:,} {change}" for change, count in changed.most_common())
    return f"{changed.total():,} of {len(pairs):,} verdicts changed" + (f" ({told})" if told else "")
