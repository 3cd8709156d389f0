"""Every completion gets a verdict with a reason, and a fault of the grader never counts against the student."""

from __future__ import annotations

import pytest

from paced.errors import ConfigError
from paced.grading.compare import MAX_SHOWN
from paced.grading.extract import EXTRACTIONS
from paced.grading.grade import count_passes, grade_rollout
from paced.grading.numerals import parse_integer
from paced.records import Grade, Problem, Rollout


def said(text, *, finish_reason="stop"):
    return Rollout(problem_id="a", sample_index=0, token_ids=(5, 6), text=text, finish_reason=finish_reason, seed=1)


def task(answer, answer_type="exact"):
    return Problem(problem_id="a", problem="?", answer=answer, answer_type=answer_type)


@pytest.mark.parametrize(
    ("answer_format", "text", "answer", "answer_type", "verdict"),
    [
        ("whole", " 617 ", "617", "exact", "correct"),
        ("whole", "0617", "617", "exact", "incorrect"),
        ("whole", "0617", "617", "integer", "correct"),
        ("whole", "", "617", "exact", "no_answer"),
        ("whole", "seventeen", "17", "integer", "incorrect"),
        ("last_number", "7 + 5 = 12.", "12", "integer", "correct"),
        ("last_number", "it is 1,024", "1024", "integer", "correct"),
        ("last_number", "no idea", "12", "integer", "no_answer"),
        ("last_number", "10-5", "-5", "integer", "incorrect"),
        ("last_number", "x = −5", "-5", "integer", "correct"),
        ("first_line", " 12\nQ: 3 + 4\nA: 7", "12", "integer", "correct"),
        ("boxed", r"so \boxed{\frac{1}{2}}", r"\frac{1}{2}", "exact", "correct"),
        ("boxed", r"\boxed{3} no, \boxed{4}", "4", "integer", "correct"),
        ("boxed", r"<think>\boxed{9}</think> hm", "9", "integer", "no_answer"),
        ("boxed", r"\boxed{unclosed", "9", "integer", "no_answer"),
        ("boxed", "**Answer: 34**", "34", "integer", "correct"),
        ("digits", "w6z1x7", "617", "exact", "correct"),
        ("digits", "wzx", "617", "exact", "no_answer"),
    ],
)
def test_the_verdict_follows_from_extraction_and_comparison(answer_format, text, answer, answer_type, verdict):
    grade = grade_rollout(task(answer, answer_type), said(text), answer_format=answer_format)
    assert grade.verdict == verdict
    assert grade.reason.endswith(".")


def test_a_truncated_completion_is_truncated_even_with_the_gold_answer_in_it():
    grade = grade_rollout(task("617"), said("617", finish_reason="length"), answer_format="whole")
    assert (grade.verdict, grade.extracted) == ("truncated", "")


def test_a_gold_answer_that_is_no_integer_blames_the_gold_answer():
    grade = grade_rollout(task("one", "integer"), said("1"), answer_format="whole")
    assert grade.verdict == "gold_unparseable"


def test_an_exception_in_the_grader_is_never_a_wrong_answer(monkeypatch):
    def broken(text):
        raise RecursionError("too deep")

    monkeypatch.setitem(EXTRACTIONS, "whole", broken)
    grade = grade_rollout(task("1"), said("1"), answer_format="whole")
    assert grade.verdict == "grader_error"
    assert "RecursionError: too deep" in grade.reason


def test_an_answer_format_that_there_is_not_is_never_a_grade():
    with pytest.raises(ConfigError, match="grading.answer_format must be one of whole, .* got 'box'"):
        grade_rollout(task("1"), said("1"), answer_format="box")


def test_model_output_is_compared_and_never_evaluated():
    grade = grade_rollout(task("2", "integer"), said("__import__('os').getpid() and 1+1"), answer_format="whole")
    assert grade.verdict == "incorrect"


def test_long_completions_are_searched_at_their_end_in_linear_time():
    text = r"\boxed{" * 50_000 + "7"
    assert grade_rollout(task("7"), said(text), answer_format="boxed").verdict == "no_answer"
    assert len(grade_rollout(task("7"), said("9" * 5000), answer_format="whole").extracted) == MAX_SHOWN


def test_ungradable_rollouts_leave_the_denominator_and_truncated_ones_stay_in_it():
    verdicts = ["correct", "incorrect", "truncated", "grader_error", "gold_unparseable"]
    grades = [
        Grade(problem_id="a", sample_index=index, verdict=verdict, extracted="", reason="")
        for index, verdict in enumerate(verdicts)
    ]
    (rate,) = count_passes([task("1")], grades)
    assert (rate.num_passed, rate.num_rollouts, rate.num_truncated, rate.num_ungradable) == (1, 3, 1, 2)
    assert rate.pass_rate_estimate == 1 / 3


@pytest.mark.parametrize("text", ["0x10", "1_000", "12,34", "½", "", " ", "--3", "1" * 1001])
def test_what_is_not_written_as_an_integer_is_not_read_as_one(text):
    assert parse_integer(text) is None
