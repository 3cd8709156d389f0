"""One row per problem: every form of the SNR that its Gram matrix gives. numpy only, so tables can be redone later."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paced.analysis.snr import estimators, uncertainty
from paced.arrays import Floats

FLOAT32_ROUNDING, FLOAT64_ROUNDING = estimators.ROUNDING, 1e-13


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemGram:
    """What was measured on one problem, before any estimate."""

    problem_id: str
    """The problem."""
    num_tokens: int
    """Completion tokens of its rollouts together."""
    rounding: float
    """Relative error of the matrix: 1e-6 for float32 arithmetic, 1e-13 for float64."""
    gram: tuple[tuple[float, ...], ...]
    """<g_i, g_j> of its K rollouts, K x K, float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemSnr:
    """Signal, noise and every SNR form of one problem; amplitudes unless the name says squared."""

    problem_id: str
    """The problem."""
    num_rollouts: int
    """K >= 2."""
    num_tokens: int
    """Completion tokens of its rollouts together."""
    signal: float
    """U, unbiased for ‖E g‖²; may be negative."""
    noise: float
    """V = Σ‖g_k − ḡ‖²/(K−1) >= 0."""
    signal_variance: float
    """Unbiased estimate of Var U; NaN for K < 4, may be negative."""
    mean_gradient_square: float
    """‖ḡ‖²."""
    gradient_square: float
    """(1/K)Σ‖g_k‖²."""
    degenerate: bool
    """The spread cannot be told from rounding, so that Eq. (8) is 0/0."""
    paper_snr: float
    """Eq. (8); NaN where degenerate."""
    guarded_snr: float
    """Eq. (8) with 1 % of the mean noise of all problems added under the root; always finite for finite gradients."""
    debiased_snr_squared: float
    """U/V; NaN where degenerate."""
    debiased_variance: float
    """Delta-method variance of U/V; NaN for K < 4, may be negative."""
    split_half_cosine: float
    """Mean cosine of the mean gradients of two halves of the rollouts."""
    null_snr: float
    """Eq. (8) under sign flips, mean: this problem's own floor."""
    null_snr_high: float
    """Its 95 % quantile."""
    p_value: float
    """Share of sign patterns whose signal is at least the observed one."""
    gram: tuple[tuple[float, ...], ...]
    """<g_i, g_j>, K x K."""

    def matrix(self) -> Floats:
        """The Gram matrix as an array."""
        return np.array(self.gram, dtype=np.float64)


def summarise(measured: Sequence[ProblemGram], *, guard: float = estimators.GUARD, seed: int = 0) -> list[ProblemSnr]:
    """Every estimate of every problem, in order.

    Args:
        measured: Gram matrices of one loss; the guarded form adds ``guard`` times *their* mean noise.
        guard: share in [0, 1].
        seed: of drawn splits and sign patterns (K > 8 only).

    Example:
        >>> one = ProblemGram(problem_id="a", num_tokens=4, rounding=1e-13, gram=((2.0, 1.0), (1.0, 2.0)))
        >>> row = summarise([one])[0]
        >>> row.signal, row.noise, round(row.paper_snr, 4), row.degenerate
        (1.0, 1.0, 1.7321, False)
    """
    rows = [_row(one, seed) for one in measured]
    mean_noise = float(np.mean([row.noise for row in rows])) if rows else 0.0
    return [dataclasses.replace(row, guarded_snr=_guarded(row, mean_noise, guard)) for row in rows]


def _guarded(row: ProblemSnr, mean_noise: float, guard: float) -> float:
    return float(estimators.guarded_snr(estimators.moments(row.gram), mean_noise=mean_noise, guard=guard))


def _row(one: ProblemGram, seed: int) -> ProblemSnr:
    """Every estimate of one problem but the guarded one, which needs the mean noise of all."""
    gram = np.array(one.gram, dtype=np.float64)
    values = estimators.moments(gram)
    null = uncertainty.sign_flip_null(gram, seed=seed)
    return ProblemSnr(
        problem_id=one.problem_id,
        num_rollouts=len(gram),
        num_tokens=one.num_tokens,
        signal=float(values.signal),
        noise=float(values.noise),
        signal_variance=float(uncertainty.signal_variance(gram)),
        mean_gradient_square=float(values.mean_gradient_square),
        gradient_square=float(values.gradient_square),
        degenerate=bool(estimators.is_degenerate(values, rounding=one.rounding)),
        paper_snr=float(estimators.paper_snr(values, rounding=one.rounding)),
        guarded_snr=float("nan"),
        debiased_snr_squared=float(estimators.debiased_snr_squared(values, rounding=one.rounding)),
        debiased_variance=float(uncertainty.snr_squared_variance(gram)),
        split_half_cosine=float(uncertainty.split_half_cosine(gram, seed=seed)),
        null_snr=float(null.snr_mean),
        null_snr_high=float(null.snr_high),
        p_value=float(null.p_value),
        gram=one.gram,
    )
