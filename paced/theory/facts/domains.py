"""Checks of array arguments that the exact functions share: one sentence says which entry breaks which rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats, Integers
from paced.errors import interval_rule


def reals(
    place: str, name: str, values: ArrayLike, *, low: float = -np.inf, low_open: bool = False, high: float = np.inf
) -> Floats:
    """Values as float64, or the first one that is not in the interval; NaN and infinities are refused.

    Raises:
        ValueError: an entry that is not finite or not in [low, high] (in (low, high] when ``low_open``).

    Example:
        >>> reals("efficiency", "delta", [0.1, -1.0], low=0)
        Traceback (most recent call last):
        ValueError: efficiency: delta must be finite and >= 0, got -1.0.
    """
    array = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(array) | ((array <= low) if low_open else (array < low)) | (array > high)
    if bad.any():
        rule = interval_rule(low, high, low_open=low_open)
        raise ValueError(f"{place}: {name} must be {rule}, got {float(np.ravel(array)[np.argmax(np.ravel(bad))])}.")
    return array


def positives(place: str, name: str, values: ArrayLike) -> Floats:
    """Values as float64, all finite and > 0.

    Example:
        >>> positives("optimal_weight", "second_moment", [2, 1]).tolist()
        [2.0, 1.0]
    """
    return reals(place, name, values, low=0, low_open=True)


def whole_numbers(place: str, name: str, values: ArrayLike, *, low: float = -np.inf) -> Integers:
    """Values as int64, all whole and >= ``low``; 8.0 is 8.

    Raises:
        ValueError: an entry that is not a whole number, or below ``low``.

    Example:
        >>> whole_numbers("snr_floor", "num_rollouts", [2, 8.0], low=2).tolist()
        [2, 8]
        >>> whole_numbers("snr_floor", "num_rollouts", 2.5, low=2)
        Traceback (most recent call last):
        ValueError: snr_floor: num_rollouts must be a whole number, got 2.5.
    """
    array = reals(place, name, values, low=low)
    fractional = array != np.rint(array)
    if fractional.any():
        first = float(np.ravel(array)[np.argmax(np.ravel(fractional))])
        raise ValueError(f"{place}: {name} must be a whole number, got {first}.")
    return array.astype(np.int64)


def masses_of(place: str, masses: ArrayLike | None, size: int) -> Floats:
    """Probabilities of ``size`` atoms, scaled to sum 1; equal ones for None.

    Raises:
        ValueError: a negative mass, no mass at all, or another number of masses than of atoms.

    Example:
        >>> masses_of("variance_terms", [1, 3], 2).tolist(), masses_of("variance_terms", None, 4).tolist()
        ([0.25, 0.75], [0.25, 0.25, 0.25, 0.25])
    """
    if masses is None:
        return np.full(size, 1.0 / size)
    mass = reals(place, "masses", masses, low=0)
    if mass.shape != (size,) or mass.sum() == 0:
        raise ValueError(f"{place}: masses must be {size} numbers that are not all 0, got shape {mass.shape}.")
    return mass / mass.sum()
