"""Intervals hold the truth at their nominal rate, and the goodness of fit rejects what is not a Beta law."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tolerances import MC_SE

from paced.weights import fit
from paced.weights.betabinomial import BetaBinomial
from paced.weights.counts import CountHistogram


def coverage(truth, K, num_problems, simulations, seed, **conf_int):
    rng = np.random.default_rng(seed)
    held = np.zeros(2)
    for _ in range(simulations):
        passed = rng.binomial(K, rng.beta(truth[0] + 1, truth[1] + 1, size=num_problems))
        ends = fit(passed, K).conf_int(**conf_int)
        held += [low <= value <= high for value, (low, high) in zip(truth, ends, strict=True)]
    return held / simulations


@pytest.mark.slow
@pytest.mark.parametrize(
    ("truth", "K", "num_problems"),
    [((1, 1), 4, 150), ((4, 4), 8, 150), ((1, 3), 16, 150), ((-0.5, -0.5), 8, 60)],
)
def test_default_interval_holds_the_truth_in_95_of_100_simulations(truth, K, num_problems):
    """400 simulations here; benchmarks/weights_coverage.py has 2,000 for each of 42 designs."""
    simulations = 400
    error = np.sqrt(0.95 * 0.05 / simulations)
    found = coverage(truth, K, num_problems, simulations, seed=11)
    assert (np.abs(found - 0.95) <= MC_SE * error).all(), found


@pytest.mark.nightly
@pytest.mark.parametrize("K", [4, 8, 16])
@pytest.mark.parametrize("truth", [(0, 0), (1, 1), (4, 4), (1, 3)])
def test_coverage_is_between_93_and_97_percent_over_2000_simulations(truth, K):
    found = coverage(truth, K, 300, 2000, seed=12)
    assert ((found >= 0.93) & (found <= 0.97)).all(), found


@pytest.mark.slow
def test_coverage_follows_the_level():
    found = coverage((1, 2), 8, 200, 300, seed=13, level=0.5)
    assert (np.abs(found - 0.5) <= MC_SE * np.sqrt(0.25 / 300)).all(), found


def test_profile_interval_ends_where_the_likelihood_has_fallen_by_half_a_chi_square():
    rng = np.random.default_rng(0)
    passed = rng.binomial(8, rng.beta(3, 4, 300))
    result = fit(passed, 8)
    likelihood = BetaBinomial(CountHistogram.of(passed, 8))
    drop = stats.chi2.ppf(0.9, 1) / 2
    for index, interval in enumerate(result.conf_int(0.9)):
        for end in interval:
            held, _ = likelihood.profile(index, end + 1, 3.0)
            assert -result.nllf - likelihood.constant - held == pytest.approx(drop, abs=1e-5)


def test_the_three_interval_methods_agree_when_data_are_plenty():
    rng = np.random.default_rng(1)
    result = fit(rng.binomial(8, rng.beta(2, 2, 20_000)), 8)
    profile, wald = result.conf_int(), result.conf_int(method="wald")
    bootstrap = result.conf_int(method="bootstrap", num_resamples=400)
    assert np.allclose(profile, wald, atol=2e-3)
    assert np.allclose(profile, bootstrap, atol=2e-2)


def test_bootstrap_is_the_same_for_the_same_seed_and_other_for_another():
    result = fit([1, 3, 4, 6, 7, 2] * 10, 8)
    one = result.conf_int(method="bootstrap", num_resamples=50, seed=1)
    assert one == result.conf_int(method="bootstrap", num_resamples=50, seed=1)
    assert one != result.conf_int(method="bootstrap", num_resamples=50, seed=2)


def test_wider_levels_hold_narrower_ones():
    result = fit([1, 3, 4, 6, 7, 2] * 10, 8)
    for method in ("profile", "wald", "bootstrap"):
        narrow, wide = result.conf_int(0.8, method), result.conf_int(0.99, method)
        for inner, outer in zip(narrow, wide, strict=True):
            assert outer.low < inner.low < inner.high < outer.high


def test_goodness_of_fit_accepts_a_beta_law_and_rejects_two_groups():
    rng = np.random.default_rng(4)
    good = fit(rng.binomial(8, rng.beta(2, 3, 600)), 8).gof(num_resamples=99)
    assert good.pvalue > 0.05
    groups = rng.choice([0.15, 0.6], size=600)
    bad = fit(rng.binomial(8, groups), 8).gof(num_resamples=99)
    assert bad.pvalue == 0.01
    assert bad.num_resamples == 99


@pytest.mark.slow
def test_pvalues_of_a_true_law_are_uniform():
    rng = np.random.default_rng(6)
    pvalues = [fit(rng.binomial(8, rng.beta(2, 3, 200)), 8).gof(num_resamples=39).pvalue for _ in range(60)]
    assert stats.kstest(pvalues, "uniform").pvalue > 1e-3
