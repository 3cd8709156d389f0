"""No row is lost: rows in are problems, repeats and bad rows, in every format, whatever the rows hold."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems.public_sets import SETS

from paced.errors import BadRows, ConfigError
from paced.pipeline.training_file import read_training_file, write_reading
from paced.problems.files import read_problems
from paced.run.config import GradingConfig, ProblemsConfig
from paced.run.schema import Choice

CELLS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    st.sampled_from(["1", "2", " 1 ", "01", "nan", "\\boxed{3}", "#### 4", "a\n#### 5", "\x00", "{", "[1]", ""]),
    st.integers(-3, 3),
    st.floats(),
    st.booleans(),
    st.lists(st.sampled_from(["1", "2"]), max_size=2),
    st.dictionaries(
        st.sampled_from(["role", "content", "ground_truth"]), st.sampled_from(["user", "1", None]), max_size=3
    ),
)
NAMES = st.sampled_from(["problem", "question", "prompt", "messages", "answer", "solution", "choices", "reward_model"])
ROWS = st.lists(st.dictionaries(NAMES, CELLS, min_size=1, max_size=4), min_size=1, max_size=12)
ALIKE = st.lists(
    st.fixed_dictionaries(
        {"problem": st.sampled_from(["a", "b", " a ", "", None]), "answer": st.sampled_from(["1", "2", "01", "", None])}
    ),
    min_size=1,
    max_size=12,
)


def attempt(path, adapter, on_bad_row):
    """(the set, None), or (None, why it was refused)."""
    try:
        return read_problems(path, adapter=adapter, on_bad_row=on_bad_row), None
    except (BadRows, ConfigError) as error:
        return None, error


def balances(path: Path, num_rows: int, adapter: str = "auto") -> None:
    """The set is read with every row accounted for, or refused for a reason that concerns the whole file."""
    file, refusal = attempt(path, adapter, "quarantine")
    if file is None:
        assert refusal.rows if isinstance(refusal, BadRows) else str(path) in str(refusal) or adapter in str(refusal)
        return
    assert file.num_rows == num_rows
    assert len(file.problems) + file.num_repeated + len(file.quarantined) == num_rows
    places = [(one.faults[0].file, one.row) for one in file.quarantined]
    assert len(set(places)) == len(places)
    assert not {row for _, row in places} & set(file.rows)
    assert all(fault.fix and fault.found and fault.column for one in file.quarantined for fault in one.faults)
    assert len({problem.problem_id for problem in file.problems}) == len(file.problems)
    strict, refusal = attempt(path, adapter, "error")
    if strict is not None:
        assert not file.quarantined
    elif not file.quarantined:
        assert isinstance(refusal, BadRows)
        assert all("did you mean" in fault.fix for fault in refusal.rows)


@given(st.one_of(ROWS, ALIKE))
def test_rows_of_json_lines_balance(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        balances(path, len(rows))


@given(ALIKE)
def test_rows_of_csv_and_parquet_balance(rows):
    with tempfile.TemporaryDirectory() as folder:
        table, text = Path(folder) / "a.parquet", Path(folder) / "a.csv"
        schema = pa.schema({"problem": pa.string(), "answer": pa.string()})
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), table)
        balances(table, len(rows))
        with text.open("w", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(["problem", "answer"])
            writer.writerows([row["problem"] or "", row["answer"] or ""] for row in rows)
        balances(text, sum(bool((row["problem"] or "").strip() or (row["answer"] or "").strip()) for row in rows))


@pytest.mark.parametrize("name", SETS)
@given(data=st.data())
def test_a_public_set_with_damaged_cells_balances(name, data):
    rows = [dict(row) for row in SETS[name].rows[:4]]
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.sampled_from(list(row)))] = data.draw(CELLS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        balances(path, len(rows), SETS[name].adapter)


def test_lines_that_are_not_rows_are_counted_too(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"problem": "a", "answer": "1"}\nnot json\n[1]\n{"problem": "b", "answer": "2", "answer": "3"}\n')
    file = read_problems(path, on_bad_row="quarantine")
    assert (file.num_rows, len(file.problems), [one.row for one in file.quarantined]) == (4, 1, [2, 3, 4])


def test_a_problem_with_two_golds_is_put_aside_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    golds = [("a", "1"), ("b", "5"), ("a", "1"), ("a", "2"), ("a", "01")]
    path.write_text("".join(json.dumps({"question": text, "answer": gold}) + "\n" for text, gold in golds))
    file = read_problems(path, on_bad_row="quarantine")
    assert [problem.problem for problem in file.problems] == ["b"]
    assert [one.row for one in file.quarantined] == [1, 3, 4, 5]
    with pytest.raises(BadRows, match="row 4, column 'answer': found '2'. Row 1 gives the same problem '1'"):
        read_problems(path)


def test_a_zero_padded_gold_is_the_same_gold(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "a", "answer": "073"}\n{"question": "a", "answer": "73"}\n')
    assert len(read_problems(path).problems) == 1


def test_a_bad_row_that_comes_a_hundred_times_is_a_hundred_bad_rows(tmp_path):
    rows = [{"question": "a", "answer": "1"}, {"question": "b", "answer": None}] * 100
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    file = read_problems(tmp_path / "a.parquet", on_bad_row="quarantine")
    assert (len(file.problems), file.num_repeated, len(file.quarantined)) == (1, 99, 100)
    assert [one.row for one in file.quarantined] == list(range(2, 201, 2))


def test_what_was_put_aside_is_written_with_its_reason_and_its_cells(tmp_path):
    path = tmp_path / "a.jsonl"
    bad = {"id": "q-2", "question": "b", "answer": None}
    path.write_text(json.dumps({"id": "q-1", "question": "a", "answer": "1"}) + "\n" + json.dumps(bad) + "\n")
    config = ProblemsConfig(path=str(path), on_bad_row="quarantine")
    file = read_training_file(config, GradingConfig(answer_format=Choice("boxed")))
    write_reading(file, tmp_path / "problems.json", tmp_path / "bad-rows.jsonl")
    (line,) = (tmp_path / "bad-rows.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["row"], row["id"], row["record"]) == (2, "q-2", bad)
    assert row["faults"] == [{"column": "answer", "found": "nothing", "fix": "Every problem needs one."}]
    counts = json.loads((tmp_path / "problems.json").read_text())
    assert counts == {"adapter": "generic", "rows": 2, "problems": 1, "repeated": 0, "quarantined": 1, "used": 1}


def test_a_gold_that_fails_its_own_grading_is_put_aside_and_limit_counts_what_is_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [("a", "x", "choice"), ("b", "2", "integer"), ("c", "3", "integer"), ("d", "4", "integer")]
    path.write_text("".join(json.dumps({"problem": a, "answer": b, "answer_type": c}) + "\n" for a, b, c in rows))
    config = ProblemsConfig(path=str(path), on_bad_row="quarantine", limit=2)
    file = read_training_file(config, GradingConfig(answer_format=Choice("boxed")))
    assert [problem.problem for problem in file.problems] == ["b", "c"]
    assert [one.row for one in file.quarantined] == [1]
    assert file.counts()["problems"] == 3


def test_a_set_of_bad_rows_alone_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"question": "a", "answer": math.nan}) + "\n")
    with pytest.raises(BadRows, match="1 row cannot be used"):
        read_problems(tmp_path / "a.jsonl", on_bad_row="quarantine")
