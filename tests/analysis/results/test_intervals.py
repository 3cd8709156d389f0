"""Intervals are clustered by problem, paired, honest about degenerate data, and cover at their level."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis.results.intervals import Estimate, accuracies, mean_with_interval, paired_difference
from paced.records import PassRate


def test_the_mean_of_accuracies_is_mean_at_k_and_skips_what_could_not_be_graded():
    rates = [
        PassRate(problem_id="a", num_passed=2, num_rollouts=8),
        PassRate(problem_id="b", num_passed=0, num_rollouts=0, num_ungradable=8),
        PassRate(problem_id="c", num_passed=8, num_rollouts=8),
    ]
    assert accuracies(rates) == {"a": 0.25, "c": 1.0}


def test_the_interval_covers_the_truth_at_about_its_level():
    rng = np.random.default_rng(7)
    covered = 0
    for trial in range(200):
        values = rng.binomial(8, rng.beta(0.6, 0.6, size=60)) / 8
        interval = mean_with_interval(values, seed=trial)
        covered += interval.low <= 0.5 <= interval.high
    # Binomial(200, 0.95) lies in [180, 198] with probability 0.998; BCa under-covers slightly at 60 problems.
    assert 178 <= covered <= 199


def test_treating_samples_as_independent_would_be_too_narrow():
    rng = np.random.default_rng(0)
    skill = rng.beta(0.3, 0.3, size=200)
    passed = rng.binomial(8, skill)
    clustered = mean_with_interval(passed / 8)
    pooled = passed.sum() / 1600
    naive = 2 * 1.96 * np.sqrt(pooled * (1 - pooled) / 1600)
    assert clustered.high - clustered.low > 2 * naive


def test_pairing_removes_the_spread_between_problems():
    rng = np.random.default_rng(1)
    before = {str(k): value for k, value in enumerate(rng.uniform(size=300))}
    after = {key: min(1.0, value + 0.05) for key, value in before.items()}
    paired = paired_difference(after, before)
    alone = mean_with_interval(list(after.values()))
    assert paired.high - paired.low < (alone.high - alone.low) / 5
    assert paired.excludes_zero()


def test_only_shared_problems_are_compared():
    assert paired_difference({"a": 1.0, "x": 0.0}, {"a": 0.5, "y": 1.0}).num_problems == 1
    with pytest.raises(ValueError, match="share problems"):
        paired_difference({"a": 1.0}, {"b": 1.0})


def test_equal_values_and_a_single_problem_have_no_width():
    assert mean_with_interval([0.5, 0.5]) == Estimate(value=0.5, low=0.5, high=0.5, num_problems=2)
    assert mean_with_interval([0.25]).num_problems == 1


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, 1.0]])
def test_nothing_to_average_is_an_error(values):
    with pytest.raises(ValueError, match="at least one finite number"):
        mean_with_interval(values)


def test_the_same_data_give_the_same_interval():
    values = np.random.default_rng(3).uniform(size=50)
    assert mean_with_interval(values) == mean_with_interval(values)
