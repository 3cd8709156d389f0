"""Exact functions of the extensions that are theory and not weights: quality, ESS, interpolation, teachers, sampling.

Law parameters (A, A') are those of Beta pass rates; e(x, y) = E[p^x (1-p)^y] = B(A+x, A'+y)/B(A, A') throughout, by
log-gamma. An expectation that is infinite is a ValueError, not a number.
Left out: what the trainer uses (estimates, allocation, adaptive exponents). That is ``paced.weights``, and the claims
compare it with independent routes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from paced.arrays import Floats, Pair
from paced.errors import check_number
from paced.theory.facts.domains import masses_of, positives, reals
from paced.weights.betabinomial import log_pmf
from paced.weights.normalise import effective_sample_size
from paced.weights.rising import log_beta_ratio
from paced.zone import Zone


def kernel_quality(
    kernel_exponents: Pair,
    *,
    signal_exponents: Pair,
    second_moment_exponents: Pair = (0.0, 0.0),
    law: Pair = (1.0, 1.0),
    aligned: bool = False,
) -> float:
    """Scale-free efficiency of w = p^α (1-p)^β in [0, 1] (``x5``).

    F = e(α+2a, β+2b)² / (e(2α+τ0, 2β+τ1) e(4a-τ0, 4b-τ1)); in the aligned model, where the gradients of all problems
    point one way, a and b take the place of 2a and 2b. The maximum 1 is at (2a-τ0, 2b-τ1), aligned (a-τ0, b-τ1).

    Args:
        kernel_exponents: (α, β).
        signal_exponents: (a, b) of ‖ḡ‖ ∝ p^a (1-p)^b.
        second_moment_exponents: (τ0, τ1) of E‖g‖² ∝ p^τ0 (1-p)^τ1.
        law: (A, A') of the pass rates.
        aligned: whether the mean gradients of different problems are parallel rather than orthogonal.

    Raises:
        ValueError: an expectation is infinite.

    Example:
        >>> round(kernel_quality((0, 0), signal_exponents=(0.5, 0.5)), 9) == round(5 / 6, 9)
        True
    """
    (x, y), (t0, t1) = kernel_exponents, second_moment_exponents
    factor = 1.0 if aligned else 2.0
    sa, sb = factor * signal_exponents[0], factor * signal_exponents[1]
    log_quality = (
        2 * _log_moment(x + sa, y + sb, law)
        - _log_moment(2 * x + t0, 2 * y + t1, law)
        - _log_moment(2 * sa - t0, 2 * sb - t1, law)
    )
    return float(np.exp(log_quality))


def rollout_quality(
    weights: ArrayLike,
    *,
    signal_exponents: Pair,
    second_moment_exponents: Pair = (0.0, 0.0),
    law: Pair = (1.0, 1.0),
) -> float:
    """Efficiency of a weight h(s) that sees K rollouts only: E[h s2]² / (E[h² M2] E[s2²/M2]) (``x1``).

    Args:
        weights: h(0), ..., h(K), >= 0, not all 0.
        signal_exponents: (a, b), s2 = p^2a (1-p)^2b.
        second_moment_exponents: (τ0, τ1) of M2.
        law: (A, A') of the pass rates.

    Example:
        >>> plugin = [s * (8 - s) for s in range(9)]
        >>> round(rollout_quality(plugin, signal_exponents=(0.5, 0.5)), 6)
        0.861538
    """
    h = _count_weights("rollout_quality", weights)
    (a, b), (t0, t1) = signal_exponents, second_moment_exponents
    signal, noise = _count_moments(h.size - 1, 2 * a, 2 * b, law), _count_moments(h.size - 1, t0, t1, law)
    best = np.exp(_log_moment(4 * a - t0, 4 * b - t1, law))
    return float((h @ signal) ** 2 / ((h**2 @ noise) * best))


def ess_fraction(kernel_exponents: Pair, *, law: Pair = (1.0, 1.0)) -> float:
    """Limit of ESS/N = 1/E[w̃²] = e(α, β)² / e(2α, 2β) for exact pass rates (``x9``).

    Example:
        >>> round(ess_fraction((1, 2)), 6)
        0.729167
    """
    x, y = kernel_exponents
    return float(np.exp(2 * _log_moment(x, y, law) - _log_moment(2 * x, 2 * y, law)))


def rollout_ess_fraction(weights: ArrayLike, *, law: Pair = (1.0, 1.0)) -> float:
    """Limit of ESS/N for a weight h(s) of K rollouts: E[h]²/E[h²] under the beta-binomial law (``x9``).

    Example:
        >>> round(rollout_ess_fraction([s * (8 - s) for s in range(9)]), 6)
        0.717949
    """
    h = _count_weights("rollout_ess_fraction", weights)
    return effective_sample_size(h, _count_moments(h.size - 1, 0.0, 0.0, law))


def zpd_mass(law: Pair, epsilon: float) -> float:
    """P(ε <= p <= 1-ε) under Beta(A, A'): the zone's mass without rollout noise (``x8``).

    Example:
        >>> zpd_mass((1.0, 1.0), 0.2)
        0.6000000000000001
    """
    zone = Zone.of(check_number("zpd_mass", "epsilon", epsilon, low=0, high=0.5))
    a, b = _law("zpd_mass", law)
    return float(betainc(a, b, zone.high) - betainc(a, b, zone.low))


def combined_weights(snr_squared: ArrayLike) -> Floats:
    """Weights of several teachers with one mean gradient and independent noise: S_j / (1 + Σ S) (``x10``).

    Args:
        snr_squared: S_j >= 0 of each teacher, shape [num_teachers].

    Example:
        >>> combined_weights([0.3, 0.05, 0.6]).round(6).tolist()
        [0.153846, 0.025641, 0.307692]
    """
    s = np.asarray(snr_squared, dtype=np.float64)
    if s.ndim != 1 or not np.isfinite(s).all() or (s < 0).any():
        raise ValueError("combined_weights: snr_squared must be finite and >= 0, one for each teacher.")
    return s / (1 + s.sum())


def sampling_ratio(tau: ArrayLike) -> Floats:
    """E[w̃ M2]/E[M2] = 3(1+τ)/(3+2τ): drawing problems ∝ p(1-p) instead of weighting them, uniform p (``x11``).

    Args:
        tau: exponent of M2 = (p(1-p))^τ, > -1.

    Example:
        >>> sampling_ratio([-0.5, 0.0]).tolist()
        [0.75, 1.0]
    """
    t = np.asarray(tau, dtype=np.float64)
    if (t <= -1).any():
        raise ValueError("sampling_ratio: tau must be > -1, where E[M2] is finite.")
    return 3 * (1 + t) / (3 + 2 * t)


def weighting_and_sampling(weights: ArrayLike, second_moments: ArrayLike, masses: ArrayLike | None = None) -> Pair:
    """(E[w̃² M2], E[w̃ M2]): the second moment of a step by weighting, and by drawing problems ∝ w (``x11``).

    Their difference is Cov(w̃ M2, w̃): drawing has less exactly where w M2 rises with w, and more where it falls. For
    M2 ∝ w^τ that is τ > -1 against τ < -1, whatever the law of the pass rates.

    Args:
        weights: w >= 0 of each problem, not all 0, shape [num_problems].
        second_moments: M2 > 0 of each problem.
        masses: probabilities of the problems; equal ones by default.

    Example:
        >>> weighting_and_sampling([1.0, 3.0], [1.0, 1.0]), weighting_and_sampling([1.0, 3.0], [9.0, 1.0])
        ((1.25, 1.0), (2.25, 3.0))
    """
    place = "weighting_and_sampling"
    w, m2 = reals(place, "weights", weights, low=0), positives(place, "second_moments", second_moments)
    if w.ndim != 1 or m2.shape != w.shape or not w.any():
        raise ValueError(f"{place}: weights must be one-dimensional and not all 0, with one second moment for each.")
    mass = masses_of(place, masses, w.size)
    unit = w / w.max()
    unit = unit / (mass @ unit)
    return float(mass @ (unit**2 * m2)), float(mass @ (unit * m2))


def _count_weights(place: str, weights: ArrayLike) -> Floats:
    """h(0), ..., h(K) over their largest: the scale does not matter, and squares of tiny weights would vanish."""
    h = np.asarray(weights, dtype=np.float64)
    if h.ndim != 1 or h.size < 2 or not np.isfinite(h).all() or (h < 0).any() or not h.any():
        raise ValueError(f"{place}: weights must be h(0), ..., h(K), >= 0 and not all 0.")
    return h / h.max()


def _log_moment(x: float, y: float, law: Pair) -> float:
    """log e(x, y)."""
    a, b = _law("extensions", law)
    for name, value in (("x", x), ("y", y)):
        check_number("extensions", f"the exponent {name} of E[p^x (1-p)^y]", value)
    if a + x <= 0 or b + y <= 0:
        raise ValueError(
            f"extensions: E[p^{x:g} (1-p)^{y:g}] is infinite under Beta({a:g}, {b:g}). The exponents must stay above "
            "minus the law's parameters."
        )
    return float(log_beta_ratio(a, b, x, y))


def _count_moments(num_rollouts: int, x: float, y: float, law: Pair) -> Floats:
    """E[1{s} p^x (1-p)^y] for s = 0..K."""
    a, b = _law("extensions", law)
    s = np.arange(num_rollouts + 1)
    for name, value in (("x", x), ("y", y)):
        check_number("extensions", f"the exponent {name} of E[p^x (1-p)^y]", value)
    if a + x <= 0 or b + y <= 0:
        raise ValueError(f"extensions: E[p^{x:g} (1-p)^{y:g}] is infinite under Beta({a:g}, {b:g}).")
    failed = num_rollouts - s
    return np.exp(log_pmf(num_rollouts, a, b) + log_beta_ratio(a + s, b + failed, x, y))


def _law(place: str, law: Pair) -> Pair:
    a, b = law
    return (
        check_number(place, "law[0]", a, low=0, low_open=True),
        check_number(place, "law[1]", b, low=0, low_open=True),
    )
