"""The zone of proximal development: pass rates ε <= p <= 1−ε, both ends included.

Fits, filters, schedules and tables all ask one :class:`Zone`, so that a problem is never inside for one and outside for
another. A bound is the decimal number that was written: 93 of 100 is inside the zone of ε = 0.07, although the float
1−0.07 is smaller than 0.93. Pass rates that do differ, s/K with K up to 100,000 against a bound of a few digits, differ
by more than the slack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Booleans

REGIONS = ("low", "zpd", "high")
"""Below a zone, inside and above it."""

SLACK = 1e-12
"""How far outside a bound a float may be and still be equal to it."""


@dataclass(frozen=True, slots=True)
class Zone:
    """Pass rates from ``low`` to ``high``, both included; the caller checks 0 <= low <= high <= 1."""

    low: float
    """Smallest pass rate inside."""
    high: float
    """Largest pass rate inside."""

    @classmethod
    def of(cls, epsilon: float) -> Zone:
        """The zone ε <= p <= 1−ε.

        Example:
            >>> Zone.of(0.2)
            Zone(low=0.2, high=0.8)
        """
        return cls(epsilon, 1 - epsilon)

    def contains(self, pass_rates: ArrayLike) -> Booleans:
        """Which pass rates are inside, any shape; NaN, a problem that could not be graded, never is.

        Example:
            >>> Zone.of(0.07).contains([0.06, 0.07, 0.93, 0.94, float("nan")]).tolist()
            [False, True, True, False, False]
        """
        p = np.asarray(pass_rates, dtype=np.float64)
        return np.asarray((p >= self.low - SLACK) & (p <= self.high + SLACK))

    def region(self, pass_rate: float) -> str:
        """Where one pass rate is: one of :data:`REGIONS`.

        Example:
            >>> TABLE_9.region(0.125), TABLE_9.region(0.2), TABLE_9.region(0.875)
            ('low', 'zpd', 'high')
        """
        return "zpd" if self.contains(pass_rate) else "low" if pass_rate < self.low else "high"

    def share(self, pass_rates: ArrayLike) -> float:
        """The zone's mass: the fraction of the graded problems inside; 0 when none was graded.

        Args:
            pass_rates: p̂ of each problem, NaN where it could not be graded, shape [num_problems].

        Example:
            >>> Zone.of(0.2).share([0.0, 0.25, 0.5, 1.0, float("nan")])
            0.5
        """
        p = np.asarray(pass_rates, dtype=np.float64)
        graded = p[~np.isnan(p)]
        return float(self.contains(graded).mean()) if graded.size else 0.0


TABLE_9 = Zone(0.2, 0.8)
"""The zone of the paper's tables and of its hard filter. Its fits use ε = 0.1 (``paced.weights.fit.fit.PAPER_ZPD``)."""
