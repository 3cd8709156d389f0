"""The SGD bound: its best learning rate, its tightness, and a run of SGD that obeys it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import EXACT, F64

from paced.theory.facts.convergence import (
    best_learning_rate,
    best_sgd_bound,
    sgd_bound,
    stationary_squared_gradient,
    weighted_curvature,
)

positive = st.floats(1e-2, 1e2)


def test_bound_at_a_point():
    got = sgd_bound(initial_gap=0.7, learning_rate=0.03, num_steps=250, smoothness=4.0, variance=1.9)
    assert float(got) == pytest.approx(1.4 / 7.5 + 0.228, rel=F64)


@given(positive, st.integers(1, 10_000), positive, st.floats(0, 1e2), st.floats(0.001, 1))
def test_no_learning_rate_beats_the_best(gap, steps, lip, variance, share):
    problem = {"initial_gap": gap, "num_steps": steps, "smoothness": lip, "variance": variance}
    best = sgd_bound(**problem, learning_rate=best_learning_rate(**problem))
    assert float(best) == pytest.approx(float(best_sgd_bound(**problem)), rel=1e-9)
    assert sgd_bound(**problem, learning_rate=share / lip) >= best * (1 - 1e-12)


def test_the_best_rate_is_capped():
    early = best_learning_rate(initial_gap=10.0, num_steps=2, smoothness=5.0, variance=[0.0, 1.0])
    assert early.tolist() == [0.2, 0.2]
    late = best_learning_rate(initial_gap=10.0, num_steps=10**6, smoothness=5.0, variance=1.0)
    assert float(late) == pytest.approx((20 / 5e6) ** 0.5, rel=F64)


def test_bound_is_an_equality_for_the_stationary_quadratic_at_the_largest_rate():
    lip, variance = 3.0, 0.8
    got = stationary_squared_gradient(learning_rate=1 / lip, smoothness=lip, variance=variance)
    assert float(got) == pytest.approx(variance, rel=F64)


@pytest.mark.parametrize("eta", [0.05, 0.2, 0.4])
def test_recursion_of_the_quadratic_settles_at_the_stationary_value(eta):
    lip, variance, second = 2.5, 0.6, 4.0
    for _ in range(4000):  # E x² of x <- x - η (L x + noise)
        second = (1 - eta * lip) ** 2 * second + eta**2 * variance
    got = stationary_squared_gradient(learning_rate=eta, smoothness=lip, variance=variance)
    assert lip**2 * second == pytest.approx(float(got), rel=1e-10)


def test_expected_gradients_along_sgd_stay_below_the_bound():
    lip, eta, variance, steps, second = 2.0, 0.3, 0.5, 40, 1.7
    total, gap = 0.0, lip * second / 2
    for _ in range(steps):
        total += lip**2 * second
        second = (1 - eta * lip) ** 2 * second + eta**2 * variance
    bound = sgd_bound(initial_gap=gap, learning_rate=eta, num_steps=steps, smoothness=lip, variance=variance)
    assert total / steps <= float(bound)


def test_smoothness_of_the_mean_does_not_carry_over():
    curvatures = [10.0, -8.0]
    assert weighted_curvature([1, 1], curvatures) == pytest.approx(1.0, abs=EXACT)
    assert weighted_curvature([1.8, 0.2], curvatures) == pytest.approx(8.2, rel=F64)
    assert weighted_curvature([1, 3], curvatures, masses=[3, 1]) == pytest.approx(1.0, rel=F64)


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(-9, 9)), min_size=1, max_size=8))
def test_smoothness_of_every_loss_does(rows):
    w, c = map(np.array, zip(*rows, strict=True))
    assert weighted_curvature(w, c) <= np.abs(c).max() * (1 + 1e-12) + 1e-300


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (
            lambda: sgd_bound(initial_gap=1, learning_rate=0.6, num_steps=10, smoothness=2.0, variance=1),
            "at most 1/L, got eta L = 1.2",
        ),
        (lambda: best_sgd_bound(initial_gap=-1, num_steps=10, smoothness=2.0, variance=1), "initial_gap must be"),
        (lambda: best_sgd_bound(initial_gap=1, num_steps=0, smoothness=2.0, variance=1), "num_steps must be"),
        (lambda: stationary_squared_gradient(learning_rate=1, smoothness=2.0, variance=1), "below 2/L"),
        (lambda: weighted_curvature([0, 0], [1, 1]), "not all 0"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
