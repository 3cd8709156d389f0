"""Each answer type compares by its own rule; the type is guessed from the gold answer; a user's own is a function."""

from __future__ import annotations

import pytest

from paced.errors import ConfigError
from paced.grading import register
from paced.grading.choice import compare_choice
from paced.grading.compare import Comparison, compare_exact
from paced.grading.comparisons import COMPARISONS, answer_types, comparison_of
from paced.grading.extract import THINKING, last_boxes, other_boxes
from paced.grading.grade import grade_all
from paced.grading.guess import answer_type_of
from paced.grading.numeric import compare_numeric
from paced.records import Problem, Rollout
from paced.run.config import GradingConfig
from paced.run.schema import Choice


def verdict(text, answer, answer_type, **settings):
    task = Problem(problem_id="a", problem="?", answer=answer, answer_type=answer_type)
    said = Rollout(problem_id="a", sample_index=0, token_ids=(1,), text=text, finish_reason="stop", seed=1)
    return grade_all([task], [said], GradingConfig(answer_format=Choice("boxed"), **settings))[0].verdict


@pytest.mark.parametrize(
    ("gold", "answer_type"),
    [
        ("73", "integer"), ("073", "integer"), ("-5", "integer"), ("1,024", "integer"), (" 12 ", "integer"),
        ("B", "choice"), ("(C)", "choice"), ("K", "math"), ("x", "math"), ("3.5", "math"), (r"\frac{1}{2}", "math"),
        ("1/2", "math"), ("(1, 2)", "math"), ("[0, 1)", "math"), ("x = 5", "math"), ("5 cm", "math"), (r"50\%", "math"),
        (r"\text{Evelyn}", "math"), ("Evelyn", "exact"), ("no solution", "exact"),
        ("p - q", "math"), ("-x", "math"), ("a-b−c", "math"), ("well-known", "exact"), ("", "exact"),
    ],
)  # fmt: skip
def test_the_type_is_guessed_from_the_text_of_the_gold_answer(gold, answer_type):
    assert answer_type_of(gold) == answer_type


@pytest.mark.parametrize(
    ("gold", "right", "wrong"),
    [
        ("3.14", ["3.14", r"\pi", "3.135", "3.145", "3.1416"], ["3.1", "3.146", "3", "-3.14", "x", "3.14 or 3.15"]),
        (r"3.14 \pm 0.05", ["3.1", "3.19", "3.09"], ["3.2", "3.0"]),
        ("100", ["100", "100.00005", r"\frac{200}{2}"], ["100.1", "99"]),
        (r"2.50\times 10^{3}", ["2500", "2504"], ["2510", "2.5"]),
        ("9.8 m/s", ["9.8", r"9.81\text{ m/s}"], ["9.8 km"]),
        (r"\sqrt{2}", ["1.4142135", r"\sqrt{2}"], ["1.414"]),
    ],
)
def test_numeric_keeps_to_the_tolerance_that_the_gold_answer_states(gold, right, wrong):
    assert [said for said in right if compare_numeric(extracted=said, answer=gold).verdict != "correct"] == []
    assert [said for said in wrong if compare_numeric(extracted=said, answer=gold).verdict != "incorrect"] == []
    assert compare_numeric(extracted="1", answer="about one").verdict == "gold_unparseable"


def test_choice_takes_the_letter_in_any_dress_and_blames_a_gold_answer_that_is_no_letter():
    assert [one for one in ("B", "(B)", "b)", "B. 12", r"\text{B}") if choice(one) != "correct"] == []
    assert [one for one in ("C", "A or B", "B or C", "12", "AB", "") if choice(one) != "incorrect"] == []
    assert compare_choice(extracted="B", answer="twelve").verdict == "gold_unparseable"


def choice(said):
    return compare_choice(extracted=said, answer="B").verdict


@pytest.mark.parametrize("gold", [r"\frac{1}{", "$$", r"\text{}", r"\boxed{", " "])
def test_a_gold_answer_in_broken_latex_blames_the_grader_in_exact_and_in_math(gold):
    assert compare_exact(extracted="5", answer=gold).verdict == "gold_unparseable"
    assert verdict("\\boxed{5}", gold, "math") == "gold_unparseable"


def test_a_users_own_comparison_grades_and_its_exception_is_an_error_of_the_grader():
    def shorter(*, extracted, answer):
        if extracted == "0":
            raise ZeroDivisionError("nothing")
        return Comparison(verdict="correct" if len(extracted) <= len(answer) else "incorrect", reason="By length.")

    register("shorter", shorter)
    assert "shorter" in answer_types()
    assert [verdict(text, "abc", "shorter") for text in ("\\boxed{ab}", "\\boxed{abcd}", "\\boxed{0}")] == [
        "correct",
        "incorrect",
        "grader_error",
    ]


@pytest.mark.parametrize("name", ["math", "os.system", "Big", "../x", ""])
def test_a_name_that_is_taken_or_is_a_path_is_not_registered(name):
    with pytest.raises(ConfigError, match="register: name must be small letters"):
        register(name, COMPARISONS["exact"])


def test_an_answer_type_that_there_is_not_is_refused_by_name():
    with pytest.raises(ConfigError, match="answer_type must be one of exact, integer, choice, math, numeric.*'mth'"):
        comparison_of("mth")


def test_the_policy_on_thinking_is_a_setting():
    text = "<think>\\boxed{5}</think>\\boxed{6}"
    assert [verdict(text, "6", "integer", thinking=one) for one in THINKING] == ["correct", "correct", "correct"]
    assert verdict("\\boxed{6}", "6", "integer", thinking="require") == "no_answer"
    assert verdict("<think>\\boxed{6}", "6", "integer", thinking="strip") == "no_answer"
    assert verdict("<think>\\boxed{6}", "6", "integer", thinking="keep") == "correct"


def test_the_policy_on_several_boxes_is_a_setting():
    text = r"\boxed{\frac12} or rather \boxed{3}"
    assert [*other_boxes(text), *last_boxes(text)] == [r"\frac12", "3"]
    assert verdict(text, "3", "integer") == "correct"
    assert verdict(text, "3", "integer", several_boxes="must_agree") == "no_answer"
    assert verdict(r"\boxed{3}, \boxed{3}", "3", "integer", several_boxes="must_agree") == "correct"
