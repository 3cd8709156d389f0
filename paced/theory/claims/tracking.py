"""Whether Eq. (8) can track p(1-p) where SNR is low (``eq8.tracking``)."""

from __future__ import annotations

import numpy as np

from paced.theory.facts.snr_profile import (
    distance_from_kernel,
    end_over_peak,
    measured_profile,
    snr_squared_for_end,
    tracking_table,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, mean_is, refuted, supported, symbolic_zero

CENTRES = (np.arange(8) + 0.5) / 8
"""Middles of eight bins of equal width."""


def _ratio(extra: int = 0) -> Outcome:
    """√(1/K)/√(S + 1/K) = 1/√(KS + 1), squared, and its inverse; in SymPy."""
    import sympy

    S, K, r = sympy.symbols("S K r", positive=True)
    return all_of(
        symbolic_zero((1 / K) / (S + 1 / K) - 1 / (K * S + 1 + extra)),
        symbolic_zero(1 / (K * ((1 / r**2 - 1) / K) + 1) - r**2),
    )


def _public() -> Outcome:
    S = np.array([0.01, 0.1, 1.0, 7.0])
    return all_of(
        agree(end_over_peak(S, 8), measured_profile(0.0, 8) / measured_profile(S, 8), S=S),
        agree([snr_squared_for_end(float(x), 8) for x in end_over_peak(S, 8)], S, rtol=1e-10),
    )


def _simulated_floor(with_floor: bool = True) -> Outcome:
    """‖ḡ‖²/tr Σ of K = 8 simulated gradients in 40 dimensions has mean S + 1/K."""
    rng = np.random.default_rng(6)
    d, K, S = 40, 8, 0.1
    mean = np.full(d, np.sqrt(S / d))
    means = mean + rng.normal(size=(4000, d)) / np.sqrt(d * K)  # ḡ, tr Σ = 1
    return mean_is(np.sum(means**2, axis=1), S + (1 / K if with_floor else 0.0))


def _tracks(largest: float, within: float = 0.1) -> Outcome:
    """Eq. (8) of an SNR in proportion to p(1-p) is near it at the middles of eight bins, both over their peak."""
    gap = distance_from_kernel(CENTRES, largest, 8)
    if gap > within:
        return refuted("far from the kernel", S=largest, largest_gap=gap)
    return supported(CENTRES.size)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="eq8.tracking",
        where="Eq. (8), Figure 3, section 4.4.2",
        title="Tracking p(1-p) excludes the low SNR that the theory needs",
        verdict=Verdict.LOOSE,
        paper="SNR peaks at intermediate pass rates and is substantially lower at both boundaries, closely tracking the default kernel.",
        statement="Pooled, Eq. (8) shows sqrt(S + 1/K) for SNR^2 = S. From a peak of SNR^2 = S it falls to no less than 1/sqrt(KS + 1) of it: .745 at S = .1 and 1/3 at "
        "S = 1 for K = 8. p(1-p) at the middle of the first of eight bins is .234 of its peak (.238 of the highest bin): this needs S of 2 or more, where w* is saturated and not a kernel.",
        latex=r"\frac{\text{end}}{\text{peak}}\ \ge\ \frac1{\sqrt{K S+1}}\qquad(K=8:\ .745\text{ at }S=.1,\ \tfrac13\text{ at }S=1)",
        functions=(measured_profile, end_over_peak, snr_squared_for_end, distance_from_kernel),
        hypotheses=("many rollouts are pooled in a bin, or the noise has many effective dimensions", "bins of equal width, K = 8"),
        depends_on=("eq8", "thm4"),
        proof="E|g_bar|^2 = |m|^2 + tr Sigma/K; an end has S >= 0.",
        repair="Subtract the floor: U/V of eq8 is unbiased and may track the kernel at any S. A figure that tracks p(1-p) without it has high SNR, or another cause.",
        numbers=lambda: {
            "end over peak, S = 0.1": float(end_over_peak(0.1, 8)),
            "end over peak, S = 1": float(end_over_peak(1.0, 8)),
            "p(1-p), first of eight bins over its peak": 4 * (1 / 16) * (15 / 16),
            "S that this needs": snr_squared_for_end(4 * (1 / 16) * (15 / 16), 8),
        },
        counterexample=Counterexample(
            "SNR in proportion to p(1-p), with SNR^2 = 0.1 at the peak: Eq. (8) differs from it by more than half of the peak.",
            evaluate=lambda: {"largest gap": distance_from_kernel(CENTRES, 0.1, 8)},
        ),
        picture=Picture("tracking_the_kernel", tracking_table, "What Eq. (8) shows at K = 8 of an SNR in proportion to p(1-p) with SNR² = S at the peak, over its largest value."),
        checks=(
            Check("sympy", "end over peak and its inverse", "S, K > 0", _ratio, fails={"KS + 2": {"extra": 1}}),
            Check("numeric", "the public functions", "4 S, K = 8", _public, Result.SUPPORTED),
            Check("monte_carlo", "the mean of |g_bar|^2/tr Sigma is S + 1/K", "4,000 problems", _simulated_floor, Result.SUPPORTED,
                  fails={"without the floor": {"with_floor": False}}),
            Check("numeric", "Eq. (8) tracks p(1-p) within a tenth at SNR^2 = 0.1", "eight bins, K = 8", _tracks, Result.REFUTED, given={"largest": 0.1}),
            Check("numeric", "nor does it at SNR^2 = 1", "eight bins, K = 8", _tracks, Result.REFUTED, given={"largest": 1.0}),
            Check("numeric", "it does at SNR^2 = 10", "eight bins, K = 8", _tracks, Result.SUPPORTED, given={"largest": 10.0},
                  fails={"at SNR^2 = 1": {"largest": 1.0}}),
        ),
    ),
)  # fmt: skip
