"""Claims about the interpretations: Eq. (51) and Remarks 4, 5 and 6 of Appendix B.

They are readings of the kernel, not results; what can be said exactly is said, and what cannot is marked *assumed*.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np

from paced.theory.facts.kernel import fisher_information, logit_fisher_information
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, assumed, proved, refuted, supported, symbolic_zero
from paced.weights import BetaKernel

RATES = (0.013, 0.125, 0.31, 0.5, 0.622, 0.875, 0.9871)


# --- Remarks 4 and 5 --------------------------------------------------------------------------------------------------
def _vanishes_at_the_ends(alpha: float, beta: float) -> Outcome:
    for p in (0.0, 1.0):
        weight = float(BetaKernel(alpha, beta).at(p))
        if weight != 0:
            return refuted("the weight is not 0 at this end", p=p, weight=weight)
    return supported(2)


def _limits_at_the_ends() -> Outcome:
    import sympy

    p = sympy.symbols("p", positive=True)
    limits = [
        sympy.limit(p**a * (1 - p) ** b, p, end, side)
        for a in (sympy.Rational(1, 3), 1, 2)
        for b in (sympy.Rational(1, 2), 3)
        for end, side in ((0, "+"), (1, "-"))
    ]
    if all(value == 0 for value in limits):
        return proved("sympy", "limits by SymPy")
    return refuted("a limit is not 0", engine="sympy", limits=str(limits))


def _derive_information(extra: int = 0) -> Outcome:
    """E[(d log P(y)/dθ)²] for y ~ Bernoulli, θ = p and θ = logit p, from the definition."""
    import sympy

    p, eta = sympy.symbols("p eta", positive=True)
    information = sum(m * sympy.diff(sympy.log(m), p) ** 2 for m in (p, 1 - p))
    rate = 1 / (1 + sympy.exp(-eta))
    in_logit = sum(m * sympy.diff(sympy.log(m), eta) ** 2 for m in (rate, 1 - rate))
    return all_of(
        symbolic_zero(information - 1 / (p * (1 - p)) + extra),
        symbolic_zero(in_logit - rate * (1 - rate)),
        detail="1/I(p) = p(1-p), and I(logit p) = p(1-p) as well",
    )


def _information_numbers() -> Outcome:
    p = np.array(RATES)
    return all_of(
        agree(fisher_information(p), [float(1 / (mpmath.mpf(x) * (1 - mpmath.mpf(x)))) for x in RATES], p=p),
        agree(logit_fisher_information(p), BetaKernel(1, 1).at(p), p=p),
    )


# --- Eq. (51) and Remark 6 --------------------------------------------------------------------------------------------
def _mutual_information(joint: dict[tuple[str, str], Fraction]) -> float:
    """I(X; Y) in nats of a joint law given as {(x, y): probability}."""
    left: dict[str, Fraction] = {}
    right: dict[str, Fraction] = {}
    for (x, y), mass in joint.items():
        left[x] = left.get(x, Fraction(0)) + mass
        right[y] = right.get(y, Fraction(0)) + mass
    return sum(float(m) * float(np.log(float(m / (left[x] * right[y])))) for (x, y), m in joint.items() if m)


def bottleneck(weighted: bool) -> float:
    """I(x; message) for two problems with the same reference and pass rates 1/2 and 1/8, with or without its weight."""
    joint: dict[tuple[str, str], Fraction] = {}
    for x, passed in (("easy", 4), ("hard", 1)):
        message = f"w={float(BetaKernel()([passed], 8)[0]):.4f} r" if weighted else "r"
        joint[x, message] = joint.get((x, message), Fraction(0)) + Fraction(1, 2)
    return _mutual_information(joint)


def _chain_loses_information(weighted: bool = True) -> Outcome:
    """The paper's chain: each arrow can only lose information about x, so I(x; w r) <= I(x; r)."""
    before, after = bottleneck(False), bottleneck(weighted)
    if after > before + 1e-12:
        return refuted("the weight tells the two problems apart, the reference does not", I_x_r=before, I_x_wr=after)
    return supported(1)


def _noisy_copy_loses_information() -> Outcome:
    """In a true chain x -> r -> r' (r' a noisy copy of r) information is lost: for binary symmetric noise, exactly."""
    losses = []
    for flip in (Fraction(1, 10), Fraction(1, 3)):
        keep = 1 - flip
        first = {(x, r): Fraction(1, 2) * (keep if x == r else flip) for x in "01" for r in "01"}
        twice = keep * keep + flip * flip
        second = {(x, r): Fraction(1, 2) * (twice if x == r else 1 - twice) for x in "01" for r in "01"}
        losses.append(_mutual_information(second) <= _mutual_information(first))
    return supported(2) if all(losses) else refuted("information grew along the chain", losses=losses)


def _pass_rate_fixes_the_geometry(second_pass_rate: float) -> Outcome:
    """Two graders of one completion, whose gradient is the same: equal geometry should mean equal pass rates."""
    gradient, tangent = np.array([3.0, 4.0]), np.array([1.0, 0.0])
    shares = {rate: float((gradient @ tangent) ** 2 / (gradient @ gradient)) for rate in (0.5, second_pass_rate)}
    if len(shares) > len(set(shares.values())):
        return refuted("the share does not depend on p", tangential_share_by_pass_rate=shares)
    return supported(1)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="eq51",
        where="Eq. (51), Appendix B.1",
        title="The pipeline as a cascaded information bottleneck",
        verdict=Verdict.LOOSE,
        paper="x -> P_T(.|x,y*) -> w(p) r -> P_S, a cascaded information bottleneck; purely interpretive.",
        statement=(
            "The pipeline is no Markov chain from x: the weight w(p(x)) comes from the student and adds information about "
            "x that the reference r does not carry."
        ),
        latex=r"x\to P_T(\cdot\mid x,y^*)\to w(p)\,r\to P_S,\qquad I(x;w\,r)\not\le I(x;r)",
        equations=(51,),
        functions=(BetaKernel,),
        depends_on=("eq3",),
        proof="Two problems with one and the same reference and different pass rates: I(x; r) = 0, I(x; w r) = log 2.",
        repair="An interpretation, used nowhere. The data-processing inequality holds for r alone.",
        counterexample=Counterexample(
            "Two problems, one reference, pass rates 1/2 and 1/8: the weight alone tells them apart.",
            lambda: {"I(x; r)": bottleneck(False), "I(x; w r)": bottleneck(True)},
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: the weighting arrow loses information",
                "two problems",
                _chain_loses_information,
                Result.REFUTED,
            ),
            Check(
                "numeric",
                "the reference alone adds no information",
                "two problems",
                _chain_loses_information,
                Result.SUPPORTED,
                given={"weighted": False},
                fails={"with different pass rates": {"weighted": True}},
            ),
            Check(
                "numeric",
                "a true chain does lose information",
                "binary symmetric noise",
                _noisy_copy_loses_information,
                Result.SUPPORTED,
            ),
        ),
    ),
    Claim(
        id="rem4",
        where="Remark 4, Appendix B",
        title="The weight vanishes at both ends",
        verdict=Verdict.TRUE,
        paper="w(p) -> 0 as p -> 0 or p -> 1 suppresses these noisy regimes.",
        statement="p^alpha (1-p)^beta tends to 0 at p = 0 and p = 1. That the regimes are noisy is not shown by this.",
        latex=r"\lim_{p\to0}w(p)=\lim_{p\to1}w(p)=0",
        functions=(BetaKernel,),
        hypotheses=("alpha, beta > 0",),
        depends_on=("eq3",),
        proof="One factor tends to 0, the other to 1.",
        checks=(
            Check("sympy", "both limits are 0", "alpha in {1/3,1,2}, beta in {1/2,3}", _limits_at_the_ends),
            Check(
                "numeric",
                "the trainer's kernel is 0 there",
                "alpha = 0.7, beta = 2",
                _vanishes_at_the_ends,
                Result.SUPPORTED,
                given={"alpha": 0.7, "beta": 2},
                fails={"with alpha = 0": {"alpha": 0, "beta": 1}},
            ),
        ),
    ),
    Claim(
        id="rem5",
        where="Remark 5, Appendix B",
        title="p(1-p) is an inverse information, and an information",
        verdict=Verdict.TRUE,
        paper="The inverse Fisher information 1/I(p) = p(1-p) is exactly our default weight.",
        statement=(
            "For one rollout I(p) = 1/(p(1-p)), so the default weight is the variance of a rollout; in the logit the "
            "information itself is p(1-p). Either reading is a coincidence of names: no optimality follows."
        ),
        latex=r"I(p)=\frac1{p(1-p)},\qquad I(\operatorname{logit}p)=p(1-p)",
        functions=(fisher_information, logit_fisher_information),
        depends_on=("eq3",),
        proof="The score of p is y/p - (1-y)/(1-p); its mean square is 1/p + 1/(1-p). In eta = logit p, dp/deta = p(1-p).",
        checks=(
            Check(
                "sympy",
                "both informations from E[score^2]",
                "p in (0,1)",
                _derive_information,
                fails={"with I(p) + 1": {"extra": 1}},
            ),
            Check(
                "numeric", "fisher_information against mpmath", "7 pass rates", _information_numbers, Result.SUPPORTED
            ),
        ),
    ),
    Claim(
        id="rem6",
        where="Remark 6, Appendix B",
        title="On and off the student's manifold",
        verdict=Verdict.ASSUMED,
        paper="At low pass rates the response is partially off-manifold; at high pass rates gradients are predominantly tangential.",
        statement="Prose without a definition of the manifold or of 'predominantly'; nothing to decide.",
        latex=r"\text{(no formula)}",
        checks=(
            Check(
                "assumed",
                "geometry follows the pass rate",
                "prose",
                lambda: assumed("not a mathematical statement"),
                Result.ASSUMED,
            ),
            Check(
                "numeric",
                "one grader gives one share",
                "p = 1/2",
                _pass_rate_fixes_the_geometry,
                Result.SUPPORTED,
                given={"second_pass_rate": 0.5},
                fails={"with another grader: p changes, the geometry does not": {"second_pass_rate": 1.0}},
            ),
        ),
    ),
)
