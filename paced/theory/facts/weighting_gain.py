"""The most that a weight's shape can win where it stays in a range: Kantorovich's inequality (``x13``).

A filter keeps some problems with equal weights. If the best weights w* of these lie in [m, M], no weight is more than
(m+M)²/(4mM) times as efficient as the filter, whatever the law of the pass rates. How much a filter loses by what it
leaves out is another question: ``paced.weights.budget.efficiency`` answers it for a Beta law.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.errors import check_number
from paced.theory.facts.domains import masses_of, positives


def kantorovich_floor(smallest: ArrayLike, largest: ArrayLike) -> Floats:
    """4mM/(m+M)²: the least E[w]²/E[w²] of weights in [m, M], attained by a law on the two ends.

    Args:
        smallest: m > 0.
        largest: M >= m; shapes broadcast.

    Raises:
        ValueError: m <= 0, or M < m.

    Example:
        >>> kantorovich_floor([0.16, 0.109375], 0.25).round(6).tolist()
        [0.951814, 0.846881]
    """
    m, top = positives("kantorovich_floor", "smallest", smallest), positives("kantorovich_floor", "largest", largest)
    if np.any(top < m):
        raise ValueError("kantorovich_floor: largest must be >= smallest, got a smaller one. Exchange the two.")
    ratio = top / m  # scale-free, so that tiny weights do not vanish when squared
    return np.asarray(4 * ratio / (1 + ratio) ** 2)


def equal_weight_efficiency(weights: ArrayLike, *, masses: ArrayLike | None = None) -> float:
    """E[w]²/E[w²]: efficiency of equal weights where w are the best ones and the second moment is flat.

    Args:
        weights: w > 0, shape [num_problems].
        masses: of the problems; equal by default.

    Example:
        >>> equal_weight_efficiency([0.25, 0.16, 0.16])
        0.9525065963060687
    """
    w = positives("equal_weight_efficiency", "weights", weights)
    mass = masses_of("equal_weight_efficiency", masses, w.size)
    w = w / w.max()
    return float((mass @ w) ** 2 / (mass @ w**2))


def kernel_range(low: float, high: float, *, alpha: float = 1.0, beta: float = 1.0) -> tuple[float, float]:
    """Smallest and largest p^α (1-p)^β on [low, high]; the largest is at the peak α/(α+β) where that is inside.

    Args:
        low: 0 <= low < high.
        high: at most 1.
        alpha: > 0.
        beta: > 0.

    Example:
        >>> kernel_range(0.125, 0.875)
        (0.109375, 0.25)
    """
    place = "kernel_range"
    check_number(place, "low", low, low=0, high=1)
    check_number(place, "high", high, low=0, high=1)
    a, b = (check_number(place, name, x, low=0, low_open=True) for name, x in (("alpha", alpha), ("beta", beta)))
    if low >= high:
        raise ValueError(f"kernel_range: low must be < high, got {low} and {high}.")
    ends = [p**a * (1 - p) ** b for p in (low, high)]
    peak = min(max(a / (a + b), low), high)
    return min(ends), peak**a * (1 - peak) ** b


def largest_gain(low: float, high: float, *, alpha: float = 1.0, beta: float = 1.0) -> float:
    """How many times as efficient as a filter to [low, high] the kernel can be, at most: (m+M)²/(4mM).

    Args:
        low: > 0.
        high: < 1.
        alpha: exponent > 0 of the best weight.
        beta: exponent > 0 of the best weight.

    Example:
        >>> round(largest_gain(0.125, 0.875), 4), round(largest_gain(0.2, 0.8), 4)
        (1.1808, 1.0506)
    """
    return 1.0 / float(kantorovich_floor(*kernel_range(low, high, alpha=alpha, beta=beta)))


def gain_table(*, size: int = 99) -> dict[str, list[float]]:
    """The most that weighting gains over a filter to [ε, 1-ε], and what it gains there for uniform pass rates.

    Example:
        >>> {name: [round(x, 3) for x in column] for name, column in gain_table(size=3).items()}
        {'epsilon': [0.01, 0.23, 0.45], 'at most, any law': [6.823, 1.03, 1.0], 'uniform law': [1.177, 1.009, 1.0]}
    """
    cutoffs = np.linspace(0.01, 0.45, size)
    uniform = []
    for e in cutoffs:
        length = 1 - 2 * e
        first = 1 / 4 - length**2 / 12  # mean of p(1-p) = 1/4 - x², x uniform on half the length
        second = 1 / 16 - length**2 / 24 + length**4 / 80
        uniform.append(float(second / first**2))
    return {
        "epsilon": cutoffs.tolist(),
        "at most, any law": [largest_gain(float(e), 1 - float(e)) for e in cutoffs],
        "uniform law": uniform,
    }
