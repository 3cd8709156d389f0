"""Many grades in a sentence: their shares, and what another grading of the same rollouts changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from paced.records import Grade, Verdict


def describe_verdicts(counts: Counter[Verdict]) -> str:
    """Shares of the verdicts in words, most frequent first.

    Example:
        >>> describe_verdicts(Counter({"correct": 1, "truncated": 3}))
        '4 completions: 75.0 % truncated, 25.0 % correct'
    """
    total = counts.total()
    shares = ", ".join(f"{100 * count / total:.1f} % {verdict}" for verdict, count in counts.most_common())
    return f"{total:,} completions: {shares}"


def describe_changes(before: Iterable[Grade], after: Iterable[Grade]) -> str:
    """How many verdicts of the same rollouts another grading changed, and from what to what, in words.

    Args:
        before: grades in the order of ``after``; some of those may be absent.
        after: grades of all rollouts. Where ``before`` has a grade that they lack, the counts end there, and say so.

    Example:
        >>> old, new = (
        ...     Grade(problem_id="a", sample_index=0, verdict=verdict, extracted="", reason="")
        ...     for verdict in ("incorrect", "correct")
        ... )
        >>> describe_changes([old], [new])
        '1 of 1 verdicts changed (1 incorrect -> correct)'
    """
    earlier = iter(before)
    old = next(earlier, None)
    changed: Counter[str] = Counter()
    num_pairs = 0
    for new in after:
        if old is None or (old.problem_id, old.sample_index) != (new.problem_id, new.sample_index):
            continue
        num_pairs += 1
        if old.verdict != new.verdict:
            changed[f"{old.verdict} -> {new.verdict}"] += 1
        old = next(earlier, None)
    told = ", ".join(f"{count:,} {change}" for change, count in changed.most_common())
    rest = "" if old is None else f"; the earlier grades from {old.problem_id!r} on are of other rollouts"
    return f"{changed.total():,} of {num_pairs:,} verdicts changed" + (f" ({told})" if told else "") + rest
