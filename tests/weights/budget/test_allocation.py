"""The variance of a rollout weight, the value of rollouts and the screened weight against rational enumeration."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64

from paced.theory.facts.screening import screening_cost
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: al.value_of_rollouts(0, 1), "a and b must be > 0"),
        (lambda: al.value_of_rollouts(1, 1, 0), "num_more must be a whole number >= 1, got 0"),
        (
            lambda: al.screened_weight([1], 8, num_first=2.5, num_all=8),
            "num_first must be a whole number >= 1, got 2.5",
        ),
        (
            lambda: al.screened_weight([1], 8, num_first=4, num_all=8, alpha=math.inf),
            "alpha must be a whole number >= 1",
        ),
        (lambda: al.screened_weight([1], 8, num_first=1, num_all=8), "alpha \\+ beta <= num_first < num_all is needed"),
        (lambda: al.screened_weight([1], 8, num_first=4, num_all=8, alpha=0), "alpha must be a whole number >= 1"),
        (lambda: al.screened_weight([2], 4, num_first=4, num_all=8), "counts must be .*, got 2 of 4 at index 0"),
        (lambda: al.screened_weight([8], 8, num_first=4, num_all=8), "counts must be .*, got 8 of 8 at index 0"),
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
    assert float(cost) == pytest.approx(float(screening_cost([float(p)], num_first=K1, num_all=K)[0]), rel=F64)
