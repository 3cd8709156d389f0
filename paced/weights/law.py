"""When counts of passes determine a Beta law of pass rates, and the sentence that says why they do not.

Fits (``fit/``) and the empirical prior of a weight function (``estimates.py``) give the same reasons in the same words.
An empty string means that the law is determined.
"""

from __future__ import annotations

import math

import numpy as np

from paced.weights.betabinomial import Maximum
from paced.weights.counts import CountHistogram
from paced.zone import Zone


def one_sided(cells: CountHistogram) -> str:
    """Why counts that are all zero, or all K, determine no law.

    Example:
        >>> one_sided(CountHistogram.of([8, 8], 8))
        'Every rollout passed: every law that favours large pass rates fits. Use harder problems.'
    """
    if not cells.num_passed.any():
        return "No rollout passed: every law that favours small pass rates fits. Use easier problems or more rollouts."
    if not cells.num_failed.any():
        return "Every rollout passed: every law that favours large pass rates fits. Use harder problems."
    return ""


def unidentified(cells: CountHistogram, zpd: float | None = None) -> str:
    """Why a law's two parameters cannot be told apart from these counts, all of which are in the zone of ``zpd``."""
    if reason := one_sided(cells):
        return reason
    largest = int(cells.num_rollouts.max())
    if largest == 1:
        return "One rollout each (K = 1) identifies the mean pass rate only. Use two or more rollouts a problem."
    if zpd is not None:
        rates = np.arange(largest + 1) / largest
        if np.count_nonzero(Zone.of(zpd).contains(rates)) < 3:
            return (
                f"With K = {largest} fewer than three counts are in the zone, which identifies the odds "
                "(α+1)/(β+1) only. Use more rollouts or zpd=None."
            )
    return ""


def outside(best: Maximum) -> str:
    """Why the place where a likelihood is largest is not a Beta law: it has no spread, or is at an edge."""
    if not math.isfinite(best.a):
        return no_spread(best.mean)
    if best.converged:
        return ""
    if max(best.a, best.b) < 1e-3:
        return (
            "The likelihood grows towards a law with pass rates 0 and 1 only (α, β → -1): hardly a problem was "
            "solved sometimes. Use BetaKernel(estimator='posterior') or other problems."
        )
    end = "low" if best.a < best.b else "high"
    return (
        f"The likelihood of the counts in the zone grows without a maximum towards its {end} end: they do not "
        "determine a Beta law. Use zpd=None or more problems."
    )


def no_spread(mean: float) -> str:
    """Why pass rates that differ by no more than rollout noise have no finite exponents."""
    return (
        f"The pass rates spread no more than rollout noise around {mean:.3g}: the exponents have no finite estimate, "
        "only lower bounds. Use more problems or rollouts, or BetaKernel()."
    )
