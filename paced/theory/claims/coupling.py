"""Claims about a coupling of weight and gradient: Proposition 7's example (``prop7.coupling``)."""

from __future__ import annotations

import numpy as np

from paced.theory.facts.variance import VarianceTerms, variance_terms
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import holds_for_all, unsatisfiable, zero_for_any_number
from paced.weights import BetaKernel


# --- Anti-correlation -------------------------------------------------------------------------------------------------
def _coupling_is_negative(symmetric: bool = True) -> Outcome:
    """Cov(w̃², M2) <= 0 for w = (pq)^k, M2 = (pq)^tau, tau < 0, any law; or for the kernel (1, 3) and M2 = p^-.9 q^-.05."""
    from hypothesis import strategies as st

    rows = st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 1)), min_size=2, max_size=8)

    def law(example: tuple[list[tuple[float, float]], float, float]) -> bool:
        pairs, k, tau = example
        p, mass = map(np.array, zip(*pairs, strict=True))
        kernel = BetaKernel(k, k) if symmetric else BetaKernel(1, 3)
        m2 = (p * (1 - p)) ** tau if symmetric else p**-0.9 * (1 - p) ** -0.05
        terms = variance_terms(kernel.at(p), np.zeros(p.size), second_moments=m2, masses=mass)
        return terms.coupling <= 1e-9 * terms.mean_second_moment * terms.mean_square_weight

    ends = ([(0.01, 0.01), (0.99, 1.0)], 0.2, -2.0), ([(0.01, 1.0), (0.99, 0.01)] * 4, 3.0, -0.05)
    return holds_for_all(st.tuples(rows, st.floats(0.2, 3), st.floats(-2, -0.05)), law, ends=ends)


def covariance_of_pairs(factor: int = 2) -> Outcome:
    """Chebyshev: the sum of m m'(f-f')(g-g') over all pairs of problems is 2 Cov(f, g), so that its sign is theirs.

    A problem more adds both orders of its pairs with all the others: 2 m Σ m'(f-f')(g-g').
    """
    import sympy

    m, f, g = sympy.symbols("m f g", real=True)
    M, F, G, FG, pairs = sympy.symbols("M F G FG D", real=True)
    growth = {M: m, F: m * f, G: m * g, FG: m * f * g, pairs: 2 * m * (f * g * M - f * G - g * F + FG)}
    return zero_for_any_number(pairs - factor * (M * FG - F * G), growth)


def _association(opposite: bool = True) -> Outcome:
    """Chebyshev for two values: (f1-f2)(g1-g2) <= 0 makes the covariance of any masses <= 0."""
    import z3

    m, f1, f2, g1, g2 = z3.Reals("m f1 f2 g1 g2")
    mean = (m * f1 + (1 - m) * f2) * (m * g1 + (1 - m) * g2)
    ordered = (f1 - f2) * (g1 - g2) <= 0 if opposite else f1 >= f2
    return unsatisfiable(m > 0, m < 1, ordered, m * f1 * g1 + (1 - m) * f2 * g2 - mean > 0)


def _asymmetric() -> VarianceTerms:
    p = np.array([0.25, 0.5])
    return variance_terms(BetaKernel(1, 3).at(p), [0.0, 0.0], second_moments=p**-0.9 * (1 - p) ** -0.05)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop7.coupling",
        where="Proposition 7, example; Result 3",
        title="Weights and second moments are anti-correlated",
        verdict=Verdict.CONDITIONAL,
        paper="w~^2 and M2 are functionally anti-correlated: w~^2 peaks at intermediate p while M2 peaks at the boundaries.",
        statement=(
            "Cov(w~^2, M2) <= 0 for every law of p if kernel and M2 are both symmetric about 1/2, one falling and the other "
            "rising in |p - 1/2|. Otherwise the sign depends on the law."
        ),
        latex=r"w(p)=w(1-p),\ M_2(p)=M_2(1-p)\ \text{opposite in}\ |p-\tfrac12|\ \Rightarrow\ \operatorname{Cov}(\tilde w^2,M_2)\le0",
        functions=(variance_terms,),
        hypotheses=("kernel and M2 symmetric about p = 1/2", "M2 rises towards the ends"),
        depends_on=("prop7", "a3c"),
        proof="Chebyshev's association inequality in |p - 1/2|: 2 Cov = E[(f - f')(g - g')] over two independent draws.",
        counterexample=Counterexample(
            "Kernel (1, 3), M2 = p^-0.9 q^-0.05, p in {1/4, 1/2}: weights and M2 are both larger at 1/4.",
            lambda: {"Cov(w~^2, M2)": _asymmetric().coupling},
        ),
        checks=(
            Check(
                "hypothesis",
                "Cov <= 0 in the symmetric case",
                "up to 8 pass rates, k in [.2, 3], tau in [-2, -.05]",
                _coupling_is_negative,
                Result.SUPPORTED,
                fails={"with the kernel (1, 3) and an asymmetric M2": {"symmetric": False}},
            ),
            Check(
                "sympy",
                "2 Cov is the mean of (f - f')(g - g') over pairs, each of which is <= 0 in opposite order",
                "any number of problems, by induction; any masses",
                covariance_of_pairs,
                fails={"Cov in place of 2 Cov": {"factor": 1}},
            ),
            Check(
                "z3",
                "association for two values",
                "any masses",
                _association,
                fails={"without opposite order": {"opposite": False}},
            ),
        ),
    ),
)
