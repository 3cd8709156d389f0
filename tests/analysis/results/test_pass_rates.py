"""Histogram and weight tables add up, keep empty classes and carry Wilson intervals."""

from __future__ import annotations

import pytest

from paced.analysis.results.pass_rates import histogram_table, weight_table
from paced.records import PassRate, ProblemWeight


def rate(problem_id, passed, rollouts=8, **extra):
    return PassRate(problem_id=problem_id, num_passed=passed, num_rollouts=rollouts, **extra)


def test_the_histogram_keeps_empty_classes_and_adds_up():
    table = histogram_table([rate("a", 0), rate("b", 0), rate("c", 8), rate("d", 0, 0, num_ungradable=8)])
    assert table["pass_rate_estimate"] == [k / 8 for k in range(9)]
    assert table["num_problems"] == [2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert sum(table["share"]) == pytest.approx(1.0)
    bounds = zip(table["share_low"], table["share"], table["share_high"], strict=True)
    assert all(low <= share <= high for low, share, high in bounds)


def test_rollout_numbers_that_differ_give_the_values_that_occur():
    table = histogram_table([rate("a", 1, 4), rate("b", 2, 8), rate("c", 1, 3)])
    assert table["pass_rate_estimate"] == [0.25, 1 / 3]
    assert table["num_problems"] == [2, 1]


def test_shares_of_problems_and_of_weight_both_add_up():
    rates = [rate("a", 0), rate("b", 4), rate("c", 4), rate("d", 8)]
    weights = [
        ProblemWeight(problem_id=name, weight=w, unit_mean_weight=w)
        for name, w in zip("abcd", (0.0, 2.0, 2.0, 0.0), strict=True)
    ]
    table = weight_table(rates, weights)
    assert table["share_of_problems"] == [0.25, 0.5, 0.25]
    assert table["share_of_weight"] == [0.0, 1.0, 0.0]
