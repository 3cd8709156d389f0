"""Kernel exponents from the measured SNR (``x6``).

Theorem 4 takes α = 2a', β = 2b' from the SNR curve, which no law of pass rates can give (``prop11.inherits``). Here
they are regressed from pooled SNR² of bins of pass rate,

    log SNR²(p) = c + α log p + β log(1-p) + r(p),    |r| <= δ,

by weighted least squares, and projected to α, β >= 0. The misfit r moves
each exponent by at most δ times the l1 norm of its row of the estimator, and that bound is reported: on p = 1/8..7/8 it
is 2.70 δ, so δ = 0.3 allows 0.81.

For bins whose pass rate is known well, or SNR² measured elsewhere. On problems that ``paced snr`` has measured, whose
pass rate is an estimate s/K, use its own fit (``paced.analysis.snr.exponents``), which is not flattened by the error
of s/K; that fit may be negative, a kernel needs the projection of this file.

SNR² must be debiased and pooled before the log, Σ U/Σ V (``eq8``); regressing log(SNR² + 1/K) instead returns 0.39
where the truth is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import psi

from paced.arrays import Floats, check_counts
from paced.errors import check_number
from paced.weights.estimates import check_prior
from paced.weights.kernels import BetaKernel, check_pass_rate


@dataclass(frozen=True, kw_only=True, eq=False)
class ExponentFit:
    """Exponents regressed from SNR² against pass rate."""

    alpha: float
    """Kernel exponent α = 2a' >= 0."""
    beta: float
    """Kernel exponent β = 2b' >= 0."""
    log_scale: float
    """c, the log of the amplitude A of SNR² = A p^α (1-p)^β."""
    unprojected: tuple[float, float]
    """(α, β) before the projection to >= 0."""
    cov: Floats = field(repr=False)
    """Covariance of (c, α, β) before the projection, if the variances given are right, shape [3, 3]."""
    error_per_delta: tuple[float, float]
    """Largest errors of unprojected α and β for a misfit |r| <= 1 in log SNR²."""
    num_bins: int
    """Bins used."""
    num_dropped: int
    """Bins left out because their pooled SNR² was not positive: no log. Many of them bias the fit upwards."""

    def error_bound(self, delta: float) -> tuple[float, float]:
        """Largest error of (α, β) from a misfit |r| <= δ, noise apart."""
        check_number("ExponentFit.error_bound", "delta", delta, low=0)
        return delta * self.error_per_delta[0], delta * self.error_per_delta[1]

    @property
    def kernel(self) -> BetaKernel:
        """``BetaKernel(alpha, beta)``."""
        return BetaKernel(self.alpha, self.beta)


def regressors(pass_rate: ArrayLike) -> Floats:
    """Rows (1, log p, log(1-p)), shape [num_bins, 3].

    Raises:
        ValueError: a pass rate of 0 or 1, whose log is infinite.
    """
    p = np.atleast_1d(check_pass_rate("regressors", pass_rate))
    if not ((p > 0) & (p < 1)).all():
        raise ValueError("regressors: pass_rate must be inside (0, 1), got an end. Use regressors_from_counts.")
    return np.stack([np.ones_like(p), np.log(p), np.log1p(-p)], axis=1)


def regressors_from_counts(
    num_passed: ArrayLike, num_rollouts: ArrayLike, *, prior: tuple[float, float] = (1.0, 1.0)
) -> Floats:
    """Rows (1, E[log p | s], E[log(1-p) | s]) under a Beta prior: finite at s = 0 and s = K, shape [num_bins, 3].

    Example:
        >>> regressors_from_counts([0], 8).round(4).tolist()
        [[1.0, -2.829, -0.1111]]
    """
    passed, rollouts = check_counts("regressors_from_counts", num_passed, num_rollouts)
    a0, b0 = check_prior("regressors_from_counts", prior)
    n = psi(a0 + b0 + rollouts)
    return np.stack([np.ones(passed.shape), psi(a0 + passed) - n, psi(b0 + (rollouts - passed)) - n], axis=1)


def fit_exponents(rows: ArrayLike, snr_squared: ArrayLike, *, variance: ArrayLike | None = None) -> ExponentFit:
    """Weighted least squares of log SNR² on (1, log p, log(1-p)).

    Args:
        rows: from :func:`regressors` or :func:`regressors_from_counts`, shape [num_bins, 3].
        snr_squared: pooled, debiased SNR² of each bin, shape [num_bins]; bins with values <= 0 are dropped and counted.
        variance: sampling variance of each SNR², > 0; the weight is SNR⁴/variance, one over the variance of the log.
            Equal weights when absent.

    Raises:
        ValueError: fewer than three usable bins at different pass rates.

    Example:
        >>> p = np.arange(1, 8) / 8
        >>> estimate = fit_exponents(regressors(p), 0.5 * p * (1 - p) ** 2)
        >>> round(estimate.alpha, 9), round(estimate.beta, 9)
        (1.0, 2.0)
        >>> round(max(estimate.error_per_delta), 6)
        2.702281
    """
    x, y, weight, dropped = _usable("fit_exponents", rows, snr_squared, variance)
    information = (x * weight[:, None]).T @ x
    if x.shape[0] < 3 or np.linalg.matrix_rank(x) < 3:
        raise ValueError(
            f"fit_exponents: at least three bins of different pass rate with SNR² > 0 are needed, got {x.shape[0]} "
            f"({dropped} dropped). Pool more problems or rollouts."
        )
    cov = np.asarray(np.linalg.inv(information), dtype=np.float64)
    estimator = cov @ (x * weight[:, None]).T
    theta = estimator @ y
    spread = np.abs(estimator).sum(axis=1)
    c, alpha, beta = project(theta, information)
    return ExponentFit(
        alpha=float(alpha), beta=float(beta), log_scale=float(c), unprojected=(float(theta[1]), float(theta[2])),
        cov=cov, error_per_delta=(float(spread[1]), float(spread[2])), num_bins=x.shape[0], num_dropped=dropped,
    )  # fmt: skip


def project(theta: Floats, information: Floats) -> Floats:
    """The point with α, β >= 0 that loses least, (θ-θ̂)' I (θ-θ̂): where one exponent is set to 0 the others move.

    Example:
        >>> project(np.array([0.0, -1.0, 2.0]), np.eye(3)).tolist()
        [0.0, 0.0, 2.0]
    """
    best, smallest = theta, np.inf
    for fixed in ((), (1,), (2,), (1, 2)):
        free = [index for index in range(3) if index not in fixed]
        candidate = np.zeros(3)
        target = information[np.ix_(free, range(3))] @ theta
        candidate[free] = np.linalg.solve(information[np.ix_(free, free)], target)
        loss = float((candidate - theta) @ information @ (candidate - theta))
        if (candidate[1:] >= -1e-12).all() and loss < smallest:
            best, smallest = candidate, loss
    result = best.copy()
    result[1:] = np.maximum(result[1:], 0.0)
    return result


def _usable(
    place: str, rows: ArrayLike, snr_squared: ArrayLike, variance: ArrayLike | None
) -> tuple[Floats, Floats, Floats, int]:
    """Rows, log SNR² and weights of the bins with positive SNR², and how many were dropped."""
    x = np.asarray(rows, dtype=np.float64)
    snr = np.asarray(snr_squared, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != 3 or snr.shape != x.shape[:1]:
        raise ValueError(f"{place}: rows must be [num_bins, 3] and snr_squared [num_bins], got {x.shape}, {snr.shape}.")
    spread = snr**2 if variance is None else np.broadcast_to(np.asarray(variance, dtype=np.float64), snr.shape)
    keep = snr > 0
    if not np.isfinite(snr).all() or not np.isfinite(spread).all() or (spread[keep] <= 0).any():
        raise ValueError(f"{place}: snr_squared and variance must be finite and variance > 0. Leave out empty bins.")
    return x[keep], np.log(snr[keep]), snr[keep] ** 2 / spread[keep], int(np.count_nonzero(~keep))
