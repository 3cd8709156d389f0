"""Eq. (8)'s profile over its floor, and the share of passes when rollouts are shared."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import F64, MC_SE

from paced.theory.facts.shared_rollouts import default_pass_share, shared_pass_share
from paced.theory.facts.snr_profile import distance_from_kernel, end_over_peak, measured_profile, snr_squared_for_end
from paced.weights import BetaKernel


def test_the_least_fall_is_that_of_the_profile_and_inverts():
    S = np.array([0.0, 0.03, 2.0])
    fall = end_over_peak(S, 5)
    np.testing.assert_allclose(fall, measured_profile(0, 5) / measured_profile(S, 5), rtol=F64)
    np.testing.assert_allclose([snr_squared_for_end(float(x), 5) for x in fall], S, atol=1e-14)


def test_a_larger_snr_brings_the_profile_to_the_kernel():
    p = np.linspace(0.05, 0.95, 19)
    gaps = [distance_from_kernel(p, S, 8) for S in (0.01, 1.0, 1e8)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-4


def test_the_share_of_passes_is_that_of_simulated_problems():
    rng = np.random.default_rng(9)
    h, p, K = BetaKernel(1, 2)(np.arange(7), 6), 0.3, 6
    s = rng.binomial(K, p, 200_000)
    draws = h[s] * (s / K - float(shared_pass_share(h, p)))
    assert abs(draws.mean()) < MC_SE * draws.std() / np.sqrt(draws.size)


def test_two_rollouts_learn_passes_and_failures_alike_whatever_the_pass_rate():
    assert shared_pass_share([0, 1, 0], [0.01, 0.5, 0.9]).tolist() == pytest.approx([0.5] * 3, rel=F64)
    assert default_pass_share([0.01, 0.5, 0.9], 2).tolist() == pytest.approx([0.5] * 3, rel=F64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measured_profile(-1, 8), "snr_squared must be finite and >= 0"),
        (lambda: end_over_peak(1, 1), "num_rollouts must be"),
        (lambda: snr_squared_for_end(0.0, 8), "ratio must be"),
        (lambda: shared_pass_share([0, 0], 0.5), "not all 0"),
        (lambda: shared_pass_share([0, 1, 0], 1.0), "pass_rate must give some weight"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
