"""The sufficient statistics of counts: how many problems there are of each pair (s, K).

A weight depends on a problem only through (s, K), and so does a likelihood. Ten million problems at K = 8 are nine
numbers: weights are computed for the distinct pairs and looked up, and a fit never sees the problems again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paced.arrays import Booleans, Floats, Integers, check_counts
from paced.zone import Zone

MOST_ROLLOUTS = 100_000
"""Rollouts of one problem up to which tables are read and laws are fitted; a larger number is a time stamp or an id."""
MOST_PAIRS = 1_000_000
"""Pairs (s, K), over all s <= K and all K that occur, up to which laws are fitted: each has a probability in memory."""

LARGEST_TABLE = 1 << 22
"""Cells of the dense table up to which problems are counted by index; above it they are sorted instead."""


@dataclass(frozen=True, eq=False)
class CountHistogram:
    """The distinct pairs (s, K) of a set of problems, sorted by K and then s, and the problems at each."""

    num_passed: Integers
    """s of each cell, shape [num_cells]."""
    num_rollouts: Integers
    """K of each cell, shape [num_cells]."""
    num_problems: Integers
    """Problems in each cell, > 0, shape [num_cells]."""

    @classmethod
    def of(cls, num_passed: ArrayLike, num_rollouts: ArrayLike, *, place: str = "CountHistogram") -> CountHistogram:
        """Count the pairs; raises what ``check_counts`` raises, in the name of ``place``.

        Example:
            >>> cells = CountHistogram.of([3, 0, 3, 1], [4, 4, 4, 2])
            >>> list(zip(cells.num_passed.tolist(), cells.num_rollouts.tolist(), cells.num_problems.tolist()))
            [(1, 2, 1), (0, 4, 1), (3, 4, 2)]
        """
        passed, rollouts = check_counts(place, num_passed, num_rollouts)
        return _cells(passed, rollouts)[0]

    @property
    def total(self) -> int:
        """Number of problems."""
        return int(self.num_problems.sum())

    @property
    def num_failed(self) -> Integers:
        """K - s of each cell."""
        return self.num_rollouts - self.num_passed

    def where(self, keep: Booleans) -> CountHistogram:
        """The cells for which ``keep`` is true; may be empty."""
        return CountHistogram(self.num_passed[keep], self.num_rollouts[keep], self.num_problems[keep])

    @property
    def pass_rates(self) -> Floats:
        """p̂ = s/K of each cell."""
        return self.num_passed / self.num_rollouts

    def inside(self, zone: Zone) -> CountHistogram:
        """The cells whose pass rate is in ``zone``; may be empty."""
        return self.where(zone.contains(self.pass_rates))

    def resample(self, rng: np.random.Generator) -> CountHistogram:
        """As many problems drawn from these with replacement: one bootstrap sample over problems."""
        drawn = rng.multinomial(self.total, self.num_problems / self.total)
        return CountHistogram(self.num_passed, self.num_rollouts, drawn).where(drawn > 0)


def by_pair(
    function: Callable[[Integers, Integers, CountHistogram], Floats], num_passed: Integers, num_rollouts: Integers
) -> Floats:
    """Weights of all problems from a function of the distinct pairs.

    Args:
        function: (s, K, histogram) -> one weight for each cell; the histogram is for weights that are fitted first.
        num_passed: s of each problem, checked.
        num_rollouts: K of each problem, checked.

    Returns: weights, shape [num_problems].
    """
    cells, index = _cells(num_passed, num_rollouts)
    return function(cells.num_passed, cells.num_rollouts, cells)[index]


def _cells(passed: Integers, rollouts: Integers) -> tuple[CountHistogram, NDArray[np.integer]]:
    """The histogram and the cell of each problem."""
    width = int(rollouts.max()) + 1
    if rollouts.strides == (0,) and width <= LARGEST_TABLE:  # one K for all problems: nothing to combine, s is the key
        (only,) = rollouts[:1].tolist()
        num_problems = np.bincount(passed, minlength=only + 1)
        occupied = np.flatnonzero(num_problems)
        position = np.cumsum(num_problems > 0) - 1
        index = passed if occupied.size == only + 1 else position[passed]
        return CountHistogram(occupied, np.full(occupied.shape, only), num_problems[occupied]), index
    if width * width <= LARGEST_TABLE:
        key = rollouts * width
        key += passed
        num_problems = np.bincount(key, minlength=width * width)
        occupied = np.flatnonzero(num_problems)
        position = np.cumsum(num_problems > 0) - 1
        return CountHistogram(occupied % width, occupied // width, num_problems[occupied]), position[key]
    pairs, index, num_problems = np.unique(
        np.stack([rollouts, passed], axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return CountHistogram(pairs[:, 1], pairs[:, 0], num_problems), index.reshape(-1)
