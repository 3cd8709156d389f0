"""Convergence of weighted SGD to a stationary point of the weighted loss: Proposition 8, Eq. (39)-(45).

Everything is about L_w, the weighted loss; nothing here compares it with the unweighted one. ``variance`` is that of
the step's gradient: V_w/B for a batch of B problems, the largest over the steps. Left out: momentum and Adam, for which
the bound does not hold as printed (``rem1.scale``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.theory.facts.domains import masses_of, positives, reals


def sgd_bound(
    *,
    initial_gap: ArrayLike,
    learning_rate: ArrayLike,
    num_steps: ArrayLike,
    smoothness: ArrayLike,
    variance: ArrayLike,
) -> Floats:
    """(1/T) Σ E‖∇L_w(θ_t)‖² <= 2Δ/(ηT) + η L V (Eq. 39, 44).

    Args:
        initial_gap: Δ = L_w(θ_0) - inf L_w >= 0.
        learning_rate: η in (0, 1/L].
        num_steps: T >= 1.
        smoothness: L > 0 of the weighted loss, see :func:`weighted_curvature`.
        variance: V >= 0. All shapes broadcast.

    Raises:
        ValueError: η > 1/L, where the proof of Eq. (43) fails, or an argument outside its range.

    Example:
        >>> float(sgd_bound(initial_gap=1.0, learning_rate=0.1, num_steps=100, smoothness=2.0, variance=0.5))
        0.30000000000000004
    """
    gap, eta, steps, lip, var = _arguments("sgd_bound", initial_gap, learning_rate, num_steps, smoothness, variance)
    return 2.0 * gap / (eta * steps) + eta * lip * var


def best_learning_rate(
    *, initial_gap: ArrayLike, num_steps: ArrayLike, smoothness: ArrayLike, variance: ArrayLike
) -> Floats:
    """η that minimises the bound: sqrt(2Δ/(L V T)), at most 1/L (Eq. 45).

    Edges: 1/L for V = 0 and for T < 2ΔL/V.

    Example:
        >>> float(best_learning_rate(initial_gap=1.0, num_steps=100, smoothness=2.0, variance=1.0))
        0.1
    """
    gap, _, steps, lip, var = _arguments("best_learning_rate", initial_gap, None, num_steps, smoothness, variance)
    gap, steps, lip, var = np.broadcast_arrays(gap, steps, lip, var)
    cap = 1.0 / lip
    noise = lip * var * steps
    with np.errstate(over="ignore"):  # beyond the largest float the cap decides
        free = np.divide(2.0 * gap, noise, where=noise > 0, out=np.full(gap.shape, np.inf))
    return np.minimum(np.sqrt(free), cap)


def best_sgd_bound(
    *, initial_gap: ArrayLike, num_steps: ArrayLike, smoothness: ArrayLike, variance: ArrayLike
) -> Floats:
    """The bound at that η: 2 sqrt(2ΔLV/T) if T >= 2ΔL/V, else 2ΔL/T + V (Eq. 45).

    Example:
        >>> float(best_sgd_bound(initial_gap=1.0, num_steps=100, smoothness=2.0, variance=1.0))
        0.4
    """
    gap, _, steps, lip, var = _arguments("best_sgd_bound", initial_gap, None, num_steps, smoothness, variance)
    early = steps * var < 2.0 * gap * lip
    return np.where(early, 2.0 * gap * lip / steps + var, 2.0 * np.sqrt(2.0 * gap * lip * var / steps))


def stationary_squared_gradient(*, learning_rate: ArrayLike, smoothness: ArrayLike, variance: ArrayLike) -> Floats:
    """E‖∇L‖² = η L V/(2 - η L) that SGD settles at on the quadratic L x²/2 (``prop8``).

    Args:
        learning_rate: η in (0, 2/L).
        smoothness: L > 0.
        variance: V >= 0 of the added noise.

    Edges: at η = 1/L it equals V, the noise term η L V of Eq. (39): the bound cannot be improved there.

    Example:
        >>> float(stationary_squared_gradient(learning_rate=0.5, smoothness=2.0, variance=3.0))
        3.0
    """
    place = "stationary_squared_gradient"
    eta, lip = positives(place, "learning_rate", learning_rate), positives(place, "smoothness", smoothness)
    if np.any(eta * lip >= 2):
        raise ValueError(f"{place}: learning_rate must be below 2/L. SGD diverges on the quadratic otherwise.")
    return eta * lip * reals(place, "variance", variance, low=0) / (2.0 - eta * lip)


def weighted_curvature(weights: ArrayLike, curvatures: ArrayLike, *, masses: ArrayLike | None = None) -> float:
    """|E[w̃ ℓ'']| of a weighted mean of quadratics: the smoothness that Proposition 8 needs (``prop8``).

    Args:
        weights: w >= 0 [num_problems], not all 0; divided by their mean here.
        curvatures: second derivatives of the problems' losses [num_problems].
        masses: equal by default.

    Edges: at most max |ℓ''|, so smoothness of every problem's loss carries over; smoothness of their mean does not.

    Example:
        >>> weighted_curvature([1.0, 1.0], [10.0, -8.0]), round(weighted_curvature([1.8, 0.2], [10.0, -8.0]), 12)
        (1.0, 8.2)
    """
    w, c = reals("weighted_curvature", "weights", weights, low=0), reals("weighted_curvature", "curvatures", curvatures)
    mass = masses_of("weighted_curvature", masses, w.size)
    if c.shape != w.shape or mass @ w <= 0:
        raise ValueError("weighted_curvature: weights must be one for each curvature and not all 0.")
    return float(abs(mass @ (w * c)) / (mass @ w))


def _arguments(
    place: str, gap: ArrayLike, eta: ArrayLike | None, steps: ArrayLike, lip: ArrayLike, var: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    smoothness = positives(place, "smoothness", lip)
    rate = 1.0 / smoothness if eta is None else positives(place, "learning_rate", eta)
    if np.any(rate * smoothness > 1 + 1e-12):
        raise ValueError(
            f"{place}: learning_rate must be at most 1/L, got eta L = {float(np.max(rate * smoothness)):g}."
        )
    return (
        reals(place, "initial_gap", gap, low=0),
        rate,
        reals(place, "num_steps", steps, low=1),
        smoothness,
        reals(place, "variance", var, low=0),
    )
