"""Exponents from SNR bins: exact recovery and the error bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import psi
from tolerances import QUADRATURE

from paced.weights.snr_exponents import fit_exponents, project, regressors, regressors_from_counts

EIGHTHS = np.arange(1, 8) / 8
rates = st.lists(st.floats(0.05, 0.95), min_size=3, max_size=12)


def snr_squared(p, alpha, beta, scale=0.5, misfit=0.0):
    return scale * p**alpha * (1 - p) ** beta * np.exp(misfit)


@given(rates, st.floats(0, 4), st.floats(0, 4), st.floats(0.01, 10))
def test_a_power_law_is_recovered_exactly(rates, alpha, beta, scale):
    p = np.array(rates)
    assume(np.linalg.cond(regressors(p)) < 1e5)
    found = fit_exponents(regressors(p), snr_squared(p, alpha, beta, scale))
    assert (found.alpha, found.beta) == pytest.approx((alpha, beta), abs=1e-7)
    assert found.log_scale == pytest.approx(np.log(scale), abs=1e-7)


@given(st.lists(st.floats(-1, 1), min_size=7, max_size=7), st.floats(0, 0.5))
def test_misfit_moves_the_exponents_by_at_most_the_stated_bound(misfit, delta):
    found = fit_exponents(regressors(EIGHTHS), snr_squared(EIGHTHS, 3, 2, misfit=delta * np.array(misfit)))
    bound = found.error_bound(delta)
    assert abs(found.unprojected[0] - 3) <= bound[0] + 1e-9
    assert abs(found.unprojected[1] - 2) <= bound[1] + 1e-9


def test_the_bound_is_attained_and_is_the_printed_one():
    found = fit_exponents(regressors(EIGHTHS), snr_squared(EIGHTHS, 3, 3))
    assert found.error_per_delta == pytest.approx((2.702281, 2.702281), abs=5e-7)
    assert found.error_bound(0.3)[0] == pytest.approx(0.810684, abs=1e-6)
    worst = 0.3 * np.sign(np.linalg.pinv(regressors(EIGHTHS))[1])
    moved = fit_exponents(regressors(EIGHTHS), snr_squared(EIGHTHS, 3, 3, misfit=worst))
    assert moved.unprojected[0] - 3 == pytest.approx(0.810684, abs=1e-6)


def test_the_noise_floor_ruins_a_fit_that_does_not_remove_it():
    """``x6``: truth (1, 1), SNR² = pq/2, K = 8, regressing log(SNR² + 1/8)."""
    found = fit_exponents(regressors(EIGHTHS), snr_squared(EIGHTHS, 1, 1) + 1 / 8)
    assert (found.alpha, found.beta) == pytest.approx((0.392677, 0.392677), abs=5e-7)


def test_weights_are_the_inverse_variance_of_the_log():
    rng = np.random.default_rng(0)
    y = snr_squared(EIGHTHS, 1, 2) * np.exp(0.2 * rng.standard_normal(7))
    variance = rng.uniform(0.01, 0.1, 7)
    found = fit_exponents(regressors(EIGHTHS), y, variance=variance)
    root = y / np.sqrt(variance)
    best, *_ = np.linalg.lstsq(regressors(EIGHTHS) * root[:, None], np.log(y) * root, rcond=None)
    assert found.unprojected == pytest.approx(tuple(best[1:]), rel=1e-9)


def test_standard_errors_are_the_spread_of_the_estimates():
    rng = np.random.default_rng(1)
    truth = snr_squared(EIGHTHS, 2, 2)
    noise = 0.05 * truth
    fits = [
        fit_exponents(regressors(EIGHTHS), truth + noise * rng.standard_normal(7), variance=noise**2)
        for _ in range(500)
    ]
    spread = np.var([one.unprojected[0] for one in fits])
    assert np.mean([one.cov[1, 1] for one in fits]) == pytest.approx(spread, rel=0.25)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.integers(0, 100))
def test_projection_is_the_constrained_optimum(theta, seed):
    x = np.random.default_rng(seed).standard_normal((6, 3))
    information = x.T @ x
    best = project(np.array(theta), information)
    assert (best[1:] >= 0).all()
    half = np.linalg.cholesky(information).T
    reference = optimize.lsq_linear(half, half @ np.array(theta), bounds=([-np.inf, 0, 0], np.inf))
    loss = (best - theta) @ information @ (best - theta)
    assert loss == pytest.approx(2 * reference.cost, rel=1e-5, abs=1e-7)


def test_a_negative_exponent_is_projected_and_reported():
    found = fit_exponents(regressors(EIGHTHS), snr_squared(EIGHTHS, -1, 2))
    assert found.alpha == 0
    assert found.unprojected == pytest.approx((-1, 2), abs=1e-9)
    assert found.kernel.alpha == 0


def test_the_bound_is_the_l1_norm_of_each_row_of_the_weighted_estimator():
    p = np.array([0.1, 0.2, 0.45, 0.6, 0.85])  # not symmetric: the two exponents have different bounds
    snr = 0.4 * p**1.3 * (1 - p) ** 0.7 * np.array([1.1, 0.9, 1.05, 1.0, 0.95])
    variance = np.array([0.01, 0.002, 0.03, 0.005, 0.02]) * snr
    x, weight = regressors(p), np.diag(snr**2 / variance)
    estimator = np.linalg.solve(x.T @ weight @ x, x.T @ weight)  # [3, num_bins]
    result = fit_exponents(x, snr, variance=variance)
    assert [result.log_scale, result.alpha, result.beta] == pytest.approx(estimator @ np.log(snr), rel=QUADRATURE)
    assert result.error_bound(0.5) == pytest.approx(0.5 * np.abs(estimator).sum(axis=1)[1:], rel=QUADRATURE)
    assert np.allclose(result.cov, np.linalg.inv(x.T @ weight @ x), rtol=1e-8)


def test_posterior_regressors_are_digamma_means_and_finite_at_the_ends():
    rows = regressors_from_counts([0, 3, 8], 8, prior=(0.5, 2))
    exact = [[1, psi(0.5 + s) - psi(10.5), psi(2 + 8 - s) - psi(10.5)] for s in (0, 3, 8)]
    assert np.allclose(rows, exact, rtol=1e-12)


def test_bins_without_a_positive_snr_are_dropped_and_counted():
    y = snr_squared(EIGHTHS, 1, 1)
    y[[0, 6]] = [-0.01, 0.0]
    found = fit_exponents(regressors(EIGHTHS), y)
    assert (found.num_bins, found.num_dropped) == (5, 2)
    assert found.alpha == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regressors([0.0, 0.5]), "pass_rate must be inside \\(0, 1\\)"),
        (lambda: fit_exponents(regressors([0.2, 0.5]), [1.0, 1.0]), "at least three bins of different pass rate"),
        (lambda: fit_exponents(regressors([0.2] * 3), [1.0] * 3), "at least three bins of different pass rate"),
        (lambda: fit_exponents(regressors(EIGHTHS), [1.0]), "rows must be \\[num_bins, 3\\]"),
        (lambda: fit_exponents(regressors(EIGHTHS), [np.nan] * 7), "must be finite"),
        (lambda: fit_exponents(regressors(EIGHTHS), [1.0] * 7, variance=0.0), "variance > 0"),
    ],
)
def test_mistakes_are_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
