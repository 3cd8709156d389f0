"""Beta laws from two moments: the paper's recipe as printed, and the same idea with the rollout noise taken out.

Both solve  a = m k,  b = (1-m) k,  k = m(1-m)/v - 1  (Eq. 50). They differ in what m and v are:

- *paper* (Proposition 11): mean and variance of p̂ over the problems with ε <= p̂ <= 1-ε. Cutting the tails makes v too
  small, the noise of K rollouts makes it too large (``prop11.cut``, ``prop11.noise``); the two errors rarely cancel.
- *corrected*: E[p] and E[p²] over all problems, the second without bias from s(s-1)/(K(K-1)). When all K are equal this
  is v = (Var(p̂) - m(1-m)/K) K/(K-1); when they differ every problem still counts once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paced.arrays import Floats
from paced.weights.counts import CountHistogram


class Moments(NamedTuple):
    """E[p], E[p²] and the covariance of their two estimates."""

    first: float
    second: float
    cov: Floats

    @property
    def variance(self) -> float:
        """v = E[p²] - E[p]²; the corrected one may be negative by chance."""
        return self.second - self.first**2


class Law(NamedTuple):
    """Beta law parameters (a, b) and the covariance of their estimates."""

    a: float
    b: float
    cov: Floats


def paper_moments(cells: CountHistogram) -> Moments:
    """Mean and mean square of p̂, every problem once; the caller has kept the zone only.

    Example:
        >>> round(paper_moments(CountHistogram.of([2, 4, 6], 8)).variance, 7)
        0.0416667
    """
    rate = cells.num_passed / cells.num_rollouts
    return _means(rate, rate**2, cells.num_problems, cells.num_problems)


def corrected_moments(cells: CountHistogram) -> Moments:
    """Unbiased estimates of E[p] and E[p²]; problems with K = 1 speak for the mean only.

    Raises:
        ValueError: no problem has two rollouts, so that E[p²] cannot be told from E[p].

    Example:
        >>> round(corrected_moments(CountHistogram.of([0, 1, 2], 2)).second, 7)
        0.3333333
    """
    s, k = cells.num_passed.astype(np.float64), cells.num_rollouts.astype(np.float64)
    several = k >= 2
    if not several.any():
        raise ValueError(
            "corrected_moments: some problem must have K >= 2 rollouts, got K = 1 throughout. Add rollouts."
        )
    pairs = np.where(several, s * (s - 1) / np.where(several, k * (k - 1), 1.0), 0.0)
    return _means(s / k, pairs, cells.num_problems, np.where(several, cells.num_problems, 0))


def beta_from_moments(moments: Moments) -> Law:
    """(a, b) of the Beta law with these moments, Eq. (50); the covariance by the delta method.

    The formula is returned as it is: with v >= m(1-m) both are <= 0, which is not a Beta law, and v <= 0 is refused.

    Example:
        >>> law = beta_from_moments(Moments(0.5, 0.25 + 1 / 20, np.zeros((2, 2))))
        >>> round(law.a, 9), round(law.b, 9)
        (2.0, 2.0)
    """
    m, v = moments.first, moments.variance
    if v <= 0:
        raise ValueError(f"beta_from_moments: variance must be > 0, got {v:g}. The pass rates do not spread.")
    bernoulli_left = m - moments.second
    k = bernoulli_left / v
    by_first = (v + 2 * m * bernoulli_left) / v**2
    by_second = -(v + bernoulli_left) / v**2
    jacobian = np.array(
        [[k + m * by_first, m * by_second], [-k + (1 - m) * by_first, (1 - m) * by_second]],
    )
    return Law(m * k, (1 - m) * k, jacobian @ moments.cov @ jacobian.T)


def _means(x: Floats, y: Floats, count_x: NDArray[np.integer], count_y: NDArray[np.integer]) -> Moments:
    total_x, total_y = float(count_x.sum()), float(count_y.sum())
    mean_x, mean_y = float(count_x @ x) / total_x, float(count_y @ y) / total_y
    var_x = float(count_x @ (x - mean_x) ** 2) / total_x / total_x
    var_y = float(count_y @ (y - mean_y) ** 2) / total_y / total_y
    both = float(count_y @ ((x - mean_x) * (y - mean_y))) / total_y / total_x
    return Moments(mean_x, mean_y, np.array([[var_x, both], [both, var_y]]))
