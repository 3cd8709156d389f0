"""The law of pass rates behind counts, without a shape: the nonparametric maximum likelihood of a mixture (NPMLE).

A problem's pass rate p is drawn from a law G, its s passes of K rollouts from Bin(K, p). G is a vector of weights on a
fixed grid of p, dense enough that Bin(K, p) hardly changes from one point to the next, and the likelihood of the counts
is concave in these weights. Real laws have heaps at 0 and 1 that no beta law follows. What is wanted of G is never its
shape, which counts barely determine, but expectations of smooth functions of p given the counts: those they do.
Left out: smoothing, which would take the heaps at 0 and 1 for noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from paced.arrays import Floats
from paced.weights.counts import CountHistogram

OPTIMAL = 1e-7
"""Share of the sample size by which more weight on some point could still raise the log-likelihood to first order."""
MOST_STEPS = 100


@dataclass(frozen=True, eq=False)
class PassRateLaw:
    """A discrete law of pass rates."""

    points: Floats
    """p, increasing, from 0 to 1, shape [G]."""
    weights: Floats
    """Probability of each point, adding up to 1, shape [G]."""


def grid_for(largest: int) -> Floats:
    """Pass rates 0, 1 and between them points at equal steps of arcsin √p, about an eighth of its standard deviation.

    Args:
        largest: most rollouts of a problem; arcsin √(s/K) has the standard deviation 1/(2√K) for every p.

    Example:
        >>> grid_for(8).size, float(grid_for(8)[0]), round(float(grid_for(8)[1]), 6)
        (42, 0.0, 0.000385)
    """
    size = int(np.clip(np.ceil(12 * np.sqrt(largest)), 40, 200))
    inner = np.sin((np.arange(size) + 0.5) / size * np.pi / 2) ** 2
    return np.concatenate([[0.0], inner, [1.0]])


def likelihood(cells: CountHistogram, points: Floats) -> Floats:
    """P(s | K, p) of each cell at each point, divided by the largest of the cell, shape [num_cells, G].

    Example:
        >>> likelihood(CountHistogram.of([1], 2), np.array([0.0, 0.5, 1.0])).tolist()
        [[0.0, 1.0, 0.0]]
    """
    s, f = cells.num_passed[:, None], cells.num_failed[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(s > 0, s * np.log(points), 0.0) + np.where(f > 0, f * np.log1p(-points), 0.0)  # [C, G]
    return np.exp(terms - terms.max(axis=1, keepdims=True))


def fit_law(cells: CountHistogram) -> PassRateLaw:
    """The law on :func:`grid_for` under which the counts are most likely.

    Example:
        >>> law = fit_law(CountHistogram.of([0, 0, 8, 8], 8))
        >>> law.weights[[0, -1]].round(6).tolist()
        [0.5, 0.5]
    """
    points = grid_for(int(cells.num_rollouts.max()))
    return PassRateLaw(points, mixing_weights(likelihood(cells, points), cells.num_problems))


def mixing_weights(like: Floats, num_problems: NDArray[np.integer]) -> Floats:
    """Weights [G] >= 0 with sum 1 that maximise Σ_c n_c log(like_c · w): Newton's method on the simplex.

    Each step maximises the second-order expansion of the log-likelihood, a least-squares problem with non-negative
    unknowns (the constrained Newton method of Y. Wang, 2007). EM on the same data needs tens of thousands of steps.

    Args:
        like: likelihood of each cell at each point up to a factor of the cell, shape [num_cells, G].
        num_problems: n_c >= 0 of each cell, shape [num_cells].
    """
    seen = num_problems > 0  # [num_cells], C of them true
    like, n = like[seen], num_problems[seen].astype(np.float64)  # [C, G], [C]
    total, root = float(n.sum()), np.sqrt(n)
    w = np.full(like.shape[1], 1.0 / like.shape[1])  # [G]
    for _ in range(20):  # a few steps of EM, from which Newton's method does not overshoot
        w *= (n / (like @ w)) @ like / total
    value = float(n @ np.log(like @ w))
    sum_to_one = 10 * np.sqrt(total) * np.ones(like.shape[1])
    for _ in range(MOST_STEPS):
        ratios = like / (like @ w)[:, None]  # [C, G]
        if float((n @ ratios).max()) <= total * (1 + OPTIMAL):
            break
        rows = np.concatenate([ratios * root[:, None], sum_to_one[None]])  # [C + 1, G]
        target, _ = nnls(rows, np.append(2 * root, sum_to_one[0]))
        step = target / target.sum() - w  # [G]
        for halvings in range(20):
            candidate = w + step * 0.5**halvings  # [G]
            mixture = like @ candidate  # [C]
            if (mixture > 0).all() and float(n @ np.log(mixture)) > value:
                w, value = candidate, float(n @ np.log(mixture))
                break
        else:  # no step of this direction raises the likelihood
            break
    return np.maximum(w, 0.0) / np.maximum(w, 0.0).sum()


def posterior(like: Floats, weights: Floats) -> Floats:
    """P(p | s, K) of each cell, shape [..., num_cells, G], from likelihoods [num_cells, G] and weights [..., G].

    Example:
        >>> posterior(np.array([[1.0, 0.5]]), np.array([0.5, 0.5])).round(4).tolist()
        [[0.6667, 0.3333]]
    """
    joint = like * np.maximum(weights, 1e-300)[..., None, :]  # [..., C, G]
    return np.asarray(joint / joint.sum(axis=-1, keepdims=True), dtype=np.float64)
