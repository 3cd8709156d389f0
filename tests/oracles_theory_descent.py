"""Descent, minimax, variance and SGD from their definitions, in mpmath or by enumeration; imports no ``paced``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import permutations, product

import mpmath

mpmath.mp.dps = 40


def descent(w, s2, m2, eta, lip):
    """Eq. (12) in mpmath."""
    w, s2, m2, eta, lip = map(mpmath.mpf, (w, s2, m2, eta, lip))
    return eta * w * s2 - eta**2 * w**2 / 2 * lip * m2


def batch_variance(
    weights: Sequence[Fraction], gradients: Sequence[Sequence[Fraction]], batch_size: int, *, replace: bool
) -> Fraction:
    """E‖ĝ - E ĝ‖² of ĝ = (1/B) Σ w̃ g over every batch that can be drawn: Eq. (32), (33) by enumeration."""
    n, dim = len(weights), len(gradients[0])
    mean_weight = sum(weights) / n
    draws = list(product(range(n), repeat=batch_size) if replace else permutations(range(n), batch_size))
    estimates = [
        [sum(weights[i] / mean_weight * gradients[i][d] for i in batch) / batch_size for d in range(dim)]
        for batch in draws
    ]
    mean = [sum(e[d] for e in estimates) / len(draws) for d in range(dim)]
    return sum(sum((e[d] - mean[d]) ** 2 for d in range(dim)) for e in estimates) / len(draws)


def expected_batch_descent(
    weights: Sequence[float], gradients: Sequence[Sequence[float]], m2: Sequence[float], batch_size: int
) -> float:
    """E of Eq. (20) with η = L = 1 over all iid batches, w_i/B in place of w_i; repeated problems are drawn afresh."""
    n, dim = len(weights), len(gradients[0])
    full = [sum(g[d] for g in gradients) / n for d in range(dim)]
    total = 0.0
    for batch in product(range(n), repeat=batch_size):
        gain = sum(weights[i] * sum(full[d] * gradients[i][d] for d in range(dim)) for i in batch) / batch_size
        for place, i in enumerate(batch):
            for other, j in enumerate(batch):
                inner = m2[i] if place == other else sum(gradients[i][d] * gradients[j][d] for d in range(dim))
                gain -= 0.5 * weights[i] * weights[j] * inner / batch_size**2
        total += gain
    return total / n**batch_size


def mean_over(law: Callable, low, high, value: Callable):
    """E[value(p)] for an unnormalised density on [low, high], by adaptive quadrature."""
    points = [low, (mpmath.mpf(low) + mpmath.mpf(high)) / 2, high]
    return mpmath.quad(lambda p: law(p) * value(p), points) / mpmath.quad(law, points)


def ratio(law: Callable, low, high, weight: Callable, m2: Callable):
    """E[w² M2]/(E[w]² E[M2]) by quadrature: V_w/V_unif at low SNR."""
    return mean_over(law, low, high, lambda p: weight(p) ** 2 * m2(p)) / (
        mean_over(law, low, high, weight) ** 2 * mean_over(law, low, high, m2)
    )
