"""Claims about weights from the counts of K rollouts: which are unbiased, and their variance."""

from __future__ import annotations

from fractions import Fraction as Fr
from math import comb

import numpy as np

from paced.theory.facts.estimation import (
    default_weight_variance,
    expected_weight,
)
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    symbolic_zero,
    zero_for_any_number,
)
from paced.weights import BetaKernel
from paced.weights.estimates import EstimatorName

P = (Fr(0), Fr(1, 10), Fr(1, 3), Fr(1, 2), Fr(7, 9), Fr(1))


def _binomial(s: int, K: int, p: Fr) -> Fr:
    return comb(K, s) * p**s * (1 - p) ** (K - s)


# --- c50 ---------------------------------------------------------------------------------------------------------
def _plugin_is_scaled(alpha: int = 1, beta: int = 1) -> Outcome:
    """E[p̂^alpha q̂^beta] over Bin(K, p) against (1 - 1/K) p^alpha q^beta, in rationals."""
    return equal_exactly(
        (
            {"K": K, "p": str(p)},
            sum((_binomial(s, K, p) * Fr(s, K) ** alpha * Fr(K - s, K) ** beta for s in range(K + 1)), Fr(0)),
            (1 - Fr(1, K)) * p**alpha * (1 - p) ** beta,
        )
        for K in (2, 4, 8, 11)
        for p in P
    )


def _asymmetric_shape() -> Outcome:
    """E[p̂ q̂^2] = (1 - 1/K)((1 - 2/K) p q^2 + pq/K): a shape bias, in rationals."""
    return equal_exactly(
        (
            {"K": K, "p": str(p)},
            sum((_binomial(s, K, p) * Fr(s, K) * Fr(K - s, K) ** 2 for s in range(K + 1)), Fr(0)),
            (1 - Fr(1, K)) * ((1 - Fr(2, K)) * p * (1 - p) ** 2 + p * (1 - p) / K),
        )
        for K in (3, 8, 10)
        for p in P
    )


def _trainer_is_unbiased(alpha: int = 1, beta: int = 1, estimator: EstimatorName = "unbiased") -> Outcome:
    """The trainer's U-statistic has mean p^alpha q^beta at every p."""
    p = np.array([float(x) for x in P])
    outcomes = []
    for K in (alpha + beta, 5 + alpha, 12):
        h = BetaKernel(alpha, beta, estimator=estimator)(np.arange(K + 1), K)
        outcomes.append(agree(expected_weight(h, p), p**alpha * (1 - p) ** beta, rtol=1e-11, atol=1e-15, p=p))
    return all_of(*outcomes)


def _rank(rows: list[list[Fr]]) -> int:
    """Rank of a matrix of rationals, exactly."""
    from sympy import Matrix

    return int(Matrix(rows).rank())


def _laws(K: int, num_rates: int) -> list[list[Fr]]:
    """P(s | p) for s = 0..K, at so many different rates p: a row each."""
    rates = [Fr(2 * i + 1, 2 * num_rates + 1) for i in range(num_rates)]
    return [[_binomial(s, K, p) for s in range(K + 1)] for p in rates]


def _only_one_unbiased(rates_less: int = 0) -> Outcome:
    """The means at K + 1 rates determine the weights of K + 1 counts: their matrix has full rank."""
    return equal_exactly(({"K": K}, _rank(_laws(K, K + 1 - rates_less)), K + 1) for K in (1, 2, 3, 5, 8))


def _unbiased_where_it_exists(fewest: int = 0) -> Outcome:
    """p^alpha q^beta is a mean of weights of counts exactly if K >= alpha + beta: else it raises the rank."""
    cases = []
    for alpha, beta in ((1, 1), (1, 2), (3, 1), (2, 2)):
        for K in range(1, 7):
            rows = _laws(K, alpha + beta + K + 1)
            rates = [Fr(2 * i + 1, 2 * len(rows) + 1) for i in range(len(rows))]
            whole = [[*row, p**alpha * (1 - p) ** beta] for row, p in zip(rows, rates, strict=True)]
            where = {"alpha": alpha, "beta": beta, "K": K}
            cases.append((where, _rank(whole) == _rank(rows), alpha + beta + fewest <= K))
    return equal_exactly(cases)


def _variance_of_u(shift: Fr = Fr(0)) -> Outcome:
    """E[u^2] and Var(u) by enumeration in rationals, against the closed forms."""
    cases = []
    for K in (2, 3, 8, 9):
        for p in P:
            pq = p * (1 - p)
            u = [Fr(s * (K - s), K * (K - 1)) for s in range(K + 1)]
            second = sum((_binomial(s, K, p) * u[s] ** 2 for s in range(K + 1)), Fr(0))
            cases.append(({"K": K, "p": str(p)}, second, Fr((K - 2) * (K - 3), K * (K - 1)) * pq**2 + pq / K + shift))
            variance = pq / K * (1 - pq * Fr(4 * K - 6, K - 1))
            cases.append(({"K": K, "p": str(p)}, second - pq**2, variance + shift))
    return equal_exactly(cases)


def _variance_for_every_number(orders: int = 4) -> Outcome:
    """The moments of s by induction on the rollouts, and from them Var(p̂q̂) = (1 - 1/K)² Var(u) for every K.

    One more rollout adds p Σ_{j<n} C(n, j) E s^j to E s^n. ``orders=3`` forgets the fourth factorial moment.
    """
    import sympy
    from sympy.functions.combinatorial.numbers import stirling

    p, K = sympy.symbols("p K", real=True)
    moments: list[sympy.Expr] = [sympy.Integer(1)]
    outcomes = []
    for n in range(1, 5):
        closed = sum(stirling(n, j) * sympy.ff(K, j) * p**j for j in range(1, min(n, orders) + 1))
        more = p * sum(comb(n, j) * moments[j] for j in range(n))
        moment = sympy.Symbol(f"E_s{n}", real=True)
        outcomes.append(zero_for_any_number(moment - closed, {moment: more, K: 1}))
        moments.append(closed)
    pq = p * (1 - p)
    mean, second = (K * moments[1] - moments[2]) / K**2, (K**2 * moments[2] - 2 * K * moments[3] + moments[4]) / K**4
    of_u = pq / K * (1 - pq * (4 * K - 6) / (K - 1))
    scale = 1 - 1 / K
    return all_of(*outcomes, symbolic_zero(mean - scale * pq), symbolic_zero(second - mean**2 - scale**2 * of_u))


def _variance_function(shift: int = 0) -> Outcome:
    """The public function, through the trainer's own weights."""
    p = np.array([0.03, 0.2, 0.5, 0.91])
    outcomes = []
    for K in (2, 8, 21):
        u = BetaKernel(estimator="unbiased")(np.arange(K + 1), K)
        variance = expected_weight(u**2, p) - expected_weight(u, p) ** 2
        outcomes.append(agree(default_weight_variance(p, K + shift), variance, rtol=1e-9, p=p))
    return all_of(*outcomes, agree(default_weight_variance(0.5, 8), 1 / (8 * 8 * 7)))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="c50",
        where="section 3.1; Appendix B",
        title="The default plug-in weight is biased by a scale only; others in shape",
        verdict=Verdict.TRUE,
        statement="E[p̂q̂] = (1 - 1/K) pq, a scale that unit-mean normalisation removes; E[p̂ q̂^2] has another shape. For whole exponents with alpha + beta <= K the U-statistic "
        "is unbiased, and nothing else is; with fewer rollouts nothing is. u = s(K-s)/(K(K-1)) has variance (pq/K)(1 - pq(4K-6)/(K-1)) over rollouts, and the "
        "plug-in p̂q̂ that of u times (1 - 1/K)^2, for every K.",
        latex=r"\mathbb E[\hat p\hat q]=\bigl(1-\tfrac1K\bigr)pq,\qquad \operatorname{Var}(\hat p\hat q)=\bigl(1-\tfrac1K\bigr)^2\operatorname{Var}(u),\qquad \operatorname{Var}(u)=\frac{pq}{K}\Bigl(1-\frac{pq(4K-6)}{K-1}\Bigr)",
        functions=(
            expected_weight,
            default_weight_variance,
            BetaKernel,
        ),
        hypotheses=("K independent rollouts",),
        depends_on=("eq1", "eq3"),
        proof="Factorial moments of the binomial. E[h(s)] = q^K sum of C(K, s) h(s) (p/q)^s is a polynomial of degree <= K in p, and its K + 1 coefficients are free: h is unique, and none exists for "
        "alpha + beta > K.",
        numbers=lambda: {
            "Var(u) at p = 1/2, K = 8": float(default_weight_variance(0.5, 8)),
            "E[p̂q̂]/pq at K = 8": 7 / 8,
        },
        checks=(
            Check(
                "exact",
                "the default is scaled by 1 - 1/K",
                "4 K, 6 rates",
                _plugin_is_scaled,
                fails={"(1, 2) scaled only": {"beta": 2}},
            ),
            Check("exact", "(1, 2) changes shape", "3 K, 6 rates", _asymmetric_shape),
            Check(
                "numeric",
                "the trainer's U-statistic has no bias",
                "(1,1), K <= 12",
                _trainer_is_unbiased,
                Result.SUPPORTED,
                fails={"the plug-in in place of the U-statistic": {"estimator": "plugin"}},
            ),
            Check("numeric", "(2, 1) too", "K <= 12", lambda: _trainer_is_unbiased(2, 1), Result.SUPPORTED),
            Check(
                "exact",
                "no other weight is unbiased",
                "5 K, at K + 1 rates",
                _only_one_unbiased,
                fails={"at K rates": {"rates_less": 1}},
            ),
            Check(
                "exact",
                "none is unbiased with fewer rollouts than alpha + beta",
                "4 pairs of whole exponents, K = 1 to 6",
                _unbiased_where_it_exists,
                fails={"with one rollout less": {"fewest": -1}},
            ),
            Check(
                "exact",
                "E[u^2] and Var(u)",
                "4 K, 6 rates",
                _variance_of_u,
                fails={"1/1000 more": {"shift": Fr(1, 1000)}},
            ),
            Check(
                "sympy",
                "the mean and the spread of p̂q̂ over rollouts",
                "every K, by induction on the rollouts, and p",
                _variance_for_every_number,
                fails={"without the fourth factorial moment": {"orders": 3}},
            ),
            Check(
                "numeric",
                "the public variance",
                "3 K, 4 rates",
                _variance_function,
                Result.SUPPORTED,
                fails={"one rollout more": {"shift": 1}},
            ),
        ),
    ),
)
