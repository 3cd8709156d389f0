"""Gradient variance under weighting for a finite population of problems: Proposition 7, Eq. (32)-(36).

Everything here is exact, signal and noise. Weights are divided by their population mean, as the trainer does; a batch
that divides by its own mean has another variance (``prop7``). Power laws and Beta laws are in ``variance_ratios``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paced.theory.facts.domains import masses_of, reals


@dataclass(frozen=True, kw_only=True)
class VarianceTerms:
    """The terms of Eq. (34) and (35) for one population; make it with :func:`variance_terms`."""

    mean_square_weight: float
    """E[w̃²] >= 1."""
    coupling: float
    """Cov(w̃², M2)."""
    mean_second_moment: float
    """E[M2]."""
    weighted_mean_squared: float
    """‖E[w̃ g]‖²."""
    mean_squared: float
    """‖E g‖²."""

    @property
    def weighted_variance(self) -> float:
        """V_w = E[w̃²] E[M2] + Cov(w̃², M2) - ‖E[w̃ g]‖² (Eq. 34); a batch of B iid problems has V_w/B."""
        return self.mean_square_weight * self.mean_second_moment + self.coupling - self.weighted_mean_squared

    @property
    def uniform_variance(self) -> float:
        """V_unif = E[M2] - ‖E g‖²."""
        return self.mean_second_moment - self.mean_squared

    @property
    def ratio(self) -> float:
        """V_w/V_unif (Eq. 35); below 1 the weights reduce the variance. Raises ValueError if V_unif is 0."""
        if self.uniform_variance <= 0:
            raise ValueError("VarianceTerms.ratio: the uniform variance must be > 0. All gradients here are equal.")
        return self.weighted_variance / self.uniform_variance

    @property
    def meets_condition_36(self) -> bool:
        """Cov(w̃², M2)/E[M2] < 1 - E[w̃²] (Eq. 36): sufficient only if also ‖E[w̃ g]‖ >= ‖E g‖ (``prop7.sufficient``)."""
        return self.coupling / self.mean_second_moment < 1.0 - self.mean_square_weight

    @property
    def meets_exact_condition(self) -> bool:
        """Cov(w̃², M2) + Var(w̃) E[M2] < ‖E[w̃ g]‖² - ‖E g‖²: exactly when V_w < V_unif (``prop7.sufficient``)."""
        penalty = (self.mean_square_weight - 1.0) * self.mean_second_moment
        return self.coupling + penalty < self.weighted_mean_squared - self.mean_squared


def variance_terms(
    weights: ArrayLike,
    mean_gradients: ArrayLike,
    *,
    second_moments: ArrayLike | None = None,
    masses: ArrayLike | None = None,
) -> VarianceTerms:
    """Every term of Eq. (34)-(36) for a finite population, exactly.

    Args:
        weights: w >= 0 [num_problems], not all 0; divided by their population mean here.
        mean_gradients: ḡ_i [num_problems, dim], or [num_problems] for one dimension.
        second_moments: M2_i = E‖g_i‖² [num_problems]; by default ‖ḡ_i‖², gradients without noise of their own.
        masses: μ_i [num_problems]; equal by default.

    Raises:
        ValueError: shapes that do not fit, weights that are all 0, M2 below ‖ḡ‖².

    Example:
        >>> terms = variance_terms([0.09, 0.25], [1.0, 0.7])
        >>> round(terms.ratio, 6), terms.meets_condition_36, terms.meets_exact_condition
        (2.777778, True, False)
    """
    place = "variance_terms"
    w, g = reals(place, "weights", weights, low=0), reals(place, "mean_gradients", mean_gradients)
    g = g[:, None] if g.ndim == 1 else g  # [num_problems, dim]
    if w.ndim != 1 or g.ndim != 2 or len(g) != w.size:
        raise ValueError(f"{place}: weights and mean_gradients must have one row for each problem.")
    mass = masses_of(place, masses, w.size)  # [num_problems]
    square = np.sum(g * g, axis=1)  # [num_problems]
    m2 = square if second_moments is None else reals(place, "second_moments", second_moments, low=0)
    if m2.shape != w.shape or np.any(m2 < square * (1 - 1e-12)):
        raise ValueError(f"{place}: second_moments must be one number >= the squared mean gradient for each problem.")
    if mass @ w <= 0:
        raise ValueError(f"{place}: weights must not all be 0. They have no unit-mean form.")
    unit = w / (mass @ w)  # [num_problems]
    mean_square_weight, mean_m2 = float(mass @ unit**2), float(mass @ m2)
    return VarianceTerms(
        mean_square_weight=mean_square_weight,
        coupling=float(mass @ ((unit**2 - mean_square_weight) * (m2 - mean_m2))),
        mean_second_moment=mean_m2,
        weighted_mean_squared=float(np.sum((mass @ (unit[:, None] * g)) ** 2)),
        mean_squared=float(np.sum((mass @ g) ** 2)),
    )


def self_normalised_variance(
    weights: ArrayLike, mean_gradients: ArrayLike, *, masses: ArrayLike | None = None
) -> float:
    """E[w̃² ‖g - E[w̃ g]‖²], the first-order variance if each batch divides by its own sum of weights (``prop7``).

    Example:
        >>> p = np.array([0.1, 0.3, 0.5, 0.8])
        >>> round(self_normalised_variance(p * (1 - p), [3.0, 1.5, 1.0, -0.5]), 6)
        0.80625
    """
    w, g = reals("self_normalised_variance", "weights", weights, low=0), np.asarray(mean_gradients, dtype=np.float64)
    g = g[:, None] if g.ndim == 1 else g  # [num_problems, dim]
    mass = masses_of("self_normalised_variance", masses, w.size)  # [num_problems]
    unit = w / (mass @ w)  # [num_problems]
    centred = g - mass @ (unit[:, None] * g)  # [num_problems, dim]
    return float(mass @ (unit**2 * np.sum(centred**2, axis=1)))
