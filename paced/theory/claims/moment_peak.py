"""Claims about the peak of the fitted kernel (``prop11.peak``)."""

from __future__ import annotations

import numpy as np

from paced.theory.claims.moments import paper_exponents
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    refuted,
    symbolic_zero,
)
from paced.weights import fit


# --- prop11.peak ------------------------------------------------------------------------------------------------------
def _peak_identity(exact: bool = False) -> Outcome:
    """alpha/(alpha+beta) - m = (2m-1)/(alpha+beta), from Eq. (47); ``exact`` asks for 0."""
    import sympy

    m, k = sympy.symbols("m k", positive=True)
    alpha, beta = m * k - 1, (1 - m) * k - 1
    gap = alpha / (alpha + beta) - m
    return symbolic_zero(gap if exact else gap - (2 * m - 1) / (alpha + beta))


def _peak_of_fits(sign: int = 1) -> Outcome:
    """The peak of fitted kernels: off the mean by (2m-1)/(alpha+beta), so away from 1/2; at m = 1/2 exact."""
    computed, expected, means = [], [], []
    for passed in ([3, 4, 3, 5, 4, 4], [2, 3, 3, 2, 4], [6, 5, 6, 7, 5, 6, 6], [4, 3, 5]):
        estimate = fit(passed, 8, "paper", zpd=0.1)
        alpha, beta, m, _ = paper_exponents((list(passed), [8] * len(passed)), 0.1)
        computed.append(estimate.peak)
        expected.append(float(m + sign * (2 * m - 1) / (alpha + beta)))
        means.append(float(m))
    pushed = np.sign(np.array(computed).round(12) - np.array(means)) == np.sign(np.array(means) - 0.5)
    if sign == 1 and not pushed.all():
        return refuted("the peak is not pushed away from 1/2", peaks=computed, means=means)
    return agree(computed, expected, rtol=1e-10, m=means)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop11.peak",
        where="Proposition 11, peak; its remark on interpretation",
        title="The kernel's peak is near the mean, on the far side from 1/2",
        verdict=Verdict.TRUE,
        paper="The kernel peak at alpha/(alpha+beta) is approximately m for concentrated distributions (exact for m = 1/2).",
        statement="alpha/(alpha+beta) - m = (2m-1)/(alpha+beta) exactly: it vanishes for concentrated data and pushes the peak away from 1/2.",
        latex=r"\frac{\alpha}{\alpha+\beta}-m=\frac{2m-1}{\alpha+\beta}",
        functions=(fit,),
        hypotheses=("alpha, beta > 0",),
        depends_on=("prop11", "prop11.condition"),
        proof="alpha - m (alpha+beta) = m k - 1 - m k + 2m.",
        numbers=lambda: {"mean": (estimate := fit([2, 3, 3, 2, 4], 8, "paper", zpd=0.1)).mean, "peak": estimate.peak},
        checks=(
            Check("sympy", "the identity", "m, k > 0", _peak_identity, fails={"with the peak at m": {"exact": True}}),
            Check(
                "numeric",
                "the peaks of fitted kernels",
                "4 samples in rationals",
                _peak_of_fits,
                Result.SUPPORTED,
                fails={"with the peak pulled towards 1/2": {"sign": -1}},
            ),
        ),
    ),
)
