"""Exponents of known power laws: intervals hold them, a regression on s/K does not; the law against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from paced.analysis.snr.bins import bin_edges, choose_equally
from paced.analysis.snr.exponents import fit_kernel_exponents
from paced.analysis.snr.law import fit_law, likelihood, mixing_weights
from paced.weights.counts import CountHistogram

RUNS, DIMENSIONS, FIRST = 12, 60, 8


def simulate(rng, alpha, beta, K):
    """Counts of 2,400 problems, signal and noise of those that ``paced snr`` chooses by the first eight rollouts."""
    p = rng.beta(0.35, 0.35, 2400)
    passed, rollouts = rng.binomial(FIRST, p), np.full(2400, FIRST)
    estimate = passed / FIRST
    chosen = choose_equally(estimate, edges=bin_edges(estimate), per_bin=32, seed=int(rng.integers(2**31)))
    q = p[chosen]
    fresh = rng.binomial(K, q)
    passed[chosen] += fresh
    rollouts[chosen] += K
    signal, noise = np.full(2400, np.nan), np.full(2400, np.nan)
    noise[chosen] = rng.chisquare(DIMENSIONS * (K - 1), q.size) / (DIMENSIONS * (K - 1))
    centrality = 0.8 * q**alpha * (1 - q) ** beta * K * DIMENSIONS + 1e-12
    signal[chosen] = rng.noncentral_chisquare(DIMENSIONS, centrality) / (K * DIMENSIONS) - noise[chosen] / K
    return passed, rollouts, signal, noise, chosen, fresh / K


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 1.5), (2.0, 1.0)])
@pytest.mark.parametrize("K", [8, 32])
def test_intervals_hold_the_known_exponents(alpha, beta, K):
    contained = num_fits = 0
    for run in range(RUNS):
        passed, rollouts, signal, noise, *_ = simulate(np.random.default_rng([run, K]), alpha, beta, K)
        try:
            fit = fit_kernel_exponents(signal, noise, num_passed=passed, num_rollouts=rollouts, resamples=40)
        except ValueError:
            continue
        num_fits += 1
        contained += (fit.alpha_low <= alpha <= fit.alpha_high) + (fit.beta_low <= beta <= fit.beta_high)
    assert num_fits >= RUNS - 3
    assert contained / (2 * num_fits) > 0.7  # of 24 at 92 %: four standard errors of room


def test_a_regression_on_the_estimates_misses_them():
    """The control: nonlinear least squares with s/K in place of p, intervals by bootstrap over problems."""
    estimates = []
    for run in range(RUNS):
        *_, signal, noise, chosen, estimate = simulate(np.random.default_rng([run, 32]), 1.0, 1.0, 32)
        p = np.clip(estimate, 1e-3, 1 - 1e-3)
        ratio = signal[chosen] / noise[chosen]
        squares = lambda theta, p=p, y=ratio: ((y - np.exp(theta[0]) * p ** theta[1] * (1 - p) ** theta[2]) ** 2).sum()  # noqa: E731
        estimates.append(minimize(squares, [0.0, 1.0, 1.0], method="Nelder-Mead", options={"maxiter": 2000}).x[1:])
    values = np.array(estimates)
    error = values.std(axis=0, ddof=1)
    assert (values.mean(axis=0) < 1 - 5 * error / np.sqrt(RUNS)).all()


def test_mixing_weights_are_the_maximum_that_em_finds():
    counts = CountHistogram.of(np.random.default_rng(0).binomial(4, 0.4, 200), 4)
    points = np.linspace(0.05, 0.95, 7)
    like = likelihood(counts, points)
    em = np.full(7, 1 / 7)
    for _ in range(20_000):
        em *= (counts.num_problems / (like @ em)) @ like / counts.total
    value = lambda w: float(counts.num_problems @ np.log(like @ w))  # noqa: E731
    assert value(mixing_weights(like, counts.num_problems)) == pytest.approx(value(em), abs=1e-4)


def test_heaps_at_both_ends_come_back():
    law = fit_law(CountHistogram.of([0] * 30 + [16] * 10, 16))
    assert law.weights[:8].sum() == pytest.approx(0.75, abs=1e-6)
    assert law.weights[-8:].sum() == pytest.approx(0.25, abs=1e-6)


def test_too_few_problems_are_refused():
    with pytest.raises(ValueError, match="at least 10 measured problems"):
        fit_kernel_exponents(np.ones(5), np.ones(5), num_passed=[1, 2, 3, 4, 5], num_rollouts=8)
