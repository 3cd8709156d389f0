"""How far estimated weights are from the true ones: E(w̃(p̂) - w̃(p))², each of unit mean, by method (``sec4.noise``).

p ~ Beta(a, b), s ~ Bin(K, p), w = p(1-p) for the kernels; the hard filter aims at equal weights on [ε, 1-ε]. With whole
numbers or fractions as the law the kernels' values are exact; the filter's need an incomplete Beta function.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from paced.errors import check_choice, check_number, check_whole
from paced.theory.facts.domains import reals
from paced.weights.budget.efficiency import (
    Law,
    Number,
    count_masses,
    exact_law,
    kernel_moments,
    plugin_efficiency,
    posterior_efficiency,
)
from paced.zone import Zone

Method = Literal["kernel", "posterior", "hard filter"]
METHODS: tuple[Method, ...] = ("kernel", "posterior", "hard filter")


def weight_noise(method: Method, num_rollouts: int, law: Law = (1, 1), *, epsilon: float = 0.2) -> Number:
    """E(w̃(p̂) - w̃(p))²: kernel E Var(u|p)/(E w)², posterior E Var(w|s)/(E w)², hard filter by its overlap.

    Args:
        method: one of :data:`METHODS`.
        num_rollouts: K >= 2.
        law: (a, b) of the pass rates, both > 0.
        epsilon: ε of the hard filter's zone, in (0, 1/2).

    Raises:
        ValueError: an unknown method, K < 2, or a zone without a count.

    Example:
        >>> weight_noise("kernel", 8), weight_noise("posterior", 8), round(float(weight_noise("hard filter", 8)), 4)
        (Fraction(27, 140), Fraction(27, 275), 0.6272)
    """
    check_choice("weight_noise", "method", method, METHODS)
    check_whole("weight_noise", "num_rollouts", num_rollouts, low=2)
    first, second = kernel_moments("weight_noise", law)
    if method == "kernel":
        return second * (1 / plugin_efficiency(num_rollouts, law) - 1) / first**2
    if method == "posterior":
        return second * (1 - posterior_efficiency(num_rollouts, law)) / first**2
    return hard_filter_noise(num_rollouts, law, epsilon=epsilon)


def hard_filter_noise(num_rollouts: int, law: Law = (1, 1), *, epsilon: float = 0.2) -> float:
    """1/P(p̂ in Z) + 1/P(p in Z) - 2 P(both)/(P(p̂ in Z) P(p in Z)) with the zone Z = [ε, 1-ε].

    Args:
        num_rollouts: K >= 2.
        law: (a, b), both > 0.
        epsilon: ε in (0, 1/2).

    Example:
        >>> [round(hard_filter_noise(K), 2) for K in (4, 8, 16)]
        [0.73, 0.63, 0.52]
    """
    place = "hard_filter_noise"
    K = check_whole(place, "num_rollouts", num_rollouts, low=2)
    check_number(place, "epsilon", epsilon, low=0, low_open=True, high=0.5, high_open=True)
    a, b = (float(x) for x in exact_law(place, law))
    zone = Zone.of(epsilon)
    s = np.arange(K + 1)
    kept = zone.contains(s / K)
    if not kept.any():
        raise ValueError(
            f"{place}: some s/K must be in [{epsilon:g}, {1 - epsilon:g}], got K = {K}. Use more rollouts."
        )
    mass = np.array([float(x) for x in count_masses(K, (a, b))])
    inside = betainc(a + s, b + K - s, zone.high) - betainc(a + s, b + K - s, zone.low)  # P(p in Z | s)
    estimated, true, both = mass[kept].sum(), mass @ inside, mass[kept] @ inside[kept]
    return float(1 / estimated + 1 / true - 2 * both / (estimated * true))


def boundary_jump(pass_rate: ArrayLike, *, epsilon: float = 0.2, law: Law = (1, 1)) -> float:
    """Largest change of the hard filter's unit-mean weight between neighbours of ``pass_rate``: 1/P(p in Z), or 0.

    Args:
        pass_rate: sorted estimates in [0, 1].
        epsilon: ε in (0, 1/2).
        law: (a, b), both > 0.

    Example:
        >>> round(boundary_jump([0.19, 0.21]), 4), boundary_jump([0.4, 0.6])
        (1.6667, 0.0)
    """
    p = np.atleast_1d(reals("boundary_jump", "pass_rate", pass_rate, low=0, high=1))
    check_number("boundary_jump", "epsilon", epsilon, low=0, low_open=True, high=0.5, high_open=True)
    a, b = (float(x) for x in exact_law("boundary_jump", law))
    zone = Zone.of(epsilon)
    share = float(betainc(a, b, zone.high) - betainc(a, b, zone.low))
    inside = zone.contains(p).astype(np.float64)
    return float(np.max(np.abs(np.diff(inside)), initial=0.0) / share)


def noise_table(largest: int = 24) -> dict[str, list[float]]:
    """The three methods against K, uniform pass rates.

    Example:
        >>> {name: [round(x, 3) for x in column[:2]] for name, column in noise_table().items()}
        {'K': [3.0, 4.0], 'hard filter': [1.027, 0.727], 'kernel': [0.8, 0.5], 'posterior': [0.16, 0.143]}
    """
    sizes = range(3, largest + 1)
    columns = {"K": [float(K) for K in sizes]}
    for method in ("hard filter", "kernel", "posterior"):
        columns[method] = [float(weight_noise(method, K)) for K in sizes]
    return columns
