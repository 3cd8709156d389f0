"""Refill, weight or draw: what a slot of a step is worth in each way of using the same weights (``x16``).

``weight``: every problem takes a slot and its gradient is multiplied by h. ``refill``: only problems with h > 0 take a
slot, weighted among themselves. ``sample``: problems are drawn in proportion to h, with unit weight. All three have the
gradient of the weighted objective as their mean (``training.batching`` in a recipe); they differ in the second moment
S of what one slot contributes, the first term of Eq. (34),

    S_weight = E[h² M2]/E[h]²,   S_refill = P(h > 0) S_weight,   S_sample = E[h M2]/E[h].

Left out: that a smaller set of problems is seen more often in the same number of steps, which no second moment shows.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.errors import check_choice
from paced.theory.facts.domains import masses_of, positives, reals

Batching = Literal["weight", "refill", "sample"]
BATCHINGS: tuple[Batching, ...] = ("weight", "refill", "sample")


def slot_second_moment(
    weights: ArrayLike,
    second_moment: ArrayLike = 1.0,
    *,
    batching: Batching,
    masses: ArrayLike | None = None,
) -> float:
    """S: mean squared norm of what one slot contributes to the gradient of the unit-mean weighted objective.

    Args:
        weights: h >= 0, not all 0, shape [num_problems].
        second_moment: M2 > 0 of each problem, or one number for all.
        batching: one of :data:`BATCHINGS`.
        masses: of the problems; equal by default.

    Raises:
        ValueError: weights that are all 0, an unknown batching, or a second moment that is not > 0.

    Example:
        >>> [round(slot_second_moment([0, 0, 1, 3], batching=way), 6) for way in BATCHINGS]
        [2.5, 1.25, 1.0]
    """
    place = "slot_second_moment"
    check_choice(place, "batching", batching, BATCHINGS)
    h, mass = _population(place, weights, masses)
    m2 = np.broadcast_to(positives(place, "second_moment", second_moment), h.shape)
    mean = float(mass @ h)
    if batching == "sample":
        return float(mass @ (h * m2)) / mean
    whole = float(mass @ (h**2 * m2)) / mean**2
    return whole * float(mass[h > 0].sum()) if batching == "refill" else whole


def ess_of_slots(weights: ArrayLike, *, batching: Batching, masses: ArrayLike | None = None) -> float:
    """Effective share of the slots, 1/S with a flat second moment: E[h]²/E[h²], over P(h > 0) for refill, 1 for sample.

    Args:
        weights: h >= 0, not all 0, shape [num_problems].
        batching: one of :data:`BATCHINGS`.
        masses: of the problems; equal by default.

    Example:
        >>> [round(ess_of_slots([0, 0, 1, 3], batching=way), 6) for way in BATCHINGS]
        [0.4, 0.8, 1.0]
    """
    return 1.0 / slot_second_moment(weights, batching=batching, masses=masses)


def refill_gain(weights: ArrayLike, *, masses: ArrayLike | None = None) -> float:
    """1/P(h > 0): how many times as many effective slots a step of refill has as one of weighting, for any M2.

    Example:
        >>> refill_gain([0, 0, 1, 3])
        2.0
    """
    h, mass = _population("refill_gain", weights, masses)
    return 1.0 / float(mass[h > 0].sum())


def sampling_margin(weights: ArrayLike, second_moment: ArrayLike, *, masses: ArrayLike | None = None) -> float:
    """Cov(h, h M2) among the problems with h > 0: sampling has the smaller second moment than refill iff it is > 0.

    Args:
        weights: h >= 0, not all 0, shape [num_problems].
        second_moment: M2 > 0, same shape or one number.
        masses: of the problems; equal by default.

    Example:
        >>> round(sampling_margin([0, 1, 3], 1.0), 4), round(sampling_margin([0, 1, 3], [1, 1, 1 / 9]), 4)
        (1.0, -0.3333)
    """
    h, mass = _population("sampling_margin", weights, masses)
    m2 = np.broadcast_to(positives("sampling_margin", "second_moment", second_moment), h.shape)
    kept = h > 0
    share = mass[kept] / mass[kept].sum()
    x, y = h[kept], (h * m2)[kept]
    scale = float(np.max(weights)) ** 2
    return scale * float(share @ ((x - share @ x) * (y - share @ y)))


def _population(place: str, weights: ArrayLike, masses: ArrayLike | None) -> tuple[Floats, Floats]:
    h = np.atleast_1d(reals(place, "weights", weights, low=0))
    mass = masses_of(place, masses, h.size)
    if not (mass @ h) > 0:
        raise ValueError(f"{place}: weights must not all be 0. Without a weight there is no step.")
    return h / h.max(), mass
