"""The best shares of a budget, and when rollouts are worth their price, against optima and rationals."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64

from paced.theory.facts.rollout_shares import (
    most_valuable_rate,
    neyman_allocation,
    rollouts_worth_their_price,
    unbiased_weight_variance,
)
from paced.weights.budget.allocation import rollout_variance


def exact_variance(p: Fraction, K: int) -> Fraction:
    """Var of s(K-s)/(K(K-1)) over all counts."""
    mass = [comb(K, s) * p**s * (1 - p) ** (K - s) for s in range(K + 1)]
    u = [Fraction(s * (K - s), K * (K - 1)) for s in range(K + 1)]
    return sum(m * x * x for m, x in zip(mass, u, strict=True)) - (p * (1 - p)) ** 2


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30), st.integers(2, 4), st.integers(0, 200))
def test_the_allocation_spends_the_budget_exactly_and_keeps_the_minimum(rates, at_least, extra):
    budget = at_least * len(rates) + extra
    rollouts = neyman_allocation(rates, budget, at_least=at_least)
    assert rollouts.sum() == budget
    assert rollouts.min() >= at_least


@settings(max_examples=25)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=3), st.integers(0, 9))
def test_no_allocation_of_a_small_budget_has_less_variance(twentieths, extra):
    rates = [Fraction(n, 20) for n in twentieths]
    budget = 2 * len(rates) + extra

    def total(shares):
        return sum(exact_variance(p, K) for p, K in zip(rates, shares, strict=True))

    ours = neyman_allocation([float(p) for p in rates], budget)
    every = [x for x in product(range(2, budget + 1), repeat=len(rates)) if sum(x) == budget]
    assert float(total(ours.tolist())) == pytest.approx(float(min(map(total, every))), rel=F64, abs=1e-15)


def test_many_rollouts_are_shared_as_neyman_says():
    rates = np.array([0.03, 0.146, 0.3, 0.42, 0.9])
    v = np.sqrt(rollout_variance(rates))
    assert neyman_allocation(rates, 200_000) / 200_000 == pytest.approx(v / v.sum(), abs=1e-4)


def test_one_step_ahead_stops_at_the_start_and_two_steps_do_not():
    assert rollouts_worth_their_price(1, 1, 1e-6, largest=1) == 0
    assert rollouts_worth_their_price(1, 1, 1e-6, largest=2) == 2
    values = [float(oracle.value_of_rollouts(Fraction(1), Fraction(1), m, 1, 1)) / m for m in range(1, 9)]
    assert rollouts_worth_their_price(1, 1, 1e-6) == 1 + int(np.argmax(values))
    assert rollouts_worth_their_price(1, 1, max(values) * 1.01) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: neyman_allocation([0.5, 0.1], 3), "budget must be >= num_problems \\* at_least = 4, got 3"),
        (lambda: neyman_allocation([0.5, 0.1], 20.5), "budget must be a whole number, got 20.5"),
        (lambda: neyman_allocation([0.5, 1.1], 20), "pass_rate must be finite and >= 0 and <= 1, got 1.1"),
        (lambda: neyman_allocation([], 20), "pass_rate must be one-dimensional with at least one problem"),
        (lambda: neyman_allocation([0.5], 9, at_least=1), "at_least must be finite and >= 2, got 1"),
        (lambda: neyman_allocation([0.2, 0.1], 9, alpha=0.3), "alpha must be a whole number, got 0.3"),
        (lambda: unbiased_weight_variance(0.2, 2, beta=2), "num_rollouts must be finite and >= 3, got 2"),
        (lambda: most_valuable_rate(1), "num_rollouts must be finite and >= 2, got 1"),
        (lambda: rollouts_worth_their_price(1, 1, 0.0), "price must be finite and > 0"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
