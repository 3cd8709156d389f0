"""The weightings that the Beta kernel is compared with: no weighting, filters, and a target difficulty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats, check_counts
from paced.errors import check_number
from paced.weights.counts import by_pair
from paced.zone import Zone


@dataclass(frozen=True)
class Uniform:
    """w = 1 for every problem: ordinary distillation.

    Example:
        >>> Uniform()([0, 4, 8], 8).tolist()
        [1.0, 1.0, 1.0]
    """

    def __call__(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> Floats:
        """Ones, shape [num_problems]."""
        passed, _ = check_counts("Uniform", num_passed, num_rollouts)
        return np.ones(passed.shape)


@dataclass(frozen=True)
class HardFilter:
    """w = 1 where low <= p̂ <= high, else 0: the paper's hard-filter baseline.

    With K = 8 the default keeps p̂ in {2/8, …, 6/8}, with K = 4 everything but 0 and 1: the threshold interacts with K.

    Example:
        >>> HardFilter()([0, 1, 2, 6, 7, 8], 8).tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    """

    low: float = 0.2
    """Smallest p̂ kept, in [0, 1]."""
    high: float = 0.8
    """Largest p̂ kept, in [low, 1]."""

    def __post_init__(self) -> None:
        check_number("HardFilter", "low", self.low, low=0, high=1)
        check_number("HardFilter", "high", self.high, low=self.low, high=1)

    def __call__(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> Floats:
        """Zeros and ones, shape [num_problems]."""
        passed, rollouts = check_counts("HardFilter", num_passed, num_rollouts)
        zone = Zone(self.low, self.high)
        return by_pair(lambda s, k, _: zone.contains(s / k).astype(np.float64), passed, rollouts)


@dataclass(frozen=True)
class DropZero:
    """w = 0 at p̂ = 0, else 1: the baseline that removes only what was never solved.

    Example:
        >>> DropZero()([0, 1, 8], 8).tolist()
        [0.0, 1.0, 1.0]
    """

    def __call__(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> Floats:
        """Zeros and ones, shape [num_problems]."""
        passed, _ = check_counts("DropZero", num_passed, num_rollouts)
        return (passed > 0).astype(np.float64)


@dataclass(frozen=True)
class TargetDifficulty:
    """w = exp(-((1-p̂) - target)² / (2 width²)): problems near a target difficulty, after AdaRFT's curriculum.

    AdaRFT picks the problems whose difficulty is nearest to a moving target; this is its soft form at one target.

    Example:
        >>> TargetDifficulty(target=0.5, width=0.25)([4, 8], 8).round(4).tolist()
        [1.0, 0.1353]
    """

    target: float = 0.5
    """Difficulty 1-p that is weighted most, in [0, 1]."""
    width: float = 0.2
    """Standard deviation of the bell, > 0."""

    def __post_init__(self) -> None:
        check_number("TargetDifficulty", "target", self.target, low=0, high=1)
        check_number("TargetDifficulty", "width", self.width, low=0, low_open=True)

    def __call__(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> Floats:
        """Weights in (0, 1], shape [num_problems]."""
        passed, rollouts = check_counts("TargetDifficulty", num_passed, num_rollouts)
        return by_pair(lambda s, k, _: self._bell(s / k), passed, rollouts)

    def _bell(self, rate: Floats) -> Floats:
        distance = (1.0 - rate) - self.target
        return np.exp(-0.5 * np.square(distance / self.width))
