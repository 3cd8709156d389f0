"""Weights, laws and rollout policies from their definitions, in exact rationals. Nothing here imports ``paced``."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import comb


def rising(x: Fraction, n: int) -> Fraction:
    """x (x+1) … (x+n-1)."""
    result = Fraction(1)
    for step in range(n):
        result *= x + step
    return result


def power(x: Fraction, n: int) -> Fraction:
    """x^n with 0^0 = 1."""
    return Fraction(1) if n == 0 else x**n


def kernel(p: Fraction, alpha: int, beta: int) -> Fraction:
    """p^α (1-p)^β."""
    return power(p, alpha) * power(1 - p, beta)


def binomial(s: int, K: int, p: Fraction) -> Fraction:
    """P(s passes of K)."""
    return comb(K, s) * power(p, s) * power(1 - p, K - s)


def mean_over_binomial(weight: Callable[[int], Fraction], K: int, p: Fraction) -> Fraction:
    """E over s ~ Bin(K, p) of a weight of s."""
    return sum((binomial(s, K, p) * weight(s) for s in range(K + 1)), Fraction(0))


def u_statistic(s: int, K: int, alpha: int, beta: int) -> Fraction:
    """Average over all ordered picks of α+β of K rollouts of [the first α passed and the others failed]."""
    ways = Fraction(1)
    for step in range(alpha):
        ways *= max(s - step, 0)
    for step in range(beta):
        ways *= max(K - s - step, 0)
    picks = Fraction(1)
    for step in range(alpha + beta):
        picks *= K - step
    return ways / picks


def posterior_weight(s: int, K: int, alpha: int, beta: int, a0: Fraction, b0: Fraction) -> Fraction:
    """E[p^α (1-p)^β | s] under Beta(a0, b0), by rising factorials: exponents are whole numbers."""
    a, b = a0 + s, b0 + K - s
    return rising(a, alpha) * rising(b, beta) / rising(a + b, alpha + beta)


def beta_binomial(s: int, K: int, a: Fraction, b: Fraction) -> Fraction:
    """P(s of K) when p ~ Beta(a, b)."""
    return comb(K, s) * rising(a, s) * rising(b, K - s) / rising(a + b, K)


def moments_estimate(m: Fraction, v: Fraction) -> tuple[Fraction, Fraction]:
    """Law parameters with mean m and variance v."""
    k = m * (1 - m) / v - 1
    return m * k, (1 - m) * k


def effective_size(weights: list[Fraction]) -> Fraction:
    """(Σw)²/Σw²."""
    return sum(weights, Fraction(0)) ** 2 / sum((w * w for w in weights), Fraction(0))


def screened_mean(weight: Callable[[int, int], Fraction], K1: int, K: int, p: Fraction) -> tuple[Fraction, Fraction]:
    """(E[weight(s, rollouts made)], E[rollouts made]) by walking through all 2^K outcomes one rollout at a time."""
    mean, cost = Fraction(0), Fraction(0)
    for outcome in product((0, 1), repeat=K):
        chance = Fraction(1)
        for passed in outcome:
            chance *= p if passed else 1 - p
        first = sum(outcome[:K1])
        made = K1 if first in (0, K1) else K
        mean += chance * weight(sum(outcome[:made]), made)
        cost += chance * made
    return mean, cost


def value_of_rollouts(a: Fraction, b: Fraction, m: int, alpha: int, beta: int) -> Fraction:
    """Fall of the expected posterior variance of the weight after m more rollouts."""

    def mean(x: Fraction, y: Fraction) -> Fraction:
        return rising(x, alpha) * rising(y, beta) / rising(x + y, alpha + beta)

    after = sum((beta_binomial(x, m, a, b) * mean(a + x, b + m - x) ** 2 for x in range(m + 1)), Fraction(0))
    return after - mean(a, b) ** 2


def efficiency(weight: Callable[[int], Fraction], K: int) -> Fraction:
    """E[h w]²/(E[h²] E[w²]) for w = p(1-p), uniform p and K rollouts, second moment flat (extension X1)."""
    one = Fraction(1)
    chance = [beta_binomial(s, K, one, one) for s in range(K + 1)]
    truth = [posterior_weight(s, K, 1, 1, one, one) for s in range(K + 1)]
    cross = sum((c * weight(s) * t for s, (c, t) in enumerate(zip(chance, truth, strict=True))), Fraction(0))
    square = sum((c * weight(s) ** 2 for s, c in enumerate(chance)), Fraction(0))
    return cross**2 / (square * Fraction(1, 30))
