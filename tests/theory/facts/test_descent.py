"""Descent bound, optimal weight and efficiency against mpmath, laws and enumeration."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles_theory_descent import descent, expected_batch_descent
from tolerances import EXACT, F64, QUADRATURE

from paced.theory.facts.descent import (
    batch_descent,
    best_descent,
    efficiency,
    guaranteed_descent,
    joint_optimal_weights,
    mean_constrained_weights,
    optimal_log_slope,
    optimal_weight,
    optimal_weight_from_snr,
)
from paced.weights import SaturatedKernel

positive = st.floats(1e-3, 1e3)
share = st.floats(1e-3, 1.0)
POINTS = [(0.31, 0.2, 0.7, 0.013, 4.1), (1.7, 3e-4, 11.0, 0.4, 0.9), (-0.6, 2.2, 2.2, 1e-3, 130.0)]


@pytest.mark.parametrize("point", POINTS)
def test_guaranteed_descent_is_equation_12(point):
    w, s2, m2, eta, lip = point
    got = guaranteed_descent(w, signal_squared=s2, second_moment=m2, learning_rate=eta, smoothness=lip)
    assert float(got) == pytest.approx(float(descent(*point)), rel=F64)


@pytest.mark.parametrize("point", POINTS)
def test_optimal_weight_is_where_mpmath_finds_the_maximum(point):
    _, s2, m2, eta, lip = point
    root = mpmath.findroot(lambda w: mpmath.diff(lambda x: descent(x, s2, m2, eta, lip), w), 1)
    args = {"signal_squared": s2, "second_moment": m2}
    assert float(optimal_weight(**args, learning_rate=eta, smoothness=lip)) == pytest.approx(
        float(root), rel=QUADRATURE
    )
    best = float(descent(root, s2, m2, eta, lip))
    assert float(best_descent(**args, smoothness=lip)) == pytest.approx(best, rel=QUADRATURE)


@given(positive, positive, positive, share, st.floats(-5, 5))
def test_efficiency_is_the_ratio_of_descents(eta, lip, m2, signal_share, rho):
    args = {"signal_squared": signal_share * m2, "second_moment": m2}
    best = optimal_weight(**args, learning_rate=eta, smoothness=lip)
    got = guaranteed_descent(rho * best, **args, learning_rate=eta, smoothness=lip)
    assert got / best_descent(**args, smoothness=lip) == pytest.approx(float(efficiency(rho)), rel=1e-9, abs=1e-9)
    assert float(efficiency(rho)) == pytest.approx(1 - (1 - rho) ** 2, rel=F64, abs=F64)


@given(positive, share)
def test_both_forms_of_the_optimal_weight_agree(m2, signal_share):
    s2 = signal_share * m2
    snr = np.inf if s2 == m2 else s2 / (m2 - s2)
    got = optimal_weight_from_snr(snr, learning_rate=0.2, smoothness=3.0)
    want = optimal_weight(signal_squared=s2, second_moment=m2, learning_rate=0.2, smoothness=3.0)
    assert float(got) == pytest.approx(float(want), rel=1e-9)


def test_edges_of_snr():
    assert optimal_weight_from_snr([0.0, np.inf, 5e-324]).tolist() == [0.0, 1.0, 5e-324]


@pytest.mark.parametrize("amplitude", [0.01, 3.7, 900.0])
def test_log_slope_is_the_derivative_of_the_trainers_weight(amplitude):
    p, a, b = mpmath.mpf("0.37"), 1.3, 2.2

    def log_weight(log_p):
        s = amplitude * mpmath.exp(a * log_p) * (1 - mpmath.exp(log_p)) ** b
        return mpmath.log(s / (1 + s))

    want = float(mpmath.diff(log_weight, mpmath.log(p)))
    assert float(optimal_log_slope(0.37, kernel_exponents=(a, b), amplitude=amplitude)) == pytest.approx(want, rel=1e-9)
    step = 1e-6
    near = SaturatedKernel(a, b, amplitude).at([0.37 * np.exp(-step), 0.37 * np.exp(step)])
    assert np.diff(np.log(near))[0] / (2 * step) == pytest.approx(want, rel=1e-7, abs=1e-9)


def test_saturation_leaves_the_end_exponents_alone():
    ends = optimal_log_slope([1e-12], kernel_exponents=(1.4, 0.6), amplitude=1e4)
    assert ends[0] == pytest.approx(1.4, rel=1e-7)


def test_joint_weights_maximise_the_enumerated_descent():
    rng = np.random.default_rng(3)
    g = rng.normal(size=(3, 2))
    m2 = np.sum(g * g, axis=1) + rng.uniform(0.5, 2, 3)
    w = joint_optimal_weights(mean_gradients=g, second_moments=m2, batch_size=3)
    best = expected_batch_descent(w, g, m2, 3)
    for i in range(3):
        for step in (-1e-3, 1e-3):
            assert expected_batch_descent(w + step * np.eye(3)[i], g, m2, 3) < best


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_aligned_gradients_give_s1_over_m2_for_every_batch_size(batch_size):
    s1 = np.array([0.2, 0.9, 1.4, 3.0])
    m2 = s1**2 + np.array([4.0, 0.3, 2.0, 1.0])
    w = joint_optimal_weights(mean_gradients=s1[:, None], second_moments=m2, batch_size=batch_size)
    assert (w / (s1 / m2)) / (w / (s1 / m2))[0] == pytest.approx(np.ones(4), rel=1e-9)


def test_orthogonal_gradients_give_the_papers_weight_up_to_the_share_of_one_problem():
    s1, noise, B = np.array([0.5, 1.0, 2.0]), np.array([3.0, 1.0, 5.0]), 2
    m2 = s1**2 + noise
    w = joint_optimal_weights(mean_gradients=np.diag(s1), second_moments=m2, batch_size=B)
    want = s1**2 / (m2 / B + (1 - 1 / B) * s1**2 / 3)
    assert w / w[0] == pytest.approx(want / want[0], rel=F64)


def test_batch_descent_is_equation_20_term_by_term():
    g, m2, full, w = [[1.0, 2.0], [0.5, -1.0]], [6.0, 2.0], [0.3, 0.4], [0.2, 0.7]
    by_hand = 0.1 * (0.2 * 1.1 + 0.7 * (0.15 - 0.4)) - 0.5 * 0.01 * 3.0 * (0.04 * 6 + 0.49 * 2 + 2 * 0.14 * (0.5 - 2.0))
    args = {"mean_gradients": g, "second_moments": m2, "full_gradient": full, "learning_rate": 0.1, "smoothness": 3.0}
    assert batch_descent(w, **args) == pytest.approx(by_hand, rel=F64)


def test_mean_constrained_weights_have_mean_one_and_no_better_neighbour():
    s2, m2, mass = np.array([0.5, 1.0, 0.2]), np.array([2.0, 1.5, 4.0]), np.array([0.5, 0.3, 0.2])
    args = {"signal_squared": s2, "second_moment": m2, "learning_rate": 0.7, "smoothness": 1.3}
    w = mean_constrained_weights(**args, masses=mass)
    assert mass @ w == pytest.approx(1.0, rel=F64)
    best = mass @ guaranteed_descent(w, **args)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        move = np.zeros(3)
        move[i], move[j] = 1e-3 / mass[i], -1e-3 / mass[j]
        assert mass @ guaranteed_descent(w + move, **args) < best
    shape = w / optimal_weight(**args)
    assert np.ptp(shape) > 0.1


def test_efficiency_edges():
    assert efficiency([0.0, 1.0, 2.0]).tolist() == [0.0, 1.0, 0.0]
    assert efficiency(3.0) == pytest.approx(-3.0, abs=EXACT)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: optimal_weight(signal_squared=2.0, second_moment=1.0), "second_moment must be at least"),
        (
            lambda: guaranteed_descent(1.0, signal_squared=1.0, second_moment=0.0),
            "second_moment must be finite and > 0",
        ),
        (lambda: optimal_weight_from_snr([-1.0]), "snr_squared must be >= 0"),
        (lambda: optimal_log_slope(1.0, kernel_exponents=(1, 1), amplitude=1), "pass_rate must be in"),
        (lambda: efficiency(np.nan), "ratio must be finite"),
        (
            lambda: joint_optimal_weights(mean_gradients=[[2.0]], second_moments=[1.0], batch_size=2),
            "at least the squared",
        ),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
