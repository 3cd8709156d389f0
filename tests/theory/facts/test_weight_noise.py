"""Mean squared errors of weights: by simulation of rollouts, at recorded numbers, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import MC_SE

from paced.theory.facts.weight_noise import METHODS, boundary_jump, hard_filter_noise, weight_noise
from paced.weights import BetaKernel


def test_the_numbers_of_the_three_methods_for_uniform_pass_rates():
    values = [[round(float(weight_noise(method, K)), 3) for K in (4, 8, 16)] for method in METHODS]
    assert values == [[0.5, 0.193, 0.085], [0.143, 0.098, 0.06], [0.727, 0.627, 0.518]]


@pytest.mark.parametrize("method", METHODS)
def test_the_error_is_that_of_simulated_rollouts(method):
    rng = np.random.default_rng(2)
    K, law = 5, (2.0, 0.7)
    p = rng.beta(*law, size=100_000)
    s = rng.binomial(K, p)
    if method == "hard filter":
        estimated, true = ((x >= 0.2) & (x <= 0.8) for x in (s / K, p))
    else:
        name = "plugin" if method == "kernel" else "posterior"
        estimated, true = BetaKernel(estimator=name, prior=law)(s, K), p * (1 - p)
    draws = np.square(estimated / np.mean(estimated) - true / np.mean(true))
    error = draws.std() / np.sqrt(draws.size)
    assert abs(draws.mean() - float(weight_noise(method, K, law))) < MC_SE * error


def test_a_filter_jumps_at_its_ends_only():
    assert boundary_jump([0.1, 0.2, 0.5, 0.8]) == pytest.approx(1 / 0.6)
    assert boundary_jump([0.2, 0.8]) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weight_noise("akl", 8), "method must be one of"),
        (lambda: weight_noise("kernel", 1), "num_rollouts must be"),
        (lambda: hard_filter_noise(3, epsilon=0.45), "Use more rollouts"),
        (lambda: hard_filter_noise(8, epsilon=0.0), "epsilon must be"),
        (lambda: boundary_jump([0.5], epsilon=0.7), "boundary_jump: epsilon must be finite and > 0 and < 0.5"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
