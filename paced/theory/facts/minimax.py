"""How much is lost when SNR² is known only up to e^±δ: Theorem 6, Remark 2, ``x3`` and ``x4``.

SNR² = S0 e^r with |r| <= δ. At one pass rate the weight c·S0 has ρ = c e^-r of Lemma 5, so everything is a game between
c and r. All functions are vectorised float64; S0 itself is ``paced.weights.BetaKernel``, and the saturated minimax
weight as the trainer uses it is ``paced.weights.MinimaxKernel``. The worst case of an arbitrary weight function is in
``paced.theory.kit.weighting``.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.theory.facts.descent import efficiency, optimal_weight_from_snr
from paced.theory.facts.domains import masses_of, positives, reals
from paced.weights import BetaKernel

WORST_SHARE = 0.5
"""Mass at r = +δ, the rest at -δ, that hurts most in the noise channel (``x4``)."""
REMARK_2 = (0.1, 0.2, 0.3, 0.5, float(np.log(2.0)), 1.0)
"""The values of δ in Remark 2's table."""


# --- Theorem 6: one pass rate -----------------------------------------------------------------------------------------
def minimax_scale(delta: ArrayLike) -> Floats:
    """c* = sech δ, the factor of the kernel that is best in the worst case (Eq. 23, 29).

    Args:
        delta: δ >= 0, largest |log SNR² - log S0|.

    Example:
        >>> float(minimax_scale(np.log(2.0)).round(12))
        0.8
    """
    shrunk = np.exp(-reals("minimax_scale", "delta", delta, low=0))  # cosh δ itself overflows for δ > 710
    return 2.0 * shrunk / (1.0 + shrunk**2)


def minimax_value(delta: ArrayLike) -> Floats:
    """max_c min_r efficiency = sech² δ = 1 - tanh² δ >= 1 - δ² (Eq. 24, 30); also Theorem 6 (iii), Eq. (25).

    Example:
        >>> minimax_value([0.0, 0.3]).round(6).tolist()
        [1.0, 0.915137]
    """
    return minimax_scale(reals("minimax_value", "delta", delta, low=0)) ** 2


def minimax_weight(
    pass_rate: ArrayLike, *, delta: ArrayLike, kernel_exponents: tuple[float, float] = (1.0, 1.0)
) -> Floats:
    """w_mm(p) = sech(δ) p^α (1-p)^β, in units of 1/(ηL) (Eq. 23).

    Args:
        pass_rate: p in [0, 1].
        delta: δ >= 0.
        kernel_exponents: (α, β) >= 0 of the nominal SNR².

    Example:
        >>> float(minimax_weight(0.5, delta=np.log(2.0)).round(12))
        0.2
    """
    return minimax_scale(delta) * BetaKernel(*kernel_exponents).at(pass_rate)


def worst_efficiency(scale: ArrayLike, delta: ArrayLike) -> Floats:
    """min over |r| <= δ of c e^-r (2 - c e^-r), the inner problem of Eq. (26): always at r = δ or r = -δ.

    Args:
        scale: c >= 0, the factor of the kernel; 1 is the plain kernel of Remark 2.
        delta: δ >= 0; shapes broadcast.

    Edges: at c = 1 it is 1 - (e^δ - 1)², which is 0 at δ = ln 2 and negative beyond.

    Example:
        >>> worst_efficiency([1.0, 0.8], np.log(2.0)).round(12).tolist()
        [0.0, 0.64]
    """
    c, d = reals("worst_efficiency", "scale", scale, low=0), reals("worst_efficiency", "delta", delta, low=0)
    _refuse_overflow("worst_efficiency", d + np.log(np.maximum(c, 1.0)))
    return np.minimum(efficiency(c * np.exp(-d)), efficiency(c * np.exp(d)))


def unit_mean_value(delta: ArrayLike) -> Floats:
    """1 - (e^2δ - 1)², the pointwise guarantee left when kernel and truth have unit mean at one η (``thm6.unit_mean``).

    Edges: ρ fills (e^-2δ, e^2δ), ends not attained; vacuous from δ = ln 2 / 2 on.

    Example:
        >>> float(unit_mean_value(0.1).round(6))
        0.950981
    """
    d = reals("unit_mean_value", "delta", delta, low=0)
    _refuse_overflow("unit_mean_value", 2.0 * d)
    return efficiency(np.exp(2.0 * d))


def delta_of_range(fraction: ArrayLike) -> Floats:
    """δ = -log(1 - x): the smallest δ for which SNR² may be a fraction x too small or too large (Remark 2).

    Args:
        fraction: x in [0, 1), 0.35 for "within 35%".

    Example:
        >>> float(delta_of_range(0.35).round(6))
        0.430783
    """
    x = reals("delta_of_range", "fraction", fraction, low=0)
    if np.any(x >= 1):
        raise ValueError("delta_of_range: fraction must be in [0, 1). SNR^2 cannot be wholly too large.")
    return -np.log1p(-x)


# --- x3: beyond low SNR -----------------------------------------------------------------------------------------------
def saturated_efficiency(weight: ArrayLike, *, snr_squared: ArrayLike) -> Floats:
    """Efficiency of a weight (in units of 1/(ηL)) when the optimum is S/(1+S), Eq. (17).

    Args:
        weight: w >= 0.
        snr_squared: the true S > 0.

    Example:
        >>> float(saturated_efficiency(0.25, snr_squared=1.0))
        0.75
    """
    w = reals("saturated_efficiency", "weight", weight, low=0)
    return efficiency(w / optimal_weight_from_snr(positives("saturated_efficiency", "snr_squared", snr_squared)))


def saturated_minimax_weight(nominal: ArrayLike, delta: ArrayLike) -> Floats:
    """S0/(S0 + cosh δ), in units of 1/(ηL): the minimax weight at any SNR (``x3``).

    It is the harmonic mean of the ends of the interval of optima; S0 → 0 gives back sech(δ) S0 of Theorem 6.

    Args:
        nominal: S0 >= 0.
        delta: δ >= 0; shapes broadcast.

    Example:
        >>> float(saturated_minimax_weight(1.0, np.log(2.0)).round(12))
        0.444444444444
    """
    s0 = reals("saturated_minimax_weight", "nominal", nominal, low=0)
    r = _over_cosh(s0, reals("saturated_minimax_weight", "delta", delta, low=0))
    return r / (1.0 + r)


def saturated_minimax_value(nominal: ArrayLike, delta: ArrayLike) -> Floats:
    """1 - (sinh δ/(S0 + cosh δ))² >= sech² δ, the efficiency that this weight is sure of (``x3``).

    Example:
        >>> saturated_minimax_value([0.0, 1.0], np.log(2.0)).round(12).tolist()
        [0.64, 0.888888888889]
    """
    s0 = reals("saturated_minimax_value", "nominal", nominal, low=0)
    d = reals("saturated_minimax_value", "delta", delta, low=0)
    r, sech = _over_cosh(s0, d), minimax_scale(d)
    # (r² + 2r + sech² δ)/(1 + r)²; the second form where r² could overflow.
    small = np.minimum(r, 1.0)
    return np.where(
        r < 1, (small * (small + 2.0) + sech**2) / (1.0 + small) ** 2, 1.0 - (1.0 - sech**2) / (1.0 + r) / (1.0 + r)
    )


def kernel_for_saturated_value(largest_snr_squared: ArrayLike, delta: ArrayLike) -> Floats:
    """sech²(δ + log(1 + Smax e^-δ)/2): what shape S0 keeps when the truth is S0 e^r/(1 + S0 e^r) (``x3``).

    Args:
        largest_snr_squared: Smax >= 0, largest S0 over the problems, whose S0 goes down to 0.
        delta: δ >= 0; with δ = 0 it is 4(1+Smax)/(2+Smax)².

    Edges: for the shape alone; the learning rate takes up the scale.

    Example:
        >>> kernel_for_saturated_value([1.0, 1.0], [0.0, 0.3]).round(6).tolist()
        [0.888889, 0.728964]
    """
    place = "kernel_for_saturated_value"
    largest = reals(place, "largest_snr_squared", largest_snr_squared, low=0)
    d = reals(place, "delta", delta, low=0)
    return minimax_value(d + 0.5 * np.log1p(largest * np.exp(-d)))


# --- Theorem 6 (iii) and x4: the mean over problems -------------------------------------------------------------------
def aggregate_ratio(scale: ArrayLike, remainder: ArrayLike, *, masses: ArrayLike | None = None) -> Floats:
    """E[D(c w_B)]/E[D(w*)] = (2c - c² E0[e^-r])/E0[e^r], the noise channel of Eq. (25) and (31).

    Args:
        scale: c, any shape.
        remainder: r [num_problems].
        masses: q0 ∝ μ s2 w_B [num_problems]; equal by default.

    Edges: at c = sech δ it is sech² δ for every r with |r| = δ, however the signs are spread (``thm6.iii``).

    Example:
        >>> float(aggregate_ratio(0.8, [np.log(2.0), -np.log(2.0)], masses=[0.9, 0.1]).round(12))
        0.64
    """
    r = reals("aggregate_ratio", "remainder", remainder)
    mass, c = masses_of("aggregate_ratio", masses, r.size), reals("aggregate_ratio", "scale", scale)
    return (2.0 * c - c**2 * (mass @ np.exp(-r))) / (mass @ np.exp(r))


def aggregate_efficiency(log_weight: ArrayLike, remainder: ArrayLike, *, masses: ArrayLike | None = None) -> float:
    """F = E[w s2]²/(E[w² M2] E[s2²/M2]) with w = w_B e^u, w* = w_B e^r: efficiency at the best scale (``x4``).

    Noise channel, where s2 is known and M2 = s2/(w_B e^r) is not: E0[e^u]²/(E0[e^(2u-r)] E0[e^r]).

    Args:
        log_weight: u [num_problems]; 0 is the kernel.
        remainder: r [num_problems].
        masses: q0 ∝ μ s2 w_B of the nominal s2 [num_problems]; equal by default.

    Example:
        >>> [round(aggregate_efficiency(u, [0.3, -0.3]), 6) for u in ([0, 0], [0.3, -0.3])]
        [0.915137, 1.0]
    """
    place = "aggregate_efficiency"
    u, r = reals(place, "log_weight", log_weight), reals(place, "remainder", remainder)
    mass = masses_of(place, masses, r.size)
    return float((mass @ np.exp(u)) ** 2 / ((mass @ np.exp(2 * u - r)) * (mass @ np.exp(r))))


def signal_aggregate_efficiency(
    log_weight: ArrayLike, remainder: ArrayLike, *, masses: ArrayLike | None = None
) -> float:
    """The same where M2 is known and s2 = e^r M2 w_B is not: E0[e^(u+r)]²/(E0[e^2u] E0[e^2r]) (``x4``).

    Args:
        log_weight: u [num_problems]; 0 is the kernel.
        remainder: r [num_problems].
        masses: q0 ∝ μ s2 w_B of the nominal s2 [num_problems]; equal by default.

    Example:
        >>> round(signal_aggregate_efficiency([0, 0], [0.3, -0.3]), 6)
        0.921775
    """
    place = "signal_aggregate_efficiency"
    u, r = reals(place, "log_weight", log_weight), reals(place, "remainder", remainder)
    mass = masses_of(place, masses, r.size)
    return float((mass @ np.exp(u + r)) ** 2 / ((mass @ np.exp(2 * u)) * (mass @ np.exp(2 * r))))


def signal_worst_share(delta: ArrayLike) -> Floats:
    """Mass θ at r = +δ (the rest at -δ) that hurts most in the signal channel, e^-δ/(2 cosh δ) (``x4``).

    In the noise channel it is :data:`WORST_SHARE`, whatever δ.

    Example:
        >>> float(signal_worst_share(0.3).round(6))
        0.354344
    """
    d = reals("signal_worst_share", "delta", delta, low=0)
    return np.exp(-2.0 * d) / (1.0 + np.exp(-2.0 * d))


def aggregate_minimax_value(delta: float, *, masses: ArrayLike | None = None) -> float:
    """max_u min_r F in the noise channel: 1/(1 + 4θ(1-θ) sinh² δ) with the subset mass θ nearest 1/2 (``x4``).

    The kernel (u = 0) attains it. Without atoms θ = 1/2 and the value is sech² δ.

    Args:
        delta: δ >= 0.
        masses: q0 of at most 20 atoms; None for a law without atoms.

    Example:
        >>> round(aggregate_minimax_value(0.3), 6), round(aggregate_minimax_value(0.3, masses=[0.7, 0.2, 0.1]), 6)
        (0.915137, 0.927734)
    """
    d = float(reals("aggregate_minimax_value", "delta", delta, low=0))
    if masses is None:
        return float(minimax_value(d))
    mass = masses_of("aggregate_minimax_value", masses, np.size(masses))
    if mass.size > 20:
        raise ValueError(f"aggregate_minimax_value: masses must be at most 20, got {mass.size}. Use None: no atoms.")
    shares = np.array(list(product((0.0, 1.0), repeat=mass.size))) @ mass
    shrunk = np.exp(-2.0 * d)  # sinh² δ = (1 - e^-2δ)²/(4e^-2δ)
    return float(shrunk / (shrunk + np.max(shares * (1.0 - shares)) * (1.0 - shrunk) ** 2))


def _over_cosh(nominal: Floats, delta: Floats) -> Floats:
    """r = S0/cosh δ, also where cosh δ overflows."""
    log_nominal = np.log(np.maximum(nominal, 1e-320))
    return np.where(delta < 700, nominal * minimax_scale(delta), np.exp(log_nominal + np.log(2.0) - delta))


def _refuse_overflow(place: str, log_ratio: Floats) -> None:
    """Efficiencies below -1e300 are not numbers of float64."""
    if np.any(log_ratio > 345.0):
        raise ValueError(
            f"{place}: delta must be smaller, got an optimum that may be e^{float(np.max(log_ratio)):g} times off: the "
            "efficiency there is below -1e299."
        )


# --- tables for the pages ---------------------------------------------------------------------------------------------
def robustness_table(deltas: ArrayLike = REMARK_2) -> dict[str, list[float]]:
    """Remark 2 with what it leaves out: the worst efficiency with c = sech δ, with c = 1, and with unit means.

    Example:
        >>> {name: round(column[2], 6) for name, column in robustness_table().items()}
        {'delta': 0.3, 'c = sech(delta)': 0.915137, 'c = 1': 0.877599, 'both unit-mean': 0.324121}
    """
    d = reals("robustness_table", "deltas", deltas, low=0)
    return {
        "delta": d.tolist(),
        "c = sech(delta)": minimax_value(d).tolist(),
        "c = 1": worst_efficiency(1.0, d).tolist(),
        "both unit-mean": unit_mean_value(d).tolist(),
    }
