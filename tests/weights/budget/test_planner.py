"""The planner's numbers against enumeration and simulation, and its budget."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64, MC_SE

from paced.theory.facts.screening import screening_cost_of_law
from paced.weights import plan_rollouts
from paced.weights.budget.planner import plan_text
from paced.weights.budget.stopping import walk


def by_name(plans):
    return {(plan.policy, plan.weight): plan for plan in plans}


@pytest.mark.parametrize("K", [2, 4, 8])
def test_one_k_for_all_has_the_efficiencies_of_the_reference_table(K):
    plans = by_name(plan_rollouts((1, 1), num_problems=100, budget=100 * K))
    one = Fraction(1)
    posterior = oracle.efficiency(lambda s: oracle.posterior_weight(s, K, 1, 1, one, one), K)
    plug = oracle.efficiency(lambda s: oracle.kernel(Fraction(s, K), 1, 1), K)
    assert plans[f"K = {K} for all", "posterior"].efficiency == pytest.approx(float(posterior), rel=F64)
    assert plans[f"K = {K} for all", "plugin"].efficiency == pytest.approx(float(plug), rel=F64)
    assert plans[f"K = {K} for all", "plugin"].share_zero == pytest.approx(2 / (K + 1), rel=F64)


@settings(max_examples=20)
@given(st.floats(0.3, 6), st.floats(0.3, 6), st.integers(2, 12), st.floats(0, 3), st.floats(0, 3))
def test_every_policy_stays_within_the_budget(a, b, share, alpha, beta):
    plans = plan_rollouts((a, b), num_problems=50, budget=50 * share, alpha=alpha, beta=beta)
    for plan in plans:
        assert 0 < plan.rollouts_per_problem <= share * (1 + 1e-9)
        assert plan.total_rollouts == pytest.approx(50 * plan.rollouts_per_problem)
        assert 0 <= plan.efficiency <= 1 + 1e-9
        assert 0 <= plan.ess_fraction <= 1 + 1e-9
    efficiencies = [plan.efficiency for plan in plans]
    assert efficiencies == sorted(efficiencies, reverse=True)


@pytest.mark.parametrize("law", [(0.1, 0.1), (3.0, 0.7)])
@pytest.mark.parametrize("share", [4, 6.5])
def test_a_pilot_with_neyman_and_the_price_rule_spend_the_whole_budget(law, share):
    plans = plan_rollouts(law, num_problems=100, budget=int(100 * share))
    spent = {plan.policy: plan.rollouts_per_problem for plan in plans if plan.policy.startswith(("pilot", "stop"))}
    assert any(policy.startswith("pilot") for policy in spent)
    assert spent == {policy: pytest.approx(share, rel=1e-9) for policy in spent}


def test_the_posterior_mean_is_the_best_weight_of_each_policy():
    """Its square loss is least given the counts, and with flat second moments that is efficiency."""
    plans = plan_rollouts((0.6, 0.9), num_problems=100, budget=600)
    best = {}
    for plan in plans:
        best.setdefault(plan.policy, plan.weight)
    assert set(best.values()) == {"posterior"}


def test_screening_costs_what_allocation_says():
    plans = by_name(plan_rollouts((1, 1), num_problems=1, budget=8))
    name = "screen 4, then 6 more"
    cost = screening_cost_of_law((1, 1), num_first=4, num_all=10)
    assert plans[name, "posterior"].rollouts_per_problem == pytest.approx(cost, rel=F64)


def test_a_walk_loses_no_probability_and_simulation_agrees():
    def more(s, k):
        return 2 if k == 0 else (3 if k == 2 and s == 1 else 0)

    stops = walk((2.0, 1.5), more)
    assert sum(stops.values()) == pytest.approx(1, rel=F64)
    rng = np.random.default_rng(0)
    p = rng.beta(2.0, 1.5, size=40_000)
    first = rng.binomial(2, p)
    second = np.where(first == 1, rng.binomial(3, p), 0)
    for (s, k), share in stops.items():
        seen = np.mean((first + second == s) & ((first == 1) == (k == 5)))
        assert abs(seen - share) <= MC_SE * np.sqrt(share * (1 - share) / len(p))


def test_text_has_a_line_for_each_plan():
    plans = plan_rollouts((1, 1), num_problems=10, budget=60)
    assert len(plan_text(plans).splitlines()) == 1 + len(plans)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"law": (0, 1), "num_problems": 1, "budget": 8}, r"prior\[0\] must be finite and > 0|law"),
        ({"law": (1, 1), "num_problems": 10, "budget": 19}, "budget must be >= 2 \\* num_problems"),
        ({"law": (1, 1), "num_problems": 2.5, "budget": 19}, "num_problems must be a whole number >= 1, got 2.5"),
        ({"law": (1, 1), "num_problems": 1, "budget": float("inf")}, "budget must be a whole number >= 1, got inf"),
        ({"law": (1, 1), "num_problems": 10, "budget": 80, "alpha": -1}, "alpha must be finite and >= 0"),
    ],
)
def test_plans_that_cannot_be_made_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan_rollouts(**arguments)


def stopping_rule_efficiency(share: int, longest: int) -> float:
    """Efficiency of posterior weights of the uniform law when the budget is spent under a price, in rationals.

    Some problems follow the lowest affordable price and the others the next lower one. A batch of m <= longest is made
    where its value for a rollout is above the price, the best m first.
    """
    limit, one = 4 * share, Fraction(1)
    worth = {
        (s, k): max((oracle.value_of_rollouts(one + s, one + k - s, m, 1, 1) / m, -m) for m in range(1, longest + 1))
        for k in range(limit)
        for s in range(k + 1)
    }

    def outcome(price: Fraction) -> tuple[Fraction, Fraction]:
        """Rollouts of a problem, and the mean square of its posterior weight."""
        mass, total, square = {(0, 0): one}, Fraction(0), Fraction(0)
        for k in range(limit + 1):
            for s in range(k + 1):
                here = mass.pop((s, k), Fraction(0))
                if k == limit or worth[s, k][0] <= price:
                    total += here * k
                    square += here * oracle.posterior_weight(s, k, 1, 1, one, one) ** 2
                    continue
                batch = min(-worth[s, k][1], limit - k)
                for x in range(batch + 1):
                    chance = oracle.beta_binomial(x, batch, one + s, one + k - s)
                    mass[s + x, k + batch] = mass.get((s + x, k + batch), Fraction(0)) + here * chance
        return total, square

    prices = sorted({value for value, _ in worth.values()})  # the cost falls as the price rises
    low, high = 0, len(prices) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if outcome(prices[middle])[0] <= share else (middle + 1, high)
    (cheap, less), (dear, more) = outcome(prices[low]), outcome(prices[low - 1])
    part = (share - cheap) / (dear - cheap)
    return float(30 * ((1 - part) * less + part * more))  # E[p²(1-p)²] = 1/30


def test_the_sequential_policy_looks_four_ahead_and_spends_the_budget():
    share = 8
    plans = plan_rollouts((1, 1), num_problems=10, budget=10 * share)
    (plan,) = [plan for plan in plans if plan.policy.startswith("stop below price")]
    assert plan.rollouts_per_problem == pytest.approx(share, rel=1e-9)
    assert plan.efficiency == pytest.approx(stopping_rule_efficiency(share, 4), rel=1e-9)
    assert plan.efficiency != pytest.approx(stopping_rule_efficiency(share, 3), rel=1e-6)
