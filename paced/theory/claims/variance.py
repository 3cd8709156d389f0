"""Claims about the variance of the weighted gradient, exactly: Proposition 7, Eq. (6) and (32)-(36)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction as Fr
from itertools import permutations, product

import numpy as np

from paced.theory.facts.variance import VarianceTerms, self_normalised_variance, variance_terms
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    holds_for_all,
    mean_is,
    refuted,
    supported,
    unsatisfiable,
)
from paced.weights import BetaKernel, normalise

WEIGHTS = (Fr(1, 10), Fr(1, 3), Fr(3, 4), Fr(1, 5))
GRADIENTS = ((Fr(1), Fr(-2)), (Fr(1, 2), Fr(3)), (Fr(0), Fr(1)), (Fr(-1), Fr(1, 4)))


# --- Proposition 7 ----------------------------------------------------------------------------------------------------
def _mean(values: Iterable[Fr]) -> Fr:
    terms = list(values)
    return sum(terms, Fr(0)) / len(terms)


def _estimates(batch_size: int, replace: bool, own_sum: bool) -> list[tuple[Fr, Fr]]:
    """Eq. (32) for every batch that can be drawn, in rationals."""
    n = len(WEIGHTS)
    batches = product(range(n), repeat=batch_size) if replace else permutations(range(n), batch_size)
    estimates = []
    for batch in batches:
        scale = _mean(WEIGHTS[i] for i in batch) if own_sum else _mean(WEIGHTS)
        first, second = (_mean(WEIGHTS[i] / scale * GRADIENTS[i][d] for i in batch) for d in (0, 1))
        estimates.append((first, second))
    return estimates


def _spread(rows: Sequence[tuple[Fr, Fr]]) -> Fr:
    """E|x - E x|² over equally likely rows."""
    mean = [_mean(row[d] for row in rows) for d in (0, 1)]
    return _mean((row[0] - mean[0]) ** 2 + (row[1] - mean[1]) ** 2 for row in rows)


def _terms() -> dict[str, Fr]:
    """Every term of Eq. (34) and (35) from its definition, in rationals."""
    unit = [w / _mean(WEIGHTS) for w in WEIGHTS]
    m2 = [g[0] ** 2 + g[1] ** 2 for g in GRADIENTS]
    square, moment = _mean(u**2 for u in unit), _mean(m2)
    weighted = [_mean(u * g[d] for u, g in zip(unit, GRADIENTS, strict=True)) for d in (0, 1)]
    plain = [_mean(g[d] for g in GRADIENTS) for d in (0, 1)]
    return {
        "mean_square_weight": square,
        "coupling": _mean(u**2 * m for u, m in zip(unit, m2, strict=True)) - square * moment,
        "mean_second_moment": moment,
        "weighted_mean_squared": weighted[0] ** 2 + weighted[1] ** 2,
        "mean_squared": plain[0] ** 2 + plain[1] ** 2,
    }


def _decomposition_is_exact(own_sum: bool = False) -> Outcome:
    """Eq. (34) against the enumerated variance: V/B for iid batches, V/B (N-B)/(N-1) without replacement."""
    t, n, cases = _terms(), 4, []
    v = t["mean_square_weight"] * t["mean_second_moment"] + t["coupling"] - t["weighted_mean_squared"]
    for size in (1, 2, 3):
        cases.append(({"B": size, "drawn": "iid"}, _spread(_estimates(size, True, own_sum)), v / size))
        shrunk = v / size * Fr(n - size, n - 1)
        cases.append(({"B": size, "drawn": "once"}, _spread(_estimates(size, False, own_sum)), shrunk))
    return equal_exactly(cases[1:] if own_sum else cases)


def _functions_are_the_terms() -> Outcome:
    """variance_terms against the rationals, term by term, and Eq. (35) as the paper divides it."""
    t = _terms()
    computed = variance_terms([float(w) for w in WEIGHTS], [[float(x) for x in g] for g in GRADIENTS])
    moment = t["mean_second_moment"]
    top = t["mean_square_weight"] + t["coupling"] / moment - t["weighted_mean_squared"] / moment
    ratio = top / (1 - t["mean_squared"] / moment)
    noisy = variance_terms([0.2, 0.5, 0.1], [1.0, -0.4, 2.0], second_moments=[1.3, 4.16, 5.0], masses=[5, 2, 3])
    mean, mass, w, s = 0.23, (0.5, 0.2, 0.3), (0.2, 0.5, 0.1), (1.0, -0.4, 2.0)
    second = sum(m * (x / mean) ** 2 * y for m, x, y in zip(mass, w, (1.3, 4.16, 5.0), strict=True))
    signal = sum(m * x / mean * y for m, x, y in zip(mass, w, s, strict=True)) ** 2
    plain = (
        sum(m * y for m, y in zip(mass, (1.3, 4.16, 5.0), strict=True)),
        sum(m * y for m, y in zip(mass, s, strict=True)) ** 2,
    )
    return all_of(
        *(agree(getattr(computed, name), float(value), rtol=1e-11) for name, value in t.items()),
        agree(computed.ratio, float(ratio)),
        agree(computed.weighted_variance / computed.uniform_variance, float(ratio)),
        agree([noisy.weighted_variance, noisy.uniform_variance], [second - signal, plain[0] - plain[1]]),
        agree(normalise(np.array([float(x) for x in WEIGHTS])).ess_fraction, 1 / computed.mean_square_weight),
    )  # fmt: skip


def _first_order_self_normalised(centred: bool = True) -> Outcome:
    """E[w̃²|g - m_w|²] against a simulation of batches that divide by their own weights, B = 400."""
    p, g = np.array([0.1, 0.3, 0.5, 0.8]), np.array([5.0, 3.5, 3.0, 1.5])
    w, size = p * (1 - p), 400
    drawn = np.random.default_rng(7).integers(0, 4, size=(8000, size))
    estimate = (w[drawn] * g[drawn]).sum(axis=1) / w[drawn].sum(axis=1)
    target = float(np.average(g, weights=w))
    expected = self_normalised_variance(w, g) if centred else variance_terms(w, g).weighted_variance
    return mean_is(size * (estimate - target) ** 2, expected)


def _self_normalised_numbers() -> Outcome:
    p, g = [Fr(1, 10), Fr(3, 10), Fr(1, 2), Fr(4, 5)], [Fr(3), Fr(3, 2), Fr(1), Fr(-1, 2)]
    unit = [4 * x * (1 - x) / sum(y * (1 - y) for y in p) for x in p]
    mean = sum(u * x for u, x in zip(unit, g, strict=True)) / 4
    expected = sum(u**2 * (x - mean) ** 2 for u, x in zip(unit, g, strict=True)) / 4
    computed = self_normalised_variance([float(x * (1 - x)) for x in p], [float(x) for x in g])
    masses = self_normalised_variance([0.2, 0.4], [1.0, -1.0], masses=[3, 1])  # unit weights 0.8, 1.6; mean 0.2
    return all_of(agree(computed, float(expected)), agree(masses, 0.75 * 0.64 * 0.64 + 0.25 * 2.56 * 1.44))


# --- Eq. (36) ---------------------------------------------------------------------------------------------------------
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
        id="prop7",
        where="Proposition 7, Eq. (6), (32)-(35)",
        title="The variance of the weighted estimator, term by term",
        verdict=Verdict.TRUE,
        paper="V_w = E[w~^2] E[M2] + Cov(w~^2, M2) - ||E[w~ g]||^2, and the ratio to V_unif is Eq. (35).",
        statement=(
            "Exact for weights normalised over the population; a batch of B iid problems has V_w/B, one without replacement "
            "(V_w/B)(N-B)/(N-1), so the ratio is the same. A batch that divides by its own weights has, to first order, "
            "E[w~^2 |g - E[w~ g]|^2]/B instead."
        ),
        latex=r"\frac{V_w}{V_{\mathrm{unif}}}=\frac{\mathbb E[\tilde w^2]+\operatorname{Cov}(\tilde w^2,M_2)/\mathbb E[M_2]-\|\mathbb E[\tilde wg]\|^2/\mathbb E[M_2]}{1-\|\mathbb E g\|^2/\mathbb E[M_2]}",
        equations=(6, 32, 33, 34, 35),
        functions=(
            variance_terms,
            self_normalised_variance,
        ),
        hypotheses=("weights divided by their mean over the training set, fixed before the batch is drawn",),
        depends_on=("eq4", "a4"),
        proof="E|x - E x|^2 = E|x|^2 - |E x|^2 for x = w~ g, and E[w~^2 M2] = E[w~^2] E[M2] + Cov. E[w~^2] >= 1 by Jensen.",
        numbers=lambda: {
            "V_w, population-normalised": variance_terms(
                BetaKernel().at([0.1, 0.3, 0.5, 0.8]), [3, 1.5, 1, -0.5]
            ).weighted_variance,
            "V_w, each batch by its own sum": self_normalised_variance(
                BetaKernel().at([0.1, 0.3, 0.5, 0.8]), [3, 1.5, 1, -0.5]
            ),
        },
        checks=(
            Check(
                "exact",
                "Eq. (34) is the variance over all batches",
                "4 problems in 2 dimensions, B <= 3, both ways of drawing",
                _decomposition_is_exact,
                fails={"with weights normalised inside the batch": {"own_sum": True}},
            ),
            Check(
                "numeric",
                "variance_terms is each term of Eq. (34)-(35)",
                "4 and 3 problems",
                _functions_are_the_terms,
                Result.SUPPORTED,
            ),
            Check(
                "monte_carlo",
                "self-normalised batches: the first-order variance",
                "8000 batches of 400",
                _first_order_self_normalised,
                Result.SUPPORTED,
                fails={"with Eq. (34) for self-normalised batches": {"centred": False}},
            ),
            Check(
                "numeric",
                "self_normalised_variance in rationals",
                "4 and 2 problems",
                _self_normalised_numbers,
                Result.SUPPORTED,
            ),
        ),
    ),
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
