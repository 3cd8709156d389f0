"""V_w/V_unif for power laws at low SNR: Eq. (37)-(38), truncated support (``prop10``), rollouts (``prop10.rollouts``).

M2 = E‖g‖² ∝ p^τ0 (1-p)^τ1 and p ~ Beta(A, A'). On (0, 1) the ratio is a quotient of Beta functions, taken through
log-gamma; on [ε, 1-ε] of incomplete ones, by quadrature. The mean terms of Eq. (35) are left out, as in Eq. (37),
except in :func:`two_term_ratio`. An integral that diverges is an error: the "ratio" would be 0 by dividing by infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import betaln, gammaln, logsumexp, roots_legendre

from paced.arrays import Floats
from paced.errors import check_number, check_whole
from paced.theory.facts.domains import positives, reals
from paced.weights import BetaKernel
from paced.weights.rising import log_beta_ratio

NODES, NODE_MASSES = roots_legendre(20)
"""Gauss-Legendre rule of one panel on [-1, 1]."""


# --- power laws on (0, 1): Eq. (37), (38) -----------------------------------------------------------------------------
def power_law_ratio(
    *,
    kernel_exponents: tuple[ArrayLike, ArrayLike] = (1.0, 1.0),
    second_moment_exponents: tuple[ArrayLike, ArrayLike],
    law: tuple[ArrayLike, ArrayLike] = (1.0, 1.0),
) -> Floats:
    """V_w/V_unif = B(A+2α+τ0, A'+2β+τ1) B(A,A')² / (B(A+α,A'+β)² B(A+τ0,A'+τ1)) (Eq. 37, A = A' = 1 there).

    Args:
        kernel_exponents: (α, β) >= 0.
        second_moment_exponents: (τ0, τ1) of M2, with A + τ0 > 0 and A' + τ1 > 0.
        law: (A, A') > 0 of the pass rates; (1, 1) is uniform. All shapes broadcast.

    Raises:
        ValueError: A + τ0 <= 0 or A' + τ1 <= 0, where E[M2] is infinite.

    Example:
        >>> power_law_ratio(second_moment_exponents=([-0.5, 0.0], [-0.5, 0.0])).round(6).tolist()
        [0.84375, 1.2]
    """
    place = "power_law_ratio"
    a, b = (reals(place, "kernel_exponents", x, low=0) for x in kernel_exponents)
    s, t = (reals(place, "second_moment_exponents", x) for x in second_moment_exponents)
    x, y = (positives(place, "law", z) for z in law)
    _refuse_divergent(place, x + s, y + t)
    return np.exp(log_beta_ratio(x + s, y + t, 2 * a, 2 * b) - 2 * log_beta_ratio(x, y, a, b))


def default_kernel_ratio(tau: ArrayLike) -> Floats:
    """9(1+τ)(2+τ)/((3+2τ)(5+2τ)): default kernel, uniform pass rates, M2 ∝ (p(1-p))^τ, τ > -1 (Eq. 38).

    Raises:
        ValueError: τ <= -1, where E[M2] is infinite.

    Example:
        >>> default_kernel_ratio([-0.5, 0.0]).tolist()
        [0.84375, 1.2]
    """
    t = reals("default_kernel_ratio", "tau", tau)
    _refuse_divergent("default_kernel_ratio", 1 + t, 1 + t)
    return 9.0 * (1 + t) * (2 + t) / ((3 + 2 * t) * (5 + 2 * t))


def two_term_ratio(
    *,
    signal_exponents: tuple[float, float],
    snr_exponents: tuple[float, float],
    amplitude: float,
    kernel_exponents: tuple[float, float] = (1.0, 1.0),
) -> float:
    """Eq. (35) without leaving out the signal, for parallel mean gradients and uniform pass rates.

    s1 = p^a q^b, SNR = A p^a' q^b', M2 = s1² + s1²/SNR²; ‖E[w̃ g]‖ = B(α+a+1, β+b+1)/B(α+1, β+1).

    Args:
        signal_exponents: (a, b) >= 0 of ‖ḡ‖.
        snr_exponents: (a', b') >= 0, with a - a' > -1/2 and b - b' > -1/2.
        amplitude: A > 0 of the amplitude SNR.
        kernel_exponents: (α, β) >= 0.

    Example:
        >>> round(two_term_ratio(signal_exponents=(0.25, 0.25), snr_exponents=(0.5, 0.5), amplitude=1.0), 6)
        0.876963
    """
    (a, b), (c, d), (alpha, beta) = signal_exponents, snr_exponents, kernel_exponents
    check_number("two_term_ratio", "amplitude", amplitude, low=0, low_open=True)
    _refuse_divergent("two_term_ratio", np.array(1 + 2 * (a - c)), np.array(1 + 2 * (b - d)))
    _refuse_divergent("two_term_ratio", np.array(1 + 2 * a), np.array(1 + 2 * b))

    def moment(x: float, y: float) -> float:
        return float(np.exp(betaln(1 + x, 1 + y)))

    def second(x: float, y: float) -> float:
        return moment(x + 2 * a, y + 2 * b) + moment(x + 2 * (a - c), y + 2 * (b - d)) / amplitude**2

    norm = moment(alpha, beta)
    weighted = second(2 * alpha, 2 * beta) / norm**2 - (moment(alpha + a, beta + b) / norm) ** 2
    return weighted / (second(0.0, 0.0) - moment(a, b) ** 2)


# --- truncated and rollout forms: prop10, prop10.rollouts -------------------------------------------------------------
def log_truncated_beta(u: float, v: float, epsilon: float) -> float:
    """log of I(u, v) = ∫ p^u (1-p)^v dp over [ε, 1-ε], any real u and v when ε > 0 (``prop10``).

    In t = log(p/(1-p)) the integrand is smooth; Gauss-Legendre on panels, summed as logarithms.

    Args:
        u: exponent of p.
        v: exponent of 1-p.
        epsilon: ε in [0, 1/2); 0 gives log B(u+1, v+1).

    Raises:
        ValueError: ε = 0 with u or v <= -1: the integral diverges.

    Example:
        >>> round(float(np.exp(log_truncated_beta(1.0, 1.0, 0.25))), 12) == round(11 / 96, 12)
        True
    """
    check_number("log_truncated_beta", "epsilon", epsilon, low=0, high=0.5, high_open=True, fix="Keep some pass rates.")
    x, y = (1.0 + check_number("log_truncated_beta", name, z) for name, z in (("u", u), ("v", v)))
    if epsilon == 0:
        _refuse_divergent("log_truncated_beta", np.array(x), np.array(y))
        return float(betaln(x, y))
    end = float(np.log1p(-epsilon) - np.log(epsilon))
    panels = int(np.ceil(2 * end * np.sqrt(1 + abs(x) + abs(y)))) + 1
    edges = np.linspace(-end, end, panels + 1)
    half = (edges[1:] - edges[:-1])[:, None] / 2
    t = (edges[:-1, None] + half) + half * NODES
    log_p, log_q = -np.logaddexp(0.0, -t), -np.logaddexp(0.0, t)
    return float(logsumexp(x * log_p + y * log_q + np.log(half * NODE_MASSES)))


def truncated_ratio(
    tau: ArrayLike, *, epsilon: ArrayLike, kernel_exponents: tuple[float, float] = (1.0, 1.0)
) -> Floats:
    """V_w/V_unif for M2 ∝ (p(1-p))^τ and p uniform on [ε, 1-ε], the support that Proposition 10 assumes (``prop10``).

    (1-2ε)² I(2α+τ, 2β+τ) / (I(α,β)² I(τ,τ)),  I(u,v) = ∫ p^u (1-p)^v dp over [ε, 1-ε].

    Args:
        tau: τ, any real when ε > 0, > -1 for ε = 0.
        epsilon: ε in [0, 1/2); shapes broadcast.
        kernel_exponents: (α, β) >= 0.

    Edges: 1 as ε → 1/2, Eq. (38) as ε → 0.

    Example:
        >>> truncated_ratio(-0.5, epsilon=[0.0, 1 / 16, 1 / 8]).round(6).tolist()
        [0.84375, 0.986801, 0.997245]
    """
    alpha, beta = (check_number("truncated_ratio", "kernel_exponents", x, low=0) for x in kernel_exponents)

    def one(t: float, e: float) -> float:
        log_ratio = log_truncated_beta(2 * alpha + t, 2 * beta + t, e) + 2 * np.log1p(-2 * e)
        return float(np.exp(log_ratio - 2 * log_truncated_beta(alpha, beta, e) - log_truncated_beta(t, t, e)))

    t, e = np.broadcast_arrays(reals("truncated_ratio", "tau", tau), np.asarray(epsilon, dtype=np.float64))
    return np.array([one(float(x), float(y)) for x, y in zip(t.ravel(), e.ravel(), strict=True)]).reshape(t.shape)


def rollout_ratio(
    weights: ArrayLike,
    *,
    second_moment_exponents: tuple[float, float],
    law: tuple[float, float] = (1.0, 1.0),
) -> float:
    """V_w/V_unif at low SNR when the weight is a function h(s) of s ~ Bin(K, p), p ~ Beta(A, A') (``prop10.rollouts``).

    E[h² M2]/(E[h]² E[M2]), every mean a finite sum over s of Beta functions.

    Args:
        weights: h(0), ..., h(K) >= 0, not all 0: a weight function of ``paced.weights`` at s = 0..K.
        second_moment_exponents: (τ0, τ1), with A + τ0 > 0 and A' + τ1 > 0.
        law: (A, A') > 0.

    Example:
        >>> round(rollout_ratio(BetaKernel()(np.arange(9), 8), second_moment_exponents=(-0.5, -0.5)), 6)
        1.014509
    """
    place = "rollout_ratio"
    h = reals(place, "weights", weights, low=0)
    (x, y), (t0, t1) = law, second_moment_exponents
    if h.ndim != 1 or h.size < 2 or not h.any():
        raise ValueError(f"{place}: weights must be one number for each s = 0..K, not all 0, K >= 1.")
    for name, value in (("law[0]", x), ("law[1]", y)):
        check_number(place, name, value, low=0, low_open=True)
    _refuse_divergent(place, np.array(x + t0), np.array(y + t1))
    K = h.size - 1
    s = np.arange(K + 1)
    log_binomial = gammaln(K + 1) - gammaln(s + 1) - gammaln(K - s + 1)

    def mean(values: Floats, first: float, second: float) -> float:
        """E over the Beta(first, second) mixture of Bin(K, p)."""
        return float(values @ np.exp(log_binomial + betaln(first + s, second + K - s) - betaln(first, second)))

    return mean(h**2, x + t0, y + t1) / mean(h, x, y) ** 2


def grid_ratio(tau: float, num_rollouts: int) -> float:
    """V_w/V_unif at low SNR for the default kernel and p uniform on {1/K, ..., (K-1)/K} (``prop10``).

    Example:
        >>> round(grid_ratio(-0.5, 8), 6)
        0.993435
    """
    K = check_whole("grid_ratio", "num_rollouts", num_rollouts, low=2)
    p = np.arange(1, K) / K
    w = p * (1 - p)
    m2 = w ** check_number("grid_ratio", "tau", tau)
    return float(np.mean(w**2 * m2) / (np.mean(w) ** 2 * np.mean(m2)))


def break_even(ratio_of_tau: Callable[[float], float], *, low: float = -0.999, high: float = 1.0) -> float:
    """The τ where a ratio is 1: hotter extremes (smaller τ) gain, milder ones lose.

    Args:
        ratio_of_tau: an increasing function of τ, e.g. ``lambda t: float(truncated_ratio(t, epsilon=1 / 16))``.
        low: τ where the ratio is below 1.
        high: τ where it is above 1.

    Raises:
        ValueError: the ratio is on the same side of 1 at both ends.

    Example:
        >>> round(break_even(default_kernel_ratio), 6)
        -0.318975
    """
    ends = [float(ratio_of_tau(t)) - 1.0 for t in (low, high)]
    if not ends[0] < 0 < ends[1]:
        raise ValueError(f"break_even: the ratio must go from below 1 to above 1, got {ends[0] + 1} and {ends[1] + 1}.")
    return float(brentq(lambda t: float(ratio_of_tau(t)) - 1.0, low, high, xtol=1e-15, rtol=1e-14))


def _refuse_divergent(place: str, first: Floats, second: Floats) -> None:
    """Both arguments of a Beta function must be > 0."""
    if np.any(first <= 0) or np.any(second <= 0):
        raise ValueError(
            f"{place}: E[M2] must be finite, but the integral diverges (A + tau0 = {float(np.min(first)):g}, "
            f"A' + tau1 = {float(np.min(second)):g}, both must be > 0). Truncate the pass rates with epsilon > 0."
        )


# --- tables for the pages ---------------------------------------------------------------------------------------------
def ratio_table(*, size: int = 181) -> dict[str, list[float]]:
    """The ratio against τ: Eq. (38), the support [1/16, 15/16] that Proposition 10 assumes, and K = 8 rollouts.

    Example:
        >>> {name: round(column[2], 6) for name, column in ratio_table(size=5).items()}
        {'tau': -0.45, 'Eq. (38)': 0.891115, 'p in [1/16, 15/16]': 0.998127, 'K = 8 rollouts': 1.066669}
    """
    tau = np.linspace(-0.9, 0.0, size)
    counted = BetaKernel()(np.arange(9), 8)
    return {
        "tau": tau.tolist(),
        "Eq. (38)": default_kernel_ratio(tau).tolist(),
        "p in [1/16, 15/16]": truncated_ratio(tau, epsilon=1 / 16).tolist(),
        "K = 8 rollouts": [rollout_ratio(counted, second_moment_exponents=(t, t)) for t in tau],
    }


def reduction_table() -> dict[str, list[Any]]:
    """Variance saved at τ = -1/2: the paper's 16 % and what its own support and its own K leave of it, in percent.

    Example:
        >>> {name: round(saved, 3) for name, saved in zip(*reduction_table().values(), strict=True)}
        {'paper, (0, 1)': 15.625, '[1/16, 15/16]': 1.32, '[1/8, 7/8]': 0.275, 'K = 8 rollouts': -1.451}
    """
    counted = BetaKernel()(np.arange(9), 8)
    ratios = {
        "paper, (0, 1)": float(default_kernel_ratio(-0.5)),
        "[1/16, 15/16]": float(truncated_ratio(-0.5, epsilon=1 / 16)),
        "[1/8, 7/8]": float(truncated_ratio(-0.5, epsilon=1 / 8)),
        "K = 8 rollouts": rollout_ratio(counted, second_moment_exponents=(-0.5, -0.5)),
    }
    return {"setting": list(ratios), "variance saved (%)": [100 * (1 - ratio) for ratio in ratios.values()]}
