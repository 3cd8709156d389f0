"""Confidence intervals of held-out accuracy: clustered by problem, and paired where two students met the same problems.

The k samples of one problem are not independent draws of the benchmark, so the problem is the unit: its accuracy
s_i/k_i is one number. A mean has the interval of Korn and Graubard (1998), the Clopper-Pearson interval at the
effective number of problems, which keeps its level for thirty problems and has exact ends at 0 and 1. A difference is
taken problem by problem before averaging, which removes the spread between problems, and has Student's t interval.
Left out: the BCa bootstrap. It covers 91.5 % at 30 paired problems and gives a saturated set no width
(docs/evaluation.md has the coverage of all of these, `benchmarks/evaluation_coverage.py` makes it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paced.arrays import Floats
from paced.records import PassRate

LEVEL = 0.95
ROUNDING = 1e-12
"""Differences of accuracies that are closer than this are equal: 0.9 - 0.8 and 0.1 - 0.0 differ in their last bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over problems with its interval."""

    value: float
    """The mean; an accuracy in [0, 1], or a difference of two in [-1, 1]."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    num_problems: int
    """Problems averaged over, the unit of the interval."""
    p_value: float | None = None
    """Two-sided, of the hypothesis that the mean difference is zero; None for an accuracy."""

    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval: the difference stands out from the noise between problems."""
        return self.low > 0 or self.high < 0

    def points(self, *, signed: bool = False) -> str:
        """Percentage points for a table, e.g. ``58.4 [55.1, 61.6]``.

        Example:
            >>> Estimate(value=0.584, low=0.551, high=0.616, num_problems=500).points()
            '58.4 [55.1, 61.6]'
        """
        sign = "+" if signed else ""
        return f"{100 * self.value:{sign}.1f} [{100 * self.low:{sign}.1f}, {100 * self.high:{sign}.1f}]"


def mean_with_interval(values: Floats | Sequence[float], *, level: float = LEVEL) -> Estimate:
    """Mean over problems of numbers in [0, 1], with the interval of Korn and Graubard.

    With n problems and mean m, V = (Σ(x_i - m)² + m(1 - m)) / n: one problem of the largest variance is added, so that
    a few equal values do not look certain. The effective number of problems is n* = n · m(1 - m) / V · (z / t_n)² with
    the quantiles of the normal and of Student's law, and the ends are Clopper's and Pearson's for m·n* of n* solved.

    Args:
        values: one number in [0, 1] for each problem, shape [num_problems], at least one: s/k, pass@k, maj@k.
        level: coverage in (0, 1).

    Edges: where all values are 0, or all are 1, n* is n and the ends are exact for n problems of which none, or all, is
        solved: 0 of 30 gives [0, 0.116]. A single problem gives an interval that says next to nothing.

    Raises:
        ValueError: there is no value, or one outside [0, 1].

    Example:
        >>> mean_with_interval([0.0] * 30).points()
        '0.0 [0.0, 11.6]'
        >>> mean_with_interval([0.0, 1.0, 0.5, 0.25, 0.75]).points()
        '50.0 [7.2, 92.8]'
    """
    from scipy import stats

    array = np.asarray(values, dtype=np.float64)  # [num_problems]
    if array.size == 0 or not ((array >= 0) & (array <= 1)).all():
        raise ValueError(
            "mean_with_interval: values must hold at least one finite number per problem, in [0, 1]. Drop the others."
        )
    n, mean, tail = array.size, float(array.mean()), (1 - level) / 2
    spread = mean * (1 - mean)
    effective = float(n)
    if spread > 0:
        variance = (float(((array - mean) ** 2).sum()) + spread) / n
        effective *= spread / variance * float(stats.norm.isf(tail) / stats.t.isf(tail, n)) ** 2
    solved = mean * effective
    low = float(stats.beta.ppf(tail, solved, effective - solved + 1)) if mean > 0 else 0.0
    high = float(stats.beta.isf(tail, solved + 1, effective - solved)) if mean < 1 else 1.0
    return Estimate(value=mean, low=low, high=high, num_problems=n)


def accuracies(pass_rates: Sequence[PassRate]) -> dict[str, float]:
    """Accuracy s/k of each problem that could be graded, by problem id; the mean of these is mean@k."""
    return {rate.problem_id: rate.pass_rate_estimate for rate in pass_rates if rate.num_rollouts}


def paired_difference(after: Mapping[str, float], before: Mapping[str, float], *, level: float = LEVEL) -> Estimate:
    """Mean of (after - before) over the problems that both hold, with Student's t interval and the p-value of zero.

    Args:
        after: accuracy in [0, 1] of each problem, by problem id.
        before: the same of the other student.
        level: coverage in (0, 1).

    Edges: where all n differences are the same d, t has no scale. At most a share u = 1 - 0.025^(1/n) of other problems
        may then differ by something else, anywhere in [-1, 1]: the ends are d - u(1 + d) and d + u(1 - d), and one
        problem alone never tells two students apart. A problem that only one holds is left out.

    Raises:
        ValueError: the two share no problem.

    Example:
        >>> paired_difference({"a": 1.0, "b": 0.5, "c": 0.75}, {"a": 0.5, "b": 0.25, "c": 0.75}).points(signed=True)
        '+25.0 [-37.1, +87.1]'
        >>> paired_difference({"a": 1.0}, {"a": 0.0}).p_value
        1.0
    """
    from scipy import stats

    shared = [problem_id for problem_id in before if problem_id in after]
    if not shared:
        raise ValueError("paired_difference: the two results must share problems, got none in common.")
    array = np.array([after[key] - before[key] for key in shared], dtype=np.float64)  # [num_problems]
    n, mean = array.size, float(array.mean())
    if np.ptp(array) < ROUNDING:
        other = 1 - ((1 - level) / 2) ** (1 / n)
        low, high = mean - other * (1 + mean), mean + other * (1 - mean)
        p_value = min(1.0, 2 * math.exp(-n * math.log1p(abs(mean))))
    else:
        test = stats.ttest_1samp(array, 0.0)
        interval = test.confidence_interval(level)
        low, high, p_value = max(-1.0, float(interval.low)), min(1.0, float(interval.high)), float(test.pvalue)
    return Estimate(value=mean, low=low, high=high, num_problems=n, p_value=p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for a family of comparisons (Holm 1979): one below 0.05 is a difference found, and over all
    families without any difference at most one in twenty has such a p-value.

    Args:
        p_values: each in [0, 1], of the comparisons that are looked at together.

    Example:
        >>> [round(p, 3) for p in holm([0.03, 0.005, 0.04])]
        [0.06, 0.015, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
