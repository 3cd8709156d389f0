"""What every weight function is: counts in, one non-negative weight for each problem out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from numpy.typing import ArrayLike

from paced.arrays import Floats


@runtime_checkable
class WeightFunction(Protocol):
    """Turns counts of passes into weights; a frozen dataclass whose fields are its parameters."""

    def __call__(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> Floats:
        """Weight w >= 0 of each problem, shape [num_problems]; finite, not normalised.

        Args:
            num_passed: s, integers with 0 <= s <= K, shape [num_problems].
            num_rollouts: K >= 1, one number or one for each problem.

        Raises:
            ValueError: counts that are absent, negative, fractional or contradictory.
        """
        ...
