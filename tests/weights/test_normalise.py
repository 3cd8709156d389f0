"""Unit mean over the training set, effective sample size and sampling probabilities."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tolerances import F64

from paced.weights import BetaKernel, normalise, sampling_probabilities
from paced.weights.normalise import effective_sample_size

weights_lists = st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=50)


@given(weights_lists)
def test_unit_mean_and_ess_bounds(weights):
    assume(max(weights) > 0)
    result = normalise(weights)
    assert result.unit_mean_weights.mean() == pytest.approx(1, rel=F64)
    assert 1 - F64 <= result.ess <= len(weights) * (1 + F64)
    assert result.largest == result.unit_mean_weights.max()
    assert result.share_zero == weights.count(0.0) / len(weights)
    assert sampling_probabilities(weights).sum() == pytest.approx(1, rel=F64)


@given(weights_lists, st.floats(1e-200, 1e200))
def test_scale_does_not_matter_even_near_the_ends_of_float64(weights, scale):
    # Weights below a billionth of the largest would underflow at the small end of the scale; they are left out.
    assume(min(weights) > 1e-3)
    scaled = normalise([scale * weight for weight in weights])
    assert np.allclose(scaled.unit_mean_weights, normalise(weights).unit_mean_weights, rtol=1e-11)
    assert scaled.ess == pytest.approx(normalise(weights).ess, rel=1e-11)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_ess_is_the_rational_one(weights):
    assume(any(weights))
    exact = oracle.effective_size([Fraction(weight) for weight in weights])
    assert normalise([float(weight) for weight in weights]).ess == pytest.approx(float(exact), rel=F64)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 5)), min_size=1, max_size=50))
def test_a_mass_counts_a_weight_as_often_as_writing_it_again(cells):
    weights, masses = zip(*cells, strict=True)
    written = [weight for weight, mass in cells for _ in range(mass)]
    assert effective_sample_size(weights, masses) == pytest.approx(effective_sample_size(written), rel=F64)
    share = effective_sample_size(weights, np.array(masses) / max(sum(masses), 1))
    assert share * len(written) == pytest.approx(effective_sample_size(written), rel=F64)


def test_ess_is_n_only_for_equal_weights():
    assert normalise([2.0] * 7).ess == pytest.approx(7, rel=F64)
    assert normalise([2.0] * 6 + [2.1]).ess < 7


@pytest.mark.parametrize(("K", "exact"), [(4, Fraction(10, 17)), (8, Fraction(28, 39)), (16, Fraction(200, 257))])
def test_ess_of_the_default_kernel_under_uniform_pass_rates(K, exact):
    """Extension ``x9``: (5/6) K(K-1)/(K²+1); the counts 0..K are equally likely when p is uniform."""
    assert exact == Fraction(5, 6) * K * (K - 1) / (K * K + 1)
    assert normalise(BetaKernel()(np.arange(K + 1), K)).ess_fraction == pytest.approx(float(exact), rel=F64)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.0, 0.0], "weights must not all be 0, got 0 for all 2 problems"),
        ([1.0, float("nan")], "weights must be finite, got nan at index 1"),
        ([1.0, float("inf")], "weights must be finite, got inf"),
        ([1.0, -0.5], "weights must be >= 0, got -0.5 at index 1"),
        ([], "one-dimensional with at least one"),
        ([[1.0]], "one-dimensional"),
    ],
)
def test_what_cannot_be_normalised_is_refused(weights, message):
    for function in (normalise, sampling_probabilities):
        with pytest.raises(ValueError, match=message):
            function(weights)


def test_sampling_in_proportion_has_the_mean_gradient_of_weighting_and_less_variance():
    """Extension ``x11`` by enumeration: E over draws ∝ w of g is E of w̃ g, and E[w̃ g²] <= E[w̃² g²] for the default."""
    p = np.arange(1, 1000) / 1000
    unit = normalise(BetaKernel().at(p)).unit_mean_weights
    chance = sampling_probabilities(BetaKernel().at(p))
    gradient = np.sqrt(p * (1 - p))
    assert chance @ gradient == pytest.approx(np.mean(unit * gradient), rel=F64)
    for tau, by_sampling, by_weighting in ((0.0, 1.0, 6 / 5), (-0.5, 0.75, 27 / 32)):
        square = (p * (1 - p)) ** tau
        found = (chance @ square / square.mean(), np.mean(unit**2 * square) / square.mean())
        assert found == pytest.approx((by_sampling, by_weighting), rel=0.03)
