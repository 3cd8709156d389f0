"""SNR² = A p^α (1−p)^β from problems whose pass rate is known by counts only: the equations and their solution.

Problems with the same counts (s, K) form a cell c. With P(p | c) from the law of pass rates, f(p) the power law and
v(p) the mean noise of problems with pass rate p, the sums of signal and noise of a cell satisfy

    E[ΣU | c] = n_c E[f(p) v(p) | c],   E[ΣV | c] = n_c E[v(p) | c],   so   E[ΣU − m_c ΣV | c] = 0,
    m_c(A, α, β) = ∫ f(p) v(p) P(p | c) dp / ∫ v(p) P(p | c) dp.

v matters only where it changes within one cell's P(p | c), but there it does: gradients shrink a hundredfold from p = 0
to p = 1. It is fitted first, log v linear in log p, log(1−p), p and p², by quasi-likelihood; then (log A, α, β) solve
Σ_c h_c (ΣU − m_c ΣV) = 0 with h_c ∝ ∂m_c/∂θ. No log is taken of a signal, so cells with a negative one count as well.

Everything has a leading axis B: the data and, at the same time, every bootstrap sample of them.
Shapes: B data sets, C cells, G points of the law of pass rates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from paced.arrays import Booleans, Floats
from paced.weights.snr_exponents import regressors

LARGEST = 15.0
"""|log A|, |α| or |β| beyond which Newton's method counts as diverged."""
MOST_STEPS = 100
RIDGE = 1e-5
"""Penalty, per problem, that keeps the noise's slopes finite where the cells do not determine them."""


class CellSums(NamedTuple):
    """What the equations need of the problems of each cell, shape [B, C] each."""

    num_problems: Floats
    """n_c; bootstrap samples may have none."""
    signal: Floats
    """ΣU."""
    noise: Floats
    """ΣV >= 0."""


class Solution(NamedTuple):
    """Solutions of B sets of equations."""

    theta: Floats
    """(log A, α, β), shape [B, 3]."""
    snr_squared: Floats
    """m_c, shape [B, C]."""
    converged: Booleans
    """Whether there is a solution, shape [B]."""


def fit_noise(posterior: Floats, points: Floats, sums: CellSums) -> Floats:
    """Mean noise v(p) at the points, shape [B, G]: Σ_c (ΣV − n_c v_c) ∂log v_c = 0 with v_c = E[v(p) | c].

    Args:
        posterior: P(p | c), shape [B, C, G].
        points: 0 < p < 1, shape [G].
        sums: noise must be > 0 in total.
    """
    centred = points - 0.5
    basis = np.concatenate([regressors(points), np.stack([centred, centred**2], axis=1)], axis=1)  # [G, 5]
    penalty = RIDGE * np.diag([0.0, 1.0, 1.0, 1.0, 1.0])
    slopes = np.zeros((len(posterior), 5))  # [B, 5]
    total = sums.num_problems.sum(axis=1)  # [B]
    slopes[:, 0] = np.log(sums.noise.sum(axis=1) / total)
    for _ in range(MOST_STEPS):
        noise = _exp(slopes @ basis.T)  # [B, G]
        mean = np.einsum("bcg,bg->bc", posterior, noise)  # [B, C]
        score = np.einsum("bcg,bg,gk->bck", posterior, noise, basis, optimize=True)  # [B, C, 5]
        score = score / mean[..., None]  # ∂log v_c
        residual = np.einsum("bck,bc->bk", score, sums.noise / mean - sums.num_problems)  # [B, 5]
        information = np.einsum("bck,bc,bcl->bkl", score, sums.num_problems, score, optimize=True)  # [B, 5, 5]
        step = _newton(information + total[:, None, None] * penalty, residual - total[:, None] * (slopes @ penalty))
        slopes += step
        if np.abs(step).max() < 1e-6:
            break
    return _exp(slopes @ basis.T)


def tilt(posterior: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """P(p | c) weighted with v(p) and divided by its sum [B, C, G], and that sum E[v(p) | c] [B, C]."""
    weighted = posterior * noise[:, None, :]  # [B, C, G]
    mean = weighted.sum(axis=2)  # [B, C]
    return weighted / mean[..., None], mean


def solve(tilted: Floats, points: Floats, sums: CellSums, *, weights: Floats, start: Floats) -> Solution:
    """(log A, α, β) with Σ_c w_c ∂m_c/∂θ (ΣU − m_c ΣV) = 0, by Newton's method from ``start``.

    Args:
        tilted: from :func:`tilt`, shape [B, C, G].
        points: 0 < p < 1, shape [G].
        sums: of each cell.
        weights: w_c > 0, shape [C]: any give the right mean, 1/(v_c (a + b m_c²)) of :func:`spread` little variance.
        start: (log A, α, β), shape [3].
    """
    basis = regressors(points)  # [G, 3]
    theta = np.broadcast_to(start, (len(tilted), 3)).copy()  # [B, 3]
    for _ in range(MOST_STEPS):
        power = _exp(theta @ basis.T)  # [B, G]
        mean = np.einsum("bcg,bg->bc", tilted, power)  # [B, C]
        slope = np.einsum("bcg,bg,gk->bck", tilted, power, basis, optimize=True)  # [B, C, 3] ∂m_c/∂θ
        instrument = slope * weights[:, None]  # [B, C, 3]
        residual = np.einsum("bck,bc->bk", instrument, sums.signal - mean * sums.noise)  # [B, 3]
        step = _newton(np.einsum("bck,bc,bcl->bkl", instrument, sums.noise, slope, optimize=True), residual)
        theta += step
        settled = np.abs(step).max(axis=1) < 1e-6  # [B]
        if settled.all():
            break
    return Solution(theta, mean, settled & (np.abs(theta).max(axis=1) < LARGEST))


def spread(squares: Floats, snr_squared: Floats) -> tuple[float, float]:
    """(a, b) of the mean square a + b m² of (U − m V)/v: the noise left in U, and problems that differ at equal p.

    Args:
        squares: of each problem.
        snr_squared: m of its cell, the same shape.

    Example:
        >>> spread(np.array([1.0, 3.0, 9.0]), np.array([0.0, 1.0, 2.0]))
        (1.0, 2.0)
    """
    columns = np.stack([np.ones_like(snr_squared), snr_squared**2], axis=1)
    a, b = np.linalg.lstsq(columns, squares, rcond=None)[0].round(12).tolist()
    mean = float(squares.mean())
    if b <= 0:
        return mean, 0.0
    return (a if a > 0 else mean / 20, b)  # never 0, so that no cell has all the weight


def misfit_bound(tilted: Floats, points: Floats, sums: CellSums, weights: Floats, solution: Solution) -> Floats:
    """Largest change of (log A, α, β) when SNR² is the power law times e^r with |r(p)| <= 1, per unit, shape [3].

    To first order the change is J⁻¹ Σ_c h_c ΣV ∫ r f dP: the l1 norm over p of what multiplies r(p). First of B only.
    """
    basis = regressors(points)  # [G, 3]
    power = _exp(solution.theta[0] @ basis.T)  # [G]
    share = tilted[0] * power  # [C, G]
    slope = share @ basis  # [C, 3]
    instrument = slope * (weights * sums.noise[0])[:, None]  # [C, 3]
    influence = np.linalg.solve(instrument.T @ slope, instrument.T @ share)  # [3, G]
    return np.asarray(np.abs(influence).sum(axis=1), dtype=np.float64)


def _exp(values: Floats) -> Floats:
    """exp without overflow: a step that goes too far comes back."""
    return np.asarray(np.exp(np.clip(values, -40.0, 40.0)), dtype=np.float64)


def _newton(matrix: Floats, vector: Floats) -> Floats:
    """matrix⁻¹ vector [B, k] for matrices [B, k, k], no component longer than 1."""
    size = matrix.shape[-1]
    scale = np.maximum(np.trace(matrix, axis1=1, axis2=2), 1e-300)[:, None, None]
    step = np.linalg.solve(matrix / scale + 1e-12 * np.eye(size), (vector / scale[:, 0])[..., None])[..., 0]
    return np.asarray(step / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1.0), dtype=np.float64)
