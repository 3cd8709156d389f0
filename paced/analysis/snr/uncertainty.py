"""Error bars and nulls of a gradient SNR, from the same K x K Gram matrix.

- variance of U by unbiased moment estimates (``eq8``), and of U/V by the delta method and by the jackknife;
- split-half cosine: do two halves of the rollouts agree on a direction;
- sign flips: what the same gradients read when their common direction is destroyed.

Shapes: [...] any number of problems, K rollouts of each, R splits or sign patterns.
Left out: intervals over problems, which are in ``bin_intervals.py``: those are what a curve should show.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from paced.analysis.snr.estimators import check_gram, moments
from paced.arrays import Floats

MOST_ARRANGEMENTS = 128
"""Splits or sign patterns used for one problem: all of them when there are no more, else this many drawn."""


def signal_variance(gram: ArrayLike) -> Floats:
    """Unbiased estimate of Var U, in gradient units to the fourth power; NaN for K < 4.

    ``Var U = 4 m'Σm/K + 2 tr(Σ²)/(K(K−1))`` for any law with finite second moments (``eq8``), with m'Σm and tr Σ²
    replaced by the U-statistics ``A3 − A4`` and ``A2 − 2A3 + A4``: A2, A3, A4 are the means of G_ij², G_ij·G_ik and
    G_ij·G_kl over distinct indices.

    Edges: unbiased, hence sometimes negative for a small K.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> g = rng.normal(size=(8, 50))
        >>> 0 < float(signal_variance(g @ g.T)) < 50
        True
    """
    G = check_gram("signal_variance", gram)  # [..., K, K]
    K = G.shape[-1]
    m_cov_m, trace_square = covariance_moments(G)  # [...] both
    return 4 * m_cov_m / K + 2 * trace_square / (K * (K - 1))


def snr_squared_variance(gram: ArrayLike) -> Floats:
    """Delta-method variance of U/V for nearly Gaussian gradients; NaN for K < 4 or no noise.

    ``[4m'Σm/K + 2tr(Σ²)/K²]/tr(Σ)² + (‖m‖² + tr(Σ)/K)²·2tr(Σ²)/((K−1)tr(Σ)⁴)`` (``eq8``) with V for tr Σ, ‖ḡ‖² for
    the bracket, and the two U-statistics of :func:`signal_variance`. Its mean was within 2 % of the simulated variance
    for d = 40 and 200, K = 8 and 16; a single value is noisy.

    Edges: negative for some problems (the estimate of m'Σm may be): average or pool it, never cut it at 0 first, which
    adds a third at K = 8.

    Example:
        >>> bool(np.isnan(snr_squared_variance(np.eye(3))))
        True
    """
    G = check_gram("snr_squared_variance", gram)  # [..., K, K]
    K = G.shape[-1]
    m_cov_m, trace_square = covariance_moments(G)  # [...] both
    values = moments(G)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_numerator = (4 * m_cov_m / K + 2 * trace_square / K**2) / values.noise**2  # [...]
        of_denominator = values.mean_gradient_square**2 * 2 * trace_square / ((K - 1) * values.noise**4)  # [...]
        variance = of_numerator + of_denominator  # 0/0 or ∞−∞ without noise
    return np.where(values.noise > 0, variance, np.nan)


def snr_squared_jackknife_variance(gram: ArrayLike) -> Floats:
    """Delete-one jackknife variance of U/V over the K rollouts; NaN for K < 3 or no noise.

    ``(K−1)/K · Σ_k (θ_k − mean θ)²`` with θ_k = U/V without rollout k. No assumption on the gradients' law, never
    negative, but too large for weak signals: twice the simulated variance at SNR² = 0.02, 1.4 times at 0.25 (K = 8).

    Example:
        >>> g = np.random.default_rng(0).normal(size=(8, 50)) + 1
        >>> float(snr_squared_jackknife_variance(g @ g.T)) > 0
        True
    """
    G = check_gram("snr_squared_jackknife_variance", gram)  # [..., K, K]
    K = G.shape[-1]
    if K < 3:
        return np.full(G.shape[:-2], np.nan)
    kept = np.array([[j for j in range(K) if j != k] for k in range(K)])  # [K, K−1]
    smaller = moments(np.stack([G[..., rows[:, None], rows] for rows in kept], axis=-3))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = smaller.signal / smaller.noise  # [..., K]
    spread = ((ratios - ratios.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)  # [...]
    return np.where(np.isfinite(spread), (K - 1) / K * spread, np.nan)


def split_half_cosine(gram: ArrayLike, *, seed: int = 0) -> Floats:
    """Mean cosine, in [−1, 1], between the mean gradients of two halves of the rollouts; NaN for a zero mean.

    Averaged over all ways to halve K (halves differ by one for odd K) when there are at most 128, else over 128
    drawn ones. Without signal it is near 0 in many dimensions, so it needs no debiasing.

    Args:
        gram: shape [..., K, K], K >= 2.
        seed: of the drawn splits.

    Example:
        >>> float(split_half_cosine([[1.0, 1.0], [1.0, 1.0]]))
        1.0
    """
    G = check_gram("split_half_cosine", gram)  # [..., K, K]
    members = _halves(G.shape[-1], seed)  # [R, K]
    first = members / members.sum(axis=1, keepdims=True)  # [R, K] weights of the mean of one half
    second = (1.0 - members) / (1.0 - members).sum(axis=1, keepdims=True)  # [R, K]
    inner = np.einsum("rk,...kl,rl->...r", first, G, second)  # [..., R]
    norms = np.einsum("rk,...kl,rl->...r", first, G, first) * np.einsum("rk,...kl,rl->...r", second, G, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosines = inner / np.sqrt(np.maximum(norms, 0.0))
    return np.where((norms > 0).all(axis=-1), np.clip(cosines, -1, 1).mean(axis=-1), np.nan)


@dataclass(frozen=True, kw_only=True, slots=True)
class SignFlipNull:
    """What the gradients of one problem read after random sign flips, which leave norms and remove the mean."""

    snr_mean: Floats
    """Mean of Eq. (8) over the sign patterns: this problem's own floor, near 1/√(K−1); NaN without gradients."""
    snr_high: Floats
    """Its 95 % quantile."""
    p_value: Floats
    """Share of sign patterns, the observed one included, whose U is at least the observed U; in (0, 1]."""


def sign_flip_null(gram: ArrayLike, *, seed: int = 0) -> SignFlipNull:
    """Null of the SNR by flipping the signs of whole rollout gradients: G'_ij = ε_i ε_j G_ij.

    All 2^(K−1) patterns when there are at most 128 (K <= 8), else 128 drawn ones. The flips keep every norm and
    every angle up to sign, so the null has the same effective dimension as the data. It is exact for gradients
    symmetric about 0.

    Args:
        gram: shape [..., K, K], K >= 2.
        seed: of the drawn patterns.

    Edges: the smallest p-value is 2^(1−K), or 1/129 when patterns are drawn.

    Example:
        >>> float(sign_flip_null(np.ones((4, 4))).p_value)
        0.125
    """
    G = check_gram("sign_flip_null", gram)  # [..., K, K]
    K = G.shape[-1]
    signs = _sign_patterns(K, seed)  # [R, K]
    sum_square = np.maximum(np.einsum("rk,...kl,rl->...r", signs, G, signs), 0.0)  # [..., R]
    square_sum = np.trace(G, axis1=-2, axis2=-1)[..., None]  # [..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Eq. (8) of the flipped gradients: ‖ḡ'‖² / ((Q − S'/K)/K); a nil denominator is a pattern of perfect agreement.
        snr = np.sqrt(sum_square / K / np.maximum(square_sum - sum_square / K, 0.0))  # [..., R]
    flipped = snr[..., 1:]  # [..., R−1]: the observed pattern is not part of its own null
    finite = np.where(np.isfinite(flipped), flipped, np.nan)
    defined = np.isfinite(finite).any(axis=-1)  # [...]
    safe = np.where(defined[..., None], finite, 0.0)  # [..., R−1]
    observed = sum_square[..., :1]  # [..., 1]
    return SignFlipNull(
        snr_mean=np.where(defined, np.nanmean(safe, axis=-1), np.nan),
        snr_high=np.where(defined, np.nanquantile(safe, 0.95, axis=-1), np.nan),
        p_value=(sum_square >= observed * (1 - 1e-12)).mean(axis=-1),
    )


def covariance_moments(G: Floats) -> tuple[Floats, Floats]:
    """Unbiased m'Σm and tr Σ² of Gram matrices [..., K, K] by U-statistics of order 4, [...] both; NaN for K < 4."""
    K = G.shape[-1]
    if K < 4:
        absent = np.full(G.shape[:-2], np.nan)  # [...]
        return absent, absent
    off = G * (1.0 - np.eye(K))  # [..., K, K]
    rows = off.sum(axis=-1)  # [..., K]
    total = rows.sum(axis=-1)  # [...]
    squares = (off**2).sum(axis=(-2, -1))  # [...]
    row_squares = (rows**2).sum(axis=-1)  # [...]
    a2 = squares / (K * (K - 1))
    three = row_squares - squares
    a3 = three / (K * (K - 1) * (K - 2))
    a4 = (total**2 - 4 * three - 2 * squares) / (K * (K - 1) * (K - 2) * (K - 3))
    return a3 - a4, a2 - 2 * a3 + a4


def _halves(K: int, seed: int) -> Floats:
    """Indicator vectors [R, K] of first halves; for even K each unordered split appears once."""
    size = K // 2
    if comb(K, size) // (1 + (K % 2 == 0)) <= MOST_ARRANGEMENTS:
        # Rollout 0 in the first half: otherwise each split of an even K would be listed twice.
        chosen = [half for half in combinations(range(K), size) if K % 2 or 0 in half]
    else:
        rng = np.random.default_rng(seed)
        chosen = [tuple(rng.permutation(K)[:size]) for _ in range(MOST_ARRANGEMENTS)]
    halves = np.zeros((len(chosen), K))
    for row, half in enumerate(chosen):
        halves[row, list(half)] = 1.0
    return halves


def _sign_patterns(K: int, seed: int) -> Floats:
    """Sign vectors [R, K], observed pattern (all +1) first; a common sign changes nothing, so rollout 0 keeps +1."""
    if 2 ** (K - 1) <= MOST_ARRANGEMENTS:
        return np.array([(1.0, *rest) for rest in product((1.0, -1.0), repeat=K - 1)])
    drawn = np.random.default_rng(seed).choice((-1.0, 1.0), size=(MOST_ARRANGEMENTS, K))
    return np.concatenate([np.ones((1, K)), drawn])
