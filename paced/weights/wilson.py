"""The Wilson score interval of a proportion, the one interval of counts that is used for pass rates and shares.

Left out: intervals over problems, whose counts together are not one proportion (``paced.analysis.results.intervals``).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

LEVEL = 0.95
"""Coverage when none is asked for."""


class WilsonInterval(NamedTuple):
    """Ends of the interval, in [0, 1]; NaN where nothing was counted."""

    low: float
    high: float


@lru_cache(maxsize=4096)
def wilson_interval(num_passed: int, num_rollouts: int, *, level: float = LEVEL) -> WilsonInterval:
    """The Wilson interval of s successes in K trials, for a K that was fixed beforehand.

    Args:
        num_passed: s, 0 <= s <= K.
        num_rollouts: K >= 0; 0 gives NaN.
        level: coverage in (0, 1).

    Example:
        >>> ends = wilson_interval(0, 8)
        >>> ends.low, round(ends.high, 3)
        (0.0, 0.324)
    """
    from scipy.stats import binomtest

    if not num_rollouts:
        return WilsonInterval(math.nan, math.nan)
    ends = binomtest(num_passed, num_rollouts).proportion_ci(confidence_level=level, method="wilson")
    return WilsonInterval(float(ends.low), float(ends.high))
