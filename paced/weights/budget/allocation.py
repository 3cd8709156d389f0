"""How many rollouts a problem is worth: the variance of its weight, the value of one more, an unbiased weight (``x7``).

All formulas are for the weight p^α (1-p)^β; the default is α = β = 1. Law parameters are (a, b) as everywhere. What
each policy costs and how good its weights are, for a whole training set, is ``planner.py``. Left out: Neyman's shares,
and what screening costs and loses: no policy needs them. They are facts of the theory, ``paced.theory.facts``.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats, Integers, check_counts
from paced.errors import check_number, check_whole
from paced.weights.betabinomial import log_choose
from paced.weights.counts import by_pair
from paced.weights.kernels import check_pass_rate
from paced.weights.rising import log_beta_ratio


def rollout_variance(pass_rate: ArrayLike, *, alpha: float = 1.0, beta: float = 1.0) -> Floats:
    """v(p) with Var w(p̂) ≈ v(p)/K for K rollouts: p^(2α-1) (1-p)^(2β-1) (α - (α+β)p)².

    Edges: inf at p = 0 when 0 < α < 1/2 and at p = 1 when 0 < β < 1/2; 0 at p = 0 for α = 0, where the kernel is flat
    in its first factor; zero at the kernel's peak, to this order.

    Example:
        >>> rollout_variance([0.5, 0.25]).round(7).tolist()
        [0.0, 0.046875]
    """
    _check_exponents("rollout_variance", alpha, beta)
    p = check_pass_rate("rollout_variance", pass_rate)
    if alpha == 0 or beta == 0:  # one factor of the kernel is 1, and its slope has no term to cancel p^-1 with
        only, rate = (beta, p) if alpha == 0 else (alpha, 1 - p)
        with np.errstate(divide="ignore"):
            return only**2 * rate * _power(1 - rate, 2 * only - 1) if only else np.zeros_like(p)
    with np.errstate(divide="ignore"):
        return _power(p, 2 * alpha - 1) * _power(1 - p, 2 * beta - 1) * np.square(alpha * (1 - p) - beta * p)


def value_of_rollouts(
    a: ArrayLike, b: ArrayLike, num_more: int = 1, *, alpha: float = 1.0, beta: float = 1.0
) -> Floats:
    """Expected fall of the posterior variance of p^α (1-p)^β from ``num_more`` further rollouts.

    With W(a, b) = E[w] under Beta(a, b):  Σ_x BB(x; m, a, b) W(a+x, b+m-x)² - W(a, b)²; for m = 1 the closed form
    W² (αb - βa)² / (ab (a+b+α+β)²).

    Args:
        a: posterior law parameter a0 + s, > 0.
        b: posterior law parameter b0 + K - s, > 0.
        num_more: m >= 1. One rollout is worth nothing where a/b = α/β, the start included; two are.
        alpha: kernel exponent.
        beta: kernel exponent.

    Example:
        >>> value_of_rollouts([1.0, 1.0], [1.0, 9.0]).round(9).tolist()
        [0.0, 0.000330579]
        >>> round(float(value_of_rollouts(1.0, 1.0, 2)) * 1800, 9)
        1.0
    """
    _check_exponents("value_of_rollouts", alpha, beta)
    first, second = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    if not ((first > 0) & (second > 0)).all():
        raise ValueError("value_of_rollouts: a and b must be > 0, got a smaller one. Add the prior to the counts.")
    num_more = check_whole("value_of_rollouts", "num_more", num_more, low=1)
    before = _mean_weight(first, second, alpha, beta)
    if num_more == 1:
        tilt = np.square(alpha * second - beta * first)
        return before**2 * tilt / (first * second * np.square(first + second + alpha + beta))
    x = np.arange(num_more + 1)
    up, down = first[..., None] + x, second[..., None] + (num_more - x)
    more = log_beta_ratio(first[..., None], second[..., None], x, num_more - x)
    mass = np.exp(log_choose(np.full(x.shape, num_more), x) + more)
    # Summed as squared differences: a variance of the posterior mean, never negative by rounding.
    return np.sum(mass * np.square(_mean_weight(up, down, alpha, beta) - before[..., None]), axis=-1)


def screened_weight(
    num_passed: ArrayLike, num_rollouts: ArrayLike, *, num_first: int, num_all: int, alpha: int = 1, beta: int = 1
) -> Floats:
    """Unbiased weight under two-phase screening; E = p^α (1-p)^β exactly, for the price of the screened design.

    Phase 1 makes K1 rollouts and stops at 0 or K1 passes; the others continue to K. The weight is 0 on exit, else
    C(K-α-β, s-α) / [C(K, s) - C(K-K1, s-K1) - C(K-K1, s)], the phase-1 U-statistic averaged over the orders in which
    s passes of K could have come without an exit.

    Args:
        num_passed: s, of the rollouts made.
        num_rollouts: rollouts made, K1 on exit and K otherwise; one number or one for each problem.
        num_first: K1 >= alpha + beta.
        num_all: K > K1.
        alpha: whole number >= 1.
        beta: whole number >= 1.

    Raises:
        ValueError: exponents for which no unbiased weight exists, or counts that this design cannot give.

    Example:
        >>> screened_weight([0, 4, 7], [4, 8, 8], num_first=4, num_all=8).round(6).tolist()
        [0.0, 0.294118, 0.25]
    """
    place = "screened_weight"
    alpha = check_whole(place, "alpha", alpha, low=1, fix="Use the posterior weight.")
    beta = check_whole(place, "beta", beta, low=1, fix="Use the posterior weight.")
    num_first = check_whole(place, "num_first", num_first, low=1)
    num_all = check_whole(place, "num_all", num_all, low=1)
    if num_first < alpha + beta or num_all <= num_first:
        raise ValueError(
            f"{place}: alpha + beta <= num_first < num_all is needed, got alpha + beta = {alpha + beta}, "
            f"num_first={num_first}, num_all={num_all}. Screen with more rollouts."
        )
    passed, rollouts = check_counts(place, num_passed, num_rollouts)
    exited = (rollouts == num_first) & ((passed == 0) | (passed == num_first))
    impossible = ~exited & ((rollouts != num_all) | (passed == 0) | (passed == num_all))
    if impossible.any():
        first = int(np.argmax(impossible))
        raise ValueError(
            f"{place}: counts must be 0 or {num_first} of {num_first} (exit) or 1..{num_all - 1} of {num_all}, "
            f"got {passed[first]} of {rollouts[first]} at index {first} "
            f"({int(impossible.sum())} of {passed.size} problems)."
        )

    def of_cells(s: Integers, k: Integers, _: object) -> Floats:
        return np.array(
            [
                0.0 if num_rollouts == num_first else _screened(int(x), num_first, num_all, alpha, beta)
                for x, num_rollouts in zip(s.tolist(), k.tolist(), strict=True)
            ]
        )

    return by_pair(of_cells, passed, rollouts)


def _screened(s: int, num_first: int, num_all: int, alpha: int, beta: int) -> float:
    left = num_all - num_first
    orders = comb(num_all, s) - (comb(left, s - num_first) if s >= num_first else 0) - comb(left, s)
    return (comb(num_all - alpha - beta, s - alpha) if s >= alpha else 0) / orders


def _mean_weight(a: Floats, b: Floats, alpha: float, beta: float) -> Floats:
    return np.exp(log_beta_ratio(a, b, alpha, beta))


def _power(base: Floats, exponent: float) -> Floats:
    return np.ones_like(base) if exponent == 0 else np.power(base, exponent)


def _check_exponents(place: str, alpha: float, beta: float) -> None:
    check_number(place, "alpha", alpha, low=0)
    check_number(place, "beta", beta, low=0)
