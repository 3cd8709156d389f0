"""Exact facts about the Beta kernel w(p) = p^α (1-p)^β: its height, its slope, its zeros under K rollouts, its entropy.

The kernel itself is ``paced.weights.BetaKernel``, the one that the trainer uses; nothing here computes it again. All
functions are vectorised float64 and use log-gamma, so that large exponents neither overflow nor cancel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, digamma, xlogy

from paced.arrays import Floats
from paced.errors import check_number
from paced.theory.facts.domains import whole_numbers
from paced.weights import BetaKernel
from paced.weights.rising import log_beta_ratio


def kernel_peak_value(alpha: ArrayLike, beta: ArrayLike) -> Floats:
    """Largest weight, α^α β^β / (α+β)^(α+β), taken at the peak α/(α+β) (``eq3``).

    Args:
        alpha: α >= 0.
        beta: β >= 0; shapes broadcast.

    Edges: 1 when α or β is 0 (0^0 = 1).

    Example:
        >>> kernel_peak_value([1.0, 1.0], [1.0, 2.0]).round(6).tolist()
        [0.25, 0.148148]
    """
    a, b = _exponents("kernel_peak_value", alpha, beta)
    return np.exp(xlogy(a, a) + xlogy(b, b) - xlogy(a + b, a + b))


def lipschitz_constant(alpha: float, beta: float) -> float:
    """sup |w'(p)| on (0, 1): how far an error of p̂ moves a weight; infinite unless α, β are 0 or >= 1 (``eq3.smooth``).

    w'' = 0 where  n(n-1) p² - 2α(n-1) p + α(α-1) = 0,  n = α+β,  that is at  p = α/n ± sqrt(αβ/(n-1))/n.

    Example:
        >>> lipschitz_constant(1, 1), lipschitz_constant(0.5, 1), round(lipschitz_constant(2, 2), 6)
        (1.0, inf, 0.19245)
    """
    a, b = (float(x) for x in _exponents("lipschitz_constant", alpha, beta))
    if 0 < a < 1 or 0 < b < 1:
        return float("inf")
    n = a + b
    points = [0.0, 1.0]
    if n > 1:
        turn = np.sqrt(a * b / (n - 1)) / n
        points += [p for p in (a / n - turn, a / n + turn) if 0 < p < 1]
    return max(abs(float(kernel_slope(p, alpha=a, beta=b))) for p in points)


def unit_mean_lipschitz_constant(alpha: float, beta: float, *, law: tuple[float, float] = (1.0, 1.0)) -> float:
    """sup |w̃'(p)| of the unit-mean weight w̃ = w/E[w] under Beta(A, A') pass rates: what training multiplies by.

    sup |w'| · B(A, A')/B(A+α, A'+β): 6 for the default and uniform pass rates, where the kernel itself has 1.

    Example:
        >>> round(unit_mean_lipschitz_constant(1, 1), 9), round(unit_mean_lipschitz_constant(1, 1, law=(0.5, 0.5)), 9)
        (6.0, 8.0)
    """
    place = "unit_mean_lipschitz_constant"
    a, b = (check_number(place, f"law[{i}]", x, low=0, low_open=True) for i, x in enumerate(law))
    return lipschitz_constant(alpha, beta) * float(np.exp(-log_beta_ratio(a, b, alpha, beta)))


def kernel_slope(pass_rate: float, *, alpha: float, beta: float) -> float:
    """w'(p) = α p^(α-1) (1-p)^β - β p^α (1-p)^(β-1), for exponents that are 0 or >= 1.

    Example:
        >>> kernel_slope(0.25, alpha=1, beta=1)
        0.5
    """
    p, q = check_number("kernel_slope", "pass_rate", pass_rate, low=0, high=1), 1.0 - pass_rate
    for name, value in (("alpha", alpha), ("beta", beta)):
        if 0 < check_number("kernel_slope", name, value, low=0) < 1:
            raise ValueError(f"kernel_slope: {name} must be 0 or >= 1, got {value}. The slope is infinite at an end.")
    rise = alpha * p ** (alpha - 1) * q**beta if alpha else 0.0
    fall = beta * p**alpha * q ** (beta - 1) if beta else 0.0
    return rise - fall


def zeroed_probability(pass_rate: ArrayLike, num_rollouts: ArrayLike) -> Floats:
    """P(s = 0 or s = K) = p^K + (1-p)^K: how often the plug-in weight drops a problem of pass rate p (``eq3.smooth``).

    Example:
        >>> round(float(zeroed_probability(0.1, 8)), 6)
        0.430467
    """
    p, k = np.asarray(pass_rate, dtype=np.float64), np.asarray(num_rollouts, dtype=np.float64)
    if np.any(~((p >= 0) & (p <= 1))) or np.any(~(k >= 1)):
        raise ValueError("zeroed_probability: pass_rate must be in [0, 1] and num_rollouts >= 1. Give rates and K.")
    return p**k + (1.0 - p) ** k


def zeroed_share(num_rollouts: ArrayLike, *, prior: tuple[float, float] = (1.0, 1.0)) -> Floats:
    """Expected share of problems with plug-in weight 0 when p ~ Beta(A, A'); 2/(K+1) if uniform (``eq3.smooth``).

    (B(A+K, A') + B(A, A'+K)) / B(A, A').

    Example:
        >>> round(float(zeroed_share(8)), 6)
        0.222222
    """
    a, b = (check_number("zeroed_share", f"prior[{i}]", x, low=0, low_open=True) for i, x in enumerate(prior))
    k = whole_numbers("zeroed_share", "num_rollouts", num_rollouts, low=1)
    return np.exp(log_beta_ratio(a, b, k, 0)) + np.exp(log_beta_ratio(a, b, 0, k))


def expected_logs(a: float, b: float) -> tuple[float, float]:
    """(E log p, E log(1-p)) under Beta(a, b): ψ(a) - ψ(a+b) and ψ(b) - ψ(a+b), the statistics of Proposition 3.

    Args:
        a: law parameter, > 0; for the kernel's law a = α+1.
        b: law parameter, > 0.

    Example:
        >>> [round(x, 6) for x in expected_logs(2, 2)]
        [-0.833333, -0.833333]
    """
    for name, value in (("a", a), ("b", b)):
        check_number("expected_logs", name, value, low=0, low_open=True)
    return float(digamma(a) - digamma(a + b)), float(digamma(b) - digamma(a + b))


def beta_entropy(a: float, b: float) -> float:
    """Differential entropy of Beta(a, b) in nats: log B(a,b) - (a-1) E log p - (b-1) E log(1-p) (``prop3.entropy``).

    Example:
        >>> round(beta_entropy(2, 2), 6)
        -0.125093
    """
    log_p, log_q = expected_logs(a, b)
    return float(betaln(a, b) - (a - 1) * log_p - (b - 1) * log_q)


def fisher_information(pass_rate: ArrayLike) -> Floats:
    """Information of one rollout about its mean p: 1/(p(1-p)) (``rem5``).

    Args:
        pass_rate: p in (0, 1).

    Example:
        >>> fisher_information([0.5]).tolist()
        [4.0]
    """
    return 1.0 / _rollout_variance("fisher_information", pass_rate)


def logit_fisher_information(pass_rate: ArrayLike) -> Floats:
    """Information of one rollout about the logit log p/(1-p): p(1-p) (``rem5``).

    Args:
        pass_rate: p in (0, 1).

    Example:
        >>> logit_fisher_information([0.5]).tolist()
        [0.25]
    """
    return _rollout_variance("logit_fisher_information", pass_rate)


def _rollout_variance(place: str, pass_rate: ArrayLike) -> Floats:
    """p(1-p) inside (0, 1)."""
    variance = BetaKernel().at(pass_rate)
    if np.any(variance == 0):
        raise ValueError(f"{place}: pass_rate must be in (0, 1). At the ends a rollout is not random.")
    return variance


def _exponents(place: str, alpha: ArrayLike, beta: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.broadcast_arrays(np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64))
    if np.any(~np.isfinite(a + b)) or np.any(a < 0) or np.any(b < 0):
        raise ValueError(f"{place}: alpha and beta must be finite and >= 0. A kernel grows at an end otherwise.")
    return a, b
