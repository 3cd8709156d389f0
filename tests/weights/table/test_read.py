"""Other people's tables: every spelling, every format, and one precise message for each fault."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.errors import BadRows
from paced.weights.table.read import read_counts, write_weights
from paced.weights.table.spellings import find_layout

SEVEN_FAULTS = """problem_id,num_passed,num_rollouts
a,3,8
b,nine,8
c,3.5,8
d,-1,8
e,9,8
f,0,0
a,2,8
g,,8
"""
SEVEN_MESSAGES = [
    "row 3, column 'num_passed': found 'nine'. Write a whole number in digits.",
    "row 4, column 'num_passed': found '3.5'. Write a whole number.",
    "row 5, column 'num_passed': found '-1'. A count cannot be negative.",
    "row 6, column 'num_passed': found 9. It must be at most num_rollouts = 8; are the two columns swapped?",
    "row 7, column 'num_rollouts': found '0'. A problem needs at least one rollout: remove the row.",
    "row 8, column 'problem_id': found 'a'. Row 2 has the same problem: add the two rows up or give the problems two "
    "names.",
    "row 9, column 'num_passed': found an empty cell. Write the count, or remove the row.",
]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def faults(path):
    with pytest.raises(BadRows) as caught:
        read_counts(path)
    return [str(row) for row in caught.value.rows]


def test_seven_faults_give_seven_precise_messages(tmp_path):
    path = write(tmp_path / "bad.csv", SEVEN_FAULTS)
    with pytest.raises(BadRows, match="7 rows cannot be used") as caught:
        read_counts(path)
    assert [str(row) for row in caught.value.rows] == SEVEN_MESSAGES
    assert str(caught.value).splitlines()[0] == f"{path}: 7 rows cannot be used."
    assert len(str(caught.value).splitlines()) == 8


def test_the_same_faults_are_named_in_jsonl_and_parquet(tmp_path):
    rows = [
        {"problem_id": "a", "num_passed": 3, "num_rollouts": 8},
        {"problem_id": "b", "num_passed": 3.5, "num_rollouts": 8},
        {"problem_id": "c", "num_passed": None, "num_rollouts": 8},
        {"problem_id": "a", "num_passed": 9, "num_rollouts": 8},
    ]
    jsonl = write(tmp_path / "bad.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    parquet = tmp_path / "bad.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    for path in (jsonl, parquet):
        found = faults(path)
        assert [text.split(":")[0] for text in found] == [
            "row 2, column 'num_passed'",
            "row 3, column 'num_passed'",
            "row 4, column 'num_passed'",
            "row 4, column 'problem_id'",
        ]
        assert "found nothing" in found[1]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    text = 'problem_id,num_passed,num_rollouts\n\n"two\nlines",3,8\nx,bad,8\n\ny,1,8,1\nz,true,8\n'
    assert [row.split(":")[0] for row in faults(write(tmp_path / "a.csv", text))] == [
        "row 5, column 'num_passed'",
        "row 7, column '(line)'",
        "row 8, column 'num_passed'",
    ]


@pytest.mark.parametrize(
    ("cell", "fix"),
    [
        ("nan", "finite count"),
        ("inf", "finite count"),
        ("0.5", "not a rate or a mean"),
        ("1e30", "check the number"),
        ("1735689600", "No problem has more than 100,000 rollouts: check the number"),
        ("0x3", "whole number in digits"),
        ("1_0", "whole number in digits"),
        ("\u0663", "whole number in digits"),
        (" ", "Write the count"),
        ("=cmd|' /C calc'!A0", "whole number in digits"),
        ("\x1b[31m7", "whole number in digits"),
        ("9" * 200, "check the number"),
    ],
)
def test_odd_cells_are_shown_safely_and_explained(tmp_path, cell, fix):
    (message,) = faults(write(tmp_path / "a.csv", f'id,passes,n\nx,"{cell}",8\n'))
    assert fix in message
    assert "\x1b" not in message
    assert len(message) < 200


def test_more_than_twenty_bad_rows_are_all_kept_and_twenty_shown(tmp_path):
    path = write(tmp_path / "a.csv", "passed,total\n" + "x,8\n" * 50)
    with pytest.raises(BadRows, match="50 rows cannot be used") as caught:
        read_counts(path)
    assert len(caught.value.rows) == 50
    assert str(caught.value).endswith("... and 30 more.")


@pytest.mark.parametrize(
    ("header", "kind", "columns"),
    [
        ("num_passed,num_rollouts", "counts", (None, "num_passed", "num_rollouts")),
        ("Problem ID,N Correct,N-Samples", "counts", ("Problem ID", "N Correct", "N-Samples")),
        ("numPassed,numRollouts", "counts", (None, "numPassed", "numRollouts")),
        ("k,n", "counts", (None, "k", "n")),
        ("s,K", "counts", (None, "s", "K")),
        ("c,n", "counts", (None, "c", "n")),
        ("uid,successes,trials,other", "counts", ("uid", "successes", "trials")),
        ("problem_id,sample_index,verdict", "samples", ("problem_id", "verdict", "")),
        ("question_id,is_correct", "samples", ("question_id", "is_correct", "")),
        ("id,passed", "samples", ("id", "passed", "")),
        ("problem_id,correct,total", "either", ("problem_id", "correct", "total")),
        ("question_id,score,n_samples", "either", ("question_id", "score", "n_samples")),
        ("id,passed,attempts", "either", ("id", "passed", "attempts")),
        ("id,passes,attempts", "counts", ("id", "passes", "attempts")),
        ("num_correct,n", "counts", (None, "num_correct", "n")),
        ("correct,total", "either", (None, "correct", "total")),
        ("id,is_correct,k", "either", ("id", "is_correct", "k")),
        ("id,completions,n_correct,total", "counts", ("id", "n_correct", "total")),
        ("id,correct_answers,samples_per_problem", "counts", ("id", "correct_answers", "samples_per_problem")),
        ("id,total_correct,max_attempts", "counts", ("id", "total_correct", "max_attempts")),
        ("id,NumberOfPasses,number of rollouts", "counts", ("id", "NumberOfPasses", "number of rollouts")),
        ("id,n_pass,n_gen_tokens,num_total", "counts", ("id", "n_pass", "num_total")),
        ("id,correct,total_tokens", "samples", ("id", "correct", "")),
        ("id,attempt_num,correct", "samples", ("id", "correct", "")),
        (",id,s,K,", "counts", ("id", "s", "K")),
    ],
)
def test_common_spellings_are_understood(header, kind, columns):
    layout = find_layout("a.csv", header.split(","))
    assert (layout.kind, (layout.problem_id, layout.first, layout.second)) == (kind, columns)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,num_passed", None),
        ("num_passed,x", "'num_passed' is understood, its partner 'num_rollouts' is missing"),
        ("x,num_rollouts", "'num_rollouts' is understood, its partner 'num_passed' is missing"),
        ("is_correct,x", "'is_correct' is understood, 'problem_id' is missing"),
        ("num_pased,num_rolouts", "Did you mean 'num_passed' by 'num_pased'.*Did you mean 'num_rollouts'"),
        ("id,pass_rate", "A pass rate alone is not enough"),
        ("id,passed,failed", "'passed' and 'failed' are understood, .*Add 'num_rollouts', their sum"),
        ("id,correct,incorrect", "Add 'num_rollouts', their sum"),
        ("id,num_correct,total_wrong_answers", "Add 'num_rollouts', their sum"),
        ("id,correct,num_correct", "'num_correct' is understood, its partner 'num_rollouts' is missing"),
        ("id,k,n,correct", "both 'k' and 'correct' can be the number of passes"),
        ("passed,Passed", "column 'Passed' appears twice \\(as 'passed' too\\)"),
    ],
)
def test_columns_that_are_not_understood_are_explained(header, message):
    if message is None:  # one column of passes beside a name is one row for each rollout
        with pytest.raises(ValueError, match="its partner 'num_rollouts' is missing"):
            find_layout("a.csv", header.split(","))
        return
    with pytest.raises(ValueError, match=message):
        find_layout("a.csv", header.split(","))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n\n", "holds no row"),
        ("a.csv", b"num_passed,num_rollouts\n", "no row of data below the header"),
        ("a.csv", b"num_passed,num_rollouts\n\xff,8\n", "row 2 is not UTF-8 \\(byte 0xff at position 1\\)"),
        ("a.xlsx", b"PK", "the name must end in .csv"),
        ("a.parquet", b"not parquet", "not a parquet file"),
        ("a.jsonl", b"[1, 2]\n", "Write one JSON object"),
    ],
)
def test_files_that_are_no_tables_are_explained(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_counts(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.csv: no such file"):
        read_counts(tmp_path / "none.csv")


def test_broken_json_lines_are_named_among_the_bad_rows(tmp_path):
    text = '{"s": 1, "K": 8}\n{"s": 2, \n"text"\n{"s": 9, "K": 8}\n'
    assert [row.split(":")[0] for row in faults(write(tmp_path / "a.jsonl", text))] == [
        "row 2, column '(line)'",
        "row 3, column '(line)'",
        "row 4, column 's'",
    ]


def test_all_formats_give_the_same_table(tmp_path):
    rng = np.random.default_rng(0)
    rollouts = rng.integers(1, 17, size=60)
    passed = rng.binomial(rollouts, 0.4)
    names = [f"p{index:03d}" for index in range(60)]
    rows = [{"id": n, "s": int(s), "K": int(k)} for n, s, k in zip(names, passed, rollouts, strict=True)]
    lines = [f"{row['id']},{row['s']},{row['K']}" for row in rows]
    write(tmp_path / "a.csv", "\ufeffid,s,K\n" + "\n".join(lines))
    write(tmp_path / "semicolon.csv", "id;s;K\r\n" + "\r\n".join(lines).replace(",", ";"))
    write(tmp_path / "floats.csv", "id,s,K\n" + "\n".join(f"{r['id']},{r['s']}.0,{r['K']}" for r in rows))
    write(tmp_path / "a.tsv", "id\ts\tK\n" + "\n".join(lines).replace(",", "\t"))
    write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for file in ("a.csv", "semicolon.csv", "floats.csv", "a.tsv", "a.jsonl", "a.parquet"):
        table = read_counts(tmp_path / file)
        assert np.array_equal(table.num_passed, passed), file
        assert np.array_equal(table.num_rollouts, rollouts), file
        assert [str(name) for name in table.problem_ids] == names, file


def test_graded_samples_are_counted_and_ungradable_ones_leave_the_denominator(tmp_path):
    verdicts = ["correct", "incorrect", "no_answer", "truncated", "grader_error", "gold_unparseable"]
    rows = [{"problem_id": "a", "verdict": verdict} for verdict in verdicts]
    rows += [{"problem_id": "b", "verdict": "grader_timeout"}, {"problem_id": "c", "verdict": "correct"}]
    path = write(tmp_path / "grades.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    table = read_counts(path)
    assert table.problem_ids.to_pylist() == ["a", "c"]
    assert table.num_passed.tolist() == [1, 1]
    assert table.num_rollouts.tolist() == [4, 1]
    assert (table.num_ungradable, table.num_without_rollouts) == (3, 1)


@pytest.mark.parametrize("words", [("1", "0"), ("true", "false"), ("True", "FALSE"), ("1.0", "0.0"), ("yes", "no")])
def test_outcomes_in_any_common_form(tmp_path, words):
    path = write(tmp_path / "a.csv", f"id,correct\nx,{words[0]}\nx,{words[1]}\ny,{words[1]}\n")
    table = read_counts(path)
    assert (table.num_passed.tolist(), table.num_rollouts.tolist()) == ([1, 0], [2, 1])


def test_scores_that_are_no_outcome_are_refused_row_by_row(tmp_path):
    found = faults(write(tmp_path / "a.csv", "id,score\nx,-1\ny,0.5\nz,\n,1\nok,1\n"))
    assert "scores of ±1 have no meaning as a mean" in found[0]
    assert "Write 1 or 0" in found[1]
    assert "Write the outcome" in found[2]
    assert "Give every problem a name of its own" in found[3]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_written_weights_join_with_the_file_they_came_from(tmp_path, suffix):
    table = read_counts(write(tmp_path / "a.csv", 'id,s,K\n"1+1",3,8\n"a,b",1,4\n'))
    write_weights(tmp_path / f"w{suffix}", table, np.array([0.1, 0.3]), np.array([0.5, 1.5]))
    if suffix == ".csv":
        import pyarrow.csv

        back = pyarrow.csv.read_csv(tmp_path / "w.csv").to_pydict()
    else:
        back = pq.read_table(tmp_path / "w.parquet").to_pydict()
    assert back == {
        "problem_id": ["1+1", "a,b"],
        "num_passed": [3, 1],
        "num_rollouts": [8, 4],
        "weight": [0.1, 0.3],
        "unit_mean_weight": [0.5, 1.5],
    }


def test_weights_are_written_as_parquet_or_csv_only(tmp_path):
    table = read_counts(write(tmp_path / "a.csv", "s,K\n3,8\n"))
    with pytest.raises(ValueError, match=r"must end in .parquet or .csv, got 'w.txt'"):
        write_weights(tmp_path / "w.txt", table, np.ones(1), np.ones(1))


NAMES = st.text(
    st.one_of(st.sampled_from("\",\n;\t\r' 0q"), st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    min_size=1,
    max_size=8,
).filter(str.strip)
TABLES = st.lists(
    st.tuples(NAMES, st.integers(0, 100_000), st.integers(1, 100_000)).map(lambda row: (row[0], min(row[1:]), row[2])),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[0],
)


def runs_in_a_spreadsheet(name):
    try:
        float(name)
    except ValueError:
        return name[0] in "=+-@\t\r"
    return False


@given(rows=TABLES, integer_names=st.booleans())
def test_any_table_comes_back_with_the_same_names_and_counts(tmp_path_factory, rows, integer_names):
    folder = tmp_path_factory.mktemp("tables")
    if integer_names:
        rows = [(index * 7 - 3, s, k) for index, (_, s, k) in enumerate(rows)]
    records = [dict(zip(("problem_id", "num_passed", "num_rollouts"), row, strict=True)) for row in rows]
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([tuple(records[0]), *rows])
    write(folder / "a.jsonl", "\n".join(map(json.dumps, records)))
    write(folder / "a.json", json.dumps(records, ensure_ascii=False, indent=1))
    pq.write_table(pa.Table.from_pylist(records), folder / "a.parquet")
    for name in ("a.csv", "a.jsonl", "a.json", "a.parquet"):
        table = read_counts(folder / name)
        names = table.problem_ids.to_pylist()
        if name == "a.csv" and not integer_names:
            names = list(map(str, names))  # a name such as 00 is text, 0 is a number
        assert list(zip(names, table.num_passed.tolist(), table.num_rollouts.tolist(), strict=True)) == rows, name
        if any(runs_in_a_spreadsheet(str(row[0])) for row in rows):
            with pytest.raises(ValueError, match="as a formula of a spreadsheet"):
                write_weights(folder / f"w-{name}.csv", table, np.ones(len(rows)), np.ones(len(rows)))
            continue
        write_weights(folder / f"w-{name}.csv", table, np.ones(len(rows)), np.ones(len(rows)))
        with (folder / f"w-{name}.csv").open(encoding="utf-8", newline="") as file:
            assert [row["problem_id"] for row in csv.DictReader(file)] == [str(row[0]) for row in rows], name


def test_columns_that_only_later_rows_have_are_not_passed_over(tmp_path):
    rows = [{"id": "a", "correct": 1}, {"id": "a", "correct": 0, "total": 8, "model": "m"}]
    (message,) = faults(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows))))
    assert message.startswith("row 2, column 'total': found 8. The first row has no such column")


def test_two_numbers_of_rollouts_must_agree(tmp_path):
    path = write(tmp_path / "a.csv", "id,num_correct,n_samples,total\na,3,8,8\nb,3,8,9\n")
    assert faults(path) == [
        "row 3, column 'total': found '9'. n_samples says 8: remove the one that is not the number of rollouts."
    ]


def test_half_a_surrogate_pair_and_nul_in_a_name_are_named_by_row(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"id": "\\ud83d", "s": 1, "K": 8}\n{"id": "a\\u0000", "s": 1, "K": 8}\n')
    first, second = faults(path)
    assert first.startswith("row 1, column 'id'")
    assert "Half of a surrogate pair is not a character" in first
    assert second.startswith("row 2, column 'id'")
    assert "Remove the NUL character" in second


def test_an_integer_with_hundreds_of_digits_is_a_bad_row_not_a_crash(tmp_path):
    (message,) = faults(write(tmp_path / "a.jsonl", '{"id": "a", "s": 1, "K": %s}' % ("9" * 400)))
    assert "check the number" in message


def test_a_fault_of_quotes_is_named_among_the_others(tmp_path):
    path = write(tmp_path / "a.csv", 'id,s,K\na,9,8\n"b,3,8\nc,3,8\nd,"x",8\n')
    assert [row.split(":")[0] for row in faults(path)] == [
        "row 2, column 's'",
        "row 3, column '(line)'",
        "row 5, column 's'",
    ]


@pytest.mark.parametrize("kind", ["counts", "samples"])
def test_a_quote_that_swallows_rows_is_refused(tmp_path, kind):
    text = 'id,s,K\n"q1,3,8\nq2,4,8\nq3",5,8\n' if kind == "counts" else 'id,correct\n"q1,1\nq2,0\nq3",1\n'
    (message,) = faults(write(tmp_path / "a.csv", text))
    assert "row 2" in message
    assert "swallows the rows up to 4" in message
