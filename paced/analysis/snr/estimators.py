"""Signal and noise of K rollout gradients, from their K x K Gram matrix alone.

For gradients g_1 … g_K of one problem with mean ḡ, everything here is a function of ``gram[i, j] = <g_i, g_j>``:

- ``noise``  V = Σ_k ‖g_k − ḡ‖² / (K−1), unbiased for the trace of the gradient covariance tr Σ;
- ``signal`` U = ‖ḡ‖² − V/K = Σ_{i≠j} <g_i, g_j> / (K(K−1)), unbiased for ‖E g‖²;
- the paper's SNR, Eq. (8): ‖ḡ‖ / sqrt(Σ_k ‖g_k − ḡ‖² / K), whose floor without any signal is 1/√(K−1);
- the guarded SNR: Eq. (8) with a share of the data set's mean noise added under the root;
- the debiased ``snr_squared`` U/V, whose floor is 0; pooled over problems as ΣU/ΣV.

U may be negative: that is an honest estimate of a small signal. It is never clipped before pooling.
Shapes: [...] any number of problems with K rollouts each.
Left out: error bars and nulls, which are in ``uncertainty.py``; anything that needs the gradients themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Booleans, Floats
from paced.errors import check_number

ROUNDING = 1e-6
"""Share of the mean square gradient below which noise cannot be told from float32 rounding of the Gram matrix."""

GUARD = 0.01
"""Default share of the mean noise over problems that the guarded SNR adds to each problem's own noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """Signal and noise of one problem (or of a stack of problems with the same K)."""

    num_rollouts: int
    """K >= 2: gradients behind each Gram matrix."""
    mean_gradient_square: Floats
    """‖ḡ‖²: the squared norm of the mean gradient, signal and leftover noise together."""
    gradient_square: Floats
    """(1/K) Σ_k ‖g_k‖²: the mean squared norm."""
    signal: Floats
    """U, unbiased for ‖E g‖²; may be negative."""
    noise: Floats
    """V >= 0, unbiased for tr Σ."""


def moments(gram: ArrayLike) -> Moments:
    """Signal U and noise V of K gradients from their Gram matrix, in squared gradient units.

    ``V = tr(P G P)/(K−1)`` with P the centring projection, and ``U = ‖ḡ‖² − V/K`` (``eq8``).

    Args:
        gram: inner products <g_i, g_j>, shape [..., K, K], symmetric, K >= 2.

    Raises:
        ValueError: not square, K < 2, or not finite.

    Edges: identical gradients give V = 0 exactly when their entries are equal bit for bit.

    Example:
        >>> result = moments([[2.0, 1.0], [1.0, 2.0]])
        >>> float(result.signal), float(result.noise), float(result.mean_gradient_square)
        (1.0, 1.0, 1.5)
    """
    G = check_gram("moments", gram)  # [..., K, K]
    K = G.shape[-1]
    diagonal = np.diagonal(G, axis1=-2, axis2=-1)  # [..., K]
    mean_square = G.mean(axis=(-2, -1))  # [...]
    # ‖g_k − ḡ‖² for each k: centring first keeps V accurate when ‖ḡ‖² dwarfs it.
    deviations = diagonal - 2.0 * G.mean(axis=-1) + mean_square[..., None]  # [..., K]
    noise = np.maximum(deviations.sum(axis=-1), 0.0) / (K - 1)  # [...]
    return Moments(
        num_rollouts=K,
        mean_gradient_square=mean_square,
        gradient_square=diagonal.mean(axis=-1),
        signal=mean_square - noise / K,
        noise=noise,
    )


def moments_from_sums(*, sum_square: ArrayLike, square_sum: ArrayLike, num_rollouts: int) -> Moments:
    """The same moments from two running sums, S = ‖Σ_k g_k‖² and Q = Σ_k ‖g_k‖²; no Gram matrix needed.

    ``U = (S − Q)/(K(K−1))`` and ``V = (Q − S/K)/(K−1)``. Error bars and nulls cannot be had from S and Q.

    Args:
        sum_square: S >= 0, float64 (its relative error enters V multiplied by about 1 + SNR²), any shape.
        square_sum: Q >= 0, the same shape.
        num_rollouts: K >= 2.

    Example:
        >>> result = moments_from_sums(sum_square=6.0, square_sum=4.0, num_rollouts=2)
        >>> float(result.signal), float(result.noise)
        (1.0, 1.0)
    """
    K = num_rollouts
    if K < 2:
        raise ValueError(f"moments_from_sums: num_rollouts must be >= 2, got {K}. One gradient has no spread.")
    S, Q = np.asarray(sum_square, np.float64), np.asarray(square_sum, np.float64)
    noise = np.maximum(Q - S / K, 0.0) / (K - 1)
    return Moments(
        num_rollouts=K,
        mean_gradient_square=S / K**2,
        gradient_square=Q / K,
        signal=S / K**2 - noise / K,
        noise=noise,
    )


def is_degenerate(values: Moments, *, rounding: float = ROUNDING) -> Booleans:
    """Whether the spread is 0 or below rounding, so that Eq. (8) is 0/0 or a ratio to float noise.

    True where ``V <= rounding · (1/K) Σ‖g_k‖²``: identical rollouts, or gradients that are all zero.

    Args:
        values: moments of one or more problems.
        rounding: relative error of the Gram matrix, in [0, 1): 1e-6 for float32 gradients, 1e-13 for float64.

    Example:
        >>> bool(is_degenerate(moments([[1.0, 1.0], [1.0, 1.0]])))
        True
    """
    return values.noise <= rounding * values.gradient_square


def paper_snr(values: Moments, *, rounding: float = ROUNDING) -> Floats:
    """The paper's Eq. (8), an amplitude >= 0; NaN where degenerate.

    ``‖ḡ‖ / sqrt((1/K) Σ_k ‖g_k − ḡ‖²)``. Without any signal it reads about ``plug_in_floor(K)``, not 0.

    Example:
        >>> round(float(paper_snr(moments([[2.0, 1.0], [1.0, 2.0]]))), 6)
        1.732051
    """
    K = values.num_rollouts
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(values.mean_gradient_square / (values.noise * (K - 1) / K))
    return np.where(is_degenerate(values, rounding=rounding), np.nan, ratio)


def guarded_snr(values: Moments, *, mean_noise: float, guard: float = GUARD) -> Floats:
    """Eq. (8) with a noise floor, an amplitude >= 0 that stays finite for identical rollouts.

    ``‖ḡ‖ / sqrt((1/K) Σ_k ‖g_k − ḡ‖² + guard · mean_noise)``.

    Args:
        values: moments of one or more problems.
        mean_noise: mean of V over all problems measured with this loss, the same for every problem, >= 0.
        guard: share of it that is added, in [0, 1]; state it beside the figure, since the shape depends on it.

    Edges: all noise zero and all gradients zero: 0.
    """
    check_number("guarded_snr", "guard", guard, low=0, high=1)
    check_number("guarded_snr", "mean_noise", mean_noise, low=0)
    spread = values.noise * (values.num_rollouts - 1) / values.num_rollouts + guard * mean_noise
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(values.mean_gradient_square / spread)
    return np.where(spread > 0, ratio, np.where(values.mean_gradient_square > 0, np.inf, 0.0))


def debiased_snr_squared(values: Moments, *, rounding: float = ROUNDING) -> Floats:
    """The debiased power ratio U/V of each problem, negative values allowed; NaN where degenerate.

    Its bias is about ``(SNR² + 1/K)·2/(ν−2)``, ν = (K−1)(tr Σ)²/tr Σ², small unless few directions carry the noise.
    Do not average it over problems: pool with :func:`pooled_snr_squared`.

    Example:
        >>> float(debiased_snr_squared(moments([[2.0, 1.0], [1.0, 2.0]])))
        1.0
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values.signal / values.noise
    return np.where(is_degenerate(values, rounding=rounding), np.nan, ratio)


def pooled_snr_squared(signal: ArrayLike, noise: ArrayLike) -> float:
    """ΣU/ΣV over problems: the debiased SNR² of a group; degenerate problems count, with their V = 0.

    Args:
        signal: U of each problem, shape [num_problems], negative values included.
        noise: V of each problem, the same shape, >= 0.

    Edges: no problem, or no noise at all: NaN.

    Example:
        >>> pooled_snr_squared([0.5, -0.1], [1.0, 1.0])
        0.2
    """
    total = float(np.sum(np.asarray(noise, np.float64)))
    return float(np.sum(np.asarray(signal, np.float64))) / total if total > 0 else float("nan")


def plug_in_floor(num_rollouts: int) -> float:
    """What Eq. (8) reads for pure noise in many dimensions: 1/√(K−1), as an amplitude (0.377964 at K = 8).

    Example:
        >>> round(plug_in_floor(8), 6)
        0.377964
    """
    if num_rollouts < 2:
        raise ValueError(f"plug_in_floor: num_rollouts must be >= 2, got {num_rollouts}.")
    return float(1.0 / np.sqrt(num_rollouts - 1))


def check_gram(place: str, gram: ArrayLike) -> Floats:
    """Return the matrix in float64, or say why it is not a Gram matrix of at least two gradients."""
    G = np.asarray(gram, np.float64)
    if G.ndim < 2 or G.shape[-1] != G.shape[-2]:
        raise ValueError(f"{place}: gram must have shape [..., K, K], got {G.shape}.")
    if G.shape[-1] < 2:
        raise ValueError(f"{place}: gram must hold at least 2 gradients, got {G.shape[-1]}. One has no spread.")
    if not np.isfinite(G).all():
        raise ValueError(f"{place}: gram must be finite, got NaN or infinity. Look at the logits of the two models.")
    return G
