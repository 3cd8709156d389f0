"""One way from completions to grades: the same verdicts for every caller, and one error for misfits."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from paced.grading.grade import grade_all, grade_rollout
from paced.records import Problem, Rollout
from paced.run.config import GradingConfig
from paced.run.schema import Choice

TASKS = [Problem(problem_id=name, problem="?", answer="12", answer_type="integer") for name in "abcde"]
LAST_NUMBER = GradingConfig(answer_format=Choice("last_number"))


def said(problem_id, text="12", sample_index=0):
    return Rollout(
        problem_id=problem_id, sample_index=sample_index, token_ids=(5,), text=text, finish_reason="stop", seed=1
    )


def test_grades_come_in_the_order_of_the_rollouts_with_the_recipes_answer_format():
    texts = {"e": "12", "d": "1", "c": "", "b": "12.", "a": "x = 12"}
    rollouts = [said(name, text, index) for index in range(2) for name, text in texts.items()]
    task_of = {task.problem_id: task for task in TASKS}
    one_by_one = [grade_rollout(task_of[one.problem_id], one, answer_format="last_number") for one in rollouts]
    assert grade_all(TASKS, rollouts, LAST_NUMBER) == one_by_one
    assert [grade.verdict for grade in one_by_one[:5]] == ["correct", "incorrect", "no_answer", "correct", "correct"]


def test_all_misfits_are_one_error_that_names_them():
    rollouts = [said("a"), said("a"), said("x"), said("b")]
    with pytest.raises(
        ValueError,
        match=r"3 problems have no rollout \('c', 'd', 'e'\); 1 problem id is unknown \('x'\); "
        r"1 sample is there twice \(\('a', 0\)\)",
    ):
        grade_all(TASKS, rollouts, LAST_NUMBER)


def test_many_misfits_are_counted_and_three_are_named():
    with pytest.raises(ValueError, match=r"5 problems have no rollout \('a', 'b', 'c', \.\.\.\)"):
        grade_all(TASKS, [], LAST_NUMBER)


def test_no_other_file_of_the_package_grades_rollouts_on_its_own():
    root = Path(__file__).parents[2] / "paced"
    users = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.alias) and getattr(node, "name", getattr(node, "id", "")) == "judge"
    }
    assert users == {"grading/grade.py"}
