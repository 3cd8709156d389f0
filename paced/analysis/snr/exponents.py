"""Exponents of SNR² = A p^α (1−p)^β, fitted with the error of the pass rates taken into account.

A pass-rate estimate s/K is p with noise. A regression on it flattens the curve: with K = 32 true exponents of 1 read
0.82, and 1 of 40 intervals at 95 % holds one (``benchmarks/snr_coverage.py`` keeps that fit as a control). Here

1. the law of p is the nonparametric maximum likelihood of all counts (``law.py``), which gives P(p | s, K);
2. (log A, α, β) solve equations that hold on average over it (``power_law.py``);
3. the interval is estimate ± z standard errors of a bootstrap over problems that repeats both steps.

Problems never or always solved are left out of step 2: what their gradients say depends on how p is spread between 0
and 1/K, which no count shows. They count in step 1.
Shapes: M measured problems in C cells of equal counts, G points of the law, B bootstrap samples.
Left out: SNR² of bins whose pass rate is known well, and the projection to α, β >= 0 that a weight function needs; both
are in ``paced.weights.snr_exponents``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from paced.analysis.results.intervals import LEVEL
from paced.analysis.snr.estimators import pooled_snr_squared
from paced.analysis.snr.law import fit_law, likelihood, mixing_weights, posterior
from paced.analysis.snr.power_law import CellSums, Solution, fit_noise, misfit_bound, solve, spread, tilt
from paced.analysis.snr.rows import ProblemSnr
from paced.arrays import Floats, Integers, check_counts
from paced.records import PassRate
from paced.weights.counts import CountHistogram

RESAMPLES = 200
"""Bootstrap samples; their standard deviation is then known to 5 %."""
MOST_FAILED = 0.1
"""Share of bootstrap samples without a solution above which there is no interval."""
REWEIGHTINGS = 4
"""Rounds in which the cells' weights are computed again from the last solution."""
FEWEST = 10
"""Fewest measured problems, solved sometimes, to which a power law is fitted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelExponents:
    """The power law that fits SNR² against pass rate, with 95 % intervals; α and β may be negative."""

    alpha: float
    """Exponent of p."""
    alpha_low: float
    alpha_high: float
    beta: float
    """Exponent of 1−p."""
    beta_low: float
    beta_high: float
    log_scale: float
    """log A."""
    alpha_per_misfit: float
    """Largest error of α if log SNR² differs from the power law by at most 1 at every p; linear for smaller ones."""
    beta_per_misfit: float
    """The same of β."""
    num_problems: int
    """Measured problems that were solved sometimes."""
    num_counted: int
    """Problems whose counts the law of pass rates was fitted to."""
    num_failed: int
    """Bootstrap samples without a solution."""
    num_resamples: int
    """Bootstrap samples."""

    def snr_squared(self, pass_rate: ArrayLike) -> Floats:
        """A p^α (1−p)^β; NaN at 0 and 1, of which the fit says nothing."""
        p = np.asarray(pass_rate, dtype=np.float64)
        inside = (p > 0) & (p < 1)
        safe = np.where(inside, p, 0.5)
        return np.where(inside, np.exp(self.log_scale) * safe**self.alpha * (1 - safe) ** self.beta, np.nan)


def fit_kernel(
    rows: Sequence[ProblemSnr], pass_rates: Mapping[str, PassRate], *, resamples: int = RESAMPLES, seed: int = 0
) -> KernelExponents:
    """The power law of measured problems: :func:`fit_kernel_exponents` for rows and counts by problem id.

    Args:
        rows: of one loss, see ``lm_head_snr``.
        pass_rates: counts from other rollouts than the gradients'. If the measured problems were *chosen* by counts,
            either fresh counts of the measured ones alone, or the counts of all that could have been chosen, fresh ones
            added for those that were.
        resamples: of the bootstrap over problems.
        seed: of the bootstrap.
    """
    measured = {row.problem_id: row for row in rows}
    rates = [rate for rate in pass_rates.values() if rate.num_rollouts]
    pairs = [(measured[one.problem_id], one) if one.problem_id in measured else (None, one) for one in rates]
    return fit_kernel_exponents(
        [row.signal if row else np.nan for row, _ in pairs],
        [row.noise if row else np.nan for row, _ in pairs],
        num_passed=[one.num_passed for one in rates],
        num_rollouts=[one.num_rollouts for one in rates],
        resamples=resamples,
        seed=seed,
    )


def fit_kernel_exponents(
    signal: ArrayLike,
    noise: ArrayLike,
    *,
    num_passed: ArrayLike,
    num_rollouts: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> KernelExponents:
    """(A, α, β) with E U = A p^α (1−p)^β E V for problems of pass rate p, from counts instead of p.

    Args:
        signal: U of each problem, NaN where only its counts are known, shape [num_problems].
        noise: V of each problem, >= 0, NaN in the same places.
        num_passed: s of each problem, from other rollouts than U and V.
        num_rollouts: K of each problem.
        resamples: bootstrap samples over problems, >= 2.
        seed: of the bootstrap.

    Raises:
        ValueError: fewer than 10 measured problems that were solved sometimes, or with fewer than three different
            counts; no power law that solves the equations (as a rule: the signal cannot be told from 0); more than a
            tenth of the bootstrap samples without one.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.random(4000)
        >>> fit = fit_kernel_exponents(0.5 * p * (1 - p) ** 2, np.ones(4000), num_passed=rng.binomial(16, p),
        ...     num_rollouts=16, resamples=50)
        >>> fit.alpha_low < 1 < fit.alpha_high, fit.beta_low < 2 < fit.beta_high
        (True, True)
    """
    place = "fit_kernel_exponents"
    data = _Data.of(place, signal, noise, *check_counts(place, num_passed, num_rollouts))
    if resamples < 2:
        raise ValueError(f"{place}: resamples must be >= 2, got {resamples}.")
    fit = _fit(data)
    if not fit.solution.converged[0]:
        raise ValueError(
            f"{place}: no power law fits the {len(data.cell)} problems that were solved sometimes; their pooled "
            f"SNR² is {pooled_snr_squared(data.signal, data.noise):.3g}. Measure more problems or rollouts."
        )
    samples = _resampled(data, fit, resamples, seed)
    failed = int(np.count_nonzero(~samples.converged))
    if failed > MOST_FAILED * resamples:
        raise ValueError(
            f"{place}: {failed} of {resamples} bootstrap samples have no power law that fits, so there is no interval. "
            "Measure more problems or rollouts."
        )
    log_scale, alpha, beta = fit.solution.theta[0].tolist()
    reach = float(ndtri((1 + LEVEL) / 2)) * samples.theta[samples.converged].std(axis=0, ddof=1)
    bound = misfit_bound(fit.tilted, fit.points, fit.sums, fit.weights, fit.solution)
    return KernelExponents(
        alpha=alpha, alpha_low=float(alpha - reach[1]), alpha_high=float(alpha + reach[1]),
        beta=beta, beta_low=float(beta - reach[2]), beta_high=float(beta + reach[2]),
        log_scale=log_scale, alpha_per_misfit=float(bound[1]), beta_per_misfit=float(bound[2]),
        num_problems=len(data.cell), num_counted=data.cells.total, num_failed=failed, num_resamples=resamples,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Data:
    """Counts of all problems by cell, and the measured ones that were solved sometimes one by one."""

    cells: CountHistogram
    """All problems."""
    inner: Integers
    """Cells of ``cells`` that hold a measured problem solved sometimes, shape [C]."""
    cell: Integers
    """Which of the inner cells each such problem is in, shape [M]."""
    signal: Floats
    """U over the mean V of these problems, shape [M]."""
    noise: Floats
    """V over the mean V of these problems, shape [M]."""

    @classmethod
    def of(cls, place: str, signal: ArrayLike, noise: ArrayLike, passed: Integers, rollouts: Integers) -> _Data:
        u, v = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64)
        if u.shape != passed.shape or v.shape != passed.shape:
            raise ValueError(f"{place}: signal, noise and num_passed must have one shape, got {u.shape}, {v.shape} and {passed.shape}.")  # fmt: skip  # noqa: E501
        measured = ~np.isnan(u)
        if (measured != ~np.isnan(v)).any() or not np.isfinite(u[measured]).all() or (v[measured] < 0).any():
            raise ValueError(f"{place}: signal must be finite and noise >= 0, or both NaN where a problem was not measured.")  # fmt: skip  # noqa: E501
        cells = CountHistogram.of(passed, rollouts)
        where = {pair: index for index, pair in enumerate(zip(cells.num_rollouts, cells.num_passed, strict=True))}
        use = np.flatnonzero(measured & (passed > 0) & (passed < rollouts))
        every = np.array([where[pair] for pair in zip(rollouts[use], passed[use], strict=True)], dtype=np.int64)
        inner, cell = np.unique(every, return_inverse=True)
        if len(use) < FEWEST or len(inner) < 3 or v[use].sum() <= 0:
            raise ValueError(
                f"{place}: at least {FEWEST} measured problems that were solved sometimes, with three different counts "
                f"and some noise, are needed, got {len(use)} with {len(inner)}. Measure more problems."
            )
        scale = float(v[use].mean())
        return cls(cells, inner, cell, u[use] / scale, v[use] / scale)

    def sums(self, times: Floats) -> CellSums:
        """Sums over the problems of each inner cell, each problem counted ``times`` [B, M] times."""
        member = np.eye(len(self.inner))[self.cell]  # [M, C]
        return CellSums(times @ member, (times * self.signal) @ member, (times * self.noise) @ member)


@dataclass(frozen=True, eq=False)
class _Fit:
    """The fit to the data themselves, B = 1."""

    points: Floats
    """Pass rates inside (0, 1) of the law, shape [G]."""
    like: Floats
    """Likelihood of all cells at 0, the points and 1, shape [num_cells, G + 2]."""
    sums: CellSums
    """Of the inner cells."""
    tilted: Floats
    """P(p | c) times the noise at p, normalised, shape [1, C, G]."""
    weights: Floats
    """Of each inner cell, shape [C]; kept for the bootstrap samples, because the equations are right for any."""
    solution: Solution
    """(log A, α, β)."""


def _fit(data: _Data) -> _Fit:
    law = fit_law(data.cells)
    like = likelihood(data.cells, law.points)
    points = law.points[1:-1]
    within = posterior(like[data.inner, 1:-1], law.weights[None, 1:-1])  # [1, C, G]
    sums = data.sums(np.ones((1, len(data.cell))))
    tilted, mean_noise = tilt(within, fit_noise(within, points, sums))
    weights = 1 / mean_noise[0]
    start = np.array([np.log(max(4 * data.signal.sum() / data.noise.sum(), 1e-3)), 1.0, 1.0])
    solution = solve(tilted, points, sums, weights=weights, start=start)
    for _ in range(REWEIGHTINGS):
        if not solution.converged[0]:
            break
        m, v = solution.snr_squared[0], mean_noise[0]  # [C] both
        squares = ((data.signal - m[data.cell] * data.noise) / v[data.cell]) ** 2
        a, b = spread(squares, m[data.cell])
        weights = 1 / (v * (a + b * m**2))
        solution = solve(tilted, points, sums, weights=weights, start=solution.theta[0])
    return _Fit(points, like, sums, tilted, weights, solution)


def _resampled(data: _Data, fit: _Fit, resamples: int, seed: int) -> Solution:
    """The fit to bootstrap samples of problems: new law, new noise, new exponents.

    Problems of which only counts are known are drawn by cell: a million of them cost no more than a thousand.
    """
    rng = np.random.default_rng(seed)
    alone = np.ones(len(data.cell))  # [M], measured problems one by one
    others = data.cells.num_problems.astype(np.float64)  # [num_cells], those of which only counts are known
    np.subtract.at(others, data.inner[data.cell], 1.0)
    total = data.cells.total
    drawn = rng.multinomial(total, np.concatenate([alone, others]) / total, size=resamples).astype(np.float64)
    times, counts = drawn[:, : len(alone)], drawn[:, len(alone) :]  # [B, M], [B, num_cells]
    sums = data.sums(times)
    counts[:, data.inner] += sums.num_problems  # [B, num_cells]
    laws = np.stack([mixing_weights(fit.like, of_sample) for of_sample in counts])  # [B, G + 2]
    within = posterior(fit.like[data.inner, 1:-1], laws[:, 1:-1])  # [B, C, G]
    tilted, _ = tilt(within, fit_noise(within, fit.points, sums))
    return solve(tilted, fit.points, sums, weights=fit.weights, start=fit.solution.theta[0])
