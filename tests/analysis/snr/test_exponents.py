"""Exponents of known power laws: intervals hold them, a regression on s/K does not; the law against brute force."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from paced.analysis.snr.exponents import fit_kernel_exponents
from paced.analysis.snr.law import fit_law, likelihood, mixing_weights
from paced.weights.counts import CountHistogram

RUNS = 12
TRUTHS = [(1.0, 1.0), (0.5, 1.5), (2.0, 1.0)]
LEAST = 0.7
"""Share of intervals that must hold the truth: of 24 at 92 %, four standard errors of room."""

ROOT = Path(__file__).parents[3]
SPEC = importlib.util.spec_from_file_location("snr_coverage", ROOT / "benchmarks" / "snr_coverage.py")
coverage = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(coverage)


def simulated(alpha, beta, K):
    """Runs of the benchmark: counts of 2,400 problems, signal and noise of those that ``paced snr`` chooses."""
    for run in range(RUNS):
        rng = np.random.default_rng([run, K])
        yield coverage.simulate(rng, alpha, beta, K=K, per_bin=32, pool=2400, skewed=False)


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "beta"), TRUTHS)
@pytest.mark.parametrize("K", [8, 32])
def test_intervals_hold_the_known_exponents(alpha, beta, K):
    contained = []
    for data in simulated(alpha, beta, K):
        try:
            fit = data.fit(resamples=40)
        except ValueError:
            continue
        contained += [fit.alpha_low <= alpha <= fit.alpha_high, fit.beta_low <= beta <= fit.beta_high]
    assert len(contained) >= 2 * (RUNS - 3)
    assert np.mean(contained) > LEAST


@pytest.mark.parametrize(("alpha", "beta"), TRUTHS)
@pytest.mark.parametrize("K", [8, 32])
def test_taking_counts_as_exact_fails_the_same_check(alpha, beta, K):
    contained = []
    for data in simulated(alpha, beta, K):
        estimate, error = data.fit_taking_counts_as_exact(resamples=200)
        contained += (np.abs(estimate[1:] - (alpha, beta)) <= 1.96 * error[1:]).tolist()
    assert np.mean(contained) < LEAST


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
