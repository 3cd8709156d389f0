"""Any bytes are a table, bad rows, or a sentence; every line is a row or a fault; problems are read or named."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import FOLDER, cells, fuzzed, texts, watched, words
from hypothesis import strategies as st

from paced.errors import BadRows, ConfigError
from paced.problems.files import read_problems
from paced.records import Problem
from paced.run.tablefile import read_rows
from paced.weights.table.read import read_counts

TEXT_FORMATS = (".csv", ".tsv", ".json", ".jsonl")
COLUMNS = (
    "problem",
    "answer",
    "solution",
    "problem_id",
    "answer_type",
    "source",
    "messages",
    "question",
    "prompt",
    "ground_truth",
    "reward_model",
    "extra_info",
    "choices",
    "Problem",
    "final_answer",
    "num_passed",
    "num_rollouts",
    "correct",
    "k",
    "n",
)
"""What problem files and tables of counts call their columns, ours and others'."""
records = st.dictionaries(st.one_of(st.sampled_from(COLUMNS), words), cells, max_size=6)
rows = st.lists(records, max_size=6)
bodies = st.one_of(
    st.lists(st.lists(words, min_size=1, max_size=4).map(",".join), max_size=8).map("\n".join),
    rows.map(lambda some: "\n".join(json.dumps(one) for one in some)),
    rows.map(json.dumps),
    st.tuples(rows, st.integers(0, 400)).map(lambda cut: json.dumps(cut[0])[: cut[1]]),
    texts,
).map(lambda text: text.encode("utf-8", "surrogatepass"))
contents = st.one_of(
    bodies, st.binary(max_size=200), bodies.map(gzip.compress), bodies.map(lambda raw: gzip.compress(raw)[:-3])
)


def written(suffix, raw):
    file = FOLDER / f"table{suffix}"
    file.write_bytes(raw)
    return file


@pytest.mark.slow
@fuzzed(st.sampled_from([*TEXT_FORMATS, ".parquet", ".csv.gz", ".txt"]), contents)
def test_any_bytes_are_rows_faults_or_a_sentence(suffix, raw):
    faults = []
    with watched():
        try:
            found = list(read_rows(written(suffix, raw), faults))
        except ValueError as error:
            str(error).encode("utf-8")
            return
        assert all(isinstance(row, dict) for _, row in found)
        assert all(str(fault).isprintable() for fault in faults)


@fuzzed(st.sampled_from([*TEXT_FORMATS, ".parquet"]), contents)
def test_any_bytes_are_problems_bad_rows_or_a_sentence(suffix, raw):
    with watched():
        try:
            file = read_problems(written(suffix, raw))
        except (BadRows, ConfigError) as error:
            str(error).encode("utf-8")
            return
        ids = [problem.problem_id for problem in file.problems]
        assert len(ids) == len(set(ids)) == len(file.rows)


@pytest.mark.slow
@fuzzed(rows.filter(bool))
def test_any_records_are_problems_or_named_row_by_row(some):
    raw = "".join(json.dumps(one) + "\n" for one in some).encode()
    with watched():
        named: set[int] = set()
        try:
            problems = read_problems(written(".jsonl", raw)).problems
        except ConfigError:
            return
        except BadRows as error:
            problems, named = (), {row.row for row in error.rows}
        assert named <= set(range(1, len(some) + 1))
        assert bool(named) != bool(problems)
        for problem in problems:
            assert isinstance(problem, Problem)
            (problem.problem + problem.answer + problem.solution + problem.messages).encode("utf-8")


@pytest.mark.slow
@fuzzed(st.lists(st.tuples(st.sampled_from(COLUMNS), st.lists(cells, min_size=3, max_size=3)), min_size=1, max_size=5))
def test_any_parquet_columns_are_problems_bad_rows_or_a_sentence(columns):
    try:
        table = pa.table(dict(columns))
        pq.write_table(table, FOLDER / "columns.parquet")
    except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
        return  # nobody can write such a file
    with watched():
        try:
            read_problems(FOLDER / "columns.parquet")
        except (BadRows, ConfigError) as error:
            str(error).encode("utf-8")


@pytest.mark.slow
@fuzzed(st.sampled_from([".csv", ".jsonl", ".parquet"]), contents)
def test_any_bytes_are_counts_or_a_sentence(suffix, raw):
    with watched():
        try:
            read_counts(written(suffix, raw))
        except ValueError as error:
            str(error).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_header_or_an_object_of_many_names_takes_no_time_that_grows_with_its_square(suffix):
    names = [f"k{number}" for number in range(60_000)] + ["k7"]
    text = ",".join(names) if suffix == ".csv" else "{" + ",".join(f'"{name}":1' for name in names) + "}"
    faults = []
    with watched():
        if suffix == ".csv":
            with pytest.raises(ValueError, match="k7' appears twice"):
                list(read_rows(written(suffix, text.encode()), faults))
        else:
            list(read_rows(written(suffix, text.encode() + b"\n" + b'{"a":1}\n'), faults))
            assert [fault.column for fault in faults] == ["k7"]
