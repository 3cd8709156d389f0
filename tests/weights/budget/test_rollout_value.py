"""Efficiencies in closed form, c* and the best K, against enumeration of counts in rationals."""

from __future__ import annotations

import math
from fractions import Fraction as Fr

import oracles_weights as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64

from paced.weights.budget import efficiency as eff
from paced.weights.budget.rollout_value import (
    BreakEven,
    best_num_rollouts,
    break_even,
    first_better,
    rollout_value,
    rollout_value_text,
)

LAWS = ((Fr(1), Fr(1)), (Fr(1, 2), Fr(1, 3)), (Fr(2), Fr(7, 2)))


def enumerated(weight, K, law):
    """E[h w]²/(E[h²] E[w²]) from the beta-binomial law and rising factorials."""
    a, b = law
    top = bottom = Fr(0)
    for s in range(K + 1):
        mass = oracle.beta_binomial(s, K, a, b)
        top += mass * weight(s) * oracle.posterior_weight(s, K, 1, 1, a, b)
        bottom += mass * weight(s) ** 2
    return top**2 / (bottom * oracle.posterior_weight(0, 0, 2, 2, a, b))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("K", [2, 5, 8])
def test_every_efficiency_is_that_of_its_weight_by_enumeration(law, K):
    a, b = law
    assert eff.uniform_efficiency(law) == enumerated(lambda s: Fr(1), K, law)
    assert eff.drop_zero_efficiency(K, law) == enumerated(lambda s: Fr(s > 0), K, law)
    zone = enumerated(lambda s: Fr(2 * K <= 10 * s <= 8 * K), K, law)
    assert eff.hard_filter_efficiency(K, law, epsilon=0.2) == zone
    assert eff.plugin_efficiency(K, law) == enumerated(lambda s: Fr(s * (K - s)), K, law)
    assert eff.posterior_efficiency(K, law) == enumerated(lambda s: oracle.posterior_weight(s, K, 1, 1, a, b), K, law)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 8), st.floats(0.05, 8), st.integers(2, 30))
def test_no_weight_of_counts_beats_the_posterior_and_none_is_above_one(a, b, K):
    law = (a, b)
    most = eff.posterior_efficiency(K, law)
    others = (eff.uniform_efficiency(law), eff.drop_zero_efficiency(K, law), eff.plugin_efficiency(K, law))
    assert max(others) <= most * (1 + 1e-9) <= 1 + 1e-9
    assert eff.posterior_efficiency(K + 1, law) >= most * (1 - 1e-12)
    assert eff.plugin_efficiency(K + 1, law) > eff.plugin_efficiency(K, law)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("cost", [Fr(1, 2), Fr(30), Fr(400)])
def test_the_best_k_is_that_of_a_search_over_all(law, cost):
    values = [eff.posterior_efficiency(K, law) / (K + cost) for K in range(300)]
    assert best_num_rollouts(law, cost) == values.index(max(values))


@pytest.mark.parametrize("law", [*LAWS, (Fr(1, 10), Fr(1, 10))])
def test_rollouts_pay_above_the_break_even_cost_and_not_below(law):
    even = break_even(law)
    assert best_num_rollouts(law, even.training_cost * Fr(101, 100)) > 0
    assert best_num_rollouts(law, even.training_cost * Fr(99, 100)) == 0
    start = eff.uniform_efficiency(law)
    assert all(even.training_cost * (eff.posterior_efficiency(K, law) / start - 1) <= K for K in range(1, 200))


def test_the_reference_costs_and_first_k():
    half = Fr(1, 2)
    costs = [break_even((x, x)).training_cost for x in (Fr(1), half, Fr(3, 10), Fr(1, 10))]
    assert costs == [70, 20, Fr(5589, 625), Fr(1344, 625)]
    assert [first_better(law) for law in ((1, 1), (half, half), (2, 2))] == [7, 5, 12]
    # at K = 4 the plug-in of Beta(1/2, 1/2) is ahead of drop-zero and level with equal weights, to the last digit
    assert eff.plugin_efficiency(4, (half, half)) == eff.uniform_efficiency((half, half)) == Fr(2, 3)


def test_floats_give_what_fractions_give():
    for K in (2, 9, 40):
        assert eff.posterior_efficiency(K, (0.5, 2.0)) == pytest.approx(
            float(eff.posterior_efficiency(K, (Fr(1, 2), 2))), rel=F64
        )
        assert eff.drop_zero_efficiency(K, (0.5, 2.0)) == pytest.approx(
            float(eff.drop_zero_efficiency(K, (Fr(1, 2), 2))), rel=F64
        )


def test_the_hard_filter_is_among_the_weights_from_three_rollouts_on():
    shown = {K: set(rollout_value((1.0, 1.0), K)["efficiency"]) for K in (2, 3)}
    assert shown[3] - shown[2] == {"hard filter [0.2, 0.8]"}


def test_a_law_without_spread_never_pays():
    assert break_even((1e9, 1e9)) == BreakEven(math.inf, 0)
    assert "at no cost of training" in rollout_value_text((1e9, 1e9), 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: eff.plugin_efficiency(1, (1, 1)), "num_rollouts must be a whole number >= 2, got 1"),
        (lambda: eff.posterior_efficiency(2.5, (1, 1)), "num_rollouts must be a whole number >= 0, got 2.5"),
        (lambda: eff.filter_efficiency([False, False], (1, 1)), "not all False"),
        (lambda: eff.uniform_efficiency((0, 1)), r"law\[0\] must be finite and > 0"),
        (lambda: best_num_rollouts((1, 1), 0), "training_cost must be finite and > 0"),
        (
            lambda: eff.hard_filter_efficiency(2, (1, 1), epsilon=0.6),
            "epsilon must be finite and >= 0 and < 0.5, got 0.6",
        ),
        (lambda: eff.hard_filter_efficiency(1, (1, 1)), "not all False"),
    ],
)
def test_what_is_outside_a_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
