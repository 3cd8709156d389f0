"""A reference that speaks of its instruction, was cut, has no answer or a wrong one is flagged; a good one is not."""

from __future__ import annotations

import pytest

from paced.grading.references import FLAGS, flags_of, leak_in, own_words
from paced.records import Grade, Problem, Rollout

SUM = Problem(problem_id="a", problem="What is 2 + 2?", answer="4")
TEACHER = (
    "{problem}\n\nHere is a solution:\n{solution}\n\nNow solve it in your own words. Put your answer in \\boxed{}."
)
STUDENT = "{problem}\n\nPut your answer in \\boxed{}."


def reference(text, *, finish="stop", tokens=3):
    return Rollout(problem_id="a", sample_index=0, token_ids=(5,) * tokens, text=text, finish_reason=finish, seed=0)


def grade(verdict):
    return Grade(problem_id="a", sample_index=0, verdict=verdict, extracted="", reason="")


@pytest.mark.parametrize(
    "text",
    [
        "As the provided solution shows, 4.",
        "The given solution adds the two.",
        "Following the reference solution, we add.",
        "This matches the expert solution.",
        "The solution provided adds both.",
        "According to the solution, the answer is 4.",
        "as shown in the solution",
        "Using the hint provided above, 4.",
        "Your provided answer is right.",
        "根据提供的解答，答案是4。",
        "参考答案是4。",
        "I will now solve it in your own words: 4.",
        "THE PROVIDED\n  SOLUTION is short.",
    ],
)
def test_words_of_the_instruction_are_a_leak(text):
    assert leak_in(SUM, text, own_words(TEACHER, [STUDENT]))


@pytest.mark.parametrize(
    "text",
    [
        "Adding gives 4, so the solution is 4.",
        "The solution set is {4}.",
        "We look for solutions of x + 2 = 4.",
        "The given answer choices are 3 and 4.",
        "Put your answer in \\boxed{}: \\boxed{4}",
        "The provided triangle has the given angle.",
        "A solution of the given equation is 4.",
        "这个方程的解是4。",
        "",
    ],
)
def test_a_solution_that_speaks_of_solutions_is_no_leak(text):
    assert leak_in(SUM, text, own_words(TEACHER, [STUDENT])) == ""


def test_the_problems_own_words_are_nobodys_leak():
    salt = Problem(problem_id="a", problem="The given solution holds 3 % salt. How much?", answer="3")
    assert leak_in(salt, "The given solution holds 3 g.") == ""
    assert leak_in(salt, "The given solution holds 3 g, says the expert solution.") == "the expert solution"


def test_an_echo_needs_six_words_that_the_student_is_not_told():
    assert own_words(STUDENT, [STUDENT]) == ()
    assert own_words("{problem} Be brief now.", [""]) == ()
    assert "now solve it in your own" in own_words(TEACHER, [STUDENT])


@pytest.mark.parametrize(
    ("verdict", "finish", "tokens", "flags"),
    [
        ("correct", "stop", 3, ()),
        ("incorrect", "stop", 3, ("wrong",)),
        ("no_answer", "stop", 3, ("no answer",)),
        ("truncated", "length", 3, ("truncated",)),
        ("correct", "length", 3, ("truncated",)),
        ("correct", "stop", 9, ("too long",)),
        ("grader_timeout", "stop", 3, ()),
        ("grader_error", "stop", 3, ()),
        ("gold_unparseable", "stop", 3, ()),
    ],
)
def test_flags_follow_the_verdict_and_the_length_and_never_a_fault_of_the_grader(verdict, finish, tokens, flags):
    assert flags_of(SUM, reference("4", finish=finish, tokens=tokens), grade(verdict), max_tokens=8) == (flags, "")
    assert set(flags) <= set(FLAGS)
