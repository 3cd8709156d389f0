"""Intervals are clustered by problem, paired, honest about degenerate data, and cover at their level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from paced.analysis.results.intervals import accuracies, holm, mean_with_interval, paired_difference
from paced.records import PassRate


def test_the_mean_of_accuracies_is_mean_at_k_and_skips_what_could_not_be_graded():
    rates = [
        PassRate(problem_id="a", num_passed=2, num_rollouts=8),
        PassRate(problem_id="b", num_passed=0, num_rollouts=0, num_ungradable=8),
        PassRate(problem_id="c", num_passed=8, num_rollouts=8),
    ]
    assert accuracies(rates) == {"a": 0.25, "c": 1.0}


@pytest.mark.parametrize("num_problems", [5, 15, 30, 500])
@pytest.mark.parametrize("law", [(0.25, 0.75), (0.08, 0.72), (0.85, 0.15)])
def test_the_interval_of_a_mean_covers_the_truth_at_its_level(num_problems, law):
    rng = np.random.default_rng([num_problems, int(100 * law[0])])
    truth = law[0] / sum(law)
    rows = rng.binomial(8, rng.beta(*law, size=(200, num_problems))) / 8
    intervals = [mean_with_interval(row) for row in rows]
    covered = sum(interval.low <= truth <= interval.high for interval in intervals)
    # Binomial(200, 0.93) is at least 173 with probability 0.999; the tables of docs/evaluation.md have 93 % at worst.
    assert covered >= 173


@pytest.mark.parametrize("num_problems", [5, 15, 30, 500])
@pytest.mark.parametrize("law", [(0.25, 0.75), (0.05, 0.45), (0.85, 0.15), (0.99, 0.01)])
def test_equal_students_are_called_different_at_most_at_the_level(num_problems, law):
    rng = np.random.default_rng([num_problems, int(100 * law[0]), 1])
    called = 0
    for skill in rng.beta(*law, size=(200, num_problems)):
        one, two = rng.binomial(8, skill) / 8, rng.binomial(8, skill) / 8
        called += paired_difference(dict(enumerate(one)), dict(enumerate(two))).excludes_zero()
    assert called <= 22  # Binomial(200, 0.05) is at most 22 with probability 0.9998


def test_four_equal_students_against_one_reference_are_a_family_that_holds_its_level():
    rng = np.random.default_rng(5)
    alone = together = 0
    for skill in rng.beta(0.25, 0.75, size=(400, 30)):
        students = [dict(enumerate(rng.binomial(8, skill) / 8)) for _ in range(5)]
        p_values = [paired_difference(students[0], other).p_value for other in students[1:]]
        alone += min(p_values) < 0.05
        together += min(holm(p_values)) < 0.05
    assert together <= 35  # Binomial(400, 0.05) is at most 35 with probability 0.9996
    assert alone > together  # without the correction some difference is seen in about 15 %


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


@pytest.mark.parametrize("num_problems", [1, 5, 30, 500])
def test_a_set_never_solved_or_always_solved_has_the_exact_end(num_problems):
    exact = stats.binomtest(0, num_problems).proportion_ci(0.95, method="exact").high
    never, always = mean_with_interval([0.0] * num_problems), mean_with_interval([1.0] * num_problems)
    assert (never.low, never.high) == (0.0, pytest.approx(exact))
    assert (always.low, always.high) == (pytest.approx(1 - exact), 1.0)


def test_one_sample_of_each_problem_gives_an_interval_not_far_from_the_exact_one():
    exact = stats.binomtest(30, 100).proportion_ci(0.95, method="exact")
    ours = mean_with_interval([1.0] * 30 + [0.0] * 70)
    assert ours.low == pytest.approx(exact.low, abs=0.01)
    assert ours.high == pytest.approx(exact.high, abs=0.01)


def test_a_few_equal_values_are_not_certain():
    pair, alone = mean_with_interval([0.5, 0.5]), mean_with_interval([0.25])
    assert pair.high - pair.low > 0.9
    assert alone.high > 0.9
    assert alone.num_problems == 1


@pytest.mark.parametrize("num_problems", [1, 2, 5, 30])
def test_equal_differences_have_width_and_a_p_value_that_agrees_with_it(num_problems):
    same = {str(k): 0.5 for k in range(num_problems)}
    none = paired_difference(same, same)
    assert none.value == 0.0
    assert none.high == -none.low == pytest.approx(1 - 0.025 ** (1 / num_problems))
    assert none.p_value == 1.0
    flipped = paired_difference(dict.fromkeys(same, 1.0), dict.fromkeys(same, 0.0))
    assert flipped.excludes_zero() == (flipped.p_value < 0.05) == (num_problems > 5)


def test_one_problem_never_tells_two_students_apart():
    assert not paired_difference({"a": 1.0}, {"a": 0.0}).excludes_zero()


def test_rounding_is_not_a_difference_between_differences():
    after, before = {"a": 0.9, "b": 0.1}, {"a": 0.8, "b": 0.0}
    assert after["a"] - before["a"] != after["b"] - before["b"]
    assert paired_difference(after, before).p_value > 0.5


def test_the_paired_interval_is_that_of_the_t_test():
    rng = np.random.default_rng(8)
    after, before = (dict(enumerate(rng.uniform(size=12))) for _ in range(2))
    test = stats.ttest_rel(list(after.values()), list(before.values()))
    estimate = paired_difference(after, before)
    assert estimate.p_value == pytest.approx(test.pvalue)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(test.confidence_interval()))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_what_its_definition_says(p_values):
    ordered = sorted(p_values)
    for p_value, adjusted in zip(p_values, holm(p_values), strict=True):
        steps = [(len(ordered) - rank) * step for rank, step in enumerate(ordered) if step <= p_value]
        assert adjusted == pytest.approx(min(1.0, max(steps)))


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, 1.0], [-0.1], [1.5]])
def test_nothing_to_average_is_an_error(values):
    with pytest.raises(ValueError, match="at least one finite number"):
        mean_with_interval(values)
