"""Variance identities by enumeration in rationals; ratios against quadrature in mpmath; divergence is an error."""

from __future__ import annotations

from fractions import Fraction as Fr
from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles_theory_descent import batch_variance, ratio
from tolerances import F64, QUADRATURE

from paced.theory.facts.variance import self_normalised_variance, variance_terms
from paced.theory.facts.variance_ratios import (
    break_even,
    default_kernel_ratio,
    grid_ratio,
    log_truncated_beta,
    power_law_ratio,
    rollout_ratio,
    truncated_ratio,
    two_term_ratio,
)
from paced.weights import BetaKernel

WEIGHTS = [Fr(1, 10), Fr(1, 3), Fr(3, 4), Fr(1, 5)]
GRADIENTS = [[Fr(1), Fr(-2)], [Fr(1, 2), Fr(3)], [Fr(0), Fr(1)], [Fr(-1), Fr(1, 4)]]


def floats(rows):
    return np.array([[float(x) for x in row] for row in rows])


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_variance_is_that_of_all_batches_that_can_be_drawn(batch_size):
    n = len(WEIGHTS)
    v = variance_terms([float(w) for w in WEIGHTS], floats(GRADIENTS)).weighted_variance
    iid = float(batch_variance(WEIGHTS, GRADIENTS, batch_size, replace=True))
    without = float(batch_variance(WEIGHTS, GRADIENTS, batch_size, replace=False))
    assert v / batch_size == pytest.approx(iid, rel=F64)
    assert v / batch_size * (n - batch_size) / (n - 1) == pytest.approx(without, rel=F64)


def test_ratio_with_noise_of_its_own_and_masses():
    w, mass, s = np.array([0.2, 0.5, 0.1]), np.array([0.5, 0.2, 0.3]), np.array([1.0, -0.4, 2.0])
    m2 = s**2 + np.array([0.3, 4.0, 1.0])
    unit = w / (mass @ w)
    want = (mass @ (unit**2 * m2) - (mass @ (unit * s)) ** 2) / (mass @ m2 - (mass @ s) ** 2)
    assert variance_terms(w, s, second_moments=m2, masses=mass).ratio == pytest.approx(want, rel=F64)


@given(st.lists(st.tuples(st.floats(0.05, 1), st.floats(-3, 3), st.floats(0.05, 1)), min_size=2, max_size=7))
def test_the_exact_condition_is_exact_and_weights_cost_a_penalty(rows):
    w, g, mass = map(np.array, zip(*rows, strict=True))
    terms = variance_terms(w, g, masses=mass)
    assert terms.mean_square_weight >= 1 - 1e-12
    gap = terms.weighted_variance - terms.uniform_variance
    if abs(gap) > 1e-9 * (1 + terms.mean_second_moment):
        assert terms.meets_exact_condition == (gap < 0)


def test_condition_36_alone_is_not_sufficient():
    terms = variance_terms(BetaKernel().at([0.1, 0.5]), [1.0, 0.7])
    assert terms.meets_condition_36
    assert terms.weighted_variance == pytest.approx(0.0625, rel=F64)
    assert terms.uniform_variance == pytest.approx(0.0225, rel=F64)


def test_self_normalised_batches_have_another_variance():
    p = np.array([0.1, 0.3, 0.5, 0.8])
    g = [3.0, 1.5, 1.0, -0.5]
    assert self_normalised_variance(p * (1 - p), g) == pytest.approx(0.806250, abs=6e-7)
    assert variance_terms(p * (1 - p), g).weighted_variance == pytest.approx(0.781740, abs=6e-7)


@settings(max_examples=15)
@given(st.floats(0.3, 2.5), st.floats(0.3, 2.5), st.floats(-0.6, 1), st.floats(-0.6, 1))
def test_power_law_ratio_is_the_quotient_of_integrals(alpha, beta, s, t):
    got = power_law_ratio(kernel_exponents=(alpha, beta), second_moment_exponents=(s, t))
    with mpmath.workdps(20):
        want = ratio(lambda p: 1, 0, 1, lambda p: p**alpha * (1 - p) ** beta, lambda p: p**s * (1 - p) ** t)
    assert float(got) == pytest.approx(float(want), rel=1e-6)


def test_power_law_ratio_under_a_beta_law():
    def B(x, y):
        return mpmath.beta(x, y)

    a, b, s, t, x, y = 1.3, 0.4, -0.27, 0.31, 0.52, 2.4
    want = B(x + 2 * a + s, y + 2 * b + t) * B(x, y) ** 2 / (B(x + a, y + b) ** 2 * B(x + s, y + t))
    got = power_law_ratio(kernel_exponents=(a, b), second_moment_exponents=(s, t), law=(x, y))
    assert float(got) == pytest.approx(float(want), rel=1e-11)


def test_ratio_of_bimodal_laws():
    tau, c = -0.1, 0.5
    got = power_law_ratio(second_moment_exponents=(tau, tau), law=(c, c))
    assert float(got) == pytest.approx(1.309942, abs=6e-7)
    closed = (c + tau) * (c + tau + 1) * (2 * c + 1) ** 2 / (c**2 * (2 * c + 2 * tau + 1) * (2 * c + 2 * tau + 3))
    assert float(got) == pytest.approx(closed, rel=F64)


def test_large_exponents_neither_overflow_nor_cancel():
    got = power_law_ratio(kernel_exponents=(900.0, 700.0), second_moment_exponents=(-0.5, 0.5))
    with mpmath.workdps(60):
        B = mpmath.beta
        want = B(1800.5, 1401.5) / (B(901, 701) ** 2 * B(0.5, 1.5))
    assert float(got) == pytest.approx(float(want), rel=1e-9)


@pytest.mark.parametrize(
    ("tau", "want"), [(-0.9, Fr(33, 128)), (-0.75, Fr(15, 28)), (-0.5, Fr(27, 32)), (-0.25, Fr(21, 20)), (0, Fr(6, 5))]
)
def test_equation_38(tau, want):
    assert float(default_kernel_ratio(tau)) == pytest.approx(float(want), rel=F64)
    assert float(power_law_ratio(second_moment_exponents=(tau, tau))) == pytest.approx(float(want), rel=1e-11)


def test_two_terms_against_quadrature():
    a, b, c, d, A, al, be = 0.3, 0.2, 0.55, 0.4, 1.7, 1.2, 0.9

    def s1(p):
        return p**a * (1 - p) ** b

    def m2(p):
        return s1(p) ** 2 * (1 + 1 / (A * p**c * (1 - p) ** d) ** 2)

    def w(p):
        return p**al * (1 - p) ** be

    with mpmath.workdps(20):
        E = lambda f: mpmath.quad(f, [0, 0.5, 1])  # noqa: E731
        norm = E(w)
        top = E(lambda p: w(p) ** 2 * m2(p)) / norm**2 - (E(lambda p: w(p) * s1(p)) / norm) ** 2
        want = top / (E(m2) - E(s1) ** 2)
    got = two_term_ratio(signal_exponents=(a, b), snr_exponents=(c, d), amplitude=A, kernel_exponents=(al, be))
    assert got == pytest.approx(float(want), rel=1e-7)


@pytest.mark.parametrize(
    ("u", "v", "epsilon"),
    [(1.3, -2.4, 0.07), (-1.0, -1.0, 0.01), (0.0, 0.0, 0.3), (7.5, 0.2, 1e-6), (80.0, 60.0, 0.1), (-5.0, 3.0, 0.4999)],
)
def test_truncated_integral_against_mpmath(u, v, epsilon):
    points = [mpmath.mpf(epsilon) + (1 - 2 * mpmath.mpf(epsilon)) * k / 16 for k in range(17)]
    want = mpmath.log(mpmath.quad(lambda p: p**u * (1 - p) ** v, points))
    assert log_truncated_beta(u, v, epsilon) == pytest.approx(float(want), rel=1e-11, abs=1e-11)


@settings(max_examples=8)
@given(st.floats(-1.5, 1.0), st.floats(0.01, 0.45), st.floats(0, 3), st.floats(0, 3))
def test_truncated_ratio_is_the_quotient_of_integrals(tau, epsilon, alpha, beta):
    with mpmath.workdps(20):
        want = ratio(
            lambda p: 1, epsilon, 1 - mpmath.mpf(epsilon), lambda p: p**alpha * (1 - p) ** beta,
            lambda p: (p * (1 - p)) ** tau,
        )  # fmt: skip
    got = truncated_ratio(tau, epsilon=epsilon, kernel_exponents=(alpha, beta))
    assert float(got) == pytest.approx(float(want), rel=QUADRATURE)


def test_truncation_tends_to_equation_38_and_to_1():
    assert float(truncated_ratio(-0.5, epsilon=1e-14)) == pytest.approx(27 / 32, rel=1e-5)
    assert float(truncated_ratio(-0.5, epsilon=0.4999)) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("tau", "epsilon", "want"),
    [
        (-0.9, 1 / 16, 0.892196),
        (-0.5, 1 / 16, 0.986801),
        (-0.5, 1 / 8, 0.997245),
        (0, 1 / 16, 1.093931),
        (0, 1 / 8, 1.042604),
    ],
)
def test_honest_reduction(tau, epsilon, want):
    assert float(truncated_ratio(tau, epsilon=epsilon)) == pytest.approx(want, abs=6e-7)


@pytest.mark.parametrize(
    ("epsilon", "want"), [(0.0, -0.318975), (1 / 16, -0.441680), (1 / 8, -0.470660), (1 / 32, -0.411703)]
)
def test_break_even_exponents(epsilon, want):
    assert break_even(lambda t: float(truncated_ratio(t, epsilon=epsilon))) == pytest.approx(want, abs=6e-7)


def test_break_even_is_the_root_of_the_quadratic():
    assert break_even(default_kernel_ratio) == pytest.approx((-11 + 61**0.5) / 10, rel=F64)


@pytest.mark.parametrize("K", [3, 5, 8, 23])
@pytest.mark.parametrize("tau", [-0.83, -0.2, 0.4])
def test_rollout_ratio_is_the_closed_form(K, tau):
    B = mpmath.beta
    top = mpmath.mpf((K - 2) * (K - 3)) / (K * (K - 1)) * B(3 + tau, 3 + tau) + B(2 + tau, 2 + tau) / K
    got = rollout_ratio(BetaKernel()(np.arange(K + 1), K), second_moment_exponents=(tau, tau))
    assert got == pytest.approx(float(36 * top / B(1 + tau, 1 + tau)), rel=1e-11)


def test_rollout_ratio_under_a_beta_law_by_quadrature():
    K, x, y, s, t = 5, 1.7, 0.8, -0.4, 0.2
    h = BetaKernel(1, 2)(np.arange(K + 1), K)

    def mixed(values):
        return lambda p: sum(v * comb(K, i) * p**i * (1 - p) ** (K - i) for i, v in enumerate(values))

    def law(p):
        return p ** (x - 1) * (1 - p) ** (y - 1)

    with mpmath.workdps(20):
        E = lambda f: mpmath.quad(lambda p: law(p) * f(p), [0, 0.5, 1])  # noqa: E731
        m2 = lambda p: p**s * (1 - p) ** t  # noqa: E731
        want = E(lambda p: mixed(h**2)(p) * m2(p)) / E(lambda p: 1) / ((E(mixed(h)) / E(lambda p: 1)) ** 2)
        want *= E(lambda p: 1) / E(m2)
    assert rollout_ratio(h, second_moment_exponents=(s, t), law=(x, y)) == pytest.approx(float(want), rel=1e-6)


@pytest.mark.parametrize(("K", "want"), [(4, 1.000367), (8, 0.993435), (16, 0.974360)])
def test_grid_of_pass_rates(K, want):
    assert grid_ratio(-0.5, K) == pytest.approx(want, abs=6e-7)


@pytest.mark.parametrize(
    "call",
    [
        lambda: default_kernel_ratio(-1.0),
        lambda: power_law_ratio(second_moment_exponents=(-1.2, 0.0)),
        lambda: power_law_ratio(second_moment_exponents=(-0.5, -0.5), law=(0.5, 1.0)),
        lambda: log_truncated_beta(-1.0, 0.0, 0.0),
        lambda: rollout_ratio([0, 1, 0], second_moment_exponents=(-1.0, 0.0)),
        lambda: two_term_ratio(signal_exponents=(0, 0), snr_exponents=(0.5, 0.5), amplitude=1.0),
    ],
)
def test_divergent_integrals_are_errors(call):
    with pytest.raises(ValueError, match="diverges"):
        call()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: variance_terms([0, 0], [1.0, 2.0]), "must not all be 0"),
        (lambda: variance_terms([1], [1.0, 2.0]), "one row for each problem"),
        (lambda: variance_terms([1, 1], [1.0, 2.0], second_moments=[1.0, 1.0]), "squared mean gradient"),
        (lambda: variance_terms([1, 2], [1.0, 1.0]).ratio, "uniform variance must be > 0"),
        (lambda: rollout_ratio([0, 0], second_moment_exponents=(0, 0)), "not all 0"),
        (lambda: log_truncated_beta(0, 0, 0.5), "epsilon must be finite and >= 0 and < 0.5"),
        (lambda: break_even(lambda t: 2.0), "must go from below 1"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
