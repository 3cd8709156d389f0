"""Hypothesis strategies for people who test their own weighting: what a kernel, counts or an SNR profile may look like.

Every function returns a strategy; ``hypothesis`` is imported when one is called, so reading this file costs nothing::

    from hypothesis import given
    from paced.theory import strategies

    @given(strategies.counts())
    def test_my_weight_is_never_negative(counts):
        num_passed, num_rollouts = counts
        assert (my_weight(num_passed, num_rollouts) >= 0).all()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats, Integers
from paced.errors import MissingExtraError
from paced.weights import BetaKernel

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, kw_only=True)
class SnrProfile:
    """SNR(p) = C p^a' (1-p)^b' exp(h sin(2π n p)): power laws at both ends, a bounded remainder between (Prop. 3).

    Example:
        >>> profile = SnrProfile(snr_exponents=(1.0, 0.5), amplitude=2.0)
        >>> profile.at([0.0, 0.5, 1.0]).round(6).tolist(), profile.delta
        ([0.0, 0.707107, 0.0], 0.0)
    """

    snr_exponents: tuple[float, float]
    """(a', b') of the amplitude SNR, > 0."""
    amplitude: float
    """C > 0."""
    ripple: float = 0.0
    """h, the largest |r|."""
    num_waves: int = 1
    """n >= 1, how often the remainder swings."""

    def at(self, pass_rate: ArrayLike) -> Floats:
        """SNR at pass rates in [0, 1], an amplitude."""
        p = np.asarray(pass_rate, dtype=np.float64)
        a, b = self.snr_exponents
        remainder = self.ripple * np.sin(2 * np.pi * self.num_waves * p)
        return self.amplitude * BetaKernel(a, b).at(p) * np.exp(remainder)

    @property
    def delta(self) -> float:
        """δ of Assumption 3(b') for SNR²: half the range of twice the remainder."""
        return 2 * abs(self.ripple)


def kernels(*, smallest: float = 0.05, largest: float = 20.0) -> SearchStrategy[BetaKernel]:
    """Beta kernels with exponents in [smallest, largest]."""
    st = _hypothesis()
    exponents = st.floats(smallest, largest)
    return st.builds(BetaKernel, exponents, exponents)


def pass_rates(*, ends: bool = True, min_size: int = 1, max_size: int = 50) -> SearchStrategy[Floats]:
    """Arrays of pass rates in [0, 1], or in (0, 1) without the ``ends``."""
    st = _hypothesis()
    rate = st.floats(0, 1, exclude_min=not ends, exclude_max=not ends)
    return st.lists(rate, min_size=min_size, max_size=max_size).map(np.array)


def counts(
    *, max_problems: int = 50, max_rollouts: int = 32, same_rollouts: bool = False
) -> SearchStrategy[tuple[Integers, Integers]]:
    """(num_passed, num_rollouts), both [num_problems], with 0 <= s <= K; one K for all when ``same_rollouts``."""
    st = _hypothesis()
    rollouts = st.integers(1, max_rollouts)

    def problems(k: int | None) -> SearchStrategy[list[tuple[int, int]]]:
        one = (st.just(k) if k else rollouts).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
        return st.lists(one, min_size=1, max_size=max_problems)

    chosen = rollouts.flatmap(problems) if same_rollouts else problems(None)
    return chosen.map(lambda rows: (np.array([s for s, _ in rows]), np.array([k for _, k in rows])))


def pass_rate_laws(*, smallest: float = 0.05, largest: float = 20.0) -> SearchStrategy[tuple[float, float]]:
    """(A, A') of a Beta law of pass rates; below 1 the law piles up at the ends, as real ones do."""
    st = _hypothesis()
    return st.tuples(st.floats(smallest, largest), st.floats(smallest, largest))


def perturbations(*, delta: float, size: int) -> SearchStrategy[Floats]:
    """Arrays r of length ``size`` with |r| <= delta; both ends of the interval are drawn often, the worst cases."""
    st = _hypothesis()
    one = st.one_of(st.just(delta), st.just(-delta), st.floats(-delta, delta))
    return st.lists(one, min_size=size, max_size=size).map(np.array)


def snr_profiles(*, largest_ripple: float = 0.5) -> SearchStrategy[SnrProfile]:
    """SNR profiles with power laws at both ends and a bounded remainder."""
    st = _hypothesis()
    exponent = st.floats(0.2, 3.0)
    return st.builds(
        SnrProfile,
        snr_exponents=st.tuples(exponent, exponent),
        amplitude=st.floats(1e-2, 10.0),
        ripple=st.floats(-largest_ripple, largest_ripple),
        num_waves=st.integers(1, 4),
    )


def gradient_populations(*, max_problems: int = 8, max_dim: int = 4) -> SearchStrategy[Floats]:
    """Gradients [num_problems, dim] of a finite population, not all zero, entries in [-3, 3]."""
    st = _hypothesis()

    def population(shape: tuple[int, int]) -> SearchStrategy[Floats]:
        rows, dim = shape
        flat = st.lists(st.floats(-3, 3), min_size=rows * dim, max_size=rows * dim)
        return flat.map(lambda values: np.array(values).reshape(rows, dim)).filter(
            lambda g: bool(np.abs(g).max() > 1e-3)
        )

    return st.tuples(st.integers(2, max_problems), st.integers(1, max_dim)).flatmap(population)


def _hypothesis():  # type: ignore[no-untyped-def]
    try:
        from hypothesis import strategies
    except ImportError as error:
        raise MissingExtraError("paced.theory.kit.strategies", "hypothesis", "verify") from error
    return strategies
