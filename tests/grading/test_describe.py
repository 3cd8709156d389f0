"""What is said of two gradings of the same rollouts."""

from __future__ import annotations

from paced.grading.describe import describe_changes
from paced.records import Grade


def grades(**verdicts):
    return [
        Grade(problem_id=name, sample_index=0, verdict=verdict, extracted="", reason="")
        for name, verdict in verdicts.items()
    ]


def test_rollouts_that_only_the_new_grading_has_are_not_counted():
    before, after = grades(a="correct", c="incorrect"), grades(a="incorrect", b="correct", c="incorrect")
    assert describe_changes(before, after) == "1 of 2 verdicts changed (1 correct -> incorrect)"


def test_grades_of_rollouts_that_are_gone_are_named_and_not_passed_over():
    text = describe_changes(grades(a="correct", b="correct", c="correct"), grades(a="correct", c="incorrect"))
    assert text == "0 of 1 verdicts changed; the earlier grades from 'b' on are of other rollouts"
