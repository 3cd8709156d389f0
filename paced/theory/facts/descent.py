"""How much one weighted gradient step is sure to gain: Definition 2, Theorem 4, Lemma 5 and Remark 1.

Symbols: s2 = ‖ḡ‖² (squared mean gradient), M2 = E‖g‖² = s2 + tr Cov g, SNR² = s2/(M2 - s2), L smoothness, η learning
rate. All functions are vectorised float64. The optimal weight as the trainer uses it, a function of the pass rate, is
``paced.weights.SaturatedKernel``. Left out: the exact descent, which needs the Hessian and not only its bound L.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.errors import check_number
from paced.theory.facts.domains import masses_of, positives, reals
from paced.weights import BetaKernel


def guaranteed_descent(
    weight: ArrayLike,
    *,
    signal_squared: ArrayLike,
    second_moment: ArrayLike,
    learning_rate: ArrayLike = 1.0,
    smoothness: ArrayLike = 1.0,
) -> Floats:
    """D(w) = η w s2 - (η² w²/2) L M2, in units of the loss: what a step gains at least (Eq. 12).

    Args:
        weight: w, any real number.
        signal_squared: s2 >= 0, at most M2.
        second_moment: M2 > 0.
        learning_rate: η > 0.
        smoothness: L > 0, a global bound on the Hessian's largest eigenvalue. All shapes broadcast.

    Edges: negative beyond twice the optimal weight: the step may then raise the loss.

    Raises:
        ValueError: M2 < s2, which no gradient has, or an argument outside its range.

    Example:
        >>> guaranteed_descent([0.25, 0.5], signal_squared=1.0, second_moment=4.0).tolist()
        [0.125, 0.0]
    """
    s2, m2, eta, lip = _moments("guaranteed_descent", signal_squared, second_moment, learning_rate, smoothness)
    w = reals("guaranteed_descent", "weight", weight)
    return eta * w * s2 - 0.5 * (eta * w) ** 2 * lip * m2


def optimal_weight(
    *,
    signal_squared: ArrayLike,
    second_moment: ArrayLike,
    learning_rate: ArrayLike = 1.0,
    smoothness: ArrayLike = 1.0,
) -> Floats:
    """w* = s2/(η L M2), the weight that maximises D (Eq. 16).

    Args: as for :func:`guaranteed_descent`. Returns: weights in [0, 1/(ηL)].

    Example:
        >>> float(optimal_weight(signal_squared=1.0, second_moment=4.0, learning_rate=0.5))
        0.5
    """
    s2, m2, eta, lip = _moments("optimal_weight", signal_squared, second_moment, learning_rate, smoothness)
    return s2 / (eta * lip * m2)


def optimal_weight_from_snr(
    snr_squared: ArrayLike, *, learning_rate: ArrayLike = 1.0, smoothness: ArrayLike = 1.0
) -> Floats:
    """w* = SNR²/(ηL (1 + SNR²)), the same weight from the signal-to-noise ratio (Eq. 17).

    Args:
        snr_squared: SNR² >= 0, a power; may be infinite (no noise).
        learning_rate: η > 0.
        smoothness: L > 0.

    Edges: 0 at SNR² = 0; 1/(ηL) at SNR² = ∞; ≈ SNR²/(ηL) below, the low-SNR form of Eq. (18).

    Example:
        >>> optimal_weight_from_snr([0.0, 1.0, np.inf]).tolist()
        [0.0, 0.5, 1.0]
    """
    place = "optimal_weight_from_snr"
    snr = np.asarray(snr_squared, dtype=np.float64)
    if np.any(~(snr >= 0)):
        raise ValueError(f"{place}: snr_squared must be >= 0, got {float(np.nanmin(snr))}. Give SNR^2, not its log.")
    eta, lip = positives(place, "learning_rate", learning_rate), positives(place, "smoothness", smoothness)
    noiseless = np.isinf(snr)
    share = np.where(noiseless, 1.0, np.divide(snr, 1.0 + snr, where=~noiseless, out=np.ones_like(snr)))
    return share / (eta * lip)


def best_descent(*, signal_squared: ArrayLike, second_moment: ArrayLike, smoothness: ArrayLike = 1.0) -> Floats:
    """D(w*) = s2²/(2 L M2), in units of the loss; η has dropped out (below Eq. 17).

    Example:
        >>> float(best_descent(signal_squared=1.0, second_moment=4.0))
        0.125
    """
    s2, m2, _, lip = _moments("best_descent", signal_squared, second_moment, 1.0, smoothness)
    return s2**2 / (2.0 * lip * m2)


def efficiency(ratio: ArrayLike) -> Floats:
    """D(w)/D(w*) = ρ(2-ρ) = 1 - (1-ρ)², the share of the best descent at w = ρ w* (Lemma 5, Eq. 21-22).

    Args:
        ratio: ρ = w/w*, any real number.

    Edges: 0 at ρ = 0 and ρ = 2, negative outside. Symmetric in ρ-1, not in log ρ: half the weight keeps 3/4, twice
    the weight keeps nothing.

    Example:
        >>> efficiency([0.5, 1.0, 2.0]).tolist()
        [0.75, 1.0, 0.0]
    """
    rho = reals("efficiency", "ratio", ratio)
    return rho * (2.0 - rho)


def optimal_log_slope(pass_rate: ArrayLike, *, kernel_exponents: tuple[float, float], amplitude: float) -> Floats:
    """d log w*/d log p = (α - β p/(1-p))/(1 + SNR²) for SNR² = A p^α (1-p)^β: the local exponent (``thm4.saturation``).

    Args:
        pass_rate: p in (0, 1).
        kernel_exponents: (α, β) = (2a', 2b') of SNR², >= 0.
        amplitude: A > 0.

    Edges: tends to α as p → 0 whatever A is: saturation flattens the interior and leaves the end alone.

    Example:
        >>> optimal_log_slope([1e-9, 0.25], kernel_exponents=(1.0, 1.0), amplitude=16.0).round(6).tolist()
        [1.0, 0.166667]
    """
    alpha, beta = kernel_exponents
    check_number("optimal_log_slope", "amplitude", amplitude, low=0, low_open=True)
    p = positives("optimal_log_slope", "pass_rate", pass_rate)
    if np.any(p >= 1):
        raise ValueError("optimal_log_slope: pass_rate must be in (0, 1). At the ends the slope is a limit.")
    snr_squared = amplitude * BetaKernel(alpha, beta).at(p)
    return (alpha - beta * p / (1.0 - p)) / (1.0 + snr_squared)


def batch_descent(
    weights: ArrayLike,
    *,
    mean_gradients: ArrayLike,
    second_moments: ArrayLike,
    full_gradient: ArrayLike,
    learning_rate: float = 1.0,
    smoothness: float = 1.0,
) -> float:
    """F(w) = η Σ w_i <∇L, ḡ_i> - (η² L/2) Σ_ij w_i w_j E<g_i, g_j>, the descent of one batch (Eq. 20).

    Args:
        weights: w [num_problems], with the 1/B of the batch mean in them.
        mean_gradients: ḡ_i [num_problems, dim]; the noise of different problems is independent.
        second_moments: E‖g_i‖² [num_problems].
        full_gradient: ∇L [dim].
        learning_rate: η > 0.
        smoothness: L > 0.

    Example:
        >>> orthogonal = [[1.0, 0.0], [0.0, 1.0]]
        >>> batch_descent([0.5, 0.5], mean_gradients=orthogonal, second_moments=[1, 1], full_gradient=[0.5, 0.5])
        0.25
    """
    w, g = reals("batch_descent", "weights", weights), reals("batch_descent", "mean_gradients", mean_gradients)
    gram = g @ g.T  # [num_problems, num_problems]
    np.fill_diagonal(gram, positives("batch_descent", "second_moments", second_moments))
    signal = g @ reals("batch_descent", "full_gradient", full_gradient)  # [num_problems]
    return float(learning_rate * w @ signal - 0.5 * learning_rate**2 * smoothness * w @ gram @ w)


def joint_optimal_weights(
    *,
    mean_gradients: ArrayLike,
    second_moments: ArrayLike,
    batch_size: int,
    masses: ArrayLike | None = None,
    learning_rate: float = 1.0,
    smoothness: float = 1.0,
) -> Floats:
    """The weights that maximise the expected descent of a batch of B problems drawn iid: Γ w = γ/(ηL) (``rem1.joint``).

    Γ_ij = [i=j] μ_i M2_i/B + (1-1/B) μ_i μ_j <ḡ_i, ḡ_j>,  γ_i = μ_i <ḡ_i, ∇L>,  ∇L = Σ μ_i ḡ_i.

    Args:
        mean_gradients: ḡ_i [num_problems, dim].
        second_moments: M2_i > 0 [num_problems], at least ‖ḡ_i‖².
        batch_size: B >= 1.
        masses: μ_i [num_problems]; equal ones by default.
        learning_rate: η > 0.
        smoothness: L > 0.

    Edges: parallel ḡ give w ∝ ‖ḡ‖/M2 for every B, orthogonal ones the paper's ‖ḡ‖²/M2 when B is small against N.

    Example:
        >>> w = joint_optimal_weights(mean_gradients=[[1.0], [2.0]], second_moments=[2.0, 8.0], batch_size=4)
        >>> round(float(w[1] / w[0]), 12)
        0.5
    """
    place = "joint_optimal_weights"
    g, m2 = reals(place, "mean_gradients", mean_gradients), positives(place, "second_moments", second_moments)
    if g.ndim != 2 or m2.shape != g.shape[:1]:
        raise ValueError(f"{place}: mean_gradients must be [num_problems, dim] with one second moment for each row.")
    if np.any(np.sum(g * g, axis=1) > m2 * (1 + 1e-12)):
        raise ValueError(f"{place}: second_moments must be at least the squared mean gradients. Add the noise.")
    check_number(place, "batch_size", batch_size, low=1)
    mass = masses_of(place, masses, len(g))  # [num_problems]
    weighted = mass[:, None] * g  # [num_problems, dim]
    gamma = weighted @ (mass @ g)  # [num_problems]
    matrix = np.diag(mass * m2 / batch_size) + (1.0 - 1.0 / batch_size) * weighted @ weighted.T
    return np.asarray(np.linalg.solve(matrix, gamma) / (learning_rate * smoothness), dtype=np.float64)


def mean_constrained_weights(
    *,
    signal_squared: ArrayLike,
    second_moment: ArrayLike,
    learning_rate: float,
    smoothness: float = 1.0,
    masses: ArrayLike | None = None,
) -> Floats:
    """Maximiser of E[D(w)] subject to E[w] = 1 at a fixed η: w* - λ/(η² L M2), another shape than w* (``rem1.scale``).

    Args: s2 and M2 [num_problems]; masses: equal by default. Returns: weights, some may be negative.

    Edges: the multiplier λ is 0, and the shape that of w*, only at η = E[s2/M2]/L.

    Example:
        >>> w = mean_constrained_weights(signal_squared=[1.0, 1.0], second_moment=[2.0, 4.0], learning_rate=1.0)
        >>> w.round(6).tolist()
        [1.333333, 0.666667]
    """
    place = "mean_constrained_weights"
    s2, m2, eta, lip = _moments(place, signal_squared, second_moment, learning_rate, smoothness)
    mass = masses_of(place, masses, m2.size)
    best = s2 / (eta * lip * m2)
    multiplier = (mass @ best - 1.0) / (mass @ (1.0 / (eta**2 * lip * m2)))
    return best - multiplier / (eta**2 * lip * m2)


def _moments(
    place: str, signal_squared: ArrayLike, second_moment: ArrayLike, learning_rate: ArrayLike, smoothness: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    s2 = reals(place, "signal_squared", signal_squared, low=0)
    m2 = positives(place, "second_moment", second_moment)
    if np.any(s2 > m2 * (1 + 1e-12)):
        raise ValueError(f"{place}: second_moment must be at least signal_squared. E|g|^2 = |E g|^2 + tr Cov g.")
    return s2, m2, positives(place, "learning_rate", learning_rate), positives(place, "smoothness", smoothness)
