"""Difficulty and subject come from the columns of the problem file, for each problem that was read."""

from __future__ import annotations

import json

import pytest

from paced.problems.files import read_problems
from paced.problems.labels import ProblemLabels, read_labels


def test_labels_follow_the_problems_through_repeated_rows(tmp_path):
    rows = [
        {"problem": "1+1", "answer": "2", "level": 1, "subject": "Sums"},
        {"problem": "1+1", "answer": "2", "level": 9, "subject": "a repeated row"},
        {"problem": "2+2", "answer": "4", "level": None, "subject": "Other"},
        {"problem": "3+3", "answer": "6", "level": ["3", "4"], "subject": " "},
    ]
    path = tmp_path / "math.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = read_problems(path)
    labels = read_labels(file)
    assert [(row.level, row.subject) for row in labels] == [("1", "Sums"), ("", "Other"), ("3, 4", "")]
    assert [row.problem_id for row in labels] == [problem.problem_id for problem in file.problems]


@pytest.mark.parametrize("level", ["3", "Level 3"])
def test_cells_of_csv_are_labels_and_the_word_level_is_none(tmp_path, level):
    path = tmp_path / "math.csv"
    path.write_text(f"problem_id,problem,answer,level\na,1+1,2,{level}\n")
    assert read_labels(read_problems(path)) == [ProblemLabels(problem_id="a", level="3")]


def test_a_file_without_such_columns_has_no_labels(tmp_path):
    path = tmp_path / "plain.jsonl"
    path.write_text('{"problem": "1+1", "answer": "2", "source": "x"}\n')
    assert read_labels(read_problems(path)) == []
