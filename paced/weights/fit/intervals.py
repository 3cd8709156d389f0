"""Confidence intervals of a fitted law, and the parametric bootstrap of its fit.

All work on law parameters a, b > 0 and are unchanged by taking logs: *wald* is symmetric in log a, *profile* cuts the
likelihood at χ²/2 below its maximum, *bootstrap* resamples problems and takes percentiles. Ends may be infinite: with
few rollouts the data often cannot exclude that all problems have one pass rate, and then no upper bound exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from paced.arrays import Floats
from paced.weights.betabinomial import LARGEST_CONCENTRATION, BetaBinomial, Maximum, log_pmf
from paced.weights.counts import CountHistogram

SMALLEST_PARAMETER = 1e-9


class Interval(NamedTuple):
    """One confidence interval; either end may be infinite."""

    low: float
    high: float


class ConfidenceIntervals(NamedTuple):
    """The intervals of both kernel exponents, each marginal: ``(alpha_low, alpha_high), (beta_low, beta_high)``."""

    alpha: Interval
    beta: Interval


class GoodnessOfFit(NamedTuple):
    """Parametric bootstrap of the deviance: would data from the fitted law look as unlike it as these do?"""

    statistic: float
    """G = 2 Σ n log(n/e) over the cells (s, K): observed against expected number of problems."""
    pvalue: float
    """(1 + #{replicates with G at least as large}) / (1 + replicates); NaN when there is no law to test."""
    num_resamples: int
    """Replicates that gave a fit."""


def wald(parameter: float, variance: float, level: float) -> Interval:
    """exp(log a ± z se(a)/a).

    Example:
        >>> low, high = wald(2.0, 0.01, 0.95)
        >>> round(low, 4), round(high, 4)
        (1.8133, 2.2059)
    """
    if not (np.isfinite(parameter) and parameter > 0 and np.isfinite(variance)):
        return Interval(np.nan, np.nan)
    reach = float(special.ndtri(0.5 + level / 2)) * np.sqrt(variance) / parameter
    return Interval(float(parameter * np.exp(-reach)), float(parameter * np.exp(reach)))


def profile(likelihood: BetaBinomial, best: Maximum, level: float) -> tuple[Interval, Interval]:
    """Intervals of a and of b: the values whose profile log-likelihood is within χ²₁(level)/2 of the maximum."""
    target = best.value - float(special.chdtri(1, 1 - level)) / 2
    return _cut(likelihood, best, 0, target), _cut(likelihood, best, 1, target)


def _cut(likelihood: BetaBinomial, best: Maximum, index: int, target: float) -> Interval:
    """Where the profile of one parameter (0 for a, 1 for b) falls to the target, on both sides of its maximum."""
    share = best.mean if index == 0 else 1 - best.mean
    if np.isfinite(best.a):
        own, other = (best.a, best.b) if index == 0 else (best.b, best.a)
    else:
        own, other = LARGEST_CONCENTRATION * share, LARGEST_CONCENTRATION * (1 - share)
    memory = {"log_ratio": np.log(other / own)}

    def above(log_parameter: float) -> float:
        parameter = float(np.exp(log_parameter))
        value, partner = likelihood.profile(index, parameter, parameter * float(np.exp(memory["log_ratio"])))
        memory["log_ratio"] = np.log(partner / parameter)
        return value - target

    middle = float(np.log(own))
    low = _crossing(above, middle, -1.0, float(np.log(SMALLEST_PARAMETER)))
    memory["log_ratio"] = np.log(other / own)
    if not np.isfinite(best.a):
        return Interval(0.0 if low is None else float(np.exp(low)), np.inf)
    high = _crossing(above, middle, 1.0, float(np.log(LARGEST_CONCENTRATION)))
    return Interval(
        0.0 if low is None else float(np.exp(low)),
        np.inf if high is None else float(np.exp(high)),
    )


def _crossing(above: Callable[[float], float], middle: float, sign: float, limit: float) -> float | None:
    """Where the curve leaves the region above zero, going from the middle towards the limit; None if it never does."""
    inside, reach = middle, 0.25
    while True:
        outside = middle + sign * reach
        if sign * (outside - limit) >= 0:
            outside = limit
        if above(outside) < 0:
            return float(optimize.brentq(above, inside, outside, xtol=1e-8))
        if outside == limit:
            return None
        inside, reach = outside, 2 * reach


def bootstrap(
    cells: CountHistogram,
    refit: Callable[[CountHistogram], tuple[float, float]],
    *,
    level: float,
    num_resamples: int,
    seed: int,
) -> ConfidenceIntervals:
    """Percentile intervals of two exponents, problems resampled; replicates without an estimate are left out."""
    rng = np.random.default_rng(seed)
    values = np.array([refit(cells.resample(rng)) for _ in range(num_resamples)])
    values = values[~np.isnan(values).any(axis=1)]
    if len(values) < num_resamples / 2:
        return ConfidenceIntervals(Interval(np.nan, np.nan), Interval(np.nan, np.nan))
    tails = [(1 - level) / 2, (1 + level) / 2]
    # Order statistics, not interpolation: a replicate may be infinite.
    ends = np.quantile(values, tails, axis=0, method="inverted_cdf")
    return ConfidenceIntervals(
        Interval(float(ends[0, 0]), float(ends[1, 0])), Interval(float(ends[0, 1]), float(ends[1, 1]))
    )


def deviance(cells: CountHistogram, probabilities: dict[int, Floats]) -> float:
    """G = 2 Σ n log(n/e) with e = n_K P(s|K)."""
    totals = {k: int(cells.num_problems[cells.num_rollouts == k].sum()) for k in probabilities}
    expected = np.array(
        [totals[k] * probabilities[k][s] for s, k in zip(cells.num_passed, cells.num_rollouts, strict=True)]
    )
    return float(2 * np.sum(cells.num_problems * np.log(cells.num_problems / expected)))


def law_pmf(cells: CountHistogram, a: float, b: float, mean: float, zpd: float | None) -> dict[int, Floats]:
    """P(s | K) for every K that occurs; infinite a, b mean one pass rate for all problems."""
    if not np.isfinite(a):
        a, b = LARGEST_CONCENTRATION * mean, LARGEST_CONCENTRATION * (1 - mean)
    return {int(k): np.exp(log_pmf(int(k), a, b, zpd)) for k in np.unique(cells.num_rollouts)}


def draw(cells: CountHistogram, probabilities: dict[int, Floats], rng: np.random.Generator) -> CountHistogram:
    """A histogram with the same number of problems at each K and counts drawn from the law."""
    passed, rollouts, problems = [], [], []
    for k, pmf in probabilities.items():
        counts = rng.multinomial(int(cells.num_problems[cells.num_rollouts == k].sum()), pmf / pmf.sum())
        passed.append(np.arange(k + 1))
        rollouts.append(np.full(k + 1, k))
        problems.append(counts)
    histogram = CountHistogram(np.concatenate(passed), np.concatenate(rollouts), np.concatenate(problems))
    return histogram.where(histogram.num_problems > 0)
