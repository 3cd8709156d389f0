"""Minimax values against mpmath, brute-force games and laws."""

from __future__ import annotations

from itertools import product

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import F64

from paced.theory.facts import minimax
from paced.theory.facts.descent import efficiency
from paced.theory.kit.weighting import worst_in_the_mean
from paced.weights import MinimaxKernel

deltas = st.floats(1e-3, 3.0)
nominals = st.floats(1e-3, 1e2)
CHANNELS = (minimax.aggregate_efficiency, minimax.signal_aggregate_efficiency)
"""Efficiency where M2 is not known (noise), and where s2 is not (signal)."""
AUDIT = {
    0.1: (0.990066, 0.995021, 0.988939, 0.950981),
    0.2: (0.961043, 0.980328, 0.950981, 0.758108),
    0.3: (0.915137, 0.956628, 0.877599, 0.324121),
    0.5: (0.786448, 0.886819, 0.579161, -1.952492),
    1.0: (0.419974, 0.648054, -1.952492, -39.820038),
}


@pytest.mark.parametrize("delta", AUDIT)
def test_remark_2_table(delta):
    got = minimax.minimax_value(delta), minimax.minimax_scale(delta), minimax.worst_efficiency(1.0, delta)
    assert [*map(float, got), float(minimax.unit_mean_value(delta))] == pytest.approx(AUDIT[delta], abs=6e-7)


@pytest.mark.parametrize("delta", [0.0, 1e-9, 0.137, 0.77, 2.9, 40.0])
def test_scale_and_value_against_mpmath(delta):
    assert float(minimax.minimax_scale(delta)) == pytest.approx(float(mpmath.sech(delta)), rel=F64)
    assert float(minimax.minimax_value(delta)) == pytest.approx(float(1 - mpmath.tanh(delta) ** 2), rel=F64)


def test_scale_does_not_overflow():
    assert float(minimax.minimax_scale(2000.0)) == 0.0


@given(deltas, st.floats(0, 3))
def test_no_scale_beats_sech(delta, scale):
    assert minimax.worst_efficiency(scale, delta) <= minimax.minimax_value(delta) + 1e-12
    inner = np.linspace(-delta, delta, 201)
    assert np.min(efficiency(scale * np.exp(inner))) == pytest.approx(
        float(minimax.worst_efficiency(scale, delta)), abs=1e-12
    )


@given(deltas)
def test_sech_attains_the_value(delta):
    scale = minimax.minimax_scale(delta)
    assert float(minimax.worst_efficiency(scale, delta)) == pytest.approx(float(minimax.minimax_value(delta)), rel=1e-9)


def test_minimax_weight_is_the_scaled_kernel():
    p = np.array([0.0, 0.21, 0.5, 0.93, 1.0])
    want = [float(mpmath.sech(0.37) * mpmath.mpf(x) ** 1.4 * (1 - mpmath.mpf(x)) ** 0.6) for x in p]
    assert minimax.minimax_weight(p, delta=0.37, kernel_exponents=(1.4, 0.6)) == pytest.approx(want, rel=F64)


@given(nominals, st.floats(0, 1.5))
def test_saturated_minimax_beats_every_weight_on_a_grid(nominal, delta):
    best = float(minimax.saturated_minimax_weight(nominal, delta))
    ends = nominal * np.exp([-delta, delta])

    def worst(weight):
        return np.min([minimax.saturated_efficiency(weight, snr_squared=s) for s in ends], axis=0)

    value = float(minimax.saturated_minimax_value(nominal, delta))
    assert worst(best) == pytest.approx(value, rel=1e-9)
    assert np.all(worst(best * np.linspace(0.5, 2, 31)) <= value + 1e-12)
    assert value >= minimax.minimax_value(delta) - 1e-12


def test_the_trainers_minimax_weight_is_the_theorys():
    p = np.linspace(0.01, 0.99, 37)
    nominal = 2.7 * p**1.3 * (1 - p) ** 0.8
    got = MinimaxKernel(0.45, 1.3, 0.8, 2.7).at(p)
    assert got == pytest.approx(minimax.saturated_minimax_weight(nominal, 0.45), rel=F64)


@pytest.mark.parametrize(
    ("nominal", "delta", "weight", "value"),
    [(0.1, 0.3, 0.0873104, 0.929309), (1, 0.3, 0.488917, 0.977833), (10, 1, 0.866320, 0.989635)],
)
def test_saturated_reference_values(nominal, delta, weight, value):
    assert float(minimax.saturated_minimax_weight(nominal, delta)) == pytest.approx(weight, abs=6e-7)
    assert float(minimax.saturated_minimax_value(nominal, delta)) == pytest.approx(value, abs=6e-7)


@given(st.floats(0, 8), st.floats(0, 1.2), st.lists(st.floats(1e-4, 1), min_size=2, max_size=6), st.data())
def test_kernel_for_a_saturated_truth_keeps_its_guarantee_and_no_more(largest, delta, shares, data):
    nominal = np.array([*[s * largest for s in shares], largest])
    r = np.array(data.draw(st.lists(st.floats(-delta, delta), min_size=nominal.size, max_size=nominal.size)))
    ratio = np.exp(-r) + nominal  # w/w* up to scale, S0 (1+S)/S
    scale = 2 / (ratio.min() + ratio.max())
    bound = float(minimax.kernel_for_saturated_value(largest, delta))
    assert efficiency(scale * ratio).min() >= bound - 1e-12
    low, high = np.exp(-delta), np.exp(delta) + largest  # S0 -> 0 with r = δ, S0 = Smax with r = -δ
    attained = 1 - ((high - low) / (high + low)) ** 2
    assert attained == pytest.approx(bound, rel=1e-9)


@given(st.floats(0.01, 1.5), st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_aggregate_ratio_is_sech_squared_for_every_two_valued_remainder(delta, signs, data):
    r = np.where(signs, delta, -delta)
    mass = data.draw(st.lists(st.floats(0.01, 1), min_size=len(signs), max_size=len(signs)))
    got = minimax.aggregate_ratio(minimax.minimax_scale(delta), r, masses=mass)
    assert float(got) == pytest.approx(float(minimax.minimax_value(delta)), rel=1e-9)


@given(st.floats(0.01, 1.5), st.lists(st.floats(-1, 1), min_size=1, max_size=8), st.sampled_from(CHANNELS))
def test_the_kernel_keeps_sech_squared_in_the_mean(delta, signs, efficiency):
    r = delta * np.array(signs)
    got = efficiency(np.zeros(r.size), r)
    assert float(minimax.minimax_value(delta)) - 1e-12 <= got <= 1 + 1e-12
    guaranteed = minimax.aggregate_ratio(minimax.minimax_scale(delta), r)
    assert guaranteed >= minimax.minimax_value(delta) - 1e-12


def test_aggregate_efficiency_from_its_definition():
    u, r, mass = np.array([0.2, -0.1, 0.5]), np.array([0.3, -0.3, 0.1]), np.array([0.5, 0.3, 0.2])
    kernel, law = np.array([0.4, 1.1, 0.7]), np.array([0.2, 0.5, 0.3])
    s2 = mass / (law * kernel)  # so that law * s2 * kernel = mass
    for channel, true_s2 in zip(CHANNELS, (s2, s2 * np.exp(r)), strict=True):
        m2 = true_s2 / (kernel * np.exp(r))
        w = kernel * np.exp(u)
        want = np.sum(law * w * true_s2) ** 2 / (np.sum(law * w**2 * m2) * np.sum(law * true_s2**2 / m2))
        assert channel(u, r, masses=mass) == pytest.approx(want, rel=F64)


@pytest.mark.parametrize(
    ("efficiency", "worst"), zip(CHANNELS, (minimax.WORST_SHARE, minimax.signal_worst_share(0.6)), strict=True)
)
def test_worst_share_is_the_worst(efficiency, worst):
    delta = 0.6
    shares = np.linspace(0.001, 0.999, 999)
    values = [efficiency([0, 0], [delta, -delta], masses=[t, 1 - t]) for t in shares]
    assert shares[int(np.argmin(values))] == pytest.approx(float(worst), abs=2e-3)
    assert min(values) == pytest.approx(float(minimax.minimax_value(delta)), abs=1e-6)


@pytest.mark.parametrize("mass", [[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [1.0]])
def test_with_atoms_the_kernel_attains_the_value_and_nothing_beats_it(mass):
    delta, n = 0.3, len(mass)
    value = minimax.aggregate_minimax_value(delta, masses=mass)
    corners = [np.array(signs) * delta for signs in product((-1, 1), repeat=n)]
    assert min(minimax.aggregate_efficiency(np.zeros(n), r, masses=mass) for r in corners) == pytest.approx(
        value, rel=F64
    )
    assert worst_in_the_mean(np.ones(n), np.ones(n), np.array(mass), delta) == pytest.approx(value, rel=F64)
    for u in np.random.default_rng(0).normal(scale=0.3, size=(200, n)):
        assert min(minimax.aggregate_efficiency(u, r, masses=mass) for r in corners) <= value + 1e-12


def test_percent_ranges():
    assert minimax.delta_of_range([0.35, 0.3]) == pytest.approx([0.430783, 0.356675], abs=6e-7)
    assert minimax.minimax_value(minimax.delta_of_range([0.35, 0.3])) == pytest.approx([0.835184, 0.882843], abs=6e-7)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: minimax.minimax_value(-0.1), "delta must be finite and >= 0"),
        (lambda: minimax.delta_of_range(1.0), "fraction must be in"),
        (lambda: minimax.aggregate_minimax_value(0.3, masses=np.ones(21)), "at most 20"),
        (lambda: minimax.saturated_minimax_weight(1, -0.1), "saturated_minimax_weight: delta must be finite and >= 0"),
        (lambda: minimax.saturated_minimax_value(1, -0.1), "saturated_minimax_value: delta must be finite and >= 0"),
        (lambda: minimax.signal_worst_share(-0.1), "signal_worst_share: delta must be finite and >= 0"),
        (
            lambda: minimax.signal_aggregate_efficiency([0.0], [np.nan]),
            "signal_aggregate_efficiency: remainder must be",
        ),
        (lambda: minimax.saturated_efficiency(0.3, snr_squared=0.0), "snr_squared must be finite and > 0"),
        (lambda: minimax.aggregate_ratio(1.0, [0.1, 0.2], masses=[0, 0]), "not all 0"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
