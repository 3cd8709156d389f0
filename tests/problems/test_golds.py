"""A gold that nothing can equal is refused in its row, whatever type or dress its table gave it, or said in a note."""

from __future__ import annotations

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paced.errors import BadRows
from paced.pipeline.preflight_problems import gold_faults
from paced.problems.files import read_problems
from paced.run.config import GradingConfig
from paced.run.schema import Choice


def write(tmp_path, golds, **columns):
    path = tmp_path / "golds.jsonl"
    rows = [{"problem": f"p{row}", "answer": gold, **columns} for row, gold in enumerate(golds)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


UNUSABLE = [
    "nan", "NaN", " nan ", "<NA>", "NaT", "#N/A", "#NA", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "",
    "  ", "\t", None, float("nan"), float("inf"), -float("inf"), 1e20, 9.1e15, True, False, [], [4, 5],
    ["4", "5"], {"x": 1},    "a\x00b", "\ud83d",
]  # fmt: skip


@pytest.mark.parametrize("gold", UNUSABLE, ids=repr)
def test_a_gold_that_no_completion_can_equal_is_refused_in_its_row(tmp_path, gold):
    with pytest.raises(BadRows, match="1 row cannot be used") as caught:
        read_problems(write(tmp_path, ["1", gold, "3"]))
    assert [(row.row, row.column) for row in caught.value.rows] == [(2, "answer")]


@pytest.mark.parametrize("gold", ["None", "none", "null", "NULL", "N/A", "n/a", "NA"])
def test_a_gold_that_may_be_absent_or_meant_is_said_with_its_row(tmp_path, gold):
    (note,) = read_problems(write(tmp_path, ["1", gold, "3"])).notes
    assert "1 of 3 answers read" in note
    assert "row 2" in note


LONG = 123456789012345678901234567890
INTEGERS = [(3, "3"), (3.0, "3"), (-0.0, "0"), (LONG, str(LONG)), (1e15, "1000000000000000")]


@pytest.mark.parametrize(("gold", "text"), INTEGERS, ids=repr)
def test_a_number_that_is_whole_is_an_integer_of_all_its_digits(tmp_path, gold, text):
    (problem,) = read_problems(write(tmp_path, [gold])).problems
    assert (problem.answer, problem.answer_type) == (text, "integer")


READ = [
    "5 cm", "5cm", "1,000", "1{,}000", "$5", "\\$5", "USD 5", "5.0", "1e3", "５", "x = 5", "(5)", "-5", "- 5", "−5",
    "90^\\circ", "90°", "5\\%", "\\text{5}", "\\boxed{5}", "4/2",
    "\\frac{4}{2}", "073", "+5", "10^3", "5th", "5 apples", "5\\text{ km/h}",
]  # fmt: skip
UNREAD = [
    "5 or 6", "five", "½", "5.5", "#### 5", "3x", "5,6", "5 million", "\\pi", "5i", "x > 5", "\\sqrt{25}",
    "5:6", "2024-01-05",
    "1.2.3", "5!", "±5", "{5, 6}", "[5, 6)", "A", "yes", "5 and 6", "2x = 10", "\\infty", "1e-3",
]  # fmt: skip


def test_an_integer_gold_is_read_in_every_dress_and_equals_itself_under_every_format(tmp_path):
    problems = read_problems(write(tmp_path, READ, answer_type="integer")).problems
    for answer_format in ("whole", "boxed", "gsm8k"):
        assert gold_faults(problems, GradingConfig(answer_format=Choice(answer_format))) == []


def test_an_integer_gold_that_is_none_is_refused_with_what_to_set(tmp_path):
    with pytest.raises(BadRows, match="Write an integer, or set answer_type to exact") as caught:
        read_problems(write(tmp_path, UNREAD, answer_type="integer"))
    assert len(caught.value.rows) == len(UNREAD)


COLUMNS = {
    "dictionary": (pa.array(["3", "4"]).dictionary_encode(), ["3", "4"]),
    "int8": (pa.array([3, 4], pa.int8()), ["3", "4"]),
    "uint64": (pa.array([2**64 - 1, 4], pa.uint64()), ["18446744073709551615", "4"]),
    "decimal": (pa.array([decimal.Decimal("3.00"), decimal.Decimal("4.50")]), ["3", "4.50"]),
    "float16": (pa.array([0.1, 7], pa.float16()), ["0.1", "7"]),
    "float32": (pa.array([0.1, 7], pa.float32()), ["0.1", "7"]),
    "large text": (pa.array(["3", "4"], pa.large_string()), ["3", "4"]),
    "bytes": (pa.array([b"3", b"4"]), None),
    "date": (pa.array([datetime.date(2024, 1, 5)] * 2), None),
    "list of one": (pa.array([["3"], ["4"]]), ["3", "4"]),
    "list": (pa.array([["3", "5"], ["4", "5"]]), None),
    "struct": (pa.array([{"value": "3"}] * 2), None),
    "truth": (pa.array([True, False]), None),
    "null": (pa.array([None, None], pa.null()), None),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_parquet_column_of_any_type_gives_its_golds_or_names_both_rows(tmp_path, name):
    column, golds = COLUMNS[name]
    pq.write_table(pa.table({"problem": ["a", "b"], "answer": column}), tmp_path / "golds.parquet")
    if golds is None:
        with pytest.raises(BadRows, match="2 rows cannot be used"):
            read_problems(tmp_path / "golds.parquet")
    else:
        assert [one.answer for one in read_problems(tmp_path / "golds.parquet").problems] == golds
