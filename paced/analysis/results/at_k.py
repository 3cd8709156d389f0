"""mean@k, pass@k and maj@k of one set of completions, each a mean over problems with its interval.

mean@k is the share of right completions, pass@k the chance that one of k is right (the unbiased estimate of Chen et al.
2021, from all n samples), maj@k what a vote of all samples gets. A problem is one value of each, so the intervals are
clustered by problem. Left out: pass@k for more than the samples that were drawn, which is extrapolation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from paced.analysis.results.intervals import Estimate, accuracies, mean_with_interval
from paced.grading.latex import one_spelling
from paced.records import UNGRADABLE, Grade, PassRate


def pass_at_k(num_passed: int, num_samples: int, k: int) -> float:
    """Chance that a draw of k of the n samples holds a right one: 1 - C(n - c, k) / C(n, k).

    Args:
        num_passed: c, right samples, 0 <= c <= n.
        num_samples: n.
        k: samples drawn without replacement, 1 <= k <= n.

    Raises:
        ValueError: k is outside 1 ... n; an estimate for more samples than there are would be biased.

    Example:
        >>> pass_at_k(1, 8, 1), pass_at_k(1, 8, 4), pass_at_k(0, 8, 8)
        (0.125, 0.5, 0.0)
    """
    if not 1 <= k <= num_samples or not 0 <= num_passed <= num_samples:
        raise ValueError(
            f"pass_at_k: needs 1 <= k <= num_samples and 0 <= num_passed <= num_samples, got k={k} and {num_passed} of "
            f"{num_samples}. Draw more samples, or ask for a smaller k."
        )
    return 1 - math.comb(num_samples - num_passed, k) / math.comb(num_samples, k)


def maj_at_k(grades: Iterable[Grade]) -> float:
    """What a vote over the samples of one problem gets: 1 right, 0 wrong, 1/t where right ties with t - 1 others.

    Right answers are one candidate whatever their spelling; wrong ones are one candidate where their text is the same
    LaTeX (``paced.grading.latex.one_spelling``). Samples that were cut, or have no answer, do not vote; without any
    vote the problem counts as wrong. Ungradable samples are passed over. A tie counts as its expected value when it is
    broken by lot.

    Example:
        >>> def grade(verdict, text):
        ...     return Grade(problem_id="a", sample_index=0, verdict=verdict, extracted=text, reason="")
        >>> maj_at_k([grade("correct", "1/2"), grade("correct", "0.5"), grade("incorrect", "2")])
        1.0
        >>> maj_at_k([grade("correct", "1/2"), grade("incorrect", "2"), grade("truncated", "")])
        0.5
    """
    votes = Counter(
        ("right", "") if grade.verdict == "correct" else ("wrong", one_spelling(grade.extracted))
        for grade in grades
        if grade.verdict in ("correct", "incorrect")
    )
    most = max(votes.values(), default=0)
    winners = [candidate for candidate, count in votes.items() if count == most]
    return 1 / len(winners) if ("right", "") in winners else 0.0


def at_k(rates: Sequence[PassRate], grades: Sequence[Grade] = ()) -> dict[str, Estimate]:
    """Every metric that these counts and grades allow: ``mean@8``, ``pass@2``, ``pass@4``, ``pass@8``, ``maj@8``.

    Args:
        rates: counts of each problem.
        grades: the verdicts behind them; without them there is no maj@k.

    Returns: name -> mean over problems with its interval. k is a power of two, or the number of samples. A problem
        with fewer than k gradable samples is not in pass@k (``num_problems`` says how many are); one without any is in
        nothing.

    Raises:
        ValueError: no problem could be graded.

    Example:
        >>> rates = [PassRate(problem_id=name, num_passed=s, num_rollouts=4) for name, s in [("a", 1), ("b", 4)]]
        >>> {name: estimate.value for name, estimate in at_k(rates).items()}
        {'mean@4': 0.625, 'pass@2': 0.75, 'pass@4': 1.0}
    """
    graded = [rate for rate in rates if rate.num_rollouts]
    most = max((rate.num_rollouts for rate in graded), default=0)
    metrics = {f"mean@{most}": mean_with_interval(list(accuracies(graded).values()))}
    for k in sorted({2**power for power in range(1, most.bit_length()) if 2**power <= most} | {most} - {1}):
        values = [pass_at_k(rate.num_passed, rate.num_rollouts, k) for rate in graded if rate.num_rollouts >= k]
        metrics[f"pass@{k}"] = mean_with_interval(values)
    if grades and most > 1:
        metrics[f"maj@{most}"] = mean_with_interval([maj_at_k(of_one) for of_one in _by_problem(grades).values()])
    return metrics


def _by_problem(grades: Iterable[Grade]) -> Mapping[str, list[Grade]]:
    """The gradable verdicts of each problem that has some."""
    by_problem: dict[str, list[Grade]] = {}
    for grade in grades:
        if grade.verdict not in UNGRADABLE:
            by_problem.setdefault(grade.problem_id, []).append(grade)
    return by_problem
