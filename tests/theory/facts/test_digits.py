"""Functions keep twelve digits where their formula as printed cancels or overflows, against mpmath."""

from __future__ import annotations

import mpmath
import pytest
from tolerances import F64

from paced.theory.facts.extensions import ess_fraction, rollout_ess_fraction
from paced.theory.facts.kernel import zeroed_share
from paced.theory.facts.minimax import (
    aggregate_minimax_value,
    kernel_for_saturated_value,
    minimax_value,
    saturated_minimax_value,
    saturated_minimax_weight,
    signal_worst_share,
    worst_efficiency,
)
from paced.theory.facts.variance_ratios import power_law_ratio
from paced.weights import MinimaxKernel
from paced.weights.budget.allocation import rollout_variance


@pytest.mark.parametrize("delta", [1e-9, 0.3, 20.0, 300.0, 800.0])
@pytest.mark.parametrize("nominal", [0.0, 1e-8, 1.0, 1e6, 1e200])
def test_minimax_values_have_their_digits_for_any_delta(nominal, delta):
    with mpmath.workdps(900):
        s, d = mpmath.mpf(nominal), mpmath.mpf(delta)
        cosh, sinh = mpmath.cosh(d), mpmath.sinh(d)
        value, weight = 1 - (sinh / (s + cosh)) ** 2, s / (s + cosh)
        shape = mpmath.sech(d + mpmath.log1p(s * mpmath.exp(-d)) / 2) ** 2
        atoms = 1 / (1 + 4 * mpmath.mpf(0.25) * (1 - mpmath.mpf(0.25)) * sinh**2)
        share = mpmath.exp(-d) / (2 * cosh)
    tiny = 1e-300  # below it float64 has fewer digits
    assert float(saturated_minimax_value(nominal, delta)) == pytest.approx(float(value), rel=F64, abs=tiny)
    assert float(saturated_minimax_weight(nominal, delta)) == pytest.approx(float(weight), rel=F64, abs=tiny)
    assert float(kernel_for_saturated_value(nominal, delta)) == pytest.approx(float(shape), rel=F64, abs=tiny)
    assert aggregate_minimax_value(delta, masses=[0.25, 0.75]) == pytest.approx(float(atoms), rel=F64, abs=tiny)
    assert float(signal_worst_share(delta)) == pytest.approx(float(share), rel=F64, abs=tiny)
    assert float(saturated_minimax_value(nominal, delta)) >= float(minimax_value(delta)) * (1 - F64)


def test_the_trainers_minimax_kernel_is_small_and_not_an_overflow_for_a_huge_delta():
    assert MinimaxKernel(800.0).at([0.5]).tolist() == [0.0]
    assert float(MinimaxKernel(20.0).at(0.5)) == pytest.approx(0.25 / (0.25 + float(mpmath.cosh(20))), rel=F64)


def test_the_worst_efficiency_answers_up_to_where_float64_ends():
    assert float(worst_efficiency(1.0, 340.0)) == pytest.approx(float(1 - (mpmath.exp(340) - 1) ** 2), rel=F64)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.25), (0.25, 0.0), (1.0, 2.0)])
def test_the_variance_of_a_rollout_at_the_ends_is_its_limit(alpha, beta):
    near = mpmath.mpf(10) ** -60

    def limit(p, q):
        return p ** (2 * alpha - 1) * q ** (2 * beta - 1) * (alpha * q - beta * p) ** 2

    for end, value in ((0.0, limit(near, 1 - near)), (1.0, limit(1 - near, near))):
        got = float(rollout_variance(end, alpha=alpha, beta=beta))
        want = 0.0 if value < 1e-20 else (float("inf") if value > 1e20 else float(value))
        assert got == pytest.approx(want, rel=F64)


def test_moments_of_a_sharp_law_and_of_many_rollouts_have_their_digits():
    with mpmath.workdps(50):
        a, b = mpmath.mpf(2e9), mpmath.mpf(1e9)
        square = (a + 1) * (b + 1) * (a + b) * (a + b + 1) / (a * b * (a + b + 2) * (a + b + 3))
        ratio = power_law_ratio(second_moment_exponents=(0.0, 0.0), law=(2e9, 1e9))
    assert ess_fraction((1, 1), law=(2e9, 1e9)) == pytest.approx(float(1 / square), rel=F64)
    assert float(ratio) == pytest.approx(float(square), rel=F64)
    assert float(zeroed_share(10**6)) == pytest.approx(2 / (10**6 + 1), rel=F64)
    K = 10**5
    assert rollout_ess_fraction([s * (K - s) for s in range(K + 1)]) == pytest.approx(5 / 6 * K * (K - 1) / (K * K + 1))
