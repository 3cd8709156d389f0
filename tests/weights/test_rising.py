"""Ratios of Beta functions keep twelve digits at any size, against mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64

from paced.weights import BetaKernel
from paced.weights.rising import log_beta_ratio, log_rising


def exact_ratio(a, b, x, y):
    with mpmath.workdps(60):
        a, b, x, y = map(mpmath.mpf, (a, b, x, y))
        logs = mpmath.loggamma
        return float(mpmath.exp(logs(a + x) - logs(a) + logs(b + y) - logs(b) - logs(a + b + x + y) + logs(a + b)))


@settings(max_examples=150, deadline=None)
@given(st.floats(-6, 10), st.floats(-6, 10), st.floats(0, 20), st.floats(-0.9, 20))
def test_a_ratio_of_beta_functions_has_twelve_digits(log_a, log_b, x, share):
    a, b = 10.0**log_a, 10.0**log_b
    y = share * min(b, 1.0) if share < 0 else share
    want = exact_ratio(a, b, x, y)
    assert float(np.exp(log_beta_ratio(a, b, x, y))) == pytest.approx(want, rel=F64, abs=1e-300)


@pytest.mark.parametrize(
    ("num_passed", "num_rollouts", "prior"),
    [
        (0, 10**6, (1.0, 1.0)),
        (314_159, 10**6, (0.3, 2.0)),
        (5, 8, (1e9, 1e9)),
        (5, 8, (1e9, 3.0)),
        (0, 1, (1e-6, 1e-6)),
    ],
)
@pytest.mark.parametrize("exponents", [(1.0, 1.0), (0.37, 2.9)])
def test_posterior_weights_keep_their_digits_for_many_rollouts_and_strong_priors(
    num_passed, num_rollouts, prior, exponents
):
    weight = BetaKernel(*exponents, estimator="posterior", prior=prior)(np.array([num_passed]), num_rollouts)
    want = exact_ratio(prior[0] + num_passed, prior[1] + num_rollouts - num_passed, *exponents)
    assert weight[0] == pytest.approx(want, rel=F64)


def test_a_rising_factorial_of_whole_steps_is_their_product():
    assert float(np.exp(log_rising(0.5, 4.0))) == pytest.approx(0.5 * 1.5 * 2.5 * 3.5, rel=F64)
    got = log_rising([[3.0], [30.0]], [0.0, -1.0])
    assert got == pytest.approx(np.array([[0.0, -np.log(2)], [0.0, -np.log(29)]]), rel=F64)
