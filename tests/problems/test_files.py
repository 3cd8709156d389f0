"""A problem file is read whole or refused with every unusable row named."""

from __future__ import annotations

import csv
import gzip
import io
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paced.errors import BadRows, ConfigError
from paced.grading.compare import compare_integer
from paced.problems.files import problem_id_of, read_problems
from paced.records import Problem
from paced.run.storage import text_hash, write_parquet
from paced.run.tablefile import FORMATS


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
        {"problem": "y", "answer": ["1", "2"]},
        {"problem": "z", "answer": "one", "answer_type": "integer"},
        {"problem": "u", "answer": "1", "answer_type": "float"},
        [1, 2],
    )
    with pytest.raises(BadRows, match="7 rows cannot be used") as caught:
        read_problems(file)
    assert [row.row for row in caught.value.rows] == [2, 3, 4, 5, 6, 7, 8]


def test_a_misspelt_column_is_named_and_not_guessed(tmp_path):
    file = write(tmp_path, {"problm": "2+2", "answer": "4"}, {"problm": "2+3", "answer": "5"})
    with pytest.raises(BadRows, match="There is no 'problem': did you mean that\\?") as caught:
        read_problems(file)
    assert len(caught.value.rows) == 1


def test_a_column_that_no_row_has_is_one_sentence_with_the_columns_found(tmp_path):
    rows = [{"text": "2+2", "answer": "4"}, {"text": "2+3", "answer": "5"}]
    with pytest.raises(ConfigError, match="p.jsonl: no row has 'problem'; columns found: text, answer."):
        read_problems(write(tmp_path, *rows))
    (tmp_path / "a.csv").write_text("2+2,4\n2+3,5\n")
    with pytest.raises(ConfigError, match="no row has 'problem' and 'answer'; columns found: 2\\+2, 4"):
        read_problems(tmp_path / "a.csv")


def test_other_columns_are_passed_over_and_said(tmp_path):
    file = read_problems(write(tmp_path, {"problem": "2+2", "answer": "4", "seen": 3}))
    assert file.notes == ("p.jsonl: columns not used: seen.",)


def test_the_same_problem_with_two_answers_is_an_error(tmp_path):
    with pytest.raises(BadRows, match="Row 1 gives the same problem '4'"):
        read_problems(
            write(tmp_path, {"problem": "2+2", "answer": "4"}, {"problem": "2 + 2".replace(" ", ""), "answer": "5"})
        )


def test_repeats_without_ids_are_passed_over_and_counted(tmp_path):
    file = read_problems(write(tmp_path, *[{"problem": "2+2", "answer": "4"}] * 3))
    assert len(file.problems) == 1
    assert file.notes == (
        "p.jsonl: 2 rows repeat an earlier problem and were passed over (every problem comes 3 times).",
    )


def test_two_rows_with_one_id_are_an_error(tmp_path):
    rows = [{"problem_id": "a", "problem": text, "answer": "1"} for text in ("x", "y")]
    with pytest.raises(BadRows, match="Row 1 has the same id"):
        read_problems(write(tmp_path, *rows))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "the file is empty"),
        ("a.jsonl", b"\n", "holds no problem"),
        ("a.jsonl", b"\xff\xfe{", "is UTF-16 text"),
        ("a.jsonl", b'{"problem": "\xe9"}', "row 1 is not UTF-8"),
        ("a.jsonl", b'{"problem": "a", "answer": "1"}\n\0\0', "row 2 holds a NUL byte"),
        ("a.parquet", b"no parquet", "is not a parquet file"),
        ("a.PQ", b"PAR1 and no more PAR1", "is damaged, or not parquet"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"problem": "a", "answer": "1"}\n' * 99, mtime=0)[:-9],
            "gzip data are cut short",
        ),
        ("a.json", b'[{"problem": "a"', "is not JSON: row 1"),
        ("a.json", b'{"train": [{"problem": "a", "answer": "1"}]}', "holds one JSON object of lists"),
        ("a.txt", b'{"problem": "a", "answer": "1"}', "the name must end in .csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence_with_its_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_problems(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)


def test_an_absent_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="absent.jsonl: no such file"):
        read_problems(tmp_path / "absent.jsonl")
    with pytest.raises(ConfigError, match="this folder holds no file that ends in .csv"):
        read_problems(tmp_path)


PROBLEMS = [
    {"problem": 'Say "hi", then 2+2.\nOne number.', "answer": "four"},
    {"problem": "x,y", "answer": "\\frac{1}{2}"},
    {"problem": "if x:\n    a()", "answer": "b"},
]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_gives_the_same_problems(tmp_path, suffix, packed):
    sink = io.StringIO()
    writer = csv.DictWriter(sink, ["problem", "answer"], delimiter="\t" if suffix == ".tsv" else ",")
    writer.writeheader()
    writer.writerows(PROBLEMS)
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(PROBLEMS), table)
    content = {
        "csv": sink.getvalue().encode(),
        "json": json.dumps(PROBLEMS, indent=1).encode(),
        "parquet": table.getvalue(),
    }[FORMATS[suffix]]
    path = tmp_path / (f"a{suffix}.gz" if packed else f"a{suffix.upper()}")
    path.write_bytes(gzip.compress(content) if packed else content)
    found = read_problems(path).problems
    assert [{"problem": one.problem, "answer": one.answer} for one in found] == PROBLEMS
    assert [one.answer_type for one in found] == ["exact", "math", "math"]


def test_a_byte_order_mark_is_not_part_of_the_first_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"problem": "a", "answer": "1"}\n')
    assert read_problems(path).problems[0].problem == "a"


@pytest.mark.parametrize(
    ("answer", "text", "kind"),
    [
        (3.0, "3", "integer"),
        (-0.0, "0", "integer"),
        (4.5, "4.5", "math"),
        (1e-7, "0.0000001", "math"),
        (3, "3", "integer"),
        ("3.0", "3.0", "integer"),
        ("3", "3", "integer"),
        ("3.5", "3.5", "math"),
        (" 3 ", " 3 ", "integer"),
    ],
)
def test_a_gold_answer_is_written_as_a_model_would_write_it(tmp_path, answer, text, kind):
    (problem,) = read_problems(write(tmp_path, {"problem": "a", "answer": answer})).problems
    assert (problem.answer, problem.answer_type) == (text, kind)


def test_a_column_of_integers_with_a_gap_is_read_as_pandas_left_it(tmp_path):
    rows = {"problem": ["a", "b"], "answer": [3.0, 40.0], "problem_id": [1.0, 2.0]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("problem,answer\na,3.0\nb,40.0\n")
    for name in ("a.parquet", "a.csv"):
        found = read_problems(tmp_path / name).problems
        assert [one.answer_type for one in found] == ["integer", "integer"]
        for one, answer in zip(found, ("3", "40"), strict=True):
            assert compare_integer(extracted=answer, answer=one.answer).verdict == "correct"
    assert [one.problem_id for one in read_problems(tmp_path / "a.parquet").problems] == ["1", "2"]


def test_narrow_floats_and_decimals_are_golds_that_can_be_met(tmp_path):
    for column in (pa.array([0.1, 7], pa.float32()), pa.array([Decimal("0.1"), Decimal("7.0")])):
        pq.write_table(pa.table({"problem": ["a", "b"], "answer": column}), tmp_path / "a.parquet")
        assert [one.answer for one in read_problems(tmp_path / "a.parquet").problems] == ["0.1", "7"]


def test_golds_that_nothing_can_equal_are_refused_row_by_row(tmp_path):
    golds = ["NaN", "Infinity", "-Infinity", '"nan"', '"<NA>"', "1e300", "null", "true"]
    lines = [f'{{"problem": "{index}", "answer": {gold}}}' for index, gold in enumerate(golds)]
    with pytest.raises(BadRows, match="8 rows cannot be used") as caught:
        read_problems(write(tmp_path, *lines))
    assert [(row.row, row.column) for row in caught.value.rows] == [(row, "answer") for row in range(1, 9)]
    pq.write_table(pa.table({"problem": ["a", "b"], "answer": [3.0, float("nan")]}), tmp_path / "a.parquet")
    with pytest.raises(BadRows, match="row 2, column 'answer': found nan"):
        read_problems(tmp_path / "a.parquet")


def test_a_blank_answer_is_named_in_json_and_csv(tmp_path):
    with pytest.raises(BadRows, match="row 1, column 'answer': found an empty cell"):
        read_problems(write(tmp_path, {"problem": "a", "answer": ""}))
    (tmp_path / "a.csv").write_text("problem,answer\na,\n")
    with pytest.raises(BadRows, match="row 2, column 'answer': found nothing"):
        read_problems(tmp_path / "a.csv")


def test_empty_cells_of_csv_are_absent_where_a_column_may_be(tmp_path):
    (tmp_path / "a.csv").write_text("problem,answer,problem_id,solution,answer_type\na,3,,,\nb,x,7,s,exact\n")
    first, second = read_problems(tmp_path / "a.csv").problems
    assert (first.problem_id, first.solution, first.answer_type) == (problem_id_of("a"), "", "integer")
    assert (second.problem_id, second.solution, second.answer_type) == ("7", "s", "exact")


def test_nan_is_absent_in_every_column_that_may_be(tmp_path):
    line = '{"problem": "a", "answer": "1", "problem_id": NaN, "solution": NaN, "answer_type": NaN}'
    (problem,) = read_problems(write(tmp_path, line)).problems
    assert (problem.problem_id, problem.solution, problem.answer_type) == (problem_id_of("a"), "", "integer")


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        ("problems", "problem"),
        ("Probelm", "problem"),
        ("anwser", "answer"),
        ("answer_typ", "answer_type"),
        ("soluton", "solution"),
        ("messags", "messages"),
    ],
)
def test_a_misspelt_column_is_told_the_nearest_name(tmp_path, column, meant):
    row = {"problem": "a", "answer": "1"}
    row.pop(meant, None)
    with pytest.raises(BadRows, match=f"There is no '{meant}': did you mean that") as caught:
        read_problems(write(tmp_path, {**row, column: "x"}))
    assert [fault.column for fault in caught.value.rows] == [column]


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("Problem", "problem"),
        ("PROBLEM", "problem"),
        (" problem", "problem"),
        ("Question", "problem"),
        ("problem text", "problem"),
        ("Answer", "answer"),
        ("answers", "answer"),
        ("final_answer", "answer"),
        ("Expected Answer", "answer"),
        ("Problem_ID", "problem_id"),
        ("Answer_Type", "answer_type"),
        ("rationale", "solution"),
    ],
)
def test_a_column_in_a_common_spelling_is_read(tmp_path, column, role):
    row = {"problem": "a", "answer": "1"}
    value = row.pop(role, "exact" if role == "answer_type" else "x")
    (problem,) = read_problems(write(tmp_path, {**row, column: value})).problems
    assert getattr(problem, role) == value


def test_programs_that_differ_in_indentation_are_two_problems(tmp_path):
    texts = ["for i in x:\n    a()\n    b()", "for i in x:\n    a()\nb()", "for i in x:\n    a()\n        b()"]
    problems = read_problems(
        write(tmp_path, *({"problem": text, "answer": k} for k, text in enumerate(texts)))
    ).problems
    assert len({one.problem_id for one in problems}) == 3


@pytest.mark.parametrize(
    "same",
    [
        "    for i in x:\n        a()\n        b()",
        "for i in x:\r\n    a()\r\n    b()\r\n",
        "\nfor i in x:\n\n    a()   \n    b()\n",
        "for  i in x:\n    a()\n    b()",
    ],
)
def test_white_space_that_means_nothing_makes_no_second_problem(tmp_path, same):
    rows = [{"problem": "for i in x:\n    a()\n    b()", "answer": 1}, {"problem": same, "answer": 1}]
    file = read_problems(write(tmp_path, *rows))
    assert file.notes == ("p.jsonl: 1 row repeats an earlier problem and was passed over.",)


def test_a_text_without_indentation_has_the_id_that_it_always_had():
    assert problem_id_of("Compute\n2 +  2.") == text_hash("Compute 2 + 2.")[:16]


def test_doubled_keys_half_surrogates_and_nul_are_named_by_row(tmp_path):
    lines = [
        '{"problem": "a", "answer": "2", "answer": "3"}',
        '{"problem": "\\ud83d", "answer": "1"}',
        '{"problem": "a\\u0000", "answer": "1"}',
        '{"problem": "b", "answer": "1", "solution": "\\udc00"}',
        '{"problem": "c", "answer": "\\ud83d\\ude00"}',
    ]
    with pytest.raises(BadRows, match="4 rows cannot be used") as caught:
        read_problems(write(tmp_path, *lines))
    assert [(row.row, row.column) for row in caught.value.rows] == [
        (1, "answer"),
        (2, "problem"),
        (3, "problem"),
        (4, "solution"),
    ]
    str(caught.value).encode("utf-8")


def test_a_column_with_an_odd_name_can_be_printed(tmp_path):
    (note,) = read_problems(write(tmp_path, '{"problem": "a", "answer": "1", "\\ud83d": 1, "\\u001b[31m": 2}')).notes
    assert note.isprintable()
    note.encode("utf-8")


def test_a_quote_that_swallows_problems_is_refused_and_a_text_of_lines_is_not(tmp_path):
    (tmp_path / "a.csv").write_text('problem,answer\n"What is 1+1?,2\nWhat is 2+2?",4\n')
    with pytest.raises(BadRows, match="row 2, .*A quote opened here swallows the rows up to 3"):
        read_problems(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text('problem,answer\n"Add up, in order:\n1, 2\nand 3, 4",10\n')
    assert read_problems(tmp_path / "b.csv").problems[0].problem == "Add up, in order:\n1, 2\nand 3, 4"


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
