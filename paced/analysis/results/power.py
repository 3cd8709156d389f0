"""How many problems, or how many samples of each, would show a gain: the power of the paired t test of evaluation.

The paired difference of one problem varies for two reasons: the gain differs between problems (τ², the same for any
number of samples), and each student's k samples are few (ω²/k, with ω² the mean of p(1 - p) of both). Over N problems
the mean difference has the standard error √((τ² + ω²/k) / N), and the two-sided t test the power of the noncentral t
law. Both parts come from counts: of both students, or of the base alone with an assumed spread of the gain.
Left out: the normal approximation, which promises too much for few problems, and power after Holm, which is that of
``level=0.05/m`` for the smallest of m p-values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from paced.records import PassRate

MOST = 10_000_000
"""Problems or samples beyond which the answer is that none are enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Why the paired difference of a problem varies."""

    between: float
    """τ²: variance of the gain over problems, >= 0."""
    within: float
    """ω²: mean over problems of p(1 - p) of the one student plus that of the other, in [0, 1/2]."""

    def standard_error(self, num_problems: int, num_samples: int) -> float:
        """Of the mean paired difference."""
        return math.sqrt((self.between + self.within / num_samples) / num_problems)


def spread_of_pair(before: Sequence[PassRate], after: Sequence[PassRate]) -> Spread:
    """The spread that two evaluations show, from the problems that both graded with at least two samples.

    p(1 - p) is estimated without bias as s(k - s) / (k(k - 1)); τ² is the variance of the differences less what the
    samples add to it, and 0 where that is negative.

    Raises:
        ValueError: fewer than two problems have two samples in both.
    """
    later = {rate.problem_id: rate for rate in after if rate.num_rollouts > 1}
    pairs = [(rate, later[rate.problem_id]) for rate in before if rate.num_rollouts > 1 and rate.problem_id in later]
    if len(pairs) < 2:
        raise ValueError(
            f"spread_of_pair: needs two problems that both students have answered at least twice, got {len(pairs)}. "
            "Evaluate with more samples."
        )
    noise = np.array([[_variance(rate) for rate in pair] for pair in pairs])  # [num_problems, 2]
    samples = np.array([[rate.num_rollouts for rate in pair] for pair in pairs])  # [num_problems, 2]
    differences = np.array([two.pass_rate_estimate - one.pass_rate_estimate for one, two in pairs])  # [num_problems]
    between = float(differences.var(ddof=1)) - float((noise / samples).sum(axis=1).mean())
    return Spread(between=max(0.0, between), within=float(noise.sum(axis=1).mean()))


def spread_of_base(rates: Sequence[PassRate], *, gain: float, gain_spread: float | None = None) -> Spread:
    """The spread to expect when only the base student has been evaluated.

    Args:
        rates: its counts.
        gain: the mean gain that is asked about, in (0, 1].
        gain_spread: standard deviation of the gain over problems; as large as the gain itself unless given, which is
            what a gain on one half of the problems and none on the other has.

    Raises:
        ValueError: no problem has two samples.
    """
    noise = [_variance(rate) for rate in rates if rate.num_rollouts > 1]
    if not noise:
        raise ValueError("spread_of_base: needs a problem with at least two samples, got none. Evaluate with more.")
    deviation = gain if gain_spread is None else gain_spread
    return Spread(between=deviation**2, within=2 * float(np.mean(noise)))


def power(gain: float, spread: Spread, num_problems: int, num_samples: int, *, level: float = 0.05) -> float:
    """Chance that the paired t test finds a mean gain, in either direction.

    Args:
        gain: true mean difference, in [-1, 1].
        spread: why the differences vary.
        num_problems: N >= 2.
        num_samples: k >= 1 of each problem, by each student.
        level: of the test, in (0, 1); 0.05/m for the strictest step of Holm among m methods.

    Example:
        >>> round(power(0.05, Spread(between=0.0025, within=0.2), 500, 8), 2)
        1.0
        >>> round(power(0.0, Spread(between=0.0025, within=0.2), 30, 8), 3)
        0.05
    """
    from scipy import stats

    error = spread.standard_error(num_problems, num_samples)
    if error == 0:
        return float(gain != 0)
    bound = stats.t.isf(level / 2, num_problems - 1)
    shift = gain / error
    if abs(shift) > 2 * bound + 10:  # certain, and beyond what the noncentral law computes
        return 1.0
    near, far = (float(stats.nct.sf(bound, num_problems - 1, sign * abs(shift))) for sign in (1, -1))
    return near + (0.0 if math.isnan(far) else far)  # scipy has no value for the far tail where it is below 1e-16


def problems_needed(
    gain: float, spread: Spread, num_samples: int, *, target: float = 0.8, level: float = 0.05
) -> int | None:
    """The fewest problems, at least 5, with which the gain is found with the target's chance; None beyond ten million.

    Example:
        >>> problems_needed(0.03, Spread(between=0.0009, within=0.2), 8)
        228
    """
    return _fewest(lambda count: power(gain, spread, count, num_samples, level=level) >= target, start=5)


def samples_needed(
    gain: float, spread: Spread, num_problems: int, *, target: float = 0.8, level: float = 0.05
) -> int | None:
    """The fewest samples of each problem with which the gain is found; None where no number of samples is enough.

    More samples only take away their own noise: the spread of the gain over problems stays.

    Example:
        >>> samples_needed(0.03, Spread(between=0.0009, within=0.2), 500)
        4
        >>> samples_needed(0.03, Spread(between=0.04, within=0.2), 30) is None
        True
    """
    return _fewest(lambda count: power(gain, spread, num_problems, count, level=level) >= target, start=1)


def _fewest(enough: Callable[[int], bool], *, start: int) -> int | None:
    """The smallest number from ``start`` that is enough, by doubling and then halving; None beyond :data:`MOST`."""
    low, high = start - 1, start
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _variance(rate: PassRate) -> float:
    """p(1 - p) of one problem, without bias."""
    passed, count = rate.num_passed, rate.num_rollouts
    return passed * (count - passed) / (count * (count - 1))
