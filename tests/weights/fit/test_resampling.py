"""Deviance, replicates, goodness of fit and bootstrap against their definitions; rollouts are unequal throughout."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats
from tolerances import MC_SE, QUADRATURE

from paced.weights import fit
from paced.weights.counts import CountHistogram
from paced.weights.fit import intervals
from paced.weights.fit.fit import fit_cells

PASSED = [0, 1, 1, 2, 3, 4, 2, 5, 7, 8, 3, 6, 4, 1, 2, 2, 0, 3, 1, 2, 2, 1]
ROLLOUTS = [8] * 13 + [4] * 6 + [2] * 3
CELLS = CountHistogram.of(PASSED, ROLLOUTS)


def fit_by_simplex(cells: CountHistogram) -> np.ndarray:
    """(a, b) of the largest scipy likelihood, by a search without derivatives."""

    def loss(log_law):
        terms = stats.betabinom.logpmf(cells.num_passed, cells.num_rollouts, *np.exp(log_law))
        return -np.sum(cells.num_problems * terms)

    return np.exp(optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-9}).x)


def deviance_by_cells(cells: CountHistogram, a: float, b: float) -> float:
    """G = 2 Σ n log(n/e), the expected numbers from the problems with the same K."""
    total = 0.0
    for s, K, n in zip(cells.num_passed, cells.num_rollouts, cells.num_problems, strict=True):
        with_this_K = sum(m for k, m in zip(cells.num_rollouts, cells.num_problems, strict=True) if k == K)
        total += 2 * n * np.log(n / (with_this_K * stats.betabinom.pmf(s, K, a, b)))
    return total


def test_the_deviance_compares_each_count_with_the_problems_of_its_own_number_of_rollouts():
    law = intervals.law_pmf(CELLS, 1.3, 0.7, 0.65, None)
    assert sorted(law) == [2, 4, 8]
    assert intervals.deviance(CELLS, law) == pytest.approx(deviance_by_cells(CELLS, 1.3, 0.7), rel=QUADRATURE)
    expected = CountHistogram(np.array([0, 1, 2]), np.array([2, 2, 2]), np.array([3, 3, 3]))
    assert intervals.deviance(expected, {2: np.full(3, 1 / 3)}) == 0


def test_replicates_have_the_problems_at_each_number_of_rollouts_and_the_counts_of_the_law():
    many = CountHistogram(np.array([1, 2]), np.array([2, 4]), np.array([30_000, 50_000]))
    law = {2: np.array([0.2, 0.5, 0.3]), 4: np.array([0.1, 0.2, 0.0, 0.3, 0.4])}
    drawn = intervals.draw(many, law, np.random.default_rng(3))
    for K, total in ((2, 30_000), (4, 50_000)):
        here = drawn.where(drawn.num_rollouts == K)
        assert here.total == total
        assert 2 not in here.num_passed[here.num_rollouts == 4]
        shares = np.bincount(here.num_passed, weights=here.num_problems, minlength=K + 1) / total
        assert (np.abs(shares - law[K]) <= MC_SE * np.sqrt(law[K] * (1 - law[K]) / total)).all()


def test_goodness_of_fit_is_the_share_of_refitted_replicates_that_are_as_far_from_their_own_law():
    passed, rollouts = [1, 1, 2, 2, 1, 2, 7, 6, 6, 7, 3, 6, 4, 1, 1, 2, 1, 3, 1, 1, 0], [8] * 13 + [4] * 5 + [2] * 3
    cells = CountHistogram.of(passed, rollouts)
    result = fit(passed, rollouts)
    law = intervals.law_pmf(cells, *result.law, result.mean, None)
    observed = deviance_by_cells(cells, *fit_by_simplex(cells))
    rng = np.random.default_rng(5)
    others = []
    for _ in range(9):
        drawn = intervals.draw(cells, law, rng)
        others.append(deviance_by_cells(drawn, *fit_by_simplex(drawn)))
    test = result.gof(num_resamples=9, seed=5)
    assert test.statistic == pytest.approx(observed, rel=1e-6)
    assert (test.pvalue, test.num_resamples) == ((1 + sum(other >= observed for other in others)) / 10, 9)
    assert 0.1 < test.pvalue < 1


def test_each_replicate_is_fitted_again_and_the_seed_decides_which_are_drawn():
    asked: list[list[int]] = []

    def refit(cells, method, zpd):
        asked.append(cells.num_problems.tolist())
        return fit_cells(cells, method, zpd)

    result = replace(fit(PASSED, ROLLOUTS), refit=refit)
    for seed in (0, 0, 1):
        result.gof(num_resamples=7, seed=seed)
    assert asked[:7] == asked[7:14] != asked[14:]
    assert len({tuple(one) for one in asked[:7]}) == 7


@pytest.mark.parametrize(("level", "low", "high"), [(0.9, 5, 95), (0.5, 25, 75), (0.75, 13, 88)])
def test_a_bootstrap_interval_leaves_half_of_the_rest_in_each_tail(level, low, high):
    values = iter(np.random.default_rng(0).permutation(np.arange(1, 101)).astype(float))
    ends = intervals.bootstrap(
        CELLS, lambda _: (value := float(next(values)), -value), level=level, num_resamples=100, seed=0
    )
    assert ends.alpha == (low, high)
    assert ends.beta == (-(101 - low), -(101 - high))


def test_a_bootstrap_leaves_out_replicates_without_an_estimate_and_gives_up_when_they_are_most():
    def interval(missing: int):
        values = iter([np.nan] * missing + list(range(1, 101 - missing)))
        return intervals.bootstrap(CELLS, lambda _: (next(values), 1.0), level=0.5, num_resamples=100, seed=0).alpha

    assert interval(20) == (20, 60)
    assert np.isfinite(interval(50)).all()
    assert np.isnan(interval(51)).all()


def test_a_bootstrap_resamples_all_problems_with_replacement():
    samples: list[CountHistogram] = []
    intervals.bootstrap(
        CELLS, lambda cells: (samples.append(cells), (1.0, 1.0))[1], level=0.9, num_resamples=200, seed=1
    )
    assert {cells.total for cells in samples} == {len(PASSED)}
    mean = np.mean([cells.num_problems @ cells.num_passed for cells in samples])
    spread = np.std([cells.num_problems @ cells.num_passed for cells in samples])
    assert mean == pytest.approx(sum(PASSED), abs=MC_SE * spread / np.sqrt(200))
    assert spread == pytest.approx(np.sqrt(len(PASSED)) * np.std(PASSED), rel=0.25)


def test_the_mean_of_a_fit_without_a_law_is_over_problems_not_over_rollouts():
    result = fit([1, 1], [2, 3], zpd=0.3)
    assert (result.success, result.mean) == (False, pytest.approx(5 / 12))


def test_aic_is_twice_the_parameters_less_twice_the_log_likelihood_of_scipy():
    result = fit(PASSED, ROLLOUTS)
    log_likelihood = stats.betabinom.logpmf(PASSED, ROLLOUTS, *result.law).sum()
    assert result.aic == pytest.approx(2 * 2 - 2 * log_likelihood, rel=QUADRATURE)
    assert result.law == pytest.approx(tuple(fit_by_simplex(CELLS)), rel=1e-5)


def test_a_fit_as_a_dictionary_has_its_numbers_and_none_for_what_is_not_finite():
    result = fit(PASSED, ROLLOUTS, zpd=0.1)
    data = json.loads(json.dumps(result.to_dict(level=0.8), allow_nan=False))
    inside = [(s, K) for s, K in zip(PASSED, ROLLOUTS, strict=True) if 0.1 <= s / K <= 0.9]
    assert (data["num_problems"], data["num_used"], data["zpd"]) == (len(PASSED), len(inside), 0.1)
    assert data["law"] == [data["alpha"] + 1, data["beta"] + 1] == [*result.law]
    assert (data["method"], data["success"], data["aic"]) == ("mle", True, 4 + 2 * data["nllf"])
    assert data["cov"] == result.cov.tolist()
    profile = result.conf_int(0.8, "profile")
    assert data["conf_int"]["level"] == 0.8
    for name, interval in zip(("alpha", "beta"), profile, strict=True):
        assert data["conf_int"][name] == [end if np.isfinite(end) else None for end in interval]
    without = fit([4, 4, 4], 8).to_dict()
    assert (without["alpha"], without["law"], without["success"]) == (None, [None, None], False)
    assert without["message"]
