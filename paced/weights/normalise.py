"""Weights of unit mean over the training set, and what the weighting leaves of it.

The mean is over the whole training set, never over a batch: normalised inside a micro-batch of one problem every weight
becomes 1 and the method cancels (``prop7``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats, refuse_masked


@dataclass(frozen=True, kw_only=True)
class NormalisedWeights:
    """Unit-mean weights w̃ with the three numbers that say how concentrated they are.

    Example:
        >>> unit = normalise([0.0, 1.0, 3.0, 0.0])
        >>> unit.share_zero, unit.largest, round(unit.ess_fraction, 3)
        (0.5, 3.0, 0.4)
    """

    unit_mean_weights: Floats
    """w̃ = w / mean(w), shape [num_problems]; their mean is 1."""
    ess: float
    """Effective sample size (Σw)²/Σw², in problems, between 1 and num_problems (``x9``)."""
    share_zero: float
    """Fraction of problems whose weight is exactly 0."""
    largest: float
    """Largest unit-mean weight."""

    @property
    def ess_fraction(self) -> float:
        """ESS/N in (0, 1]."""
        return self.ess / self.unit_mean_weights.size


def normalise(weights: ArrayLike) -> NormalisedWeights:
    """Divide weights by their mean over the training set.

    Section 3.4 of the paper:  w̃_i = w_i / ((1/N) Σ_j w_j).

    Args:
        weights: finite, >= 0, not all zero, shape [num_problems].

    Raises:
        ValueError: no weights, NaN or infinite ones, negative ones, or all of them zero.

    Example:
        >>> normalise([0.0, 1.0, 3.0, 0.0]).unit_mean_weights.tolist()
        [0.0, 1.0, 3.0, 0.0]
        >>> round(normalise([0.0, 1.0, 3.0, 0.0]).ess, 12)
        1.6
    """
    refuse_masked("normalise", "weights", weights)
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"normalise: weights must be one-dimensional with at least one, got shape {array.shape}.")
    for bad, rule in ((~np.isfinite(array), "be finite"), (array < 0, "be >= 0")):
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(
                f"normalise: weights must {rule}, got {array[first]} at index {first} "
                f"({int(bad.sum())} of {array.size} problems). Drop or fix these problems first."
            )
    # Scaling by the largest first keeps sums and squares inside the range of float64 for weights of any size.
    largest = float(array.max())
    if largest == 0.0:
        raise ValueError(
            f"normalise: weights must not all be 0, got 0 for all {array.size} problems. "
            "Every problem was solved always or never: use more rollouts, other problems, or estimator='posterior'."
        )
    scaled = array / largest
    mean = float(scaled.mean())
    unit = scaled / mean
    return NormalisedWeights(
        unit_mean_weights=unit,
        ess=effective_sample_size(scaled),
        share_zero=float(np.mean(array == 0)),
        largest=float(unit.max()),
    )


def effective_sample_size(weights: ArrayLike, masses: ArrayLike = 1.0) -> float:
    """(Σ m w)²/Σ m w²: how many equally weighted problems would average as well as these do (``x9``).

    Args:
        weights: w >= 0, whose squares must neither vanish nor overflow in float64, shape [num_problems] or [num_cells].
        masses: how often each weight occurs. Problems counted one by one give the ESS, in problems; masses that sum to
            1 give ESS/N of the population.

    Edges: all weights 0: 0.

    Example:
        >>> effective_sample_size([1.0, 1.0, 0.0, 0.0]), effective_sample_size([1.0, 0.0], [0.5, 0.5])
        (2.0, 0.5)
    """
    w, m = np.asarray(weights, dtype=np.float64), np.asarray(masses, dtype=np.float64)
    square = float((m * np.square(w)).sum())
    return float((m * w).sum()) ** 2 / square if square else 0.0


def sampling_probabilities(weights: ArrayLike) -> Floats:
    """Probability of drawing each problem, w_i / Σ_j w_j: the other way to use a weight (``x11``).

    Problems drawn with these probabilities and trained with weight 1 follow the same mean gradient as uniform draws
    with unit-mean weights, with E[w̃ ‖g‖²] in place of E[w̃² ‖g‖²] in the variance. That is less where w E‖g‖² rises with
    w, and more where it falls, as it does when E‖g‖² ∝ w^τ with τ < -1.

    Raises:
        ValueError: as :func:`normalise`.

    Example:
        >>> sampling_probabilities([0.0, 1.0, 3.0]).tolist()
        [0.0, 0.25, 0.75]
    """
    unit = normalise(weights).unit_mean_weights
    return unit / unit.size
