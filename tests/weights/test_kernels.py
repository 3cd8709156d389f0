"""Weight functions: exact values, edges, laws, and one conformance suite over all of them."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import F64

from paced.weights import (
    EASIER,
    HARDER,
    ROOT,
    WEIGHTS,
    BetaKernel,
    DropZero,
    HardFilter,
    MinimaxKernel,
    SaturatedKernel,
    TargetDifficulty,
    TeacherCeilingKernel,
    WeightFunction,
)

exponent = st.floats(0.05, 20)
rate = st.floats(0, 1)


@pytest.mark.parametrize("name", WEIGHTS)
class TestEveryWeightFunction:
    """The protocol, kept by each entry of the dict."""

    def test_gives_one_finite_non_negative_weight_a_problem(self, name):
        passed = np.array([0, 1, 3, 5, 8, 0, 16])
        rollouts = np.array([8, 8, 4, 8, 8, 1, 16])
        function = WEIGHTS[name]()
        assert isinstance(function, WeightFunction)
        weights = function(passed, rollouts)
        assert weights.shape == passed.shape
        assert weights.dtype == np.float64
        assert (np.isfinite(weights) & (weights >= 0)).all()

    def test_is_equivariant_under_permutation_and_pointwise(self, name):
        rng = np.random.default_rng(0)
        rollouts = rng.integers(2, 17, size=200)
        passed = rng.binomial(rollouts, rng.uniform(size=200))
        function = WEIGHTS[name]()
        order = rng.permutation(200)
        weights = function(passed, rollouts)
        assert np.array_equal(function(passed[order], rollouts[order]), weights[order])
        alone = np.concatenate([function(passed[i : i + 1], rollouts[i : i + 1]) for i in range(200)])
        assert np.array_equal(alone, weights)

    def test_takes_one_k_for_all_as_a_column_of_it(self, name):
        passed = np.arange(9)
        assert np.array_equal(WEIGHTS[name]()(passed, 8), WEIGHTS[name]()(passed, np.full(9, 8)))

    @pytest.mark.parametrize(
        ("passed", "rollouts", "message"),
        [
            ([np.nan], 8, "num_passed must be finite, got nan at index 0"),
            ([-1], 8, "num_passed must be >= 0, got -1"),
            ([2.5], 8, "num_passed must hold whole numbers, got 2.5"),
            ([9], 8, r"num_passed must be in \[0, num_rollouts=8\], got 9"),
            ([0], 0, "num_rollouts must be >= 1, got 0"),
            ([], 8, "num_passed must hold at least one problem, got none"),
            ([1, 2], [8, 8, 8], "num_rollouts must be one number or one per problem, got 3 for 2"),
        ],
    )
    def test_refuses_what_are_no_counts(self, name, passed, rollouts, message):
        with pytest.raises(ValueError, match=message):
            WEIGHTS[name]()(passed, rollouts)

    def test_refuses_text(self, name):
        with pytest.raises(TypeError, match="num_passed must hold integers"):
            WEIGHTS[name]()(["three"], 8)


@given(exponent, exponent)
def test_beta_kernel_peaks_at_alpha_over_alpha_plus_beta(alpha, beta):
    kernel = BetaKernel(alpha, beta)
    grid = np.linspace(0, 1, 10_001)
    assert abs(grid[np.argmax(kernel.at(grid))] - kernel.peak) <= 1e-3
    assert kernel.at(kernel.peak) >= kernel.at(grid).max() * (1 - F64)


@given(exponent, exponent)
def test_beta_kernel_rises_to_its_peak_and_falls_after_it(alpha, beta):
    kernel = BetaKernel(alpha, beta)
    left = kernel.at(np.linspace(0, kernel.peak, 200))
    right = kernel.at(np.linspace(kernel.peak, 1, 200))
    assert (np.diff(left) >= -F64 * left.max()).all()
    assert (np.diff(right) <= F64 * right.max()).all()


@given(rate, rate)
def test_default_kernel_is_lipschitz_with_constant_one(p, q):
    kernel = BetaKernel()
    assert abs(float(kernel.at(p)) - float(kernel.at(q))) <= abs(p - q) + F64


def test_presets_have_the_peaks_and_values_of_the_paper():
    assert (HARDER.peak, EASIER.peak, BetaKernel(1, 3).peak) == pytest.approx((1 / 3, 2 / 3, 1 / 4))
    assert float(HARDER.at(HARDER.peak)) == pytest.approx(4 / 27, rel=F64)
    assert np.allclose(ROOT.at([0.1, 0.5]), [0.3, 0.5], rtol=F64)


def test_zero_exponents_leave_their_end_alone():
    assert BetaKernel(0, 1).at([0.0, 1.0]).tolist() == [1.0, 0.0]
    assert BetaKernel(1, 0).at([0.0, 1.0]).tolist() == [0.0, 1.0]
    assert BetaKernel(0, 0)([0, 3, 8], 8).tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(BetaKernel(0, 0).peak)


@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (1, 2), (2, 1), (0, 3)])
def test_plugin_is_the_kernel_at_p_hat_exactly(alpha, beta):
    for K in (1, 2, 5, 8):
        exact = [float(oracle.kernel(Fraction(s, K), alpha, beta)) for s in range(K + 1)]
        assert np.allclose(BetaKernel(alpha, beta)(np.arange(K + 1), K), exact, rtol=F64, atol=0)


@given(st.floats(0.01, 1e4), st.floats(0.2, 6), st.floats(0.2, 6), st.floats(0, 2))
def test_saturated_and_minimax_keep_the_peak(amplitude, alpha, beta, delta):
    grid = np.linspace(0, 1, 2001)
    for kernel in (SaturatedKernel(alpha, beta, amplitude), MinimaxKernel(delta, alpha, beta, amplitude)):
        assert float(kernel.at(kernel.peak)) >= kernel.at(grid).max() * (1 - F64)


def test_minimax_weights_are_those_of_extension_x3():
    # S0 at p = 1/2 is amplitude/4.
    for s0, delta, weight in [(0.1, 0.3, 0.0873104), (1, 0.3, 0.488917), (1, np.log(2), 4 / 9), (10, 1, 0.866320)]:
        assert float(MinimaxKernel(delta, amplitude=4 * s0).at(0.5)) == pytest.approx(weight, rel=1e-5)


@given(st.floats(1e-3, 1e2), st.floats(0, 1.5))
def test_minimax_weight_has_the_best_worst_case(s0, delta):
    def worst(w):
        ends = [s0 * np.exp(r) / (1 + s0 * np.exp(r)) for r in (-delta, delta)]
        return min(w / best * (2 - w / best) for best in ends)

    ours = float(MinimaxKernel(delta, amplitude=4 * s0).at(0.5))
    others = np.linspace(0.5 * ours, min(1.5 * ours, 1.5), 401)
    assert worst(ours) >= max(worst(w) for w in others) - F64
    assert worst(ours) == pytest.approx(1 - (np.sinh(delta) / (s0 + np.cosh(delta))) ** 2, rel=1e-9)


def test_saturated_kernel_tends_to_the_beta_kernel_and_to_uniform():
    p = np.array([0.2, 0.5, 0.7])
    small = SaturatedKernel(amplitude=1e-9).at(p)
    assert np.allclose(small / small[1], BetaKernel().at(p) / 0.25, rtol=1e-6)
    assert np.allclose(SaturatedKernel(amplitude=1e9).at(p), 1, atol=1e-6)


def test_teacher_ceiling_is_zero_above_the_teacher_and_the_beta_kernel_at_one():
    kernel = TeacherCeilingKernel(ceiling=0.6, alpha=1, beta=2)
    grid = np.linspace(0, 1, 1001)
    values = kernel.at(grid)
    assert (values[grid >= 0.6] == 0).all()
    assert grid[np.argmax(values)] == pytest.approx(kernel.peak, abs=1e-3)
    assert kernel.peak == pytest.approx(0.2)
    assert TeacherCeilingKernel(1.0, 1, 2).at(grid) == pytest.approx(BetaKernel(1, 2).at(grid), rel=F64)


@pytest.mark.parametrize(("low", "high", "kept"), [(0.2, 0.8, [2, 3, 4, 5, 6, 7, 8]), (0.3, 0.7, [3, 4, 5, 6, 7])])
def test_hard_filter_bounds_belong_to_the_zone_whatever_their_rounding(low, high, kept):
    assert np.flatnonzero(HardFilter(low, high)(np.arange(11), 10)).tolist() == kept


def test_drop_zero_drops_only_what_was_never_solved():
    assert DropZero()([0, 1, 7, 8], 8).tolist() == [0, 1, 1, 1]


def test_target_difficulty_orders_problems_as_adarft_does():
    passed = np.arange(9)
    weights = TargetDifficulty(target=0.7)(passed, 8)
    distance = np.abs((1 - passed / 8) - 0.7)
    assert np.argsort(-weights, kind="stable").tolist() == np.argsort(distance, kind="stable").tolist()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: BetaKernel(-0.5), "BetaKernel: alpha must be finite and >= 0, got -0.5"),
        (lambda: BetaKernel(1, float("inf")), "BetaKernel: beta must be finite"),
        (lambda: BetaKernel(estimator="mean"), "estimator must be one of plugin, unbiased, posterior, bayes_optimal"),
        (lambda: BetaKernel(prior=(0, 1)), r"prior\[0\] must be finite and > 0"),
        (lambda: BetaKernel(prior="flat"), "prior must be .* or 'empirical'"),
        (lambda: HardFilter(0.8, 0.2), "HardFilter: high must be finite and >= 0.8"),
        (lambda: MinimaxKernel(delta=-1), "MinimaxKernel: delta must be finite and >= 0"),
        (lambda: SaturatedKernel(amplitude=0), "amplitude must be finite and > 0"),
        (lambda: TeacherCeilingKernel(ceiling=1.2), "ceiling must be finite and > 0 and <= 1"),
        (lambda: TargetDifficulty(width=0), "width must be finite and > 0"),
        (lambda: BetaKernel().at(1.2), r"pass_rate must be in \[0, 1\], got 1.2"),
    ],
)
def test_parameters_that_make_no_weight_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_parameters_left_out_have_the_documented_defaults():
    q, counts = 0.3 * 0.7, ([3], 10)
    assert SaturatedKernel().at(0.3) == pytest.approx(q / (1 + q), rel=F64)
    assert MinimaxKernel().at(0.3) == pytest.approx(q / (q + np.cosh(0.3)), rel=F64)
    assert TeacherCeilingKernel().at(0.3) == pytest.approx(q, rel=F64)
    assert SaturatedKernel()(*counts) == pytest.approx(q / (1 + q), rel=F64)
    assert MinimaxKernel(0.0)(*counts) == pytest.approx(q / (1 + q), rel=F64)
    assert TeacherCeilingKernel(0.5)(*counts) == pytest.approx(0.3 * 0.2, rel=F64)


def test_peaks_of_the_relatives():
    assert SaturatedKernel(1, 3).peak == pytest.approx(0.25, rel=F64)
    assert MinimaxKernel(0.2, 1, 3).peak == pytest.approx(0.25, rel=F64)
    assert TeacherCeilingKernel(0.6, 2, 3).peak == pytest.approx(0.24, rel=F64)


@pytest.mark.parametrize("estimator", ["plugin", "unbiased", "posterior", "bayes_optimal"])
def test_each_estimator_of_the_kernel_is_its_formula(estimator):
    """BetaKernel(1, 2) at K = 6 against rationals and mpmath; why these are right: ``c50``, ``x1``."""
    k, a0, b0, t0, t1 = 6, 1.4, 0.8, -0.3, 0.2
    B = mpmath.beta
    formula = {
        "plugin": lambda s: Fraction(s, k) * Fraction(k - s, k) ** 2,
        "unbiased": lambda s: Fraction(s * (k - s) * (k - s - 1), k * (k - 1) * (k - 2)),
        "posterior": lambda s: B(a0 + s + 1, b0 + k - s + 2) / B(a0 + s, b0 + k - s),
        "bayes_optimal": lambda s: B(a0 + s + 1 + t0, b0 + k - s + 2 + t1) / B(a0 + s + t0, b0 + k - s + t1),
    }[estimator]
    kernel = BetaKernel(1, 2, estimator=estimator, prior=(a0, b0), second_moment_exponents=(t0, t1))
    assert kernel(np.arange(k + 1), k) == pytest.approx([float(formula(s)) for s in range(k + 1)], rel=F64)


@pytest.mark.parametrize("estimator", ["posterior", "bayes_optimal"])
def test_the_prior_is_uniform_and_the_noise_flat_unless_told_otherwise(estimator):
    want = [float(mpmath.beta(2 + s, 9 - s) / mpmath.beta(1 + s, 7 - s)) for s in range(7)]
    assert BetaKernel(1, 2, estimator=estimator)(np.arange(7), 6) == pytest.approx(want, rel=F64)
