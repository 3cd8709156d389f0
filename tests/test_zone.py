"""The zone against rational arithmetic: who is inside, whatever the rounding of bounds and pass rates."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paced.weights import HardFilter
from paced.weights.counts import CountHistogram
from paced.zone import Zone

EPSILONS = st.integers(0, 499).map(lambda thousandths: thousandths / 1000)


@given(EPSILONS, st.integers(1, 3000))
@example(0.07, 100)  # the float 1 - 0.07 is below 0.93
@example(0.3, 10)  # 0.3 is not a float
def test_a_count_is_inside_exactly_where_its_fraction_is_inside_the_decimal_bounds(epsilon, num_rollouts):
    bound = Fraction(Decimal(str(epsilon)))
    exact = [bound <= Fraction(s, num_rollouts) <= 1 - bound for s in range(num_rollouts + 1)]
    passed = np.arange(num_rollouts + 1)
    zone = Zone.of(epsilon)
    assert zone.contains(passed / num_rollouts).tolist() == exact
    assert CountHistogram.of(passed, num_rollouts).inside(zone).num_passed.tolist() == passed[exact].tolist()
    assert HardFilter(epsilon, 1 - epsilon)(passed, num_rollouts).tolist() == [float(inside) for inside in exact]


@pytest.mark.parametrize("num_rollouts", [99_990, 100_000])
def test_neighbouring_counts_are_told_apart_up_to_the_most_rollouts(num_rollouts):
    passed = np.arange(num_rollouts + 1)
    inside = passed[Zone.of(0.1).contains(passed / num_rollouts)]
    assert (inside[0], inside[-1]) == (num_rollouts // 10, num_rollouts - num_rollouts // 10)


@given(st.lists(st.floats(0, 1), min_size=1), EPSILONS)
def test_the_share_is_that_of_the_graded_problems(rates, epsilon):
    zone = Zone.of(epsilon)
    assert zone.share(rates) == pytest.approx(sum(map(bool, map(zone.contains, rates))) / len(rates))
    assert zone.share([*rates, math.nan]) == zone.share(rates)


def test_a_zone_of_problems_that_were_never_graded_has_no_mass():
    assert Zone.of(0.2).share([math.nan]) == Zone.of(0.2).share([]) == 0.0


def test_reflecting_pass_rates_keeps_the_zone():
    rates = np.arange(101) / 100
    for epsilon in np.arange(50) / 100:
        assert (Zone.of(epsilon).contains(rates) == Zone.of(epsilon).contains(1 - rates)).all()
