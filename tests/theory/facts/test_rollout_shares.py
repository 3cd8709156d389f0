"""Neyman's shares of a budget, and when rollouts are worth their price, against optima and rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import F64

from paced.theory.facts.rollout_shares import neyman_allocation, rollouts_worth_their_price
from paced.weights.budget.allocation import rollout_variance


@given(st.lists(st.floats(0.02, 0.98), min_size=1, max_size=30), st.integers(0, 3), st.integers(0, 200))
def test_neyman_spends_the_budget_exactly_and_keeps_the_minimum(rates, at_least, extra):
    budget = at_least * len(rates) + extra
    given_rollouts = neyman_allocation(rates, budget, at_least=at_least)
    assert given_rollouts.sum() == budget
    assert given_rollouts.min() >= at_least


@given(st.lists(st.floats(0.02, 0.45), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_no_swap_of_rollouts_improves_neymans_allocation_by_more_than_rounding(rates, random):
    budget = 40 * len(rates)
    v = rollout_variance(rates)
    ours = neyman_allocation(rates, budget)

    def loss(rollouts):
        return float(np.sum(v / rollouts))

    optimum = float(np.sqrt(v).sum() ** 2) / budget
    assert loss(ours) <= optimum * 1.05
    other = ours.copy()
    donor, taker = random.randrange(len(rates)), random.randrange(len(rates))
    amount = min(int(other[donor]) - 1, 8)
    other[donor] -= amount
    other[taker] += amount
    assert loss(other) >= optimum * (1 - F64)


def test_one_step_ahead_stops_at_the_start_and_two_steps_do_not():
    assert rollouts_worth_their_price(1, 1, 1e-6, largest=1) == 0
    assert rollouts_worth_their_price(1, 1, 1e-6, largest=2) == 2
    values = [float(oracle.value_of_rollouts(Fraction(1), Fraction(1), m, 1, 1)) / m for m in range(1, 9)]
    assert rollouts_worth_their_price(1, 1, 1e-6) == 1 + int(np.argmax(values))
    assert rollouts_worth_their_price(1, 1, max(values) * 1.01) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neyman_allocation([0.5, 0.1], 1), "budget must be >= num_problems \\* at_least = 2"),
        (lambda: neyman_allocation([0.0, 0.1], 9, alpha=0.3), "must be inside \\(0, 1\\) for exponents below 1/2"),
        (lambda: rollouts_worth_their_price(1, 1, 0.0), "price must be finite and > 0"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
