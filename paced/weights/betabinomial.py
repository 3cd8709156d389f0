"""The beta-binomial likelihood of counts, its maximum and its profile.

A problem's pass rate is drawn from Beta(a, b), its s passes of K rollouts from Bin(K, p). With the tail counts
A_i = #{s > i}, B_i = #{K-s > i} and the rising-factorial form of the Beta functions,

    l(a, b) = Σ_i A_i log(a+i) + Σ_i B_i log(b+i) - Σ_K n_K log Z_K(a, b) + const,
    Z_K = Σ_{s in S_K} C(K, s) Π_{i<s}(a+i) Π_{i<K-s}(b+i),

which is (a+b)(a+b+1)…(a+b+K-1) when S_K is everything, and a short sum when only counts inside the zone of proximal
development are seen (``x2``). One evaluation costs O(K), whatever the number of problems, and nothing cancels as
log-gamma differences do for large a+b.

(a, b) are *law parameters*. Kernel exponents are (a-1, b-1); that step belongs to ``fit.py``, never here.
The search runs in (logit of the mean, log of a+b), which are nearly orthogonal; a and b are almost collinear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, logit

from paced.arrays import Floats, Integers
from paced.weights.counts import CountHistogram
from paced.zone import Zone

LARGEST_CONCENTRATION = 1e7
"""a+b from which Beta(a, b) counts as one point: K = 100 rollouts would have to see a variance share of 1e-5."""
SMALLEST_CONCENTRATION = 1e-6
"""a+b below which Beta(a, b) counts as two points, 0 and 1."""
SMALLEST_PARAMETER = 1e-7
"""a or b below which the maximum is at the edge 0; only a truncated likelihood has one there."""
STEEPEST_LOGIT = 16.0
"""|logit| of the mean beyond which it counts as 0 or 1."""


class Derivatives(NamedTuple):
    """Log-likelihood, its gradient [2] and Hessian [2, 2]."""

    value: float
    gradient: Floats
    hessian: Floats


class Maximum(NamedTuple):
    """Where the likelihood is largest; a and b are infinite when it grows towards a single pass rate for all."""

    a: float
    b: float
    value: float
    mean: float
    converged: bool


@dataclass(frozen=True, eq=False)
class _Truncation:
    """Σ_K n_K log Z_K when only the counts in S_K can be seen."""

    groups: tuple[tuple[int, int, Floats, Floats], ...]  # (K, n_K, seen counts, log C(K, s))


class BetaBinomial:
    """The log-likelihood of (a, b) for one histogram of counts.

    Args:
        cells: counts, all inside the zone when ``zpd`` is given.
        zpd: ε when only problems with ε <= s/K <= 1-ε were kept, None when all are there.

    Example:
        >>> cells = CountHistogram.of([0, 1, 2, 2], 2)
        >>> round(BetaBinomial(cells).derivatives(1.0, 1.0).value + BetaBinomial(cells).constant, 6)  # 4 log(1/3)
        -4.394449
    """

    def __init__(self, cells: CountHistogram, zpd: float | None = None) -> None:
        largest = int(cells.num_rollouts.max())
        self.steps = np.arange(largest, dtype=np.float64)
        self.passed_tail = _tail(cells.num_passed, cells.num_problems, largest)
        self.failed_tail = _tail(cells.num_failed, cells.num_problems, largest)
        self.rollout_tail = _tail(cells.num_rollouts, cells.num_problems, largest)
        self.constant = float(np.sum(cells.num_problems * log_choose(cells.num_rollouts, cells.num_passed)))
        self.truncation = None if zpd is None else _truncation(cells, zpd)
        self.binomial_mean = float(self.passed_tail.sum() / self.rollout_tail.sum())

    def derivatives(self, a: float, b: float) -> Derivatives:
        """l(a, b) without its constant, for 0 < a, b < inf."""
        n = a + b
        up, down = a + self.steps, b + self.steps
        # Divided by n^K on both sides, so that logs stay of order one for any concentration.
        value = float(self.passed_tail @ np.log(up / n) + self.failed_tail @ np.log(down / n))
        gradient = np.array([self.passed_tail @ (1 / up), self.failed_tail @ (1 / down)])
        hessian = np.diag([-(self.passed_tail @ up**-2.0), -(self.failed_tail @ down**-2.0)])
        if self.truncation is None:
            both = n + self.steps
            value -= float(self.rollout_tail @ np.log1p(self.steps / n))
            gradient -= self.rollout_tail @ (1 / both)
            hessian += self.rollout_tail @ both**-2.0
        else:
            value_z, gradient_z, hessian_z = self._log_z(a, b, up, down)
            value, gradient, hessian = value - value_z, gradient - gradient_z, hessian - hessian_z
        return Derivatives(value, gradient, hessian)

    def _log_z(self, a: float, b: float, up: Floats, down: Floats) -> Derivatives:
        assert self.truncation is not None
        n = a + b
        log_up, log_down = _before(np.log(up / n)), _before(np.log(down / n))
        first_up, first_down = _before(1 / up), _before(1 / down)
        second_up, second_down = _before(-(up**-2.0)), _before(-(down**-2.0))
        value, gradient, hessian = 0.0, np.zeros(2), np.zeros((2, 2))
        for num_rollouts, count, seen, choose in self.truncation.groups:
            s = seen.astype(np.int64)
            f = num_rollouts - s
            terms = choose + log_up[s] + log_down[f]
            top = float(terms.max())
            share = np.exp(terms - top)
            total = float(share.sum())
            share /= total
            scores = np.stack([first_up[s], first_down[f]])
            mean = scores @ share
            spread = (scores - mean[:, None]) * share @ (scores - mean[:, None]).T
            value += count * (top + np.log(total))
            gradient += count * mean
            hessian += count * (spread + np.diag([second_up[s] @ share, second_down[f] @ share]))
        return Derivatives(float(value), gradient, hessian)

    def in_search_coordinates(self, eta: float, lam: float) -> Derivatives:
        """l as a function of η = logit(a/(a+b)) and λ = log(a+b)."""
        m, n = float(expit(eta)), float(np.exp(lam))
        a, b = n * m, n * float(expit(-eta))
        value, (da, db), h = self.derivatives(a, b)
        slope = a * b / n  # da/dη = -db/dη
        jacobian = np.array([[slope, a], [-slope, b]])
        gradient = jacobian.T @ np.array([da, db])
        bend = slope * (1 - 2 * m) * (da - db)  # second derivatives of a and b themselves
        hessian = jacobian.T @ h @ jacobian
        hessian += np.array([[bend, slope * (da - db)], [slope * (da - db), a * da + b * db]])
        return Derivatives(value, gradient, hessian)

    def maximise(self, start: tuple[float, float] | None = None) -> Maximum:
        """The maximum over a, b > 0, by Newton's method with a step that never goes down.

        Args:
            start: (a, b) to start from; a flat law when absent.

        Returns: a maximum; ``a = b = inf`` when the likelihood is largest for one common pass rate.
        """
        a, b = start if start is not None else (2 * self.binomial_mean, 2 * (1 - self.binomial_mean))
        point = np.array([logit(a / (a + b)), np.log(a + b)])
        low, high = np.log(SMALLEST_CONCENTRATION), np.log(LARGEST_CONCENTRATION)
        current = self.in_search_coordinates(*point)
        converged = False
        for _ in range(200):
            step = _ascent(current)
            step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
            for _ in range(40):
                candidate = self.in_search_coordinates(*(point + step))
                if candidate.value >= current.value - 1e-13 * abs(current.value):
                    break
                step = step / 2
            else:  # no step in this direction goes up: this is the maximum
                converged = True
                break
            point, current = point + step, candidate
            smallest = np.exp(point[1]) * expit(-abs(point[0]))
            if not low < point[1] < high or smallest < SMALLEST_PARAMETER or abs(point[0]) > STEEPEST_LOGIT:
                break
            if float(np.abs(step).max()) < 1e-10:
                converged = True
                break
        if point[1] >= high:
            return self.one_point()
        m, n = float(expit(point[0])), float(np.exp(point[1]))
        return Maximum(n * m, n * float(expit(-point[0])), current.value, m, converged)

    def one_point(self) -> Maximum:
        """The supremum over laws that give every problem the same pass rate: the binomial likelihood."""
        lam = np.log(LARGEST_CONCENTRATION)
        eta, value = climb(
            lambda x: _along_one(self.in_search_coordinates(x, lam), 0),
            float(logit(self.binomial_mean)),
            0.5,
            (-STEEPEST_LOGIT, STEEPEST_LOGIT),
        )
        return Maximum(np.inf, np.inf, value, float(expit(eta)), True)

    def profile(self, index: int, parameter: float, start: float) -> tuple[float, float]:
        """Maximise over the other parameter with one fixed.

        Args:
            index: 0 when a is fixed, 1 when b is.
            parameter: its value, > 0.
            start: where to start the other one.

        Returns: the largest log-likelihood and the other parameter there.
        """

        def along(log_other: float) -> tuple[float, float, float]:
            other = float(np.exp(log_other))
            a, b = (parameter, other) if index == 0 else (other, parameter)
            value, gradient, hessian = self.derivatives(a, b)
            first = other * gradient[1 - index]
            return value, first, other**2 * hessian[1 - index, 1 - index] + first

        bounds = (float(np.log(SMALLEST_PARAMETER)), float(np.log(LARGEST_CONCENTRATION)))
        log_other, value = climb(along, float(np.clip(np.log(start), *bounds)), 1.0, bounds)
        return value, float(np.exp(log_other))


def climb(
    function: Callable[[float], tuple[float, float, float]], start: float, reach: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Maximise a smooth function of one number with one hill: Newton inside a bracket of the derivative's sign.

    Args:
        function: x -> (value, first derivative, second derivative).
        start: where to begin.
        reach: largest first step.
        bounds: where to stop if the hill continues.

    Returns: the place and the value.
    """
    low, high = bounds
    x = start
    value, slope, bend = function(x)
    for _ in range(100):
        if slope > 0:
            low = x
        else:
            high = x
        step = -slope / bend if bend < 0 else np.copysign(reach, slope)
        step = float(np.clip(step, -2 * reach, 2 * reach))
        new = x + step
        if not low < new < high:
            new = (low + high) / 2
        moved = abs(new - x)
        x = new
        value, slope, bend = function(x)
        if moved < 1e-9 * max(1.0, abs(x)):
            break
    return x, value


def log_pmf(num_rollouts: int, a: float, b: float, zpd: float | None = None) -> Floats:
    """log P(s | K) of the beta-binomial for s = 0..K, given that s/K is in the zone when ``zpd`` is given.

    Not for infinite a and b: use the binomial's own pmf there.

    Example:
        >>> np.exp(log_pmf(2, 1.0, 1.0)).round(4).tolist()
        [0.3333, 0.3333, 0.3333]
    """
    s = np.arange(num_rollouts + 1)
    steps = np.arange(num_rollouts, dtype=np.float64)
    n = a + b
    terms = log_choose(np.full(s.shape, num_rollouts), s)
    terms = terms + _before(np.log((a + steps) / n))[s] + _before(np.log((b + steps) / n))[num_rollouts - s]
    if zpd is None:
        return terms - float(np.log1p(steps / n).sum())
    terms = np.where(Zone.of(zpd).contains(s / num_rollouts), terms, -np.inf)
    return terms - (terms.max() + np.log(np.exp(terms - terms.max()).sum()))


def log_choose(n: NDArray[np.integer], k: NDArray[np.integer]) -> Floats:
    """log C(n, k) for 0 <= k <= n."""
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def _tail(values: Integers, counts: Integers, largest: int) -> Floats:
    """#{problems: value > i} for i = 0..largest-1."""
    at = np.bincount(values, weights=counts.astype(np.float64), minlength=largest + 1)
    return at[::-1].cumsum()[::-1][1 : largest + 1]


def _before(terms: Floats) -> Floats:
    """Sums of the first s terms for s = 0..len(terms)."""
    return np.concatenate([[0.0], np.cumsum(terms)])


def _truncation(cells: CountHistogram, zpd: float) -> _Truncation:
    groups = []
    for num_rollouts in np.unique(cells.num_rollouts).tolist():
        s = np.arange(num_rollouts + 1)
        s = s[Zone.of(zpd).contains(s / num_rollouts)]
        count = int(cells.num_problems[cells.num_rollouts == num_rollouts].sum())
        groups.append((num_rollouts, count, s.astype(np.float64), log_choose(np.full(s.shape, num_rollouts), s)))
    return _Truncation(tuple(groups))


def _ascent(at: Derivatives) -> Floats:
    """Newton's step where the surface bends down, otherwise the same step with the curvatures' signs turned."""
    values, vectors = np.linalg.eigh(at.hessian)
    floor = 1e-12 * max(1.0, float(np.abs(values).max()))
    return np.asarray(vectors @ ((vectors.T @ at.gradient) / np.maximum(np.abs(values), floor)))


def _along_one(at: Derivatives, index: int) -> tuple[float, float, float]:
    """(value, first and second derivative) along one coordinate."""
    return at.value, float(at.gradient[index]), float(at.hessian[index, index])
