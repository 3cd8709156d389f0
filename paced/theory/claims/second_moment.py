"""Claims about the second moment at the extremes: Assumption 3(c) against alignment at mastery (``a3c.consistent``)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from paced.theory.facts.boundary import mastery_population
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, symbolic_zero
from paced.weights import BetaKernel


def _default_kernel_ratio(t0: Fraction, t1: Fraction) -> Fraction:
    """36(1+τ0)(2+τ0)(1+τ1)(2+τ1)/((T+2)(T+3)(T+4)(T+5)), T = τ0+τ1: V_w/V_unif for the default and uniform p."""
    total = t0 + t1
    return 36 * (1 + t0) * (2 + t0) * (1 + t1) * (2 + t1) / ((total + 2) * (total + 3) * (total + 4) * (total + 5))


def _derive_two_ended_ratio(factor: int = 36) -> Outcome:
    """Reduce B(3+τ0, 3+τ1)/(B(2,2)² B(1+τ0, 1+τ1)) with gammasimp."""
    import sympy

    t0, t1 = sympy.symbols("tau0 tau1", positive=True)
    beta = lambda x, y: sympy.gamma(x) * sympy.gamma(y) / sympy.gamma(x + y)  # noqa: E731
    total = t0 + t1
    ratio = beta(3 + t0, 3 + t1) / (beta(sympy.Integer(2), sympy.Integer(2)) ** 2 * beta(1 + t0, 1 + t1))
    closed = (
        factor * (1 + t0) * (2 + t0) * (1 + t1) * (2 + t1) / ((total + 2) * (total + 3) * (total + 4) * (total + 5))
    )
    return symbolic_zero(sympy.gammasimp(ratio - closed))


def _moments_agree_at_mastery(tau1: float) -> Outcome:
    """How M2 changes from p = 1-1e-4 to 1-1e-8: as gradients that vanish do (Prop. 2(a)), and as q^tau1 does (A3(c))."""
    gaps = np.array([1e-4, 1e-8])
    by_alignment = [float(np.mean(np.sum(mastery_population(1 - gap) ** 2, axis=1))) for gap in gaps]
    by_power_law = gaps**tau1
    return agree(
        by_power_law[1] / by_power_law[0],
        by_alignment[1] / by_alignment[0],
        rtol=1e-6,
        detail="the second moment would have to change by both factors",
        tau1=tau1,
    )


def _two_ended_values() -> Outcome:
    f = Fraction
    return equal_exactly(
        ({"tau0": str(t0), "tau1": str(t1)}, _default_kernel_ratio(t0, t1), expected)
        for t0, t1, expected in (
            (f(-1, 2), f(1), f(288, 385)),
            (f(-1, 4), f(1), f(24192, 24035)),
            (f(0), f(2), f(36, 35)),
        )
    )


def _two_ended_by_quadrature() -> Outcome:
    """The same ratio with the trainer's own kernel, by Gauss-Jacobi quadrature for p^τ0 q^τ1."""
    from scipy.special import roots_jacobi

    outcomes = []
    for t0, t1 in ((-0.5, 1.0), (-0.25, 1.0), (0.3, 0.7)):
        nodes, weights = roots_jacobi(40, t1, t0)
        p = (1 + nodes) / 2
        w = BetaKernel().at(p)
        mean = 1 / 6
        ratio = float(np.sum(weights * w**2) / np.sum(weights)) / mean**2
        outcomes.append(agree(ratio, float(_default_kernel_ratio(Fraction(t0), Fraction(t1))), tau0=t0, tau1=t1))
    return all_of(*outcomes)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="a3c.consistent",
        where="Assumption 3(c) against Proposition 2(a) and Assumption 1 (iii)",
        title="Hot extremes contradict alignment at mastery",
        verdict=Verdict.LOOSE,
        paper="Assumptions 1-3 and condition (a) hold together.",
        statement=(
            "(a) forces M2 -> 0 as p -> 1, A3(c) forces M2 -> infinity, A1 (iii) bounds it. A consistent regime has "
            "tau0 < 0 < tau1; there the default kernel gains less or nothing."
        ),
        latex=r"R=\frac{36(1+\tau_0)(2+\tau_0)(1+\tau_1)(2+\tau_1)}{(T+2)(T+3)(T+4)(T+5)},\quad T=\tau_0+\tau_1",
        functions=(BetaKernel,),
        depends_on=("a1", "a3c", "prop2.a", "eq3"),
        proof="Read off the limits. For uniform p and the default kernel R = B(3+tau0, 3+tau1)/(B(2,2)^2 B(1+tau0, 1+tau1)).",
        repair="Use tau0 < 0 < tau1: at (-1/2, 1) the ratio is 288/385, at (-1/4, 1) it is 24192/24035 > 1.",
        numbers=lambda: {
            "R(-1/2, 1)": float(_default_kernel_ratio(Fraction(-1, 2), Fraction(1))),
            "R(-1/4, 1)": float(_default_kernel_ratio(Fraction(-1, 4), Fraction(1))),
            "R(0, 2)": float(_default_kernel_ratio(Fraction(0), Fraction(2))),
        },
        counterexample=Counterexample(
            "At p = 1 - 1e-8 alignment makes the second moment 5e-16, A3(c) with tau1 = -1/2 makes it 1e4.",
            lambda: {
                "by Prop. 2(a)": float(np.mean(np.sum(mastery_population(1 - 1e-8) ** 2, axis=1))),
                "by A3(c)": 1e-8**-0.5,
            },
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: both describe one second moment",
                "tau1 = -1/2, 1-p from 1e-4 to 1e-8",
                _moments_agree_at_mastery,
                Result.REFUTED,
                given={"tau1": -0.5},
            ),
            Check(
                "numeric",
                "cold extremes do describe it: gradients in proportion to 1-p have tau1 = 2",
                "1-p from 1e-4 to 1e-8",
                _moments_agree_at_mastery,
                Result.SUPPORTED,
                given={"tau1": 2.0},
                fails={"with tau1 = 1": {"tau1": 1.0}},
            ),
            Check(
                "sympy",
                "closed form of the ratio",
                "tau0, tau1 > 0, hence everywhere by continuation",
                _derive_two_ended_ratio,
                fails={"with 35 for 36": {"factor": 35}},
            ),
            Check("exact", "its values at three points", "rationals", _two_ended_values),
            Check(
                "numeric",
                "the trainer's kernel by Gauss-Jacobi quadrature",
                "3 pairs",
                _two_ended_by_quadrature,
                Result.SUPPORTED,
            ),
        ),
    ),
)
