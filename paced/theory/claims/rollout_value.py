"""What a rollout buys (``x14``) and whether rollouts pay at all (``x15``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction as Fr
from math import comb
from typing import Any

from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Verdict
from paced.theory.ledger.engines import all_of, equal_exactly, refuted, symbolic_zero, unsatisfiable
from paced.weights.budget.efficiency import (
    Law,
    Number,
    drop_zero_efficiency,
    plugin_efficiency,
    posterior_efficiency,
    uniform_efficiency,
)
from paced.weights.budget.rollout_value import best_num_rollouts, break_even, first_better

LAWS = ((Fr(1), Fr(1)), (Fr(1, 2), Fr(1, 2)), (Fr(3, 10), Fr(2)), (Fr(4), Fr(3)))
Case = tuple[Mapping[str, Any], Any, Any]
HALF = (Fr(1, 2), Fr(1, 2))


def _moment(law: Law, i: int, j: int) -> Number:
    """E[p^i q^j] by rising factorials."""
    a, b = law
    value: Number = Fr(1)
    for step in range(i):
        value = value * (a + step) / (a + b + step)
    for step in range(j):
        value = value * (b + step) / (a + b + i + step)
    return value


def _mean(law: Law, h: Sequence[Number], i: int = 0, j: int = 0) -> Number:
    """E[h(s) p^i q^j] over s ~ Bin(K, p), p ~ law."""
    K = len(h) - 1
    return sum((comb(K, s) * h[s] * _moment(law, s + i, K - s + j) for s in range(K + 1)), Fr(0))


def _regret_of_unbiased(shared: bool = True) -> Outcome:
    """1 - Eff(u) = E Var(u|p)/E u², each side from its definition; ``shared=False`` divides by E w² instead."""
    cases: list[Case] = []
    for law in LAWS:
        for K in (2, 3, 5, 8, 13):
            u = [Fr(s * (K - s), K * (K - 1)) for s in range(K + 1)]
            square, truth = _mean(law, [x * x for x in u]), _moment(law, 2, 2)
            efficiency = _mean(law, u, 1, 1) ** 2 / (square * truth)
            spread = square - truth  # E Var(u|p) = E u² - E[E[u|p]²]
            cases.append(({"K": K, "law": str(law)}, 1 - efficiency, spread / (square if shared else truth)))
            cases.append(({"K": K, "law": str(law)}, plugin_efficiency(K, law), efficiency))
    return equal_exactly(cases)


def _regret_of_posterior(noise: bool = False) -> Outcome:
    """1 - Eff = E Var(w|s)/E w² for the posterior mean; ``noise`` takes E Var(u|p) in its place."""
    cases: list[Case] = []
    for law in LAWS:
        a, b = law
        for K in (1, 2, 5, 8):
            n = a + b + K
            h = [(a + s) * (b + K - s) / (n * (n + 1)) for s in range(K + 1)]
            truth = _moment(law, 2, 2)
            spread = truth - _mean(law, [x * x for x in h])
            if noise:
                spread = truth * (1 / plugin_efficiency(max(K, 2), law) - 1)
            cases.append(({"K": K, "law": str(law)}, 1 - posterior_efficiency(K, law), spread / truth))
    return equal_exactly(cases)


def _uniform_law_forms(shift: int = 0) -> Outcome:
    """Uniform pass rates: plug-in K(K-1)/(K²+1), posterior ((K+2)²+1)/((K+2)(K+3)).

    Both sides are polynomials in K of degree 5 at most over the same denominators, and the sums of squares behind them
    have degree 5 too: ten K decide for all.
    """
    one = LAWS[0]
    cases: list[Case] = []
    for K in range(2, 12):
        cases.append(({"K": K}, plugin_efficiency(K, one), Fr(K * (K - 1 + shift), K**2 + 1)))
        cases.append(({"K": K}, posterior_efficiency(K, one), Fr((K + 2) ** 2 + 1, (K + 2) * (K + 3))))
        squares = sum(((1 + s) * (1 + K - s)) ** 2 for s in range(K + 1))
        cases.append(({"K": K}, Fr(squares * 30, (K + 1) * (K + 2) * (K + 3)), Fr((K + 2) ** 2 + 1)))
    return equal_exactly(cases)


def _plugin_rises(least: int = 4) -> Outcome:
    """1/Eff = 1 + (r - 6)/K + 2/(K-1), r = E w/E w² > 4, falls with K: by SymPy and z3, so one K decides for all above.

    r > 4 because w <= 1/4, so that w² <= w/4; ``least`` is put in its place.
    """
    import sympy
    import z3

    K, r = sympy.symbols("K r", positive=True)
    inverse = (K - 2) * (K - 3) / (K * (K - 1)) + r / K
    form = symbolic_zero(inverse - 1 - (r - 6) / K - 2 / (K - 1))
    slope = sympy.diff(inverse, K) * K**2 * (K - 1) ** 2
    k, ratio = z3.Reals("K r")
    falls = unsatisfiable(k >= 2, ratio > least, -(ratio - 6) * (k - 1) * (k - 1) - 2 * k * k >= 0)
    return all_of(form, symbolic_zero(slope + (r - 6) * (K - 1) ** 2 + 2 * K**2), falls)


def _first_k(strict: bool = True) -> Outcome:
    """First K at which the plug-in is ahead: 7, 5, 12; ``strict=False`` counts being level with equal weights."""
    cases: list[Case] = []
    for law, expected in (((1, 1), 7), (HALF, 5), ((2, 2), 12)):
        ahead = [
            K for K in range(2, 21)
            if plugin_efficiency(K, law) > drop_zero_efficiency(K, law)
            and (plugin_efficiency(K, law) > uniform_efficiency(law)
                 or (not strict and plugin_efficiency(K, law) == uniform_efficiency(law)))
        ]  # fmt: skip
        cases.append(({"law": str(law)}, ahead[0], expected))
        cases.append(({"law": str(law)}, ahead[-1] - ahead[0], 20 - ahead[0]))
        cases.append(({"law": str(law)}, first_better(law) or 0, expected))
    return equal_exactly(cases)


COSTS: dict[Law, Fr] = {
    (Fr(1), Fr(1)): Fr(70),
    HALF: Fr(20),
    (Fr(3, 10), Fr(3, 10)): Fr(5589, 625),
    (Fr(1, 10), Fr(1, 10)): Fr(1344, 625),
}


def _break_even_by_search(plugin: bool = False) -> Outcome:
    """min over K <= 100 of K/(Eff_K/Eff_0 - 1); above it K alone is more than the cost, since Eff_K <= 1."""
    cases: list[Case] = []
    for law, expected in COSTS.items():
        start = uniform_efficiency(law)
        values = []
        for K in range(2 if plugin else 1, 101):
            gain = (plugin_efficiency(K, law) if plugin else posterior_efficiency(K, law)) / start - 1
            if gain > 0:
                values.append(K / gain)
        cases.append(({"law": str(law)}, min(values), expected))
        if not 100 / (1 / start - 1) > min(values):
            return refuted("a larger K could be cheaper", law=str(law), engine="exact")
        cases.append(({"law": str(law)}, break_even(law).training_cost, expected))
    return equal_exactly(cases)


def _best_k_by_search(worse: int = 0) -> Outcome:
    """Eff_K/(K + c) over K <= 60, for three laws and five costs; beyond it is at most 1/(61 + c), since Eff_K <= 1."""
    cases: list[Case] = []
    for law in LAWS[:3]:
        for cost in (Fr(1), Fr(15), Fr(70), Fr(71), Fr(300)):
            values = [posterior_efficiency(K, law) / (K + cost) for K in range(61)]
            best = values.index(max(values))
            if not 1 / (61 + cost) < max(values):
                return refuted("a larger K could be better", law=str(law), c=str(cost), engine="exact")
            cases.append(({"law": str(law), "c": str(cost)}, best_num_rollouts(law, cost), best + worse))
    return equal_exactly(cases)


def _pays_above_only(scale: Fr = Fr(1)) -> Outcome:
    """Eff_K/(K + c) > Eff_0/c exactly when c > K/(Eff_K/Eff_0 - 1), by z3."""
    import z3

    k, c, e, e0 = z3.Reals("K c EffK Eff0")
    pays = e / (k + c) > e0 / c
    above = c > float(scale) * k / (e / e0 - 1)
    return unsatisfiable(k > 0, c > 0, e0 > 0, e > e0, pays != above)


def efficiency_table(largest: int = 32) -> dict[str, list[float]]:
    """Efficiencies against K under Beta(1/2, 1/2)."""
    sizes = range(2, largest + 1)
    return {
        "K": [float(K) for K in sizes],
        "posterior": [float(posterior_efficiency(K, HALF)) for K in sizes],
        "plug-in": [float(plugin_efficiency(K, HALF)) for K in sizes],
        "drop-zero": [float(drop_zero_efficiency(K, HALF)) for K in sizes],
        "equal weights": [float(uniform_efficiency(HALF))] * len(sizes),
    }


def price_table(largest: int = 24) -> dict[str, list[float]]:
    """K/(Eff_K/Eff_0 - 1) against K for three laws: the lowest point is c*."""
    sizes = range(2, largest + 1)
    columns = {"K": [float(K) for K in sizes]}
    for name, law in {"uniform": LAWS[0], "Beta(.5, .5)": HALF, "Beta(.1, .1)": (Fr(1, 10), Fr(1, 10))}.items():
        start = uniform_efficiency(law)
        columns[name] = [float(K / (posterior_efficiency(K, law) / start - 1)) for K in sizes]
    return columns


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x14",
        where="extension",
        title="What a rollout buys: the regret of weights from K rollouts",
        verdict=Verdict.TRUE,
        statement="With a flat second moment, unbiased weights u from K rollouts lose 1 - Eff = E Var(u|p)/E u^2, so do plug-in weights p̂(1-p̂), and posterior "
        "means lose E Var(w|s)/E w^2. The plug-in's efficiency rises with K; it is ahead of equal weights and of drop-zero from K = 7 for uniform "
        "pass rates, 5 for Beta(1/2, 1/2) (level with equal weights at 4) and 12 for Beta(2, 2).",
        latex=r"1-\mathrm{Eff}(u)=\frac{\mathbb E\operatorname{Var}(u\mid p)}{\mathbb E u^2},\qquad 1-\mathrm{Eff}(\mathbb E[w\mid s])=\frac{\mathbb E\operatorname{Var}(w\mid s)}{\mathbb E w^2}",
        functions=(uniform_efficiency, drop_zero_efficiency, plugin_efficiency, posterior_efficiency, first_better),
        hypotheses=("K independent rollouts, apart from those of the gradient", "w = p(1-p)", "flat second moment"),
        depends_on=("c50", "x1"),
        proof="E[u w] = E[w^2] as E[u|p] = w, so Eff(u) = E w^2/E u^2. For the posterior mean E[h w] = E h^2. The plug-in is a multiple of u, and "
        "E u^2/E w^2 = 1 + (r - 6)/K + 2/(K-1) with r = E w/E w^2 > 4.",
        numbers=lambda: {
            f"{name}, Beta(.5, .5), K = 8": float(f(8, HALF))
            for name, f in (("drop-zero", drop_zero_efficiency), ("plug-in", plugin_efficiency), ("posterior", posterior_efficiency))
        },
        picture=Picture("efficiency_of_counts", efficiency_table, "Efficiency of weights from K rollouts, pass rates Beta(1/2, 1/2)."),
        checks=(
            Check("exact", "regret of the unbiased weight, and the public function", "4 laws, 5 K", _regret_of_unbiased,
                  fails={"divided by E w^2": {"shared": False}}),
            Check("exact", "regret of the posterior mean, and the public function", "4 laws, 4 K", _regret_of_posterior,
                  fails={"the noise of u for the posterior variance": {"noise": True}}),
            Check("exact", "closed forms in K for uniform pass rates", "ten K, which decide for all: degree 5", _uniform_law_forms,
                  fails={"K for K - 1": {"shift": 1}}),
            Check("z3", "the plug-in's efficiency rises with K", "all laws, K >= 2", _plugin_rises,
                  fails={"r above 2 alone": {"least": 2}}),
            Check("exact", "the first K that is ahead, and all above it to 20", "3 laws", _first_k,
                  fails={"counting a tie with equal weights": {"strict": False}}),
        ),
    ),
    Claim(
        id="x15",
        where="extension",
        title="Whether rollouts pay, and how many",
        verdict=Verdict.CONDITIONAL,
        statement="With fresh problems at hand, a problem with K rollouts costs K + c, c the cost of training on it in rollouts. Rollouts for the weight pay only if c is "
        "more than c* = min over K of K/(Eff_K/Eff_0 - 1): 70 for uniform pass rates (K = 4 or 5), 20 for Beta(.5, .5), 8.9 for Beta(.3, .3), 2.2 for "
        "Beta(.1, .1). The best K makes Eff_K/(K + c) largest.",
        latex=r"c^*=\min_{K\ge1}\frac{K}{\mathrm{Eff}_K/\mathrm{Eff}_0-1},\qquad K^*(c)=\arg\max_K\frac{\mathrm{Eff}_K}{K+c}",
        functions=(break_even, best_num_rollouts, posterior_efficiency, uniform_efficiency),
        hypotheses=("fresh problems without end", "posterior weights under the true law", "rollouts are made for the weight alone"),
        depends_on=("x14",),
        proof="A budget T buys T/(K + c) problems, each worth Eff_K. Eff_K <= 1 ends the search: K/(1/Eff_0 - 1) is at most K/(Eff_K/Eff_0 - 1).",
        numbers=lambda: {f"c*, Beta({float(law[0]):g}, {float(law[1]):g})": float(cost) for law, cost in COSTS.items()},
        counterexample=Counterexample(
            "With a fixed set of problems nothing is bought instead of rollouts: at c = 50 and uniform pass rates K = 0 is best with fresh "
            "problems, yet on the same problems K = 8 descends 10 % more a step.",
            evaluate=lambda: {
                "best K, fresh problems, c = 50": float(best_num_rollouts((1, 1), 50)),
                "Eff_8/Eff_0": float(posterior_efficiency(8, (1, 1)) / uniform_efficiency((1, 1))),
            },
        ),
        picture=Picture("price_of_rollouts", price_table, "K/(Eff_K/Eff_0 - 1) against K; the lowest point is c*."),
        checks=(
            Check("z3", "K rollouts pay exactly when c is above their price", "0 < Eff_0 < Eff_K <= 1", _pays_above_only,
                  fails={"twice the price": {"scale": Fr(2)}}),
            Check("exact", "c* by a search in rationals", "4 laws, K to 100, and no larger K can be cheaper", _break_even_by_search,
                  fails={"plug-in for posterior weights": {"plugin": True}}),
            Check("exact", "the best K by a search in rationals", "3 laws, 5 costs", _best_k_by_search,
                  fails={"one rollout more": {"worse": 1}}),
        ),
    ),
)  # fmt: skip
