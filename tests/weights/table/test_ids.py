"""Names of problems keep their type, so that a table of weights joins with the table that it was made from."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from paced.errors import BadRows
from paced.weights.table.read import read_counts, write_weights

COLUMNS = {
    "int64": pa.array([1, 1 << 56, -3]),
    "int32": pa.array([1, 2, 3], pa.int32()),
    "uint64": pa.array([1, 1 << 63, (1 << 64) - 1], pa.uint64()),
    "float64": pa.array([1.0, 2.0, 3.5]),
    "float32": pa.array([0.1, 2.0, 3.5], pa.float32()),
    "string": pa.array(["a", "b,c", "1"]),
    "large_string": pa.array(["a", "b", "c"], pa.large_string()),
    "dictionary": pa.array(["a", "b", "c"]).dictionary_encode(),
    "decimal": pa.array([Decimal("1.0"), Decimal("2.0"), Decimal("3.0")]),
    "date": pa.array([datetime.date(2026, 1, day) for day in (1, 2, 3)]),
}


def weighed(source, target):
    table = read_counts(source)
    write_weights(target, table, np.arange(3.0), np.ones(3))
    return table


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("counts", [pa.int64(), pa.float64()])
def test_weights_of_a_parquet_table_join_with_it_in_every_type(tmp_path, name, counts):
    source = pa.table({"id": COLUMNS[name], "s": pa.array([1, 2, 3], counts), "K": pa.array([8, 8, 8], counts)})
    pq.write_table(source, tmp_path / "a.parquet")
    weighed(tmp_path / "a.parquet", tmp_path / "w.parquet")
    written = pq.read_table(tmp_path / "w.parquet")
    if name == "dictionary":  # Arrow joins plain columns only; pandas joins a categorical with its values
        source = source.set_column(0, "id", source["id"].cast(pa.string()))
    joined = source.join(written, keys="id", right_keys="problem_id", join_type="inner").sort_by("weight")
    assert joined["weight"].to_pylist() == [0.0, 1.0, 2.0]


def test_graded_rollouts_keep_the_type_of_their_names(tmp_path):
    pq.write_table(pa.table({"id": [7, 7, 9], "correct": [1, 0, 1]}), tmp_path / "a.parquet")
    assert read_counts(tmp_path / "a.parquet").problem_ids == pa.array([7, 9])


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ([1, 2, 3], pa.int64()),
        ([1.0, 2.0, 3.5], pa.float64()),
        ([1, 2, 3.5], pa.float64()),
        (["1", "2", "3"], pa.string()),
        ([1, 2, 1 << 70], pa.string()),
        ([1, (1 << 63) - 1, -(1 << 63)], pa.int64()),
        ([[{"role": "user"}], [], [1]], pa.string()),
    ],
)
def test_names_in_json_have_the_type_of_the_column_that_they_would_be(tmp_path, names, kind):
    rows = [{"id": name, "s": 1, "K": 8} for name in names]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    ids = read_counts(tmp_path / "a.jsonl").problem_ids
    assert ids.type == kind
    written = [name if isinstance(name, str) or kind != pa.string() else json.dumps(name) for name in names]
    assert ids.to_pylist() == written


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["1", "20", "-3"], pa.int64()),
        (["1.0", "2.0", "3.5"], pa.float64()),
        (["1", "2", "3.5"], pa.string()),
        (["1.10", "1.2", "1.3"], pa.string()),
        (["007", "008", "009"], pa.string()),
        ([str(1 << 70), "1", "2"], pa.string()),
        (["q1", "2", "3"], pa.string()),
    ],
)
@pytest.mark.parametrize("quoted", [False, True])
def test_names_in_csv_become_numbers_only_where_nothing_is_lost(tmp_path, names, kind, quoted):
    text = "".join((f'"{name}"' if quoted else name) + ",1,8\n" for name in names)
    (tmp_path / "a.csv").write_text("id,s,K\n" + text)
    table = weighed(tmp_path / "a.csv", tmp_path / "w.csv")
    assert table.problem_ids.type == kind
    options = pyarrow.csv.ConvertOptions(column_types={"problem_id": pa.string()})
    assert pyarrow.csv.read_csv(tmp_path / "w.csv", convert_options=options)["problem_id"].to_pylist() == names


def test_rows_without_names_are_numbered_from_zero(tmp_path):
    for rows in ("3,8\n4,8\n", '"3",8\n"4",8\n'):
        (tmp_path / "a.csv").write_text("s,K\n" + rows)
        assert read_counts(tmp_path / "a.csv").problem_ids == pa.array([0, 1])


def test_names_of_two_kinds_are_refused(tmp_path):
    for outcome in ({"s": 1, "K": 8}, {"correct": 1}):
        rows = [{"id": 1, **outcome}, {"id": "1", **outcome}]
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
        with pytest.raises(BadRows, match="row 2, column 'id': found '1'. Row 1 names its problem by a number"):
            read_counts(tmp_path / "a.jsonl")


@pytest.mark.parametrize("name", [True, None, float("nan"), " "])
def test_what_is_no_name_is_refused(tmp_path, name):
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": name, "s": 1, "K": 8}))
    with pytest.raises(BadRows, match="row 1, column 'id'"):
        read_counts(tmp_path / "a.jsonl")


def test_bytes_are_no_name(tmp_path):
    pq.write_table(pa.table({"id": [b"a"], "s": [1], "K": [8]}), tmp_path / "a.parquet")
    with pytest.raises(BadRows, match="found b'a'. Name the problem by text or a number"):
        read_counts(tmp_path / "a.parquet")
