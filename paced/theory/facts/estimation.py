"""What K rollouts can tell: moments of estimated weights, the noise floor of an SNR, and the SNR without it (Eq. 8).

Gradients g_1..g_K of one problem are independent with mean m and covariance Σ. With V = Σ|g_k - ḡ|²/(K-1),
U = |ḡ|² - V/K is an unbiased estimate of |m|²; Eq. (8) uses |ḡ|² itself, which stays at tr Σ/K when m = 0.
Left out: the estimators for measured gradients. They are ``paced.analysis.snr``; here are the laws they obey.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from paced.arrays import Floats
from paced.errors import check_number
from paced.theory.facts.domains import reals, whole_numbers
from paced.weights.kernels import check_pass_rate


def expected_weight(weights: ArrayLike, pass_rate: ArrayLike) -> Floats:
    """E[h(s)] over s ~ Bin(K, p), for a weight h(0), ..., h(K) of counts.

    Args:
        weights: h, shape [K + 1].
        pass_rate: p in [0, 1], any shape.

    Example:
        >>> expected_weight([0, 1, 0], 0.25).tolist()
        0.375
    """
    h = np.asarray(weights, dtype=np.float64)
    if h.ndim != 1 or h.size < 2:
        raise ValueError(f"expected_weight: weights must be h(0), ..., h(K), got shape {h.shape}.")
    p = check_pass_rate("expected_weight", pass_rate)
    mass = stats.binom.pmf(np.arange(h.size), h.size - 1, p[..., None])  # [..., K + 1]
    return np.asarray(mass @ h)


def default_weight_variance(pass_rate: ArrayLike, num_rollouts: int) -> Floats:
    """Var(u) of the unbiased default weight u = s(K-s)/(K(K-1)): (pq/K)(1 - pq(4K-6)/(K-1)).

    Edges: K >= 2; at p = 1/2 it is 1/(8K(K-1)).

    Example:
        >>> round(float(default_weight_variance(0.5, 8)) * 8 * 8 * 7, 9)
        1.0
    """
    whole_numbers("default_weight_variance", "num_rollouts", num_rollouts, low=2)
    p = check_pass_rate("default_weight_variance", pass_rate)
    pq = p * (1 - p)
    return pq / num_rollouts * (1 - pq * (4 * num_rollouts - 6) / (num_rollouts - 1))


def snr_floor(num_rollouts: ArrayLike) -> Floats:
    """What Eq. (8) shows without any signal: 1/√(K-1), as printed with the variance over K.

    Args:
        num_rollouts: K >= 2.

    Example:
        >>> snr_floor(8).round(6).tolist()
        0.377964
    """
    return 1 / np.sqrt(_at_least_two("snr_floor", num_rollouts) - 1)


def unbiased_snr_floor(num_rollouts: ArrayLike) -> Floats:
    """What Eq. (8) would show without any signal if its variance were over K-1: 1/√K.

    Args:
        num_rollouts: K >= 2.

    Example:
        >>> unbiased_snr_floor(8).round(6).tolist()
        0.353553
    """
    return 1 / np.sqrt(_at_least_two("unbiased_snr_floor", num_rollouts))


def _at_least_two(place: str, num_rollouts: ArrayLike) -> Floats:
    return whole_numbers(place, "num_rollouts", num_rollouts, low=2).astype(np.float64)


def debiased_signal(gradients: ArrayLike) -> float:
    """U = (1/(K(K-1))) Σ_{i≠j} <g_i, g_j>: unbiased for |m|², negative by chance where m is small.

    Args:
        gradients: shape [K, d], K >= 2.

    Example:
        >>> debiased_signal([[1.0, 0.0], [1.0, 2.0]])
        1.0
    """
    g = _gradients("debiased_signal", gradients)  # [K, d]
    total = g.sum(0)  # [d]
    K = g.shape[0]
    return float((total @ total - np.sum(g * g)) / (K * (K - 1)))


def debiased_signal_variance(mean: ArrayLike, covariance: ArrayLike, num_rollouts: int) -> float:
    """Var(U) = 4 m'Σm/K + 2 tr(Σ²)/(K(K-1)), for any law with finite second moments.

    Args:
        mean: m, shape [d].
        covariance: Σ, shape [d, d].
        num_rollouts: K >= 2.

    Example:
        >>> debiased_signal_variance([0.0, 0.0], np.eye(2), 4) == 4 / 12
        True
    """
    m, cov, K = _moments("debiased_signal_variance", mean, covariance, num_rollouts)
    return float(4 * m @ cov @ m / K + 2 * np.sum(cov * cov.T) / (K * (K - 1)))


def debiased_snr_variance(mean: ArrayLike, covariance: ArrayLike, num_rollouts: int) -> float:
    """Delta-method variance of U/V for Gaussian gradients, with SNR² = |m|²/tr Σ.

    [4m'Σm/K + 2tr(Σ²)/K²]/(tr Σ)² + (|m|² + tr(Σ)/K)² · 2tr(Σ²)/((K-1)(tr Σ)⁴)

    Args:
        mean: m, shape [d].
        covariance: Σ, shape [d, d], not 0.
        num_rollouts: K >= 2.
    """
    m, cov, K = _moments("debiased_snr_variance", mean, covariance, num_rollouts)
    trace, square = float(np.trace(cov)), float(np.sum(cov * cov.T))
    if trace <= 0:
        raise ValueError("debiased_snr_variance: covariance must not be 0; without spread there is no SNR.")
    numerator = (4 * m @ cov @ m / K + 2 * square / K**2) / trace**2
    return float(numerator + (m @ m + trace / K) ** 2 * 2 * square / ((K - 1) * trace**4))


def snr_ratio_bias(snr_squared: float, eigenvalues: ArrayLike, num_rollouts: int) -> float:
    """E[U/V] - SNR² for Gaussian gradients, exactly (``eq8``): (SNR² + 1/K) (tr Σ · E[1/V] - 1).

    The mean gradient is independent of V = Σ_i λ_i χ²_{K-1}/(K-1), and E[1/V] is the integral of V's moment generating
    function, ∫_0^∞ Π_i (1 + 2 λ_i t/(K-1))^(-(K-1)/2) dt. For isotropic noise in d dimensions the bias is
    (SNR² + 1/K) 2/(ν-2) with ν = d(K-1); for other noise that form, with ν of :func:`effective_degrees`, is wrong by
    much where ν is small: 10.0 for 2.31 at K = 3 and eigenvalues 1 and .05.

    Args:
        snr_squared: |m|²/tr Σ >= 0.
        eigenvalues: λ_i >= 0 of Σ, not all 0, shape [d].
        num_rollouts: K >= 2, with (K-1) · (number of λ_i > 0) > 2; at 2 and below the mean of U/V is infinite.

    Example:
        >>> round(snr_ratio_bias(0.0, [1.0, 1.0, 1.0], 4), 12) == round(1 / 4 * 2 / (9 - 2), 12)
        True
        >>> round(3 * snr_ratio_bias(0.0, [1.0, 0.05], 3), 4)
        2.3111
    """
    place = "snr_ratio_bias"
    snr = check_number(place, "snr_squared", snr_squared, low=0)
    values = reals(place, "eigenvalues", eigenvalues, low=0)
    K = int(whole_numbers(place, "num_rollouts", num_rollouts, low=2))
    if values.ndim != 1 or not values.any():
        raise ValueError(f"{place}: eigenvalues must be one-dimensional and not all 0.")
    spread = values[values > 0] / values.sum()  # [d], sum 1
    degrees = (K - 1) * spread.size
    if degrees <= 2:
        raise ValueError(
            f"{place}: (K-1) times the number of eigenvalues > 0 must be above 2, got {degrees}: the mean is infinite "
            "at 2 and below. Make more rollouts."
        )
    # In u = log t the integrand is smooth and falls exponentially at both ends: the trapezoid rule converges fast.
    top = 40 * degrees / (degrees - 2) - np.log(spread.min())
    u, step = np.linspace(-42.0, top, int(50 * (top + 42.0)), retstep=True)
    log_mgf = -(K - 1) / 2 * np.log1p(2 / (K - 1) * spread[:, None] * np.exp(u)).sum(axis=0)
    return float((snr + 1 / K) * (step * np.exp(u + log_mgf).sum() - 1))


def effective_degrees(covariance: ArrayLike, num_rollouts: int) -> float:
    """ν = (K-1)(tr Σ)²/tr(Σ²): degrees of freedom of V; d(K-1) for isotropic noise in d dimensions.

    For isotropic noise E[U/V] - SNR² = (SNR² + 1/K)·2/(ν-2); for other noise see :func:`snr_ratio_bias`.

    Example:
        >>> effective_degrees(np.eye(5), 8)
        35.0
    """
    _, cov, K = _moments("effective_degrees", np.zeros(len(np.asarray(covariance))), covariance, num_rollouts)
    if not cov.any():
        raise ValueError("effective_degrees: covariance must not be 0; without spread there are no degrees of freedom.")
    return float((K - 1) * np.trace(cov) ** 2 / np.sum(cov * cov.T))


def raw_cross_problem_floor(num_problems: ArrayLike) -> Floats:
    """SNR that pure noise shows across the problems of a bin, 1/√n: a bell out of bins that are full at both ends.

    Example:
        >>> raw_cross_problem_floor([117, 22, 19, 182]).round(2).tolist()
        [0.09, 0.21, 0.23, 0.07]
    """
    return 1 / np.sqrt(whole_numbers("raw_cross_problem_floor", "num_problems", num_problems, low=1))


def _gradients(place: str, gradients: ArrayLike) -> Floats:
    g = np.asarray(gradients, dtype=np.float64)
    if g.ndim != 2 or g.shape[0] < 2 or not np.isfinite(g).all():
        raise ValueError(f"{place}: gradients must be finite and [K >= 2, d], got shape {g.shape}.")
    return g


def _moments(place: str, mean: ArrayLike, covariance: ArrayLike, num_rollouts: int) -> tuple[Floats, Floats, int]:
    m, cov = np.asarray(mean, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if m.ndim != 1 or cov.shape != (m.size, m.size):
        raise ValueError(f"{place}: covariance must be [d, d] for a mean of [d], got {cov.shape} and {m.shape}.")
    reals(place, "mean", m)
    reals(place, "covariance", cov)
    scale = float(np.abs(cov).max(initial=0.0))
    if not np.allclose(cov, cov.T, rtol=0, atol=1e-9 * scale) or np.linalg.eigvalsh(cov).min() < -1e-9 * scale:
        raise ValueError(f"{place}: covariance must be symmetric without a negative eigenvalue.")
    return m, cov, int(whole_numbers(place, "num_rollouts", num_rollouts, low=2))
