"""What screening costs and loses, against enumeration of all outcomes in rationals."""

from __future__ import annotations

from fractions import Fraction

import oracles_weights as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64

from paced.theory.facts.screening import exited_kernel_mass, naive_screening_bias, screening_cost_of_law

inside = st.fractions(min_value="1/20", max_value="19/20", max_denominator=20)


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(1, 4), inside)
def test_naive_weight_has_exactly_the_stated_bias(K1, more, p):
    K = K1 + more

    def naive(s: int, made: int) -> Fraction:
        return Fraction(0) if made == K1 else oracle.u_statistic(s, K, 1, 1)

    mean, _ = oracle.screened_mean(naive, K1, K, p)
    bias = mean / oracle.kernel(p, 1, 1) - 1
    assert bias < 0
    ours = float(naive_screening_bias([float(p)], num_first=K1, num_all=K)[0])
    assert ours == pytest.approx(float(bias), rel=1e-10)


def test_screening_values_are_the_printed_ones():
    assert naive_screening_bias([0.1, 0.5], num_first=2, num_all=8) == pytest.approx([-0.653571, -0.482143], abs=5e-7)
    half = [1 - screening_cost_of_law((0.5, 0.5), num_first=k, num_all=k + 1) + k for k in (2, 3, 4)]
    assert half == pytest.approx([3 / 4, 5 / 8, 35 / 64], rel=F64)
    assert [exited_kernel_mass((1, 1), k) for k in (2, 3, 4)] == pytest.approx([0.6, 0.4, 2 / 7], rel=F64)


def test_the_bias_of_a_weight_that_is_zero_has_no_relative_size():
    with pytest.raises(ValueError, match="must be inside \\(0, 1\\)"):
        naive_screening_bias([0.0], num_first=4, num_all=8)
