"""pass@k against enumeration of all draws, maj@k against the vote counted by hand, and what each leaves out."""

from __future__ import annotations

from itertools import combinations

import pytest

from paced.analysis.results.at_k import at_k, maj_at_k, pass_at_k
from paced.records import Grade, PassRate


@pytest.mark.parametrize("num_samples", range(1, 8))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_sample(num_samples):
    for passed in range(num_samples + 1):
        samples = [index < passed for index in range(num_samples)]
        for k in range(1, num_samples + 1):
            draws = [any(draw) for draw in combinations(samples, k)]
            assert pass_at_k(passed, num_samples, k) == pytest.approx(sum(draws) / len(draws))


def test_pass_at_1_is_mean_at_k():
    rates = [PassRate(problem_id=str(s), num_passed=s, num_rollouts=8) for s in range(9)]
    assert at_k(rates)["mean@8"].value == pytest.approx(sum(pass_at_k(s, 8, 1) for s in range(9)) / 9)


def test_pass_at_k_of_thousands_of_samples_is_exact():
    assert pass_at_k(1, 4000, 1000) == pytest.approx(0.25)


@pytest.mark.parametrize(("passed", "num_samples", "k"), [(1, 8, 9), (1, 8, 0), (9, 8, 1), (-1, 8, 1)])
def test_pass_at_k_beyond_the_samples_is_refused(passed, num_samples, k):
    with pytest.raises(ValueError, match="needs 1 <= k <= num_samples"):
        pass_at_k(passed, num_samples, k)


@pytest.mark.parametrize(
    ("votes", "value"),
    [
        ("cc2", 1.0),
        ("c22", 0.0),
        ("c2", 1 / 2),
        ("c23", 1 / 3),
        ("cc2233", 1 / 3),
        ("cc22334", 1 / 3),
        ("22", 0.0),
        ("tt", 0.0),
        ("ctttt", 1.0),
        ("cnnn", 1.0),
        ("c22u", 0.0),
    ],
)
def test_maj_at_k_is_the_vote_with_ties_at_their_expected_value(votes, value):
    """c is a right answer; a digit that wrong answer; t was cut, n has no answer, u could not be graded."""
    assert maj_at_k(graded("a", votes)) == pytest.approx(value)


def test_spellings_of_one_wrong_answer_vote_together():
    wrong = [("incorrect", "\\frac{1}{2}"), ("incorrect", "\\dfrac{1}{2}"), ("correct", "3")]
    grades = [
        Grade(problem_id="a", sample_index=index, verdict=verdict, extracted=text, reason="")
        for index, (verdict, text) in enumerate(wrong)
    ]
    assert maj_at_k(grades) == 0.0


def test_a_problem_with_fewer_gradable_samples_leaves_only_the_metrics_that_need_more():
    rates = [
        PassRate(problem_id="a", num_passed=2, num_rollouts=4),
        PassRate(problem_id="b", num_passed=1, num_rollouts=3, num_ungradable=1),
        PassRate(problem_id="c", num_passed=0, num_rollouts=0, num_ungradable=4),
    ]
    metrics = at_k(rates, [*graded("a", "cc23"), *graded("b", "c23u"), *graded("c", "uuuu")])
    assert {name: estimate.num_problems for name, estimate in metrics.items()} == {
        "mean@4": 2, "pass@2": 2, "pass@4": 1, "maj@4": 2,
    }  # fmt: skip
    assert metrics["maj@4"].value == pytest.approx((1 + 1 / 3) / 2)


def test_one_sample_of_each_problem_has_a_mean_and_nothing_else():
    assert list(at_k([PassRate(problem_id="a", num_passed=1, num_rollouts=1)], graded("a", "c"))) == ["mean@1"]


def graded(problem_id, votes):
    verdicts = {"c": "correct", "t": "truncated", "n": "no_answer", "u": "grader_error"}
    return [
        Grade(
            problem_id=problem_id,
            sample_index=index,
            verdict=verdicts.get(vote, "incorrect"),
            extracted=vote if vote.isdigit() else "",
            reason="",
        )
        for index, vote in enumerate(votes)
    ]
