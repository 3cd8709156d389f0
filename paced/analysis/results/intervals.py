"""Confidence intervals of held-out accuracy: clustered by problem, and paired where two students met the same problems.

The k samples of one problem are not independent draws of the benchmark, so the problem is the unit: its accuracy
s_i/k_i is one number, and intervals come from the bootstrap over problems (bias-corrected and accelerated, Efron 1987).
Differences are taken problem by problem before averaging, which removes the spread between problems.
Left out: the normal approximation, which is wrong for thirty problems, and any test that ends in stars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paced.arrays import Floats
from paced.records import PassRate

RESAMPLES = 4000
LEVEL = 0.95


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
    """Problems averaged over, the unit of resampling."""

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


def mean_with_interval(values: Floats | Sequence[float], *, level: float = LEVEL, seed: int = 0) -> Estimate:
    """Mean over problems with a BCa bootstrap interval.

    Args:
        values: one number for each problem, shape [num_problems], at least one.
        level: coverage in (0, 1).
        seed: of the resampling, so that a report is the same every time.

    Edges: a single problem, or values that are all equal, carry no information on the spread between problems: the
        interval is the point itself and ``num_problems`` tells the reader why.

    Example:
        >>> mean_with_interval([0.0, 1.0, 0.5, 0.25, 0.75]).value
        0.5
    """
    from scipy import stats

    array = np.asarray(values, dtype=np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            "mean_with_interval: values must hold at least one finite number per problem. Drop the others."
        )
    mean = float(array.mean())
    if array.size == 1 or np.ptp(array) == 0:
        return Estimate(value=mean, low=mean, high=mean, num_problems=array.size)
    result = stats.bootstrap(
        (array,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, 4_000_000 // array.size),
        confidence_level=level,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    low, high = result.confidence_interval
    return Estimate(value=mean, low=float(low), high=float(high), num_problems=array.size)


def accuracies(pass_rates: Sequence[PassRate]) -> dict[str, float]:
    """Accuracy s/k of each problem that could be graded, by problem id; the mean of these is mean@k."""
    return {rate.problem_id: rate.pass_rate_estimate for rate in pass_rates if rate.num_rollouts}


def paired_difference(after: Mapping[str, float], before: Mapping[str, float], *, seed: int = 0) -> Estimate:
    """Mean of (after - before) over the problems that both hold, with its interval.

    Raises:
        ValueError: the two share no problem.
    """
    shared = [problem_id for problem_id in before if problem_id in after]
    if not shared:
        raise ValueError("paired_difference: the two results must share problems, got none in common.")
    return mean_with_interval([after[key] - before[key] for key in shared], seed=seed)
