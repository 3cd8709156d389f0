"""Rollout allocation against rational enumeration: Neyman, value of rollouts, screening."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64

from paced.weights import BetaKernel
from paced.weights.budget import allocation as al

inside = st.fractions(min_value="1/20", max_value="19/20", max_denominator=20)
law = st.fractions(min_value="1/4", max_value=10, max_denominator=8)


def test_variance_of_a_rollout_weight_has_the_printed_maximum_and_zero():
    grid = np.linspace(0.001, 0.999, 9999)
    values = al.rollout_variance(grid)
    assert values.max() == pytest.approx(1 / 16, rel=1e-6)
    assert min(abs(grid[np.argmax(values)] - end) for end in (0.146447, 0.853553)) < 1e-3
    assert al.rollout_variance([0.5])[0] == 0


@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (2, 1), (0.5, 0.5)])
def test_variance_rate_is_the_limit_of_the_exact_variance(alpha, beta):
    K, p = 4000, 0.3
    s = np.arange(K + 1)
    from scipy.stats import binom

    chance = binom.pmf(s, K, p)
    weights = BetaKernel(alpha, beta)(s, K)
    exact = K * (chance @ weights**2 - (chance @ weights) ** 2)
    assert al.rollout_variance([p], alpha=alpha, beta=beta)[0] == pytest.approx(exact, rel=0.01)


@given(st.lists(st.floats(0.02, 0.98), min_size=1, max_size=30), st.integers(0, 3), st.integers(0, 200))
def test_neyman_spends_the_budget_exactly_and_keeps_the_minimum(rates, at_least, extra):
    budget = at_least * len(rates) + extra
    given_rollouts = al.neyman_allocation(rates, budget, at_least=at_least)
    assert given_rollouts.sum() == budget
    assert given_rollouts.min() >= at_least


@given(st.lists(st.floats(0.02, 0.45), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_no_swap_of_rollouts_improves_neymans_allocation_by_more_than_rounding(rates, random):
    budget = 40 * len(rates)
    v = al.rollout_variance(rates)
    ours = al.neyman_allocation(rates, budget)

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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: al.neyman_allocation([0.5, 0.1], 1), "budget must be >= num_problems \\* at_least = 2"),
        (lambda: al.neyman_allocation([0.0, 0.1], 9, alpha=0.3), "must lie inside \\(0, 1\\) for exponents below 1/2"),
        (lambda: al.value_of_rollouts(0, 1), "a and b must be > 0"),
        (lambda: al.value_of_rollouts(1, 1, 0), "num_more must be >= 1, got 0"),
        (lambda: al.rollouts_worth_their_price(1, 1, 0.0), "price must be finite and > 0"),
        (lambda: al.screened_weight([1], 8, num_first=1, num_all=8), "alpha \\+ beta <= num_first < num_all is needed"),
        (lambda: al.screened_weight([1], 8, num_first=4, num_all=8, alpha=0), "alpha must be a whole number >= 1"),
        (lambda: al.screened_weight([2], 4, num_first=4, num_all=8), "counts must be .*, got 2 of 4 at index 0"),
        (lambda: al.screened_weight([8], 8, num_first=4, num_all=8), "counts must be .*, got 8 of 8 at index 0"),
        (lambda: al.naive_screening_bias([0.0], num_first=4, num_all=8), "must lie inside \\(0, 1\\)"),
        (lambda: al.rollout_variance([0.2], alpha=-1), "alpha must be finite and >= 0"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@settings(max_examples=40)
@given(law, law, st.integers(1, 6), st.integers(1, 3), st.integers(1, 3))
def test_value_of_rollouts_is_the_rational_one_and_never_negative(a, b, m, alpha, beta):
    exact = oracle.value_of_rollouts(a, b, m, alpha, beta)
    ours = float(al.value_of_rollouts(float(a), float(b), m, alpha=alpha, beta=beta))
    assert exact >= 0
    assert ours == pytest.approx(float(exact), rel=1e-9, abs=1e-15)


def test_value_of_rollouts_has_the_printed_values():
    assert al.value_of_rollouts([1, 1, 3], [1, 9, 7]) == pytest.approx([0, 0.000330579, 0.000192837], abs=5e-10)
    assert float(al.value_of_rollouts(1, 1, 2)) == pytest.approx(1 / 1800, rel=1e-12)


@given(law, law)
def test_more_rollouts_are_worth_more(a, b):
    values = [float(al.value_of_rollouts(float(a), float(b), m)) for m in range(1, 7)]
    assert all(later >= earlier - 1e-15 for earlier, later in pairwise(values))


def test_one_step_ahead_stops_at_the_start_and_two_steps_do_not():
    assert al.rollouts_worth_their_price(1, 1, 1e-6, largest=1) == 0
    assert al.rollouts_worth_their_price(1, 1, 1e-6, largest=2) == 2
    values = [float(oracle.value_of_rollouts(Fraction(1), Fraction(1), m, 1, 1)) / m for m in range(1, 9)]
    assert al.rollouts_worth_their_price(1, 1, 1e-6) == 1 + int(np.argmax(values))
    assert al.rollouts_worth_their_price(1, 1, max(values) * 1.01) == 0


@settings(max_examples=40)
@given(st.integers(1, 2), st.integers(1, 2), st.integers(0, 2), st.integers(1, 4), inside)
def test_screened_weight_is_unbiased_in_exact_rationals(alpha, beta, more_first, more, p):
    """By all 2^K outcomes, with the package's weights turned back into rationals."""
    K1 = alpha + beta + more_first
    K = K1 + more

    def weight(s: int, made: int) -> Fraction:
        value = al.screened_weight([s], made, num_first=K1, num_all=K, alpha=alpha, beta=beta)[0]
        exact = Fraction(float(value)).limit_denominator(10**6)
        assert abs(float(exact) - value) <= 1e-12
        return exact

    mean, cost = oracle.screened_mean(weight, K1, K, p)
    assert mean == oracle.kernel(p, alpha, beta)
    assert float(cost) == pytest.approx(float(al.screening_cost([float(p)], num_first=K1, num_all=K)[0]), rel=F64)


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(1, 4), inside)
def test_naive_weight_has_exactly_the_stated_bias(K1, more, p):
    K = K1 + more

    def naive(s: int, made: int) -> Fraction:
        return Fraction(0) if made == K1 else oracle.u_statistic(s, K, 1, 1)

    mean, _ = oracle.screened_mean(naive, K1, K, p)
    bias = mean / oracle.kernel(p, 1, 1) - 1
    assert bias < 0
    ours = float(al.naive_screening_bias([float(p)], num_first=K1, num_all=K)[0])
    assert ours == pytest.approx(float(bias), rel=1e-10)


def test_screening_values_of_extension_x7():
    assert al.naive_screening_bias([0.1, 0.5], num_first=2, num_all=8) == pytest.approx(
        [-0.653571, -0.482143], abs=5e-7
    )
    half = [1 - al.screening_cost_of_law((0.5, 0.5), num_first=k, num_all=k + 1) + k for k in (2, 3, 4)]
    assert half == pytest.approx([3 / 4, 5 / 8, 35 / 64], rel=F64)
    assert [al.exited_kernel_mass((1, 1), k) for k in (2, 3, 4)] == pytest.approx([0.6, 0.4, 2 / 7], rel=F64)
