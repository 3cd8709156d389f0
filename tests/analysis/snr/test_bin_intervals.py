"""Intervals of a bin hold the truth at their level for ten problems, pure noise included."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis.snr.bin_intervals import between_interval, mean_interval, ratio_interval

RUNS = 600
LEVELS = (0.90, 0.995)
"""Allowed share of intervals that hold the truth: five standard errors of 600 runs below 95 %, and not always."""


def bootstrap_interval(signal, noise, rng):
    """The control: percentiles of ratios of resampled problems."""
    drawn = rng.integers(len(signal), size=(200, len(signal)))
    return np.quantile(signal[drawn].sum(axis=1) / noise[drawn].sum(axis=1), [0.025, 0.975])


@pytest.mark.parametrize("snr_squared", [0.0, 0.3])
@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_the_debiased_forms_interval_holds_the_truth_at_its_level(snr_squared, spread):
    rng, K, d = np.random.default_rng(1), 8, 60
    contained = 0
    for _ in range(RUNS):
        size = np.exp(rng.normal(0, spread, 10))
        noise = size * rng.chisquare(d * (K - 1), 10) / (d * (K - 1))
        square = size * rng.noncentral_chisquare(d, snr_squared * K * d + 1e-12, 10) / (K * d)
        one = ratio_interval(square - noise / K, noise)
        contained += one.low <= snr_squared <= one.high
    assert LEVELS[0] < contained / RUNS < LEVELS[1]


def test_a_percentile_bootstrap_of_ten_problems_fails_the_same_test():
    rng = np.random.default_rng(1)
    contained = 0
    for _ in range(RUNS):
        low, high = bootstrap_interval(rng.normal(size=10), np.ones(10), rng)
        contained += low <= 0 <= high
    assert contained / RUNS < 0.93


@pytest.mark.parametrize("snr_squared", [0.0, 0.5])
def test_the_between_forms_interval_holds_the_truth_at_its_level(snr_squared):
    rng, d, n = np.random.default_rng(2), 60, 12
    contained = 0
    for _ in range(RUNS):
        g = rng.normal(size=(n, d)) / np.sqrt(d) + np.sqrt(snr_squared / d)  # [n, d]
        one = between_interval(g @ g.T)
        contained += one.low <= snr_squared <= one.high
    assert LEVELS[0] < contained / RUNS < LEVELS[1]


def test_the_jackknife_of_a_ratio_is_its_definition():
    rng = np.random.default_rng(3)
    signal, noise = rng.normal(size=6), rng.random(6) + 0.5
    without = [np.delete(signal, i).sum() / np.delete(noise, i).sum() for i in range(6)]
    assert ratio_interval(signal, noise).variance == pytest.approx(5 * np.var(without), rel=1e-12)


def test_too_few_problems_have_no_interval():
    assert np.isnan(mean_interval([]).value)
    assert mean_interval([2.0]).value == 2.0
    assert np.isnan(mean_interval([2.0]).low)
    assert np.isnan(ratio_interval([1.0], [1.0]).high)
    assert np.isnan(ratio_interval([1.0, 2.0], [0.0, 0.0]).value)
    with pytest.raises(ValueError, match="at least 4 problems, got 3"):
        between_interval(np.eye(3))
