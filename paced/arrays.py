"""The types of arrays that signatures name, and the check of the two that all weights begin with: passes and rollouts.

A type says what the entries are; shapes are given in docstrings and comments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paced.errors import ArgumentTypeError

Floats = NDArray[np.float64]
"""Weights, pass rates, gradients: real numbers in double precision, whatever their shape."""
Integers = NDArray[np.int64]
"""Counts of passes, rollouts and problems, and positions."""
Booleans = NDArray[np.bool_]
"""Masks."""
Keys = NDArray[np.uint64]
"""The 64-bit keys of random streams."""
Pair = tuple[float, float]
"""Two exponents, or the two parameters of a law."""


def check_counts(place: str, num_passed: ArrayLike, num_rollouts: ArrayLike) -> tuple[Integers, Integers]:
    """Return passes and rollouts as two int64 arrays of one shape [num_problems].

    Args:
        place: the public function that was called.
        num_passed: passes s of each problem, integers with 0 <= s <= K, shape [num_problems].
        num_rollouts: rollouts K >= 1, one number for all problems or one for each.

    Raises:
        ValueError: NaN, a fraction, a negative or absent count, s > K, K < 1, or shapes that differ;
            the message gives the number of offending problems and the first of them.

    Edges: no problem at all (an empty array) is an error: nothing can be weighted or fitted.
    """
    passed = _integers(place, "num_passed", num_passed)
    rollouts = _integers(place, "num_rollouts", num_rollouts)
    if passed.ndim != 1 or rollouts.ndim > 1:
        raise ValueError(
            f"{place}: num_passed must be one-dimensional and num_rollouts a number or one-dimensional, "
            f"got shapes {passed.shape} and {rollouts.shape}."
        )
    if passed.size == 0:
        raise ValueError(f"{place}: num_passed must hold at least one problem, got none.")
    if rollouts.ndim == 1 and rollouts.shape != passed.shape:
        raise ValueError(
            f"{place}: num_rollouts must be one number or one per problem, "
            f"got {rollouts.size} for {passed.size} problems."
        )
    rollouts = np.broadcast_to(rollouts, passed.shape)
    _refuse(place, "num_rollouts", rollouts < 1, rollouts, "be >= 1", "Leave out problems without rollouts.")
    _refuse(place, "num_passed", passed < 0, passed, "be >= 0", "A count of passes cannot be negative.")
    over = passed > rollouts
    if over.any():
        first = int(np.argmax(over))
        raise ValueError(
            f"{place}: num_passed must be in [0, num_rollouts={rollouts[first]}], got {passed[first]} "
            f"at index {first} ({int(over.sum())} of {over.size} problems). Are the two columns swapped?"
        )
    return passed, rollouts


def refuse_masked(place: str, name: str, values: ArrayLike) -> None:
    """Refuse a NumPy array with masked entries, whose values NumPy would hand out as if they were there.

    Example:
        >>> refuse_masked("fit", "num_passed", np.ma.array([3, 99], mask=[False, True]))
        Traceback (most recent call last):
        ValueError: fit: num_passed must not have masked entries, got 1 of 2. Leave those problems out of every array.
    """
    if np.ma.is_masked(values):
        mask = np.ma.getmaskarray(values)
        raise ValueError(
            f"{place}: {name} must not have masked entries, got {int(mask.sum())} of {mask.size}. Leave those problems "
            "out of every array."
        )


def _integers(place: str, name: str, values: ArrayLike) -> Integers:
    refuse_masked(place, name, values)
    array = np.asarray(values)
    if array.dtype.kind in "uf":
        with np.errstate(invalid="ignore"):
            huge = np.isfinite(array) & (np.abs(array) >= 2.0**63)
        _refuse(place, name, huge, array, "be below 2^63", "Check the number: it is not a count.")
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind not in "fb":
        raise ArgumentTypeError(f"{place}: {name} must hold integers, got an array of {array.dtype}.")
    if array.dtype.kind == "f":
        absent = ~np.isfinite(array)
        _refuse(place, name, absent, array, "be finite", "Leave out problems whose count is absent.")
        _refuse(place, name, array != np.rint(array), array, "hold whole numbers", "Pass counts, not rates.")
    return array.astype(np.int64)


def _refuse(place: str, name: str, bad: Booleans, values: NDArray, rule: str, fix: str) -> None:
    if bad.any():
        flat_bad, flat = np.ravel(bad), np.ravel(values)
        first = int(np.argmax(flat_bad))
        raise ValueError(
            f"{place}: {name} must {rule}, got {flat[first]} at index {first} "
            f"({int(flat_bad.sum())} of {flat_bad.size} problems). {fix}"
        )
