"""Claims about the second moment at the extremes: Assumption 3(c) against alignment at mastery (``a3c.consistent``)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from paced.theory.facts.boundary import mastery_population
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, refuted, supported, symbolic_zero
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


def _one_bound_holds(closest: float) -> Outcome:
    """A1 (iii) with A3(c): is (pq)^(-1/2) below one bound, that of eps = 1/16, on every rate up to 1 - ``closest``?"""
    bound = float((Fraction(1, 16) * Fraction(15, 16)) ** -1) ** 0.5
    q = np.geomspace(closest, 0.5, 60)
    moments = ((1 - q) * q) ** -0.5
    if moments.max() > bound * (1 + 1e-12):
        return refuted(
            "the second moment passes the bound", p=float(1 - q[0]), moment=float(moments.max()), bound=bound
        )
    return supported(60)


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
        title="Hot extremes and alignment at mastery go together on [eps, 1-eps], and contradict each other as p -> 1",
        verdict=Verdict.CONDITIONAL,
        paper="Assumptions 1-3 and condition (a) hold together.",
        statement=(
            "On [eps, 1-eps], where A3(c) is stated, they do: the second moment is at most (eps(1-eps))^min(tau0, tau1) there, and (a), a limit, says "
            "nothing about those rates. As p -> 1, where Propositions 1-3 use A3(b), they do not: (a) forces M2 -> 0, A3(c) forces M2 -> infinity, "
            "A1 (iii) bounds it. A regime that is consistent on all of (0, 1) has tau0 < 0 < tau1; there the default kernel gains less or nothing."
        ),
        latex=r"R=\frac{36(1+\tau_0)(2+\tau_0)(1+\tau_1)(2+\tau_1)}{(T+2)(T+3)(T+4)(T+5)},\quad T=\tau_0+\tau_1",
        functions=(BetaKernel,),
        hypotheses=("pass rates in [eps, 1-eps] for a fixed eps > 0, bounds that depend on eps",),
        depends_on=("a1", "a3c", "prop2.a", "eq3"),
        proof="(pq)^tau is bounded on [eps, 1-eps]; logits whose distance is constant there and falls beyond meet (a). In the limit read off both sides. For uniform p and the default kernel R = B(3+tau0, 3+tau1)/(B(2,2)^2 B(1+tau0, 1+tau1)).",
        repair="State Propositions 1-3 on [eps, 1-eps] too, or use tau0 < 0 < tau1: at (-1/2, 1) the ratio is 288/385, at (-1/4, 1) it is 24192/24035 > 1.",
        numbers=lambda: {
            "R(-1/2, 1)": float(_default_kernel_ratio(Fraction(-1, 2), Fraction(1))),
            "R(-1/4, 1)": float(_default_kernel_ratio(Fraction(-1, 4), Fraction(1))),
            "R(0, 2)": float(_default_kernel_ratio(Fraction(0), Fraction(2))),
        },
        counterexample=Counterexample(
            "Without the truncation: at p = 1 - 1e-8 alignment makes the second moment 5e-16, A3(c) with tau1 = -1/2 makes it 1e4.",
            lambda: {
                "by Prop. 2(a)": float(np.mean(np.sum(mastery_population(1 - 1e-8) ** 2, axis=1))),
                "by A3(c)": 1e-8**-0.5,
            },
        ),
        checks=(
            Check(
                "numeric",
                "one bound holds for hot extremes",
                "p in [1/2, 15/16]",
                _one_bound_holds,
                Result.SUPPORTED,
                given={"closest": 1 / 16},
                fails={"without the truncation": {"closest": 1e-8}},
            ),
            Check(
                "numeric",
                "both describe one second moment as p -> 1",
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
