"""A column such as ``correct`` beside a number of rollouts: counts, outcomes, or refused; never half of it ignored."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paced.errors import BadRows
from paced.weights import WEIGHTS, BetaKernel
from paced.weights.table.read import read_counts


def table_of(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_text(text)
    return read_counts(path)


def counts(table):
    return list(zip(table.problem_ids.to_pylist(), table.num_passed.tolist(), table.num_rollouts.tolist(), strict=True))


@pytest.mark.parametrize(
    "columns",
    [
        "problem_id,correct,total",
        "question_id,score,n_samples",
        "id,passed,attempts",
        "id,passes,attempts",
        "id,num_correct,n",
        "id,c,n",
        "id,solved,trials",
        "id,reward,group_size",
        "uid,Is Correct,Num Generations",
        "id,success,runs",
        "id,correct,k",
        "id,accuracy,out_of",
        "id,correct,max_attempts",
        "id,correct,samples_per_problem",
        "id,pass,nsamples",
    ],
)
@pytest.mark.parametrize("rows", [[("a", 0, 8), ("b", 1, 8), ("c", 0, 8)], [("a", 0, 8), ("b", 5, 6)]])
def test_counts_beside_a_number_of_rollouts_are_counts_on_hard_sets_too(tmp_path, columns, rows):
    table = table_of(tmp_path, "\n".join([columns, *(",".join(map(str, row)) for row in rows)]))
    assert counts(table) == rows
    records = [dict(zip(columns.split(","), row, strict=True)) for row in rows]
    assert counts(table_of(tmp_path, "\n".join(map(json.dumps, records)), "a.jsonl")) == rows
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    assert counts(read_counts(tmp_path / "a.parquet")) == rows


def test_the_doubt_about_a_column_of_zeros_and_ones_is_said_and_other_counts_raise_none(tmp_path):
    note = "'correct' is 0 or 1 in every row: read as passes out of 'total'"
    assert table_of(tmp_path, "id,correct,total\na,0,8\nb,1,8\n").notes == (note,)
    assert table_of(tmp_path, "id,correct,total\na,0,8\nb,2,8\n").notes == ()
    assert table_of(tmp_path, "id,num_correct,total\na,0,8\nb,1,8\n").notes == ()


def test_problems_that_come_as_often_as_the_total_says_are_rollouts(tmp_path):
    table = table_of(tmp_path, "id,correct,n_samples\na,1,2\nb,0,3\na,0,2\nb,0,3\nb,1,3\n")
    assert counts(table) == [("a", 1, 2), ("b", 1, 3)]


def test_verdicts_and_truth_values_beside_a_total_that_fits_are_rollouts(tmp_path):
    table = table_of(tmp_path, "id,verdict,total\na,correct,2\na,grader_error,2\n")
    assert (counts(table), table.num_ungradable) == ([("a", 1, 1)], 1)
    assert counts(table_of(tmp_path, "id,correct,n\na,true,1\nb,false,1\n")) == [("a", 1, 1), ("b", 0, 1)]


def test_a_repeated_rollout_does_not_hide_that_the_total_fits(tmp_path):
    text = "id,sample_index,correct,total\na,0,1,2\na,1,0,2\na,0,1,2\n"
    table = table_of(tmp_path, text)
    assert (counts(table), table.num_repeated) == ([("a", 1, 2)], 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("id,correct,total\na,0.0,8\nb,1.0,8\n", "problem 'a' has 1 row, 'total' says 8"),
        ("id,correct,total\na,true,8\nb,false,8\n", "problem 'a' has 1 row, 'total' says 8"),
        ("id,verdict,total\na,correct,8\n", "problem 'a' has 1 row, 'total' says 8"),
        ("id,correct,total\na,1,8\na,0,8\nb,1,8\n", "problem 'a' has 2 rows, 'total' says 8"),
        ("id,correct,n\na,1,2\na,0,2\nb,1,2\n", "problem 'b' has 1 row, 'n' says 2"),
        ("id,correct,n\na,1,0\na,0,1\n", "problem 'a' has 2 rows, 'n' says 0 and 1"),
        ("id,sample_index,correct,n\na,0,1,8\na,1,0,8\n", "problem 'a' has 2 rows, 'n' says 8"),
        ("correct,total\n1.0,8\n0.0,8\n", "problem 2 has 1 row, 'total' says 8"),
    ],
)
def test_rows_that_fit_neither_reading_are_refused_with_both_named(tmp_path, text, reason):
    with pytest.raises(ValueError, match=f"{reason}.*counts the passes.*if each row is one rollout, remove"):
        table_of(tmp_path, text)


def test_a_column_that_numbers_the_rollouts_is_pointed_out(tmp_path):
    with pytest.raises(ValueError, match="remove 'n', or call it sample_index if it numbers the rollouts"):
        table_of(tmp_path, "id,correct,n\na,1,0\na,0,1\n")


def test_means_beside_a_number_of_rollouts_are_refused_by_row(tmp_path):
    with pytest.raises(BadRows, match="row 2, column 'score': found '0.375'. Write the number of passes, not a rate"):
        table_of(tmp_path, "id,score,n_samples\na,0.375,8\nb,1,8\n")


def test_one_problem_twice_in_a_table_of_counts_is_not_two_rollouts(tmp_path):
    with pytest.raises(BadRows, match="Row 2 has the same problem"):
        table_of(tmp_path, "id,correct,total\na,3,8\na,1,8\n")


def test_a_column_of_texts_is_not_a_number_of_rollouts(tmp_path):
    rows = [{"id": "a", "correct": 1, "completions": "so 4"}, {"id": "a", "correct": 0, "completions": "so 5"}]
    assert counts(table_of(tmp_path, "\n".join(map(json.dumps, rows)), "a.jsonl")) == [("a", 1, 2)]


def test_a_column_that_could_number_rollouts_is_no_trouble_in_a_table_without_names(tmp_path):
    assert table_of(tmp_path, "seed,correct,total\n1,0,8\n1,2,8\n").num_passed.tolist() == [0, 2]


def test_one_row_a_problem_without_a_known_total_is_pointed_out(tmp_path):
    (note,) = table_of(tmp_path, "id,correct,effort\na,1,8\nb,0,8\n").notes
    assert "read as one rollout (K = 1); not used: 'effort'" in note
    assert "call it num_rollouts" in note
    assert table_of(tmp_path, "id,correct,effort\na,1,8\na,0,8\n").notes == ()


@pytest.mark.parametrize("function", [WEIGHTS["drop_zero"](), BetaKernel(estimator="posterior")])
def test_weights_of_a_hard_set_are_those_of_its_counts(tmp_path, function):
    table = table_of(tmp_path, "problem_id,correct,total\na,0,8\nb,1,8\n")
    assert function(table.num_passed, table.num_rollouts).tolist() == function([0, 1], 8).tolist()


@pytest.mark.parametrize(
    "column", ["pass_rate", "Pass Rate", "success_rate", "solve_rate", "accuracy", "mean_accuracy"]
)
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_pass_rate_beside_a_number_of_rollouts_is_a_count(tmp_path, column, ending):
    records = [{"id": i, column: s / k, "num_rollouts": k} for i, (s, k) in enumerate([(0, 8), (3, 8), (1, 3), (8, 8)])]
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        lines = [f"id,{column},num_rollouts", *(f"{r['id']},{r[column]:.4f},{r['num_rollouts']}" for r in records)]
        path.write_text("\n".join(lines))
    elif ending == "jsonl":
        path.write_text("\n".join(map(json.dumps, records)))
    else:
        pq.write_table(pa.Table.from_pylist(records), path)
    assert counts(read_counts(path)) == [(0, 0, 8), (1, 3, 8), (2, 1, 3), (3, 8, 8)]


def test_pass_rates_that_are_no_counts_are_bad_rows_all_of_them(tmp_path):
    with pytest.raises(BadRows) as caught:
        table_of(tmp_path, "id,pass_rate,num_rollouts\na,0.13,8\nb,0.5,8\nc,1.5,8\nd,,8\ne,x,8\nf,0.5,0\n")
    text = str(caught.value)
    assert "0.13 of 8 rollouts is 1.04 passes: write the passes as num_passed" in text
    assert "found '1.5'. A pass rate is between 0 and 1" in text
    assert "Write the pass rate, or remove the row" in text
    assert "Write the pass rate as a number" in text
    assert "A problem needs at least one rollout" in text
    assert "row 3" not in text


def test_counts_come_before_a_rate_beside_them(tmp_path):
    table = table_of(tmp_path, "id,num_passed,num_rollouts,pass_rate\na,3,8,0.9\n")
    assert counts(table) == [("a", 3, 8)]


def test_pass_at_k_alone_is_explained_and_not_taken_for_an_outcome(tmp_path):
    with pytest.raises(
        ValueError, match="'pass@8' alone is not enough: pass@k is 1 if any of k rollouts passed"
    ) as caught:
        table_of(tmp_path, "id,pass@8\na,0.5\n")
    assert "Did you mean 'pass'" not in str(caught.value)


def test_a_number_above_one_beside_fractions_makes_none_of_them_a_rate(tmp_path):
    """A count of 2 in the column shows that 0.5 is a fault of its own row, not that 2 is a rate out of range."""
    with pytest.raises(BadRows, match=r"row 2, column 'accuracy': found '0\.5'"):
        table_of(tmp_path, "id,accuracy,total\na,0.5,8\nb,2,8\n")
