"""A problem file is read whole or refused with every unusable row named."""

from __future__ import annotations

import json

import pytest

from paced.errors import BadRows, ConfigError
from paced.problems.files import problem_id_of, read_problems
from paced.records import Problem
from paced.run.storage import write_parquet


def write(tmp_path, *lines, name="p.jsonl"):
    file = tmp_path / name
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return file


def test_problem_and_answer_are_enough(tmp_path):
    (problem,) = read_problems(write(tmp_path, {"problem": "2+2", "answer": 4})).problems
    assert (problem.answer, problem.answer_type) == ("4", "integer")
    assert problem.problem_id == problem_id_of("2+2")


def test_all_bad_rows_are_named_at_once(tmp_path):
    file = write(
        tmp_path,
        {"problem": "ok", "answer": "1"},
        "not json",
        {"problem": "", "answer": "1"},
        {"problem": "x"},
        {"problem": "y", "answer": ["1"]},
        {"problem": "z", "answer": "one", "answer_type": "integer"},
        {"problem": "u", "answer": "1", "answer_type": "float"},
        [1, 2],
    )
    with pytest.raises(BadRows, match="7 rows cannot be used") as caught:
        read_problems(file)
    assert [row.row for row in caught.value.rows] == [2, 3, 4, 5, 6, 7, 8]


def test_a_misnamed_column_is_named_and_not_guessed(tmp_path):
    file = write(tmp_path, {"question": "2+2", "answer": "4"}, {"question": "2+3", "answer": "5"})
    with pytest.raises(BadRows, match="There is no 'problem': did you mean that\\?") as caught:
        read_problems(file)
    assert len(caught.value.rows) == 1


def test_other_columns_are_passed_over_and_said(tmp_path):
    file = read_problems(write(tmp_path, {"problem": "2+2", "answer": "4", "level": 3}))
    assert file.notes == ("p.jsonl: columns not used: level.",)


def test_the_same_problem_with_two_answers_is_an_error(tmp_path):
    with pytest.raises(BadRows, match="Row 1 gives the same problem '4'"):
        read_problems(
            write(tmp_path, {"problem": "2+2", "answer": "4"}, {"problem": "2 + 2".replace(" ", ""), "answer": "5"})
        )


def test_repeats_without_ids_are_passed_over_and_counted(tmp_path):
    file = read_problems(write(tmp_path, *[{"problem": "2+2", "answer": "4"}] * 3))
    assert len(file.problems) == 1
    assert file.notes == ("p.jsonl: 2 rows repeat an earlier problem and were passed over.",)


def test_two_rows_with_one_id_are_an_error(tmp_path):
    rows = [{"problem_id": "a", "problem": text, "answer": "1"} for text in ("x", "y")]
    with pytest.raises(BadRows, match="Row 1 has the same id"):
        read_problems(write(tmp_path, *rows))


def test_an_empty_an_absent_and_a_binary_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no problem"):
        read_problems(write(tmp_path, ""))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_problems(tmp_path / "absent.jsonl")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe{")
    with pytest.raises(ConfigError, match="must be UTF-8 text"):
        read_problems(tmp_path / "b.jsonl")
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    with pytest.raises(ConfigError, match="is not a parquet file"):
        read_problems(tmp_path / "b.parquet")


def test_parquet_and_jsonl_give_the_same_problems(tmp_path):
    problems = [Problem(problem_id=f"p{i}", problem=f"{i}+1", answer=str(i + 1), solution="s") for i in range(3)]
    write_parquet(tmp_path / "p.parquet", problems, Problem)
    file = write(tmp_path, *[{k: getattr(p, k) for k in Problem.__slots__} for p in problems])
    assert read_problems(tmp_path / "p.parquet").problems == read_problems(file).problems == tuple(problems)


def test_limit_keeps_the_first_but_checks_every_row(tmp_path):
    rows = [{"problem": f"{i}", "answer": "1"} for i in range(4)]
    assert len(read_problems(write(tmp_path, *rows), limit=2).problems) == 2
    with pytest.raises(BadRows, match="1 row"):
        read_problems(write(tmp_path, *rows, {"problem": "x"}), limit=2)


def test_a_line_separator_inside_a_string_does_not_end_the_row(tmp_path):
    (problem,) = read_problems(write(tmp_path, '{"problem": "a\u2028b", "answer": "1"}')).problems
    assert problem.problem == "a\u2028b"
