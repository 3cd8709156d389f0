"""Grades of many completions are those of all at once, and anything else than the problems' own samples is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.grading import stream
from paced.grading.grade import count_passes, grade_all
from paced.grading.stream import grade_stream
from paced.records import Grade, Problem, Rollout
from paced.run.config import GradingConfig
from paced.run.storage import read_records

PROBLEMS = [Problem(problem_id=f"q{i}", problem="?", answer=str(i % 3)) for i in range(7)]


def said(problem_id, index, text="0", finish_reason="stop"):
    return Rollout(
        problem_id=problem_id, sample_index=index, token_ids=(7,), text=text, finish_reason=finish_reason, seed=1
    )


@given(
    order=st.permutations(PROBLEMS),
    texts=st.lists(st.lists(st.sampled_from(["0", "1", "2", "", "x"]), min_size=1, max_size=3), min_size=7, max_size=7),
    at_once=st.integers(1, 8),
)
def test_grades_and_counts_are_those_of_all_at_once_whatever_is_graded_together(
    tmp_path_factory, order, texts, at_once
):
    rollouts = [
        said(problem.problem_id, index, text, "length" if text == "x" else "stop")
        for problem, of_problem in zip(order, texts, strict=True)
        for index, text in enumerate(of_problem)
    ]
    file = tmp_path_factory.mktemp("stream") / "grades.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "PROBLEMS_AT_ONCE", at_once)
        graded = grade_stream(PROBLEMS, iter(rollouts), GradingConfig(), file=file)
    expected = grade_all(PROBLEMS, rollouts, GradingConfig())
    assert read_records(file, Grade) == expected
    assert list(graded.rates) == count_passes(PROBLEMS, expected)
    assert sum(graded.verdicts.values()) == len(expected)


@pytest.mark.parametrize("at_once", [1, 100])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["q0", "q1", "q0"], "must be behind each other, got 'q0' twice"),
        (["q0", "q2"], r"1 of 3 problems have no rollout \('q1'\)"),
        (["q0", "q1", "q2", "q9"], r"1 problem id is unknown \('q9'\)"),
    ],
)
def test_other_rollouts_than_those_of_the_problems_are_refused_and_no_file_is_left(
    tmp_path, monkeypatch, at_once, names, words
):
    monkeypatch.setattr(stream, "PROBLEMS_AT_ONCE", at_once)
    rollouts = [said(name, index) for index, name in enumerate(names)]
    with pytest.raises(ValueError, match=words):
        grade_stream(PROBLEMS[:3], rollouts, GradingConfig(), file=tmp_path / "grades.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_sample_that_comes_twice_is_refused():
    with pytest.raises(ValueError, match=r"1 sample is there twice \(\('q0', 0\)\)"):
        grade_stream(PROBLEMS[:1], [said("q0", 0), said("q0", 0)], GradingConfig())
