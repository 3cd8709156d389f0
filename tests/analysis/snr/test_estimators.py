"""Signal, noise and SNR forms from a Gram matrix, against gradient vectors."""

from __future__ import annotations

import numpy as np
import oracles_snr as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tolerances import F64, MC_SE

from paced.analysis.snr import estimators as est
from paced.analysis.snr import uncertainty as unc


def gradients(seed: int, K: int, d: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(K, d)) + mean


shapes = st.tuples(st.integers(0, 10**6), st.integers(2, 32), st.integers(1, 64), st.floats(-3, 3))


@given(shapes)
def test_signal_and_noise_equal_pairwise_and_deviation_forms(shape):
    seed, K, d, mean = shape
    g = gradients(seed, K, d, mean)
    values = est.moments(g @ g.T)
    U, V = oracle.signal_and_noise(g)
    scale = float((g**2).sum(axis=1).mean())
    assert values.signal == pytest.approx(U, abs=100 * F64 * scale)
    assert values.noise == pytest.approx(V, abs=100 * F64 * scale)


@given(shapes)
def test_signal_is_the_jackknife_of_the_squared_mean(shape):
    seed, K, d, mean = shape
    g = gradients(seed, K, d, mean)
    scale = float((g**2).sum(axis=1).mean())
    assert est.moments(g @ g.T).signal == pytest.approx(oracle.jackknife_of_squared_mean(g), abs=1e3 * F64 * scale)


@given(shapes)
def test_running_sums_give_the_same_moments(shape):
    seed, K, d, mean = shape
    g = gradients(seed, K, d, mean)
    total = g.sum(axis=0)
    sums = est.moments_from_sums(sum_square=total @ total, square_sum=(g**2).sum(), num_rollouts=K)
    values = est.moments(g @ g.T)
    scale = float(values.gradient_square)
    assert sums.signal == pytest.approx(values.signal, abs=100 * F64 * scale)
    assert sums.noise == pytest.approx(values.noise, abs=100 * F64 * scale)


@pytest.mark.parametrize("K", [2, 3, 8, 16])
def test_paper_snr_is_equation_8(K):
    g = gradients(K, K, 40, 0.3)
    assert est.paper_snr(est.moments(g @ g.T)) == pytest.approx(oracle.paper_snr(g), rel=100 * F64)


def test_identical_rollouts_are_degenerate_not_a_huge_snr():
    row = np.random.default_rng(0).normal(size=50).astype(np.float32)
    noisy = np.tile(row, (8, 1)) * (1 + 1e-7 * np.random.default_rng(1).normal(size=(8, 1)))
    for g in (np.tile(row, (8, 1)).astype(float), noisy):
        values = est.moments(g @ g.T)
        assert est.is_degenerate(values)
        assert np.isnan(est.paper_snr(values))
        assert np.isnan(est.debiased_snr_squared(values))


def test_zero_gradients_are_degenerate():
    values = est.moments(np.zeros((4, 4)))
    assert est.is_degenerate(values)
    assert est.guarded_snr(values, mean_noise=1.0) == 0.0


def test_guarded_snr_is_finite_for_identical_rollouts_and_near_equation_8_for_noisy_ones():
    same = est.moments(np.ones((8, 8)))
    assert est.guarded_snr(same, mean_noise=1.0) == pytest.approx(10.0)
    g = gradients(3, 8, 200, 0.2)
    values = est.moments(g @ g.T)
    guarded = est.guarded_snr(values, mean_noise=float(values.noise))
    assert guarded == pytest.approx(est.paper_snr(values), rel=0.01)
    assert guarded < est.paper_snr(values)


def test_without_signal_the_guarded_form_reads_less_where_a_problems_noise_is_small():
    K, shares = 8, np.array([10.0, 1.0, 1 / 35])  # V over its mean
    expected = est.plug_in_floor(K) / np.sqrt(1 + est.GUARD * K / (K - 1) / shares)
    assert expected == pytest.approx([0.378, 0.376, 0.319], abs=5e-4)  # as docs/snr.md says
    for share, reading in zip(shares, expected, strict=True):
        g = np.sqrt(share / 300) * np.random.default_rng(5).normal(size=(1000, K, 300))  # tr Σ = share
        values = est.guarded_snr(est.moments(g @ g.transpose(0, 2, 1)), mean_noise=1.0)
        assert values.mean() == pytest.approx(reading, rel=0.01)


@pytest.mark.parametrize("K", [4, 8, 16])
def test_pure_noise_reads_the_floor_plain_and_zero_debiased(K):
    problems = np.random.default_rng(K).normal(size=(400, K, 300))
    values = est.moments(problems @ problems.transpose(0, 2, 1))
    assert est.paper_snr(values).mean() == pytest.approx(est.plug_in_floor(K), rel=0.02)
    ratios = est.debiased_snr_squared(values)
    standard_error = ratios.std(ddof=1) / np.sqrt(ratios.size)
    assert abs(ratios.mean()) < MC_SE * standard_error
    assert est.pooled_snr_squared(values.signal, values.noise) == pytest.approx(0.0, abs=MC_SE * standard_error)


def test_debiased_ratio_and_its_variances_match_simulation():
    # spec C61: d = 40, K = 8; the delta formula within 12 %, the mean within 5 standard errors.
    d, K, repeats = 40, 8, 10_000
    scales = np.sqrt(np.linspace(0.5, 1.5, d))
    mean = np.full(d, 0.15)
    g = np.random.default_rng(7).normal(size=(repeats, K, d)) * scales + mean
    G = g @ g.transpose(0, 2, 1)
    values = est.moments(G)
    assert values.signal.mean() == pytest.approx(mean @ mean, abs=MC_SE * values.signal.std() / np.sqrt(repeats))
    formula = 4 * (mean**2 * scales**2).sum() / K + 2 * (scales**4).sum() / (K * (K - 1))
    assert values.signal.var() == pytest.approx(formula, rel=0.05)
    estimated = unc.signal_variance(G)
    assert estimated.mean() == pytest.approx(formula, abs=MC_SE * estimated.std() / np.sqrt(repeats))
    ratios = est.debiased_snr_squared(values)
    assert unc.snr_squared_variance(G).mean() == pytest.approx(ratios.var(), rel=0.12)
    # Conservative: for a weak signal the jackknife of a degenerate U-statistic doubles its variance.
    assert 1.0 < unc.snr_squared_jackknife_variance(G[:2000]).mean() / ratios.var() < 2.5


@pytest.mark.parametrize("K", [4, 5, 7])
def test_signal_variance_uses_means_over_distinct_indices(K):
    g = gradients(K, K, 6, 0.5)
    m_cov_m, trace_square = oracle.covariance_moments(g)
    expected = 4 * m_cov_m / K + 2 * trace_square / (K * (K - 1))
    assert unc.signal_variance(g @ g.T) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("K", [2, 3, 4, 5, 8])
def test_split_half_cosine_averages_all_halvings(K):
    g = gradients(K, K, 30, 0.4)
    assert unc.split_half_cosine(g @ g.T) == pytest.approx(oracle.split_half_cosine(g), rel=1e-10)


def test_split_half_cosine_is_near_zero_for_noise_and_one_for_agreement():
    noise = gradients(0, 16, 5000)
    assert abs(unc.split_half_cosine(noise @ noise.T)) < 0.05
    agreed = gradients(0, 16, 5000, 10.0)
    assert unc.split_half_cosine(agreed @ agreed.T) > 0.99


@pytest.mark.parametrize("K", [8, 16])
def test_sign_flip_null_equals_flipping_the_gradients(K):
    g = gradients(1, K, 100, 0.2)
    null = unc.sign_flip_null(g @ g.T)
    flips = unc._sign_patterns(K, 0)[1:]
    snrs = [oracle.paper_snr(signs[:, None] * g) for signs in flips]
    assert null.snr_mean == pytest.approx(np.mean(snrs), rel=1e-10)
    assert null.snr_high == pytest.approx(np.quantile(snrs, 0.95), rel=1e-10)
    assert null.snr_mean == pytest.approx(est.plug_in_floor(K), rel=0.15)


def test_sign_flip_p_values_are_uniform_without_signal_and_small_with_it():
    problems = np.random.default_rng(5).normal(size=(300, 8, 50))
    p = unc.sign_flip_null(problems @ problems.transpose(0, 2, 1)).p_value
    assert p.mean() == pytest.approx(0.5, abs=MC_SE * p.std() / np.sqrt(p.size))
    signal = problems + 0.5
    assert unc.sign_flip_null(signal @ signal.transpose(0, 2, 1)).p_value.max() <= 0.05


@pytest.mark.parametrize(
    ("gram", "message"),
    [
        (np.ones((1, 1)), r"moments: gram must hold at least 2 gradients, got 1"),
        (np.ones((2, 3)), r"moments: gram must have shape \[\.\.\., K, K\], got \(2, 3\)"),
        (np.full((2, 2), np.nan), r"moments: gram must be finite"),
    ],
)
def test_bad_gram_matrices_are_refused(gram, message):
    with pytest.raises(ValueError, match=message):
        est.moments(gram)


def test_too_few_rollouts_for_a_variance_give_nan_not_a_number():
    g = gradients(0, 3, 20)
    assert np.isnan(unc.signal_variance(g @ g.T))
    assert np.isfinite(unc.snr_squared_jackknife_variance(g @ g.T))
    assert np.isnan(unc.snr_squared_jackknife_variance(g[:2] @ g[:2].T))
