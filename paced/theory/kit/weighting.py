"""Hold any weight function against the laws of the theory, and say how much it can lose.

Six laws and three efficiencies. The efficiencies are scale-free, since the learning rate absorbs the scale of a weight:

- against a given SNR profile, with M2 flat:  F = E[w w*]² / (E[w²] E[w*²]),  w* = SNR²/(1+SNR²);
- worst case at one pass rate, Theorem 6: if SNR² = S0 e^r, |r| <= δ, the best learning rate for w leaves
  sech²(δ + osc(log(w/S0))/2) at the worst p and r, which is sech² δ exactly when w ∝ S0;
- worst case in the mean (``x4``): min over r of  E[w s2]² / (E[w² M2] E[s2²/M2])  with s2 fixed.

On (0, 1) as a whole a weight with other exponents than S0 has worst case 0 at the ends, so all three are taken on
[ε, 1-ε] under a law of pass rates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import roots_legendre

from paced.arrays import Floats
from paced.errors import check_number
from paced.weights import BetaKernel

WeightOfRate = Callable[[Floats], ArrayLike]
"""A weight as a function of the pass rate: array in, array of the same shape out."""


@dataclass(frozen=True)
class Law:
    """One law, and what it says of the weight function."""

    name: str
    holds: bool
    finding: str


@dataclass(frozen=True, kw_only=True)
class WeightingReport:
    """What :func:`check_weighting` found; ``print`` it."""

    laws: tuple[Law, ...]
    peaks: tuple[float, ...]
    """Pass rates of all local maxima inside (0, 1)."""
    efficiency: float
    """F under the given SNR profile, in [0, 1]."""
    worst_at_one_rate: float
    """Worst case of Theorem 6 over p in [ε, 1-ε] and |r| <= δ, at the best learning rate."""
    worst_in_the_mean: float
    """Worst case of the aggregate efficiency over |r| <= δ."""
    guarantee: float
    """sech² δ: what the kernel itself is guaranteed."""

    @property
    def usable(self) -> bool:
        """Whether the weight can be trained with at all: finite, non-negative and not zero everywhere."""
        return all(law.holds for law in self.laws if law.name in ("finite", "non-negative", "not all zero"))

    def __str__(self) -> str:
        lines = [f"{'yes' if law.holds else 'NO ':<4}{law.name}: {law.finding}" for law in self.laws]
        lines += [
            f"    efficiency under the profile: {self.efficiency:.4f}",
            f"    worst case at one pass rate:  {self.worst_at_one_rate:.4f} (sech^2 delta = {self.guarantee:.4f})",
            f"    worst case in the mean:       {self.worst_in_the_mean:.4f}",
        ]
        return "\n".join(lines)


def check_weighting(
    weight_fn: WeightOfRate,
    *,
    snr: WeightOfRate | None = None,
    delta: float = 0.3,
    epsilon: float = 1 / 16,
    grid_size: int = 2001,
) -> WeightingReport:
    """Hold a weight function against the laws.

    Args:
        weight_fn: pass rates [n] in [0, 1] -> weights [n]; for a kernel of ``paced.weights`` pass its ``at``.
        snr: pass rates -> amplitude SNR, the profile S0 = SNR² to compare with; by default 0.1 sqrt(p(1-p)).
        delta: δ >= 0, largest |r|.
        epsilon: efficiencies are taken on [ε, 1-ε]; 1/16 is half a rollout of K = 8.
        grid_size: points of the grid, >= 101.

    Returns: a report. A law that does not hold is a finding, not an error.

    Raises:
        ValueError: a weight function that changes the shape, or an SNR profile that is not positive inside.

    Example:
        >>> from paced.weights import BetaKernel
        >>> print(check_weighting(BetaKernel().at))
        yes finite: all of 2001 weights
        yes non-negative: smallest 0
        yes not all zero: largest 0.25
        yes vanishes at p = 0: w(0) = 0
        yes vanishes at p = 1: w(1) = 0
        yes unimodal: peaks at p = 0.5
            efficiency under the profile: 1.0000
            worst case at one pass rate:  0.9151 (sech^2 delta = 0.9151)
            worst case in the mean:       0.9151
        >>> uniform = check_weighting(lambda p: p**0, delta=0.0)
        >>> round(uniform.efficiency, 3), round(uniform.worst_at_one_rate, 3)
        (0.914, 0.615)
    """
    check_number("check_weighting", "delta", delta, low=0)
    check_number("check_weighting", "epsilon", epsilon, low=0, high=0.5, low_open=True, high_open=True)
    grid = np.linspace(0.0, 1.0, int(check_number("check_weighting", "grid_size", grid_size, low=101)))
    weights = _evaluate(weight_fn, grid, "weight_fn")
    inside, mass = _quadrature(epsilon)
    profile = _evaluate(snr, inside, "snr") if snr is not None else 0.1 * np.sqrt(BetaKernel().at(inside))
    if np.any(~(profile > 0)) or np.any(~np.isfinite(profile)):
        raise ValueError("check_weighting: snr must be finite and > 0 inside (0, 1). Give an amplitude profile.")
    nominal = profile**2
    w = _evaluate(weight_fn, inside, "weight_fn")
    sound = bool(np.all(np.isfinite(w)) and np.all(w >= 0) and np.any(w > 0))
    peaks = _peaks(grid, weights)
    return WeightingReport(
        laws=_laws(weights, peaks),
        peaks=peaks,
        efficiency=_efficiency(w, nominal / (1 + nominal), mass) if sound else 0.0,
        worst_at_one_rate=worst_at_one_rate(w, nominal, delta) if sound else 0.0,
        worst_in_the_mean=worst_in_the_mean(w, nominal, mass, delta) if sound else 0.0,
        guarantee=float(np.cosh(delta) ** -2.0),
    )


def worst_at_one_rate(weights: Floats, nominal: Floats, delta: float) -> float:
    """sech²(δ + osc(log(w/S0))/2): worst efficiency of c·w over p and |r| <= δ at the best common scale c.

    ρ = c w/(S0 e^r) fills [c m e^-δ, c M e^δ], m and M the extremes of w/S0; then the equaliser of Theorem 6.

    Example:
        >>> round(worst_at_one_rate(np.array([1.0, 2.0]), np.array([1.0, 2.0]), 0.3), 6)
        0.915137
    """
    if np.any(weights <= 0):
        return 0.0
    log_ratio = np.log(weights) - np.log(nominal)
    return float(np.cosh(delta + (log_ratio.max() - log_ratio.min()) / 2) ** -2.0)


def worst_in_the_mean(weights: Floats, nominal: Floats, mass: Floats, delta: float) -> float:
    """min over |r| <= δ of E[w s2]²/(E[w² M2] E[s2²/M2]) with s2 = nominal w*, M2 = e^-r (noise channel of ``x4``).

    With x = e^r the denominator is (Σ m w²/x)(Σ m S0² x), convex in every x_i, so the worst x_i is e^±δ; it is e^-δ
    where w/S0 is large. The threshold is found by trying all.

    Example:
        >>> q = np.array([0.7, 0.2, 0.1])
        >>> round(worst_in_the_mean(np.ones(3), np.ones(3), q, 0.3), 6)
        0.927734
    """
    order = np.argsort(weights / nominal)
    w, s, m = weights[order], nominal[order], mass[order]
    shrunk, grown = np.exp(-delta), np.exp(delta)
    noise, signal = m * w * w, m * s * s
    below = np.concatenate([[0.0], np.cumsum(noise)]), np.concatenate([[0.0], np.cumsum(signal)])
    # The first i points have x = e^δ, the others e^-δ.
    total_noise = below[0] / grown + (below[0][-1] - below[0]) / shrunk
    total_signal = below[1] * grown + (below[1][-1] - below[1]) * shrunk
    worst = float(np.max(total_noise * total_signal))
    if len(w) <= 12:  # equal ratios make the order within a tie matter; few atoms are tried one by one
        choices = np.array(np.meshgrid(*[[shrunk, grown]] * len(w))).reshape(len(w), -1)
        worst = float(np.max((noise @ (1 / choices)) * (signal @ choices)))
    return float(np.sum(m * w * s) ** 2 / worst)


def _efficiency(w: Floats, best: Floats, mass: Floats) -> float:
    return float(np.sum(mass * w * best) ** 2 / (np.sum(mass * w * w) * np.sum(mass * best * best)))


def _quadrature(epsilon: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and masses of the uniform law on [ε, 1-ε]."""
    nodes, mass = roots_legendre(400)
    return 0.5 + (0.5 - epsilon) * nodes, mass / 2


def _laws(weights: Floats, peaks: tuple[float, ...]) -> tuple[Law, ...]:
    finite = np.isfinite(weights)
    smallest, largest = (float(f(weights[finite], initial=0.0)) for f in (np.min, np.max))
    where = ", ".join(f"{p:.3g}" for p in peaks[:5]) or "none"
    return (
        Law("finite", bool(finite.all()), f"{'all' if finite.all() else int(finite.sum())} of {weights.size} weights"),
        Law("non-negative", smallest >= 0, f"smallest {smallest:.6g}"),
        Law("not all zero", largest > 0, f"largest {largest:.6g}"),
        Law("vanishes at p = 0", float(weights[0]) == 0, f"w(0) = {weights[0]:.6g}"),
        Law("vanishes at p = 1", float(weights[-1]) == 0, f"w(1) = {weights[-1]:.6g}"),
        Law("unimodal", len(peaks) == 1, f"peaks at p = {where}"),
    )


def _peaks(grid: Floats, weights: Floats) -> tuple[float, ...]:
    """Interior local maxima; of a flat top its middle, none where the top reaches an end."""
    steps = np.sign(np.diff(weights))
    moves = np.flatnonzero(steps)
    tops = [(i, j) for i, j in pairwise(moves) if steps[i] > 0 and steps[j] < 0]
    return tuple(float((grid[i + 1] + grid[j]) / 2) for i, j in tops)


def _evaluate(function: WeightOfRate, rates: Floats, name: str) -> Floats:
    values = np.asarray(function(rates), dtype=np.float64)
    if values.shape != rates.shape:
        raise ValueError(
            f"check_weighting: {name} must return one value for each pass rate, got shape {values.shape} for "
            f"{rates.shape}. Pass a function of an array of rates, such as BetaKernel().at."
        )
    return values
