"""95 % intervals of a bin of n problems: estimate ± t standard errors, degrees of freedom as the sum is shared.

A sum that a few large norms carry is known as badly as a sum of few terms: t has (Σx)²/Σx² − 1 degrees of freedom, with
x the noise or squared norm of each problem: n − 1 where all are equal.

A percentile bootstrap of so few problems is too narrow, because resampling loses a share 1/n of the variance and knows
nothing of how badly ten values tell it. Of the form between problems it is too wide in pure noise: the signal is a mean
over *pairs*, and a resampled problem counts its pair noise twice. Numbers: docs/log.md, ``benchmarks/snr_coverage.py``.
Left out: intervals of single problems, which are in ``uncertainty.py``; the fitted exponents' (``exponents.py``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from paced.analysis.results.intervals import LEVEL
from paced.analysis.snr.estimators import check_gram, pooled_snr_squared
from paced.analysis.snr.uncertainty import covariance_moments
from paced.weights.normalise import effective_sample_size


class Interval(NamedTuple):
    """An estimate with its interval; NaN where it does not exist."""

    value: float
    low: float
    high: float
    variance: float
    """Of the estimate over draws of problems."""


def mean_interval(values: ArrayLike) -> Interval:
    """Mean of the finite values, ± t standard errors.

    Edges: one value has no interval, none has no mean.

    Example:
        >>> [round(x, 3) for x in mean_interval([1.0, 2.0, 3.0])[:3]]
        [2.0, -0.484, 4.484]
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]  # the guarded form is infinite where no problem at all has noise
    if x.size < 2:
        return _around(float(x.mean()) if x.size else np.nan, np.nan, x.size)
    return _around(float(x.mean()), float(x.var(ddof=1)) / x.size, x.size)


def ratio_interval(signal: ArrayLike, noise: ArrayLike) -> Interval:
    """SNR² = ΣU/ΣV over a bin's problems, ± t standard errors by the delete-one jackknife.

    Args:
        signal: U of each problem, shape [n].
        noise: V >= 0 of each problem, shape [n].

    Edges: without noise the ratio is NaN; one problem, or noise in one problem only, has no interval.

    Example:
        >>> one = ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
        >>> one.value, round(one.variance, 12)
        (0.5, 0.0)
    """
    U, V = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    value = pooled_snr_squared(U, V)
    rest = V.sum() - V  # [n]
    if U.size < 2 or (rest <= 0).any():
        return _around(value, np.nan, U.size)
    without = (U.sum() - U) / rest  # [n]
    spread = float(((without - without.mean()) ** 2).sum())
    return _around(value, (U.size - 1) / U.size * spread, effective_sample_size(V))


def between_interval(gram: ArrayLike) -> Interval:
    """SNR² = U/V of n problems' mean gradients, ± t standard errors.

    With U the mean of <ḡ_x, ḡ_y> over pairs x ≠ y, Q the mean of ‖ḡ_x‖² and V = Q − U, to first order

        Var(U/V) = [(1+θ)² Var U − 2θ(1+θ) Cov(U, Q) + θ² Var Q] / V²,   θ = U/V.

    Var U = 4 m'Σm/n + 2 tr(Σ²)/(n(n−1)) by U-statistics as for the rollouts of one problem: its second part is
    the whole of it in pure noise, where a jackknife would count it twice. A negative estimate of m'Σm is taken as 0.

    Args:
        gram: <ḡ_x, ḡ_y> [n, n], n >= 4.

    Example:
        >>> g = np.random.default_rng(0).normal(size=(40, 50)) + 0.5
        >>> one = between_interval(g @ g.T)
        >>> one.low < 0.25 < one.high
        True
    """
    G = check_gram("between_interval", gram)
    n = len(G)
    if n < 4:
        raise ValueError(f"between_interval: gram must hold at least 4 problems, got {n}.")
    squares = np.diag(G)  # [n]
    pairs = (G.sum(axis=1) - squares) / (n - 1)  # mean of <ḡ_x, ḡ_y> over y, [n]
    signal, square = float(pairs.mean()), float(squares.mean())
    if square - signal <= 0:
        return _around(np.nan, np.nan, n)
    theta = signal / (square - signal)
    m_cov_m, trace_square = covariance_moments(G)
    signal_variance = 4 * max(float(m_cov_m), 0.0) / n + 2 * float(trace_square) / (n * (n - 1))
    covariance = np.cov(2 * pairs, squares) / n  # [2, 2]
    variance = (
        (1 + theta) ** 2 * signal_variance
        - 2 * theta * (1 + theta) * float(covariance[0, 1])
        + theta**2 * float(covariance[1, 1])
    )
    return _around(theta, max(variance, 0.0) / (square - signal) ** 2, effective_sample_size(squares))


def _around(value: float, variance: float, size: float) -> Interval:
    reach = float(stdtrit(max(size - 1, 0.5), (1 + LEVEL) / 2)) * np.sqrt(variance) if size > 1 else np.nan
    return Interval(value, float(value - reach), float(value + reach), variance)
