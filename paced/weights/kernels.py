"""Beta kernels: the paper's weight w(p) = p^α (1-p)^β and its relatives, as functions of the pass rate.

A kernel is a weight function (counts in, weights out) that also knows its exact value ``at(pass_rate)``. How counts
become a weight is the ``estimator`` of :class:`BetaKernel`, by name (``estimates.py``); the relatives use the plug-in,
since they are not polynomials and have no unbiased estimate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats, Integers, check_counts, refuse_masked
from paced.errors import check_choice, check_number
from paced.weights import estimates
from paced.weights.counts import CountHistogram, by_pair


def check_pass_rate(place: str, pass_rate: ArrayLike) -> Floats:
    """Return pass rates as float64, or say which one is not in [0, 1]."""
    refuse_masked(place, "pass_rate", pass_rate)
    array = np.asarray(pass_rate, dtype=np.float64)
    bad = ~((array >= 0) & (array <= 1))
    if bad.any():
        raise ValueError(
            f"{place}: pass_rate must be in [0, 1], got {np.ravel(array)[int(np.argmax(np.ravel(bad)))]}. "
            "Give rates, not counts or per cent."
        )
    return array


@dataclass(frozen=True)
class BetaKernel:
    """w(p) = p^α (1-p)^β, Eq. (3); peak α/(α+β); the paper's default is α = β = 1.

    Edges: an exponent of 0 leaves its end alone (0^0 = 1); with α, β > 0 the kernel is 0 at p = 0 and p = 1.

    Raises:
        ValueError: negative or infinite exponents, an unknown estimator, a prior that is not a Beta law.

    Example:
        >>> BetaKernel()([0, 2, 4, 8], 8).tolist()
        [0.0, 0.1875, 0.25, 0.0]
        >>> BetaKernel(1, 2).peak
        0.3333333333333333
        >>> BetaKernel(estimator="posterior")([0], 8).round(4).tolist()
        [0.0818]
    """

    alpha: float = 1.0
    """α >= 0: how fast the weight falls towards p = 0."""
    beta: float = 1.0
    """β >= 0: how fast the weight falls towards p = 1."""
    estimator: estimates.EstimatorName = "plugin"
    """plugin, unbiased, posterior or bayes_optimal."""
    prior: tuple[float, float] | str = (1.0, 1.0)
    """Beta prior (a0, b0) of the posterior estimators, or "empirical": the law that fits the counts best."""
    second_moment_exponents: tuple[float, float] = (0.0, 0.0)
    """(τ0, τ1) of E‖g‖² for bayes_optimal; ‖ḡ‖² ∝ p^(α+τ0) (1-p)^(β+τ1) then, so that w* is the kernel."""

    def __post_init__(self) -> None:
        check_number("BetaKernel", "alpha", self.alpha, low=0, fix="Use alpha=0 to leave hard problems unweighted.")
        check_number("BetaKernel", "beta", self.beta, low=0, fix="Use beta=0 to leave easy problems unweighted.")
        check_choice("BetaKernel", "estimator", self.estimator, estimates.ESTIMATORS)
        if isinstance(self.prior, str):
            if self.prior != "empirical":
                raise ValueError(f"BetaKernel: prior must be (a0, b0) or 'empirical', got {self.prior!r}.")
        else:
            estimates.check_prior("BetaKernel", self.prior)
        estimates.check_pair("BetaKernel", "second_moment_exponents", self.second_moment_exponents)

    def at(self, pass_rate: ArrayLike) -> Floats:
        """The exact kernel w(p) at pass rates in [0, 1], any shape.

        Example:
            >>> BetaKernel(2, 1).at([0.0, 0.5, 1.0]).tolist()
            [0.0, 0.125, 0.0]
        """
        p = check_pass_rate("BetaKernel.at", pass_rate)
        return estimates.power(p, self.alpha) * estimates.power(1.0 - p, self.beta)

    @property
    def peak(self) -> float:
        """The pass rate of largest weight, α/(α+β); NaN for α = β = 0, which weights all alike."""
        total = self.alpha + self.beta
        return self.alpha / total if total else float("nan")

    def __call__(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> Floats:
        """Weights from counts by the kernel's estimator, shape [num_problems]."""
        passed, rollouts = check_counts("BetaKernel", num_passed, num_rollouts)
        return by_pair(self._of_cells, passed, rollouts)

    def _of_cells(self, passed: Integers, rollouts: Integers, cells: CountHistogram) -> Floats:
        exponents = {"alpha": self.alpha, "beta": self.beta}
        if self.estimator == "plugin":
            return estimates.plugin(passed, rollouts, **exponents)
        if self.estimator == "unbiased":
            return estimates.unbiased(passed, rollouts, **exponents)
        prior = estimates.empirical_prior(cells) if isinstance(self.prior, str) else self.prior
        if self.estimator == "posterior":
            return estimates.posterior(passed, rollouts, prior=prior, **exponents)
        t0, t1 = self.second_moment_exponents
        return estimates.bayes_optimal(
            passed,
            rollouts,
            signal_exponents=((self.alpha + t0) / 2, (self.beta + t1) / 2),
            second_moment_exponents=(t0, t1),
            prior=prior,
        )


HARDER = BetaKernel(1, 2)
"""Peak at 1/3: best MATH-500 of the paper's ablation, at more forgetting."""
EASIER = BetaKernel(2, 1)
"""Peak at 2/3: worse than the default in the paper and in the lab."""
ROOT = BetaKernel(0.5, 0.5)
"""√(p(1-p)): the standard deviation of one rollout, the weight of SC-SDPO."""


class _PlugInKernel(ABC):
    """A kernel whose weight of a problem is its value at p̂ = s/K."""

    @abstractmethod
    def at(self, pass_rate: ArrayLike) -> Floats:
        """The exact weight at pass rates in [0, 1], any shape."""

    def __call__(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> Floats:
        """Plug-in weights from counts, shape [num_problems]."""
        passed, rollouts = check_counts(type(self).__name__, num_passed, num_rollouts)
        return by_pair(lambda s, k, _: self.at(s / k), passed, rollouts)


@dataclass(frozen=True)
class SaturatedKernel(_PlugInKernel):
    """w(p) = S/(1+S) with S = SNR² = A p^α (1-p)^β: the exact optimum of Theorem 4, Eq. (17), up to 1/(ηL).

    Example:
        >>> SaturatedKernel(amplitude=4.0).at([0.0, 0.5]).tolist()
        [0.0, 0.5]
    """

    alpha: float = 1.0
    """α = 2a' >= 0 of SNR²."""
    beta: float = 1.0
    """β = 2b' >= 0 of SNR²."""
    amplitude: float = 1.0
    """A > 0; A → 0 gives back the Beta kernel's shape, A → ∞ uniform weights inside (0, 1)."""

    def __post_init__(self) -> None:
        check_number("SaturatedKernel", "alpha", self.alpha, low=0)
        check_number("SaturatedKernel", "beta", self.beta, low=0)
        check_number("SaturatedKernel", "amplitude", self.amplitude, low=0, low_open=True)

    def at(self, pass_rate: ArrayLike) -> Floats:
        """The exact weight at pass rates in [0, 1], any shape."""
        snr_squared = self.amplitude * BetaKernel(self.alpha, self.beta).at(pass_rate)
        return snr_squared / (1.0 + snr_squared)

    @property
    def peak(self) -> float:
        """The pass rate of largest weight: saturation does not move it (``thm4.saturation``)."""
        return BetaKernel(self.alpha, self.beta).peak


@dataclass(frozen=True)
class MinimaxKernel(_PlugInKernel):
    """w(p) = S0/(S0 + cosh δ), S0 = A p^α (1-p)^β: worst-case optimal when SNR² = S0 e^r with |r| <= δ (``x3``).

    For A → 0 it is sech(δ)·S0, the minimax weight of Theorem 6; δ = 0 is the saturated kernel.

    Example:
        >>> round(float(MinimaxKernel(delta=0.3, amplitude=4.0).at(0.5)), 6)
        0.488917
    """

    delta: float = 0.3
    """δ >= 0: largest misspecification of log SNR²."""
    alpha: float = 1.0
    """α >= 0."""
    beta: float = 1.0
    """β >= 0."""
    amplitude: float = 1.0
    """A > 0, the scale of SNR²."""

    def __post_init__(self) -> None:
        check_number("MinimaxKernel", "delta", self.delta, low=0)
        check_number("MinimaxKernel", "alpha", self.alpha, low=0)
        check_number("MinimaxKernel", "beta", self.beta, low=0)
        check_number("MinimaxKernel", "amplitude", self.amplitude, low=0, low_open=True)

    def at(self, pass_rate: ArrayLike) -> Floats:
        """The exact weight at pass rates in [0, 1], any shape."""
        snr_squared = self.amplitude * BetaKernel(self.alpha, self.beta).at(pass_rate)
        shrunk = np.exp(-self.delta)  # cosh δ = (1 + e^-2δ)/(2e^-δ) itself overflows for δ > 710
        return 2 * shrunk * snr_squared / (2 * shrunk * snr_squared + 1 + shrunk**2)

    @property
    def peak(self) -> float:
        """The pass rate of largest weight, that of the Beta kernel."""
        return BetaKernel(self.alpha, self.beta).peak


@dataclass(frozen=True)
class TeacherCeilingKernel(_PlugInKernel):
    """w(p) = p^α (c-p)_+^β: nothing is learnt from a teacher whose own pass rate c the student has reached (``x10``).

    Example:
        >>> TeacherCeilingKernel(ceiling=0.5).at([0.25, 0.5, 0.9]).tolist()
        [0.0625, 0.0, 0.0]
    """

    ceiling: float = 1.0
    """c in (0, 1]: the teacher's pass rate; 1 gives back the Beta kernel."""
    alpha: float = 1.0
    """α >= 0."""
    beta: float = 1.0
    """β > 0."""

    def __post_init__(self) -> None:
        check_number("TeacherCeilingKernel", "ceiling", self.ceiling, low=0, high=1, low_open=True)
        check_number("TeacherCeilingKernel", "alpha", self.alpha, low=0)
        check_number("TeacherCeilingKernel", "beta", self.beta, low=0, low_open=True)

    def at(self, pass_rate: ArrayLike) -> Floats:
        """The exact weight at pass rates in [0, 1], any shape."""
        p = check_pass_rate("TeacherCeilingKernel.at", pass_rate)
        return estimates.power(p, self.alpha) * np.maximum(self.ceiling - p, 0.0) ** self.beta

    @property
    def peak(self) -> float:
        """The pass rate of largest weight, c α/(α+β)."""
        return self.ceiling * self.alpha / (self.alpha + self.beta)
