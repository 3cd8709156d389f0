"""The claim about when weights reduce the variance: Proposition 7's condition, Eq. (36) (``prop7.sufficient``)."""

from __future__ import annotations

import numpy as np

from paced.theory.facts.variance import VarianceTerms, variance_terms
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    all_of,
    holds_for_all,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
    zero_for_any_number,
)
from paced.weights import BetaKernel


def _population():  # type: ignore[no-untyped-def]
    """Weights, gradients in one dimension and masses of 2 to 7 problems."""
    from hypothesis import strategies as st

    row = st.tuples(st.floats(0.05, 1), st.floats(-3, 3), st.floats(0.05, 1))
    return st.lists(row, min_size=2, max_size=7)


POPULATION_ENDS = (
    [(0.05, -3.0, 1.0), (1.0, 3.0, 0.05)],
    [(0.05, 3.0, 0.05), (1.0, -3.0, 1.0), (0.5, 0.1, 0.3)] + [(1.0, 1.0, 1.0)] * 4,
)
"""Two and seven problems; every entry is at both its ends."""


def _of(rows: list[tuple[float, float, float]]) -> VarianceTerms:
    w, g, mass = map(np.array, zip(*rows, strict=True))
    return variance_terms(w, g, masses=mass)


def _exact_condition() -> Outcome:
    """V_w < V_unif exactly when the exact condition holds; away from ties of rounding."""

    def law(rows: list[tuple[float, float, float]]) -> bool | None:
        t = _of(rows)
        gap = t.weighted_variance - t.uniform_variance
        return None if abs(gap) < 1e-9 * (1 + t.mean_second_moment) else t.meets_exact_condition == (gap < 0)

    return holds_for_all(_population(), law, ends=POPULATION_ENDS)


def _difference_of_variances(penalty: int = 1) -> Outcome:
    """V_w - V_unif of ``prop7`` is the left side minus the right, with Var(w̃) = E[w̃²] - 1."""
    import sympy

    square, moment, cov, weighted, plain = sympy.symbols("E_ww E_M2 Cov weighted_mean_sq mean_sq", real=True)
    w, mass, u, M, W, A, spread = sympy.symbols("w mass u M W A Var", real=True)
    sums = spread - u**2 * A + 2 * u * W - M
    growth = {spread: mass * (u * w - 1) ** 2, A: mass * w**2, W: mass * w, M: mass}
    difference = (square * moment + cov - weighted) - (moment - plain)
    return all_of(
        zero_for_any_number(sums, growth),
        symbolic_zero(sums.subs({M: 1, W: 1 / u, A: square / u**2}) - (spread - (square - 1))),
        symbolic_zero(difference - (cov + penalty * (square - 1) * moment - (weighted - plain))),
    )


def _condition_36_suffices(with_means: bool = True) -> Outcome:
    """Over the reals: Eq. (36) and |E w̃ g| >= |E g| give V_w < V_unif; Eq. (36) alone does not."""
    import z3

    square, moment, cov, weighted, plain = z3.Reals("E_ww E_M2 Cov weighted_mean_sq mean_sq")
    hypotheses = [square >= 1, moment > 0, weighted >= 0, plain >= 0, plain < moment, cov < (1 - square) * moment]
    if with_means:
        hypotheses.append(weighted >= plain)
    return unsatisfiable(*hypotheses, square * moment + cov - weighted >= moment - plain)


def _condition_36_flags() -> Outcome:
    """The property against Eq. (36) written out, on populations of both kinds."""

    def law(rows: list[tuple[float, float, float]]) -> bool | None:
        w, g, mass = map(np.array, zip(*rows, strict=True))
        mass = mass / mass.sum()
        unit = w / (mass @ w)
        left = mass @ (unit**2 * g**2) - (mass @ unit**2) * (mass @ g**2)
        right = -(mass @ unit**2 - 1) * (mass @ g**2)
        return None if abs(left - right) < 1e-9 else _of(rows).meets_condition_36 == bool(left < right)

    return holds_for_all(_population(), law, ends=POPULATION_ENDS)


def _two_problems() -> VarianceTerms:
    return variance_terms(BetaKernel().at([0.1, 0.5]), [1.0, 0.7])


def _condition_36_means_reduction(terms: VarianceTerms) -> Outcome:
    if terms.meets_condition_36 and terms.weighted_variance >= terms.uniform_variance:
        return refuted("Eq. (36) holds and the variance grows", p=(0.1, 0.5), g=(1.0, 0.7), ratio=terms.ratio)
    return supported(1)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop7.sufficient",
        where="Proposition 7, Eq. (36)",
        title="When the covariance beats the weight penalty",
        verdict=Verdict.CONDITIONAL,
        paper="A sufficient condition for variance reduction is Cov(w~^2, M2)/E[M2] < 1 - E[w~^2].",
        statement=(
            "Sufficient only together with |E[w~ g]| >= |E g|. Exactly: V_w < V_unif if and only if "
            "Cov(w~^2, M2) + Var(w~) E[M2] < |E[w~ g]|^2 - |E g|^2."
        ),
        latex=r"V_w<V_{\mathrm{unif}}\iff\operatorname{Cov}(\tilde w^2,M_2)+\operatorname{Var}(\tilde w)\,\mathbb E[M_2]<\|\mathbb E[\tilde wg]\|^2-\|\mathbb Eg\|^2",
        equations=(36,),
        functions=(variance_terms,),
        hypotheses=("|E[w~ g]| >= |E g|, or mean gradients that are negligible against M2",),
        depends_on=("prop7",),
        proof="Subtract V_unif from Eq. (34); E[w~^2] - 1 = Var(w~).",
        repair="Use the exact condition; it needs nothing more to be measured.",
        counterexample=Counterexample(
            "p in {0.1, 0.5} with equal odds, default kernel, gradients 1 and 0.7 without noise: Eq. (36) holds, the variance is 2.78 times larger.",
            lambda: {
                "E[w~^2 M2]": _two_problems().mean_square_weight * _two_problems().mean_second_moment
                + _two_problems().coupling,
                "E[M2]": _two_problems().mean_second_moment,
                "V_w": _two_problems().weighted_variance,
                "V_unif": _two_problems().uniform_variance,
                "ratio": _two_problems().ratio,
            },
        ),
        checks=(
            Check(
                "z3",
                "with |E[w~ g]| >= |E g| it suffices",
                "all real moments",
                _condition_36_suffices,
                fails={"without |E[w~ g]| >= |E g|": {"with_means": False}},
            ),
            Check(
                "sympy",
                "V_w - V_unif is the exact condition's left side minus its right",
                "any number of problems, by induction",
                _difference_of_variances,
                fails={"twice the weight penalty": {"penalty": 2}},
            ),
            Check(
                "hypothesis",
                "the exact condition is if and only if",
                "2 to 7 problems",
                _exact_condition,
                Result.SUPPORTED,
            ),
            Check(
                "hypothesis", "meets_condition_36 is Eq. (36)", "2 to 7 problems", _condition_36_flags, Result.SUPPORTED
            ),
        ),
        other_controls=(Control("numeric", "on g = (1, 0.7)", lambda: _condition_36_means_reduction(_two_problems())),),
    ),
)
