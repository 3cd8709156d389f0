"""Where a function of `paced/theory/facts` ends: outside its domain it says what is wrong, on the edge it answers."""

from __future__ import annotations

import math
import re

import pytest

from paced.theory.facts.boundary import (
    forward_kl_gradient,
    mastery_population,
    population_snr,
    signal_quality,
    signal_quality_peak,
)
from paced.theory.facts.convergence import sgd_bound, stationary_squared_gradient
from paced.theory.facts.descent import (
    best_descent,
    guaranteed_descent,
    joint_optimal_weights,
    optimal_log_slope,
    optimal_weight,
    optimal_weight_from_snr,
)
from paced.theory.facts.estimation import (
    debiased_signal,
    debiased_signal_variance,
    debiased_snr_variance,
    effective_degrees,
    expected_weight,
    raw_cross_problem_floor,
    snr_floor,
    snr_ratio_bias,
    unbiased_snr_floor,
)
from paced.theory.facts.extensions import (
    combined_weights,
    ess_fraction,
    kernel_quality,
    rollout_ess_fraction,
    rollout_quality,
    sampling_ratio,
    weighting_and_sampling,
    zpd_mass,
)
from paced.theory.facts.kernel import (
    fisher_information,
    kernel_peak_value,
    kernel_slope,
    logit_fisher_information,
    unit_mean_lipschitz_constant,
    zeroed_probability,
    zeroed_share,
)
from paced.theory.facts.likelihood import likelihood_bias
from paced.theory.facts.minimax import (
    aggregate_minimax_value,
    delta_of_range,
    unit_mean_value,
    worst_efficiency,
)
from paced.theory.facts.printed import kernel_peak
from paced.theory.facts.representation import log_remainder, smallest_delta
from paced.theory.facts.screening import (
    exited_kernel_mass,
    naive_screening_bias,
    screening_cost,
    screening_cost_of_law,
)
from paced.theory.facts.shared_rollouts import default_pass_share
from paced.theory.facts.snr_profile import measured_profile
from paced.theory.facts.tables import reachable
from paced.theory.facts.variance import variance_terms
from paced.theory.facts.variance_ratios import grid_ratio, log_truncated_beta, rollout_ratio, two_term_ratio
from paced.theory.facts.weight_noise import hard_filter_noise
from paced.weights.budget.allocation import value_of_rollouts

NAN = float("nan")


def bound(rate: float) -> object:
    return sgd_bound(initial_gap=1.0, learning_rate=rate, num_steps=9, smoothness=3.0, variance=0.5)


def settled(rate: float) -> object:
    return stationary_squared_gradient(learning_rate=rate, smoothness=4.0, variance=0.5)


def joint(second: float, size: int = 4) -> object:
    return joint_optimal_weights(mean_gradients=[[1.0], [2.0]], second_moments=[1.0, second], batch_size=size)


def counted(weights: list[float], first: float) -> object:
    return rollout_ratio(weights, second_moment_exponents=(first, 0.0))


def slope(pass_rate: float, amplitude: float) -> object:
    return optimal_log_slope(pass_rate, kernel_exponents=(1.0, 1.0), amplitude=amplitude)


def terms(weights: list[float], second: list[float]) -> object:
    return variance_terms(weights, [0.5, 0.25], second_moments=second)


def two_terms(signal: tuple[float, float], snr: tuple[float, float]) -> object:
    return two_term_ratio(signal_exponents=signal, snr_exponents=snr, amplitude=1.0)


OUTSIDE = (
    (lambda: aggregate_minimax_value(0.3, masses=[1.0] * 21), "aggregate_minimax_value: masses must be at most 20"),
    (lambda: bound(1.01 / 3), "sgd_bound: learning_rate must be at most 1/L"),
    (lambda: settled(0.5), "stationary_squared_gradient: learning_rate must be below 2/L"),
    (
        lambda: guaranteed_descent(1.0, signal_squared=1.01, second_moment=1.0),
        "guaranteed_descent: second_moment must be at least signal_squared",
    ),
    (
        lambda: optimal_weight(signal_squared=1.01, second_moment=1.0),
        "optimal_weight: second_moment must be at least signal_squared",
    ),
    (
        lambda: best_descent(signal_squared=1.01, second_moment=1.0),
        "best_descent: second_moment must be at least signal_squared",
    ),
    (
        lambda: optimal_weight(signal_squared=0.0, second_moment=0.0),
        "optimal_weight: second_moment must be finite and > 0",
    ),
    (lambda: optimal_weight_from_snr(-0.01), "optimal_weight_from_snr: snr_squared must be >= 0"),
    (lambda: snr_floor(1), "snr_floor: num_rollouts must be finite and >= 2, got 1.0."),
    (lambda: snr_floor(2.5), "snr_floor: num_rollouts must be a whole number, got 2.5."),
    (lambda: unbiased_snr_floor(1), "unbiased_snr_floor: num_rollouts must be finite and >= 2"),
    (
        lambda: debiased_signal_variance([0.0], [[-1.0]], 3),
        "debiased_signal_variance: covariance must be symmetric without a negative eigenvalue.",
    ),
    (lambda: debiased_signal_variance([0.0], [[1.0]], 2.7), "debiased_signal_variance: num_rollouts must be a whole"),
    (lambda: effective_degrees([[0.0]], 3), "effective_degrees: covariance must not be 0"),
    (lambda: snr_ratio_bias(-0.1, [1.0], 8), "snr_ratio_bias: snr_squared must be finite and >= 0, got -0.1."),
    (lambda: snr_ratio_bias(0.0, [0.0], 8), "snr_ratio_bias: eigenvalues must be one-dimensional and not all 0."),
    (lambda: snr_ratio_bias(0.0, [1.0, 0.0], 3), "snr_ratio_bias: (K-1) times the number of eigenvalues > 0 must be"),
    (lambda: rollout_ess_fraction([0.0, 0.0]), "rollout_ess_fraction: weights must be h(0), ..., h(K), >= 0 and not"),
    (lambda: rollout_ess_fraction([1.0, NAN]), "rollout_ess_fraction: weights must be h(0), ..., h(K), >= 0 and not"),
    (lambda: rollout_ess_fraction([1.0, -1.0]), "rollout_ess_fraction: weights must be h(0), ..., h(K), >= 0 and not"),
    (lambda: rollout_quality([1.0, NAN], signal_exponents=(0.5, 0.5)), "rollout_quality: weights must be h(0), ..."),
    (
        lambda: rollout_quality([1.0, 1.0], signal_exponents=(NAN, 0.5)),
        "extensions: the exponent x of E[p^x (1-p)^y] must be finite, got nan.",
    ),
    (
        lambda: kernel_quality((NAN, 0), signal_exponents=(0.5, 0.5)),
        "extensions: the exponent x of E[p^x (1-p)^y] must be finite, got nan.",
    ),
    (lambda: ess_fraction((1, NAN)), "extensions: the exponent y of E[p^x (1-p)^y] must be finite, got nan."),
    (
        lambda: screening_cost(0.5, num_first=0, num_all=8),
        "screening_cost: num_first must be finite and >= 1, got 0.0.",
    ),
    (
        lambda: screening_cost(0.5, num_first=8, num_all=4),
        "screening_cost: num_all must be > num_first, got num_first=8",
    ),
    (
        lambda: screening_cost_of_law((1, 1), num_first=0, num_all=8),
        "screening_cost_of_law: num_first must be finite and >= 1",
    ),
    (lambda: exited_kernel_mass((1, 1), 0), "exited_kernel_mass: num_first must be finite and >= 1"),
    (lambda: exited_kernel_mass((1, 1), 2, alpha=-2), "exited_kernel_mass: alpha must be finite and >= 0, got -2."),
    (
        lambda: naive_screening_bias(0.5, num_first=9, num_all=8),
        "naive_screening_bias: num_all must be > num_first, got num_first=9, num_all=8.",
    ),
    (lambda: zeroed_probability(0.3, -2), "zeroed_probability: pass_rate must be in [0, 1] and num_rollouts >= 1"),
    (lambda: zeroed_probability(NAN, 2), "zeroed_probability: pass_rate must be in [0, 1] and num_rollouts >= 1"),
    (lambda: zeroed_probability(0.3, NAN), "zeroed_probability: pass_rate must be in [0, 1] and num_rollouts >= 1"),
    (lambda: zeroed_share(0), "zeroed_share: num_rollouts must be finite and >= 1, got 0.0."),
    (lambda: value_of_rollouts(1.0, 1.0, 2.5), "value_of_rollouts: num_more must be a whole number >= 1, got 2.5."),
    (lambda: worst_efficiency(1.0, 800.0), "worst_efficiency: delta must be smaller, got an optimum that may be e^800"),
    (lambda: unit_mean_value(400.0), "unit_mean_value: delta must be smaller, got an optimum that may be e^800 times"),
    (
        lambda: likelihood_bias((0.0, 1.0), num_rollouts=8, num_problems=9),
        "likelihood_bias: law must be finite and > 0",
    ),
    (
        lambda: weighting_and_sampling([0.0], [1.0]),
        "weighting_and_sampling: weights must be one-dimensional and not all 0",
    ),
    (lambda: weighting_and_sampling([1.0], [0.0]), "weighting_and_sampling: second_moments must be finite and > 0"),
    (
        lambda: unit_mean_lipschitz_constant(1, 1, law=(0, 1)),
        "unit_mean_lipschitz_constant: law[0] must be finite and > 0",
    ),
    (lambda: debiased_signal([[1.0]]), "debiased_signal: gradients must be finite and [K >= 2, d], got shape (1, 1)."),
    (
        lambda: kernel_quality((0, 0), signal_exponents=(0, 0), second_moment_exponents=(-3, 0)),
        "extensions: E[p^-3 (1-p)^0] is infinite under Beta(1, 1)",
    ),
    (lambda: joint(3.99), "joint_optimal_weights: second_moments must be at least the squared mean"),
    (lambda: joint(2.0), "joint_optimal_weights: second_moments must be at least the squared mean"),
    (lambda: joint(5.0, 0), "joint_optimal_weights: batch_size must be finite and >= 1"),
    (lambda: kernel_peak_value(-1.0, 1.0), "kernel_peak_value: alpha and beta must be finite and >= 0"),
    (lambda: kernel_peak_value(1.0, -1.0), "kernel_peak_value: alpha and beta must be finite and >= 0"),
    (lambda: zeroed_probability(1.01, 8), "zeroed_probability: pass_rate must be in [0, 1] and num_rollouts >= 1"),
    (lambda: zeroed_probability(-0.01, 8), "zeroed_probability: pass_rate must be in [0, 1] and num_rollouts >= 1"),
    (lambda: zeroed_probability(0.5, 0), "zeroed_probability: pass_rate must be in [0, 1] and num_rollouts >= 1"),
    (lambda: zeroed_share(8, prior=(0.0, 1.0)), "zeroed_share: prior[0] must be finite and > 0"),
    (lambda: kernel_slope(1.01, alpha=1, beta=1), "kernel_slope: pass_rate must be finite and >= 0 and <= 1"),
    (lambda: kernel_slope(0.5, alpha=0.5, beta=1), "kernel_slope: alpha must be 0 or >= 1"),
    (lambda: delta_of_range(1.0), "delta_of_range: fraction must be in [0, 1)"),
    (lambda: delta_of_range(-0.1), "delta_of_range: fraction must be finite and >= 0"),
    (lambda: signal_quality([1.1], [1.0]), "signal_quality: pass_rate must be in [0, 1] and snr >= 0"),
    (lambda: signal_quality([-0.1], [1.0]), "signal_quality: pass_rate must be in [0, 1] and snr >= 0"),
    (lambda: signal_quality([0.5], [-1.0]), "signal_quality: pass_rate must be in [0, 1] and snr >= 0"),
    (lambda: signal_quality([0.5], [1.0], snr_power=0.0), "signal_quality: snr_power must be finite and > 0"),
    (lambda: signal_quality_peak((0.0, 1.0)), "signal_quality_peak: snr_exponents[0] must be finite and > 0"),
    (lambda: signal_quality_peak((1.0, 0.0)), "signal_quality_peak: snr_exponents[1] must be finite and > 0"),
    (lambda: population_snr([[0.0], [0.0]]), "population_snr: gradients must not all be 0"),
    (lambda: population_snr([1.0, 2.0]), "population_snr: gradients must have shape [num_problems, dim], got (2,)."),
    (lambda: mastery_population(1.1), "mastery_population: pass_rate must be finite and >= 0 and <= 1"),
    (
        lambda: forward_kl_gradient(teacher_logits=[0.0], student_logits=[0.0, 1.0]),
        "forward_kl_gradient: teacher_logits and student_logits must have one shape",
    ),
    (lambda: log_truncated_beta(0.0, 0.0, 0.5), "log_truncated_beta: epsilon must be finite and >= 0 and < 0.5"),
    (lambda: log_truncated_beta(-1.0, 0.0, 0.0), "log_truncated_beta: E[M2] must be finite, but the integral diverges"),
    (lambda: counted([1.0], 0.0), "rollout_ratio: weights must be one number for each s = 0..K, not all 0, K >= 1."),
    (
        lambda: counted([0.0, 0.0], 0.0),
        "rollout_ratio: weights must be one number for each s = 0..K, not all 0, K >= 1.",
    ),
    (lambda: counted([1.0, 1.0], -1.0), "rollout_ratio: E[M2] must be finite, but the integral diverges"),
    (lambda: grid_ratio(0.0, 1), "grid_ratio: num_rollouts must be a whole number >= 2"),
    (lambda: grid_ratio(0.0, 8.5), "grid_ratio: num_rollouts must be a whole number >= 2, got 8.5."),
    (lambda: default_pass_share(0.5, 2.5), "default_pass_share: num_rollouts must be a whole number >= 2, got 2.5."),
    (lambda: measured_profile(0.1, 2.5), "measured_profile: num_rollouts must be a whole number >= 2, got 2.5."),
    (lambda: hard_filter_noise(2.5), "hard_filter_noise: num_rollouts must be a whole number >= 2, got 2.5."),
    (lambda: reachable("50.0", num_problems=30, num_samples=math.nan), "reachable: num_samples must be a whole number"),
    (lambda: kernel_peak((0.5, 1)), "kernel_peak: exponents[0] must be a whole number >= 0, got 0.5."),
    (lambda: fisher_information([0.0]), "fisher_information: pass_rate must be in (0, 1)"),
    (lambda: logit_fisher_information([1.0]), "logit_fisher_information: pass_rate must be in (0, 1)"),
    (lambda: fisher_information([1.1]), "BetaKernel.at: pass_rate must be in [0, 1], got 1.1"),
    (
        lambda: log_remainder([1.0], [1.0], exponents=(1, 1)),
        "log_remainder: pass_rate must be in (0, 1) and values > 0",
    ),
    (
        lambda: log_remainder([0.0], [1.0], exponents=(1, 1)),
        "log_remainder: pass_rate must be in (0, 1) and values > 0",
    ),
    (
        lambda: log_remainder([1.1], [1.0], exponents=(1, 1)),
        "log_remainder: pass_rate must be in (0, 1) and values > 0",
    ),
    (
        lambda: log_remainder([0.5], [0.0], exponents=(1, 1)),
        "log_remainder: pass_rate must be in (0, 1) and values > 0",
    ),
    (lambda: smallest_delta([]), "smallest_delta: remainder must be finite with at least one value"),
    (lambda: smallest_delta([float("inf")]), "smallest_delta: remainder must be finite with at least one value"),
    (lambda: sampling_ratio(-1.0), "sampling_ratio: tau must be > -1"),
    (lambda: slope(0, 1), "optimal_log_slope: pass_rate must be finite and > 0"),
    (lambda: slope(1, 1), "optimal_log_slope: pass_rate must be in (0, 1)"),
    (lambda: slope(1.5, 1), "optimal_log_slope: pass_rate must be in (0, 1)"),
    (lambda: slope(0.5, 0), "optimal_log_slope: amplitude must be finite and > 0"),
    (lambda: zpd_mass((1, 1), 0.6), "zpd_mass: epsilon must be finite and >= 0 and <= 0.5"),
    (lambda: combined_weights([-0.1]), "combined_weights: snr_squared must be finite and >= 0"),
    (
        lambda: rollout_quality([1.0], signal_exponents=(0.5, 0.5)),
        "rollout_quality: weights must be h(0), ..., h(K), >= 0 and not all 0.",
    ),
    (
        lambda: rollout_quality([0.0, 0.0], signal_exponents=(0.5, 0.5)),
        "rollout_quality: weights must be h(0), ..., h(K), >= 0 and not all 0.",
    ),
    (
        lambda: rollout_quality([1.0, -1.0], signal_exponents=(0.5, 0.5)),
        "rollout_quality: weights must be h(0), ..., h(K), >= 0 and not all 0.",
    ),
    (lambda: expected_weight([1.0], 0.5), "expected_weight: weights must be h(0), ..., h(K), got shape (1,)."),
    (lambda: debiased_snr_variance([1.0], [[0.0]], 2), "debiased_snr_variance: covariance must not be 0"),
    (lambda: debiased_snr_variance([1.0], [[1.0]], 1), "debiased_snr_variance: num_rollouts must be finite and >= 2"),
    (lambda: raw_cross_problem_floor(0), "raw_cross_problem_floor: num_problems must be finite and >= 1"),
    (lambda: reachable("10.0", num_problems=0, num_samples=8), "reachable: num_problems must be a whole number >= 1"),
    (lambda: reachable("10.0", num_problems=8, num_samples=0), "reachable: num_samples must be a whole number >= 1"),
    (
        lambda: terms([1.0, 1.0], [0.24, 0.25]),
        "variance_terms: second_moments must be one number >= the squared mean gradient",
    ),
    (
        lambda: terms([1.0, 1.0], [0.3]),
        "variance_terms: second_moments must be one number >= the squared mean gradient",
    ),
    (lambda: terms([0.0, 0.0], [0.3, 0.3]), "variance_terms: weights must not all be 0"),
    (lambda: two_terms((0.0, 0.0), (0.0, 0.5)), "two_term_ratio: E[M2] must be finite, but the integral diverges"),
    (lambda: two_terms((0.0, 0.0), (0.5, 0.0)), "two_term_ratio: E[M2] must be finite, but the integral diverges"),
    (lambda: two_terms((-0.5, 0.0), (-0.5, 0.0)), "two_term_ratio: E[M2] must be finite, but the integral diverges"),
    (lambda: two_terms((0.0, -0.5), (0.0, -0.5)), "two_term_ratio: E[M2] must be finite, but the integral diverges"),
)

EDGES = (
    lambda: aggregate_minimax_value(0.3, masses=[1.0]),
    lambda: bound(1 / 3),
    lambda: settled(1.99 / 4),
    lambda: optimal_weight(signal_squared=0.3, second_moment=0.3),
    lambda: snr_floor(2),
    lambda: kernel_quality((0, 0), signal_exponents=(0, 0), second_moment_exponents=(-0.5, 0)),
    lambda: joint(4.0),
    lambda: joint(4.0, 1),
    lambda: kernel_peak_value(0.0, 0.0),
    lambda: zeroed_probability([0.0, 1.0], 1),
    lambda: zeroed_share(8, prior=(0.5, 0.5)),
    lambda: kernel_slope(0.0, alpha=1, beta=0),
    lambda: kernel_slope(1.0, alpha=0, beta=1),
    lambda: delta_of_range([0.0, 0.999]),
    lambda: signal_quality([0.0, 1.0], [0.0, 0.0]),
    lambda: signal_quality([0.5], [1.0], snr_power=0.5),
    lambda: signal_quality_peak((0.1, 0.1), snr_power=0.1),
    lambda: [mastery_population(p) for p in (0.0, 1.0)],
    lambda: log_truncated_beta(-3.0, -3.0, 0.499),
    lambda: counted([0.0, 1.0], 0.0),
    lambda: counted([1.0, 1.0], 1.5),
    lambda: grid_ratio(0.0, 2),
    lambda: fisher_information([1e-300]),
    lambda: smallest_delta([0.0]),
    lambda: sampling_ratio(5.0),
    lambda: slope(0.999, 0.01),
    lambda: zpd_mass((1, 1), 0.5),
    lambda: combined_weights([0.0]),
    lambda: rollout_quality([1.0, 1.0], signal_exponents=(0.5, 0.5)),
    lambda: expected_weight([1.0, 1.0], 0.5),
    lambda: debiased_snr_variance([1.0], [[0.5]], 2),
    lambda: raw_cross_problem_floor(1),
    lambda: reachable("0.0", num_problems=1, num_samples=1),
    lambda: terms([1.0, 0.0], [0.25, 0.0625]),
    lambda: terms([1.0, 1.0], [0.3, 0.07]),
    lambda: two_terms((0.1, 0.2), (0.59, 0.69)),
    lambda: two_terms((-0.49, -0.49), (-0.4, -0.4)),
    lambda: two_terms((0.6, 0.7), (0.1, 0.1)),
)


@pytest.mark.parametrize(("call", "message"), OUTSIDE)
def test_outside_its_domain_a_function_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("call", EDGES)
def test_on_the_edge_of_its_domain_a_function_answers(call):
    assert call() is not None
