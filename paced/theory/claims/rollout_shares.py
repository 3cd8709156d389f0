"""The claim about where a budget of rollouts goes (``x7.neyman``): the exact variance of the weight, not its first order."""

from __future__ import annotations

from fractions import Fraction as Fr
from itertools import product
from math import comb, factorial

import mpmath
import numpy as np

from paced.theory.facts.rollout_shares import most_valuable_rate, neyman_allocation, unbiased_weight_variance
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, refuted, supported, symbolic_zero, unsatisfiable
from paced.weights.budget.allocation import rollout_variance

RATES = (Fr(1, 10), Fr(1, 4), Fr(2, 5), Fr(1, 2), Fr(7, 9))
EXPONENTS = ((1, 1), (1, 2), (3, 1), (2, 2), (0, 2))


def _enumerated_variance(p: Fr, K: int, alpha: int, beta: int) -> Fr:
    """Var(u_K) over all counts: u(s) = C(K-α-β, s-α)/C(K, s), in rationals."""
    mean = second = Fr(0)
    for s in range(alpha, K - beta + 1):
        u, mass = Fr(comb(K - alpha - beta, s - alpha), comb(K, s)), comb(K, s) * p**s * (1 - p) ** (K - s)
        mean, second = mean + mass * u, second + mass * u * u
    return second - mean**2


def _series(p: Fr, K: int, alpha: int, beta: int, orders: int | None = None) -> Fr:
    """Σ_c (pq)^c (w⁽ᶜ⁾/c!)²/C(K, c) with SymPy's derivatives, the first ``orders`` terms or all."""
    import sympy

    x = sympy.symbols("x")
    w, total = x**alpha * (1 - x) ** beta, Fr(0)
    for c in range(1, (orders or alpha + beta) + 1):
        slope = sympy.diff(w, x, c).subs(x, sympy.Rational(p.numerator, p.denominator))
        total += (p * (1 - p)) ** c * (Fr(int(slope.p), int(slope.q)) / factorial(c)) ** 2 / comb(K, c)
    return total


def _variance_is_the_series(orders: int | None = None) -> Outcome:
    return equal_exactly(
        (
            {"alpha": a, "beta": b, "K": K, "p": str(p)},
            _series(p, K, a, b, orders),
            _enumerated_variance(p, K, a, b),
        )
        for a, b in EXPONENTS
        for K in (a + b, 7)
        for p in RATES
    )


def _function_is_the_series(shift: int = 0) -> Outcome:
    outcomes = []
    for a, b in EXPONENTS:
        for K in (a + b, 9):
            expected = [float(_enumerated_variance(p, K, a, b)) for p in RATES]
            rates = [float(p) for p in RATES]
            computed = unbiased_weight_variance(rates, K + shift, alpha=a, beta=b)
            outcomes.append(agree(computed, expected, rtol=1e-11, p=rates, K=K))
    return all_of(*outcomes)


def _first_order_is_the_delta_method(shift: float = 0.0) -> Outcome:
    """v = p q w'(p)^2, w' by mpmath, is rollout_variance; K Var(u_K) tends to it."""
    computed, expected, places = [], [], []
    for alpha, beta in ((1.0, 1.0), (1.0, 2.0), (0.7, 1.4)):
        for p in (0.07, 0.31, 0.5, 0.83):
            slope = mpmath.diff(lambda x, a=alpha, b=beta: x**a * (1 - x) ** b, p)
            computed.append(float(rollout_variance(p, alpha=alpha + shift, beta=beta)))
            expected.append(float(p * (1 - p) * slope**2))
            places.append(p)
    many = 10**9
    return all_of(
        agree(computed, expected, rtol=1e-9, atol=1e-12, p=places),
        agree(many * unbiased_weight_variance([0.1, 0.3], many), rollout_variance([0.1, 0.3]), rtol=1e-7),
    )


def _falls_are_convex(order_of_fall: int = 0) -> Outcome:
    """1/C(K, c) - 1/C(K+1, c) = c/((K+1) C(K, c)), which falls as K grows: every term of the series is convex."""
    return equal_exactly(
        (
            {"K": K, "c": c},
            Fr(1, comb(K, c)) - Fr(1, comb(K + 1, c)),
            Fr(c + order_of_fall, (K + 1) * comb(K, c)),
        )
        for K in range(1, 40)
        for c in range(1, K + 1)
    )


def _default_in_two_terms(factor: int = 2) -> Outcome:
    """(pq/K)(1 - pq(4K-6)/(K-1)) of ``c50`` is v/K + 2(pq)²/(K(K-1)), v = pq(1 - 4pq)."""
    import sympy

    p, K = sympy.symbols("p K", positive=True)
    x = p * (1 - p)
    v = x * sympy.diff(x, p) ** 2
    return symbolic_zero(x / K * (1 - x * (4 * K - 6) / (K - 1)) - v / K - factor * x**2 / (K * (K - 1)))


def _most_valuable(last_at_half: int = 3) -> Outcome:
    """z3: no x = pq in (0, 1/4] gains more than min(1/4, (K-1)/(8(K-2))) does, for every real K >= 2."""
    import z3

    K, x = z3.Reals("K x")

    def gain(x):  # type: ignore[no-untyped-def]  # the default's x(1 - 4x(K-2)/(K-1)) without the factor 1/(K(K+1))
        return x * ((K - 1) - 4 * x * (K - 2))

    best = z3.If(last_at_half + 0 * K >= K, z3.RealVal("1/4") + 0 * K, (K - 1) / (8 * (K - 2)))
    return all_of(
        unsatisfiable(K >= 2, x > 0, 4 * x <= 1, gain(x) > gain(best)),
        unsatisfiable(z3.Or(best <= 0, 4 * best > 1)),  # for every real K
    )


def _most_valuable_by_search() -> Outcome:
    """The rate of the function against a fine grid of enumerated falls of the variance."""
    grid = np.linspace(0, 0.5, 5001)
    computed = [most_valuable_rate(K) for K in (2, 3, 4, 5, 9, 40)]
    searched = [
        grid[np.argmax(unbiased_weight_variance(grid, K) - unbiased_weight_variance(grid, K + 1))]
        for K in (2, 3, 4, 5, 9, 40)
    ]
    return agree(computed, searched, rtol=0, atol=2e-4)


def _neyman_shares(rates: list[Fr], budget: int) -> tuple[int, ...]:
    """K_i ∝ sqrt(v(p_i)) with at least two each, the remainder to the largest: the rule for large K, used for small K."""
    v = np.sqrt(rollout_variance([float(p) for p in rates]))
    shares = [max(2, int(budget * x / v.sum())) for x in v]
    shares[int(np.argmax(v))] += budget - sum(shares)
    return tuple(shares)


SMALL = (
    ([Fr(1, 2), Fr(15, 103)], 8),
    ([Fr(1, 2), Fr(15, 103)], 12),
    ([Fr(1, 10), Fr(1, 4), Fr(1, 2)], 17),
    ([Fr(2, 5), Fr(2, 5), Fr(7, 9), Fr(1, 50)], 15),
)


def _best_by_force(rule: str = "exact") -> Outcome:
    """Against the smallest total variance of all allocations of at least two rollouts each, in rationals."""
    for rates, budget in SMALL:
        ours = _neyman_shares(rates, budget)
        if rule == "exact":
            ours = tuple(neyman_allocation([float(p) for p in rates], budget).tolist())
        table = {(p, K): _enumerated_variance(p, K, 1, 1) for p in rates for K in range(2, budget)}

        def total(shares: tuple[int, ...], rates: list[Fr] = rates, table=table) -> Fr:  # type: ignore[no-untyped-def]
            return sum((table[p, K] for p, K in zip(rates, shares, strict=True)), Fr(0))

        every = (x for x in product(range(2, budget), repeat=len(rates)) if sum(x) == budget)
        best = min(map(total, every))
        if sum(ours) != budget or total(ours) != best:
            factor = float(total(ours) / best)
            return refuted("another allocation has less variance", shares=str(ours), times_the_best=factor)
    return supported(len(SMALL))


def _two_problems() -> dict[str, float]:
    rates = [0.5, 0.1464]
    return {
        f"variance at {shares[0]} and {shares[1]} rollouts": float(unbiased_weight_variance(rates, shares).sum())
        for shares in ((2, 10), (6, 6))
    }


CLAIMS = (
    Claim(
        id="x7.neyman",
        where="extension",
        title="Which problems deserve the next rollout: those at p = 1/2 while K is small, those at 0.146 when it is large",
        verdict=Verdict.CONDITIONAL,
        statement="For whole exponents the unbiased weight has variance Var(u_K) = sum over c of (pq)^c (w^(c)(p)/c!)^2 / C(K, c), convex in K: giving each "
        "rollout to the problem that gains most is optimal. For the default the next rollout is worth most at pq = min(1/4, (K-1)/(8(K-2))): p = 1/2 at "
        "K = 2 and 3, 1/4 at K = 4, towards (1 - 1/sqrt 2)/2 for large K, where the shares are Neyman's, K_i proportional to sqrt(v_i).",
        latex=r"\operatorname{Var}(u_K)=\sum_{c=1}^{\alpha+\beta}\frac{(pq)^c\,(w^{(c)}(p)/c!)^2}{\binom Kc},\qquad v(p)=pq\,w'(p)^2=\lim_K K\operatorname{Var}(u_K)",
        functions=(unbiased_weight_variance, neyman_allocation, most_valuable_rate, rollout_variance),
        hypotheses=(
            "whole exponents, K >= alpha + beta: no weight is unbiased otherwise",
            "for K_i proportional to sqrt(v_i): many rollouts for every problem",
        ),
        depends_on=("eq1", "eq3", "c50"),
        proof="Hoeffding's decomposition of the U-statistic: the part of order c has variance (pq)^c (w^(c) (m-c)!/m!)^2, and C(m, c)^2/C(K, c) times it "
        "enters Var(u_K). Each 1/C(K, c) is convex in K, so that marginal analysis is exact (Fox 1966). For the default the gain of a rollout is "
        "x(1 - 4x(K-2)/(K-1))/(K(K+1)) with x = pq, a parabola.",
        numbers=lambda: {f"most valuable p at K = {K}": most_valuable_rate(K) for K in (2, 3, 4, 8, 64)},
        counterexample=Counterexample(
            "Problems at p = 1/2 and 0.146, 12 rollouts: K_i proportional to sqrt(v_i) with at least two each gives 2 and 10 and has 4.4 times the variance "
            "of 6 and 6, because v(1/2) = 0 and the variance there is 1/(8K(K-1)).",
            evaluate=_two_problems,
        ),
        checks=(
            Check(
                "exact",
                "the variance is the series",
                "5 kernels, 2 K, 5 rates",
                _variance_is_the_series,
                fails={"the first order only": {"orders": 1}},
            ),
            Check(
                "numeric",
                "the public function is the enumerated variance",
                "5 kernels, 2 K, 5 rates",
                _function_is_the_series,
                Result.SUPPORTED,
                fails={"one rollout more": {"shift": 1}},
            ),
            Check(
                "numeric",
                "its first order is v = p q w'(p)^2",
                "3 kernels, 4 rates",
                _first_order_is_the_delta_method,
                Result.SUPPORTED,
                fails={"alpha + 0.01": {"shift": 0.01}},
            ),
            Check(
                "exact",
                "every term falls by less and less",
                "K < 40, all orders",
                _falls_are_convex,
                fails={"c + 1 for c": {"order_of_fall": 1}},
            ),
            Check(
                "z3",
                "the rate that gains most",
                "all K >= 2, p in (0, 1)",
                _most_valuable,
                fails={"1/2 at K = 4 too": {"last_at_half": 4}},
            ),
            Check(
                "numeric",
                "the same by search",
                "6 K, a grid of 5,001 rates",
                _most_valuable_by_search,
                Result.SUPPORTED,
            ),
            Check(
                "numeric",
                "no allocation has less variance",
                "4 sets of problems, every allocation, in rationals",
                _best_by_force,
                Result.SUPPORTED,
                fails={"K proportional to sqrt(v), at least two": {"rule": "sqrt(v)"}},
            ),
            Check(
                "sympy",
                "the default's variance in two terms",
                "all K, p",
                _default_in_two_terms,
                fails={"with 3(pq)^2": {"factor": 3}},
            ),
        ),
    ),
)
