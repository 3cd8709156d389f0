"""From counts to an estimate of p^α (1-p)^β, in four ways with four trade-offs.

- ``plugin``: w(s/K), the paper's. Exactly zero at s = 0 and s = K, so a hard filter at the ends; biased in shape
  unless α = β = 1.
- ``unbiased``: the U-statistic C(K-α-β, s-α)/C(K, s), whose mean is p^α(1-p)^β exactly, for integers α+β <= K; zero at
  the ends too.
- ``posterior``: E[p^α(1-p)^β | s] under a Beta prior; never zero, smallest risk under its prior (``x1``).
- ``bayes_optimal``: h*(s) = E[s2|s]/E[M2|s], the most efficient rollout weight when gradients at the extremes are
  large (``x1``).

Ratios of Beta functions go through ``rising.py`` throughout, where nothing cancels.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from paced.arrays import Floats, Integers
from paced.errors import check_number
from paced.weights.betabinomial import BetaBinomial
from paced.weights.counts import CountHistogram
from paced.weights.law import outside, unidentified
from paced.weights.rising import log_beta_ratio

EstimatorName = Literal["plugin", "unbiased", "posterior", "bayes_optimal"]
ESTIMATORS: tuple[str, ...] = get_args(EstimatorName)


def power(base: Floats, exponent: float) -> Floats:
    """base^exponent for base in [0, 1], with 0^0 = 1 so that an exponent of zero leaves the end alone."""
    return np.ones_like(base) if exponent == 0 else np.power(base, exponent)


def plugin(num_passed: Integers, num_rollouts: Integers, *, alpha: float, beta: float) -> Floats:
    """w(p̂) = p̂^α (1-p̂)^β with p̂ = s/K, Eq. (1) and (3).

    Example:
        >>> plugin(np.array([0, 4, 8]), np.array([8, 8, 8]), alpha=1, beta=1).tolist()
        [0.0, 0.25, 0.0]
    """
    rate = num_passed / num_rollouts
    return power(rate, alpha) * power((num_rollouts - num_passed) / num_rollouts, beta)


def unbiased(num_passed: Integers, num_rollouts: Integers, *, alpha: float, beta: float) -> Floats:
    """The only unbiased estimate of p^α (1-p)^β: s^(α) (K-s)^(β) / K^(α+β) with falling factorials (``c50``).

    Raises:
        ValueError: exponents that are not whole numbers, or α+β > K: no unbiased estimate exists, since an expectation
            over K rollouts is a polynomial in p of degree at most K.

    Example:
        >>> unbiased(np.array([4]), np.array([8]), alpha=1, beta=1).tolist()
        [0.2857142857142857]
    """
    if not (float(alpha).is_integer() and float(beta).is_integer()):
        raise ValueError(
            f"unbiased: alpha and beta must be whole numbers, got {alpha:g} and {beta:g}; no unbiased estimate of any "
            "other power exists. Use estimator='posterior'."
        )
    a, b = int(alpha), int(beta)
    short = num_rollouts < a + b
    if short.any():
        first = int(np.argmax(short))
        raise ValueError(
            f"unbiased: num_rollouts must be >= alpha + beta = {a + b}, got {num_rollouts[first]} at index {first} "
            f"({int(short.sum())} of {short.size} problems). Use more rollouts or estimator='posterior'."
        )
    passed, failed = num_passed.astype(np.float64), (num_rollouts - num_passed).astype(np.float64)
    total = num_rollouts.astype(np.float64)
    result = np.ones(passed.shape)
    for step in range(a):
        result *= np.maximum(passed - step, 0.0) / (total - step)
    for step in range(b):
        result *= np.maximum(failed - step, 0.0) / (total - a - step)
    return result


def posterior(
    num_passed: Integers, num_rollouts: Integers, *, alpha: float, beta: float, prior: tuple[float, float]
) -> Floats:
    """E[p^α (1-p)^β | s] = B(a0+s+α, b0+K-s+β) / B(a0+s, b0+K-s) under p ~ Beta(a0, b0) (``x1``).

    Example:
        >>> posterior(np.array([0]), np.array([8]), alpha=1, beta=1, prior=(1.0, 1.0)).round(7).tolist()
        [0.0818182]
    """
    a, b = _posterior_parameters(num_passed, num_rollouts, prior)
    return np.exp(log_beta_ratio(a, b, alpha, beta))


def bayes_optimal(
    num_passed: Integers,
    num_rollouts: Integers,
    *,
    signal_exponents: tuple[float, float],
    second_moment_exponents: tuple[float, float],
    prior: tuple[float, float],
) -> Floats:
    """h*(s) = E[s2|s] / E[M2|s] for s2 ∝ p^2a (1-p)^2b and M2 ∝ p^τ0 (1-p)^τ1 (``x1``).

    Args:
        num_passed: s.
        num_rollouts: K.
        signal_exponents: (a, b) of ‖ḡ(p)‖.
        second_moment_exponents: (τ0, τ1) of E‖g‖²; may be negative, but a0+s+τ0 and b0+K-s+τ1 must stay positive.
        prior: (a0, b0).

    Raises:
        ValueError: the posterior second moment diverges for some count.
    """
    a, b = _posterior_parameters(num_passed, num_rollouts, prior)
    (sa, sb), (t0, t1) = signal_exponents, second_moment_exponents
    if np.any(a + t0 <= 0) or np.any(b + t1 <= 0):
        raise ValueError(
            f"bayes_optimal: prior plus second_moment_exponents must stay positive, got prior {prior} with "
            f"({t0:g}, {t1:g}): the second moment diverges at an end. Use a prior with larger parameters."
        )
    return np.exp(log_beta_ratio(a + t0, b + t1, 2 * sa - t0, 2 * sb - t1))


def empirical_prior(cells: CountHistogram) -> tuple[float, float]:
    """Law parameters (a0, b0) of the beta-binomial maximum-likelihood fit to the counts (empirical Bayes).

    Raises:
        ValueError: the counts do not determine a Beta law (all alike, or one rollout each).
    """
    reason = unidentified(cells)
    if not reason:
        best = BetaBinomial(cells).maximise()
        reason = outside(best)
    if reason:
        raise ValueError(f"empirical_prior: the counts must determine a Beta law. {reason}")
    return best.a, best.b


def check_prior(place: str, prior: tuple[float, float]) -> tuple[float, float]:
    """Return the prior's two parameters, or say why they are none."""
    a0, b0 = check_pair(place, "prior", prior)
    return (
        check_number(place, "prior[0]", a0, low=0, low_open=True),
        check_number(place, "prior[1]", b0, low=0, low_open=True),
    )


def check_pair(place: str, name: str, pair: tuple[float, float]) -> tuple[float, float]:
    """Return two finite numbers, or say what came instead."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"{place}: {name} must be two numbers, got {pair!r}.")
    first, second = pair
    return check_number(place, f"{name}[0]", first), check_number(place, f"{name}[1]", second)


def _posterior_parameters(
    num_passed: Integers, num_rollouts: Integers, prior: tuple[float, float]
) -> tuple[Floats, Floats]:
    a0, b0 = check_prior("posterior", prior)
    return np.asarray(a0 + num_passed, dtype=np.float64), np.asarray(b0 + (num_rollouts - num_passed), dtype=np.float64)
