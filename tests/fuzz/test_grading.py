"""Any completion gets a verdict with a reason: no exception, no hang, nothing runs, a bomb takes one pair with it."""

from __future__ import annotations

from typing import get_args

import pytest
from fuzzing import BOMBS, PAYLOADS, fuzzed, texts, watched
from hypothesis import strategies as st

from paced.grading.comparisons import COMPARISONS
from paced.grading.extract import EXTRACTIONS, THINKING, last_boxes, other_boxes
from paced.grading.grade import grade_all
from paced.grading.guess import answer_type_of
from paced.grading.ladder import judge
from paced.records import Problem, Rollout, Verdict
from paced.run.config import GradingConfig
from paced.run.schema import Choice

DRESS = [
    "{}",
    "\\boxed{{{}}}",
    "\\boxed{{{}",
    "Answer: {}",
    "**Answer:** ${}$",
    "#### {}",
    "<think>{}</think>{}",
    "</think>{}",
    "答案：{}",
]
MATHS = [
    "\\frac{1}{2}",
    "\\sqrt{2}",
    "(1,2]",
    "\\{1,2\\}",
    "10\\%",
    "90^\\circ",
    "\\$5",
    "3\\frac{1}{2}",
    "x=5",
    "1,000",
    "1.0e3",
    "4210_5",
    "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}",
    "2\\pi i",
    "\\pm 3",
    "12:30",
    "(A)",
    "A",
    "5 \\text{ cm}",
    "\\infty",
    "-",
    "^",
    "_",
    "{",
    "}",
    "\\\\",
    "\\left(",
    "\\right)",
    "\\frac",
    "\\text{a}",
    "\\cdot",
    "!",
    "=",
    "<",
    ",",
    ";",
    "|",
    "&",
    "0.333\\ldots",
    "a^2+b",
]
answers = st.one_of(
    texts, st.lists(st.sampled_from(MATHS), max_size=6).map("".join), st.sampled_from(BOMBS), st.sampled_from(PAYLOADS)
)
completions = st.one_of(
    answers, st.builds(lambda dress, one, two: dress.format(one, two), st.sampled_from(DRESS), answers, answers)
)
VERDICTS = set(get_args(Verdict))


def rollout(text, index=0, problem_id="a"):
    return Rollout(problem_id=problem_id, sample_index=index, token_ids=(1,), text=text, finish_reason="stop", seed=0)


@fuzzed(st.sampled_from(sorted(EXTRACTIONS)), st.sampled_from(sorted(THINKING)), completions)
def test_any_completion_is_searched_for_its_answer(name, thinking, text):
    with watched():
        thought = THINKING[thinking](text)
        found = EXTRACTIONS[name](text)
        assert found is None or isinstance(found, str)
        assert thought is None or isinstance(thought, str)
        assert all(isinstance(box, str) for box in (*other_boxes(text), *last_boxes(text)))


@fuzzed(st.sampled_from(sorted(COMPARISONS)), answers, answers)
def test_any_two_texts_are_compared_or_handed_to_a_worker(kind, answer, extracted):
    with watched():
        outcome = COMPARISONS[kind](extracted=extracted, answer=answer)
        assert getattr(outcome, "verdict", "") in VERDICTS or type(outcome).__name__ == "Undecided"


@pytest.mark.parametrize("kind", sorted(COMPARISONS))
def test_every_bomb_is_judged_or_handed_to_a_worker_as_gold_and_as_answer(kind):
    """All of them: a gold of 3,000 empty braces once passed for the empty set, and no cap was asked."""
    with watched():
        for bomb in BOMBS:
            for answer, extracted in ((bomb, "1"), ("1", bomb), (bomb, f"{bomb} ")):
                outcome = COMPARISONS[kind](extracted=extracted, answer=answer)
                assert getattr(outcome, "verdict", "") in VERDICTS or type(outcome).__name__ == "Undecided"


@fuzzed(answers, completions, st.sampled_from(sorted(EXTRACTIONS)), st.sampled_from(["", *sorted(COMPARISONS)]))
def test_any_completion_gets_an_outcome_that_is_no_fault_of_the_grader(answer, text, name, kind):
    with watched():
        problem = Problem(problem_id="a", problem="q", answer=answer, answer_type=kind or answer_type_of(answer))
        outcome = judge(problem, rollout(text), GradingConfig(answer_format=Choice(name))).outcome
        assert getattr(outcome, "verdict", "incorrect") in VERDICTS
        assert getattr(outcome, "verdict", "") != "grader_error", outcome


@pytest.mark.slow
def test_bombs_and_payloads_leave_the_rest_of_the_file_graded():
    problems = [
        Problem(problem_id=str(number), problem="q", answer=gold, answer_type="math")
        for number, gold in enumerate(["\\frac{1}{2}", "4"])
    ]
    hostile = [f"\\boxed{{{text}}}" for text in (*BOMBS, *PAYLOADS)]
    rollouts = [
        rollout(text, index, problem.problem_id)
        for problem in problems
        for index, text in enumerate([*hostile, f"\\boxed{{{problem.answer}}}"])
    ]
    with watched(workers=True):
        grades = grade_all(problems, rollouts, GradingConfig(answer_format=Choice("boxed")))
    last = [grade.verdict for grade in grades if grade.sample_index == len(hostile)]
    assert last == ["correct"] * len(problems)
    assert not any(grade.verdict == "correct" for grade in grades if grade.sample_index < len(hostile))


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_a_payload_as_gold_or_as_answer_runs_nowhere(payload):
    problem = Problem(problem_id="a", problem="q", answer=payload, answer_type="math")
    with watched(workers=True):
        grade_all([problem], [rollout(f"\\boxed{{{payload}}}")], GradingConfig(answer_format=Choice("boxed")))
