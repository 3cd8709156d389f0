"""Graded rollouts after a resumed job: a rollout that was written twice counts once, and the table says so."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.errors import BadRows
from paced.weights.table.read import read_counts
from paced.weights.table.spellings import PERHAPS_INDEX, PERHAPS_TEXT, SAMPLE


def table_of(tmp_path, rows, name="a.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_counts(path)


def rollouts(num_problems=4, num_rollouts=8, **more):
    return [
        {"problem_id": f"q{p}", "sample_index": k, "correct": (p + k) % 3 == 0, **more}
        for p in range(num_problems)
        for k in range(num_rollouts)
    ]


def test_repeated_rollouts_are_left_out_and_counted(tmp_path):
    rows = rollouts()
    table = table_of(tmp_path, rows + rows[20:])
    assert table.num_rollouts.tolist() == [8] * 4
    assert table.num_passed.tolist() == table_of(tmp_path, rows).num_passed.tolist()
    assert table.num_repeated == 12
    assert table.notes == ("left out: 12 repeated rows, with problem_id and sample_index of an earlier row",)
    assert table_of(tmp_path, rows).notes == ()


@given(st.lists(st.integers(0, 31), max_size=40), st.integers(0, 99))
def test_any_repeats_in_any_order_change_nothing(tmp_path_factory, again, seed):
    rows = rollouts()
    written = rows + [rows[index] for index in again]
    random.Random(seed).shuffle(written)
    table = table_of(tmp_path_factory.mktemp("repeats"), written)
    found = dict(zip(table.problem_ids.to_pylist(), table.num_passed.tolist(), strict=True))
    assert found == {f"q{p}": sum((p + k) % 3 == 0 for k in range(8)) for p in range(4)}
    assert (set(table.num_rollouts.tolist()), table.num_repeated) == ({8}, len(again))


@pytest.mark.parametrize("name", SAMPLE)
def test_every_spelling_of_the_index_is_understood(tmp_path, name):
    rows = [
        {"problem_id": row["problem_id"], name: row["sample_index"], "correct": row["correct"]} for row in rollouts()
    ]
    assert table_of(tmp_path, rows + rows[:3]).num_repeated == 3


def test_a_rollout_generated_again_with_the_same_outcome_counts_once_and_the_note_says_that_it_differs(tmp_path):
    rows = rollouts(text="first")
    table = table_of(tmp_path, [*rows, rows[0] | {"text": "second"}, rows[1]])
    assert table.num_rollouts.tolist() == [8] * 4
    (note,) = table.notes
    assert note == (
        "left out: 2 repeated rows, with problem_id and sample_index of an earlier row; "
        "1 of them differ from it in other cells"
    )


def test_two_outcomes_of_one_rollout_are_refused_with_both_rows(tmp_path):
    rows = rollouts()
    with pytest.raises(BadRows, match="2 rows cannot be used") as caught:
        table_of(tmp_path, [*rows, rows[0] | {"correct": False}, rows[1] | {"correct": "grader_error"}])
    fix = "has this rollout with another outcome: keep one of the two."
    assert [str(row) for row in caught.value.rows] == [
        f"row 33, column 'correct': found False. Row 1 {fix}",
        f"row 34, column 'correct': found 'grader_error'. Row 2 {fix}",
    ]


def test_an_index_is_the_same_as_a_number_a_float_and_a_text(tmp_path):
    rows = [{"id": "a", "sample": value, "correct": 1} for value in (0, 0.0, "0", 1, "1 ", "x", "x")]
    table = table_of(tmp_path, rows)
    assert (table.num_rollouts.tolist(), table.num_repeated) == ([3], 4)


def test_a_row_without_its_index_is_refused(tmp_path):
    with pytest.raises(BadRows, match="row 1, column 'sample_index': found nothing. Write which rollout"):
        table_of(tmp_path, [{"id": "a", "sample_index": None, "correct": 1}])


@pytest.mark.parametrize("outcomes", [(1, 1, 1), (1, 0, 1)])
def test_a_column_that_cannot_number_rollouts_is_refused_before_rollouts_are_lost(tmp_path, outcomes):
    rows = [{"id": "a", "sample_id": "a", "correct": value, "text": str(k)} for k, value in enumerate(outcomes)]
    with pytest.raises(ValueError, match="a.jsonl: column 'sample_id' cannot number the rollouts"):
        table_of(tmp_path, [*rows, {"id": "b", "sample_id": "b", "correct": 1, "text": ""}])


def test_equal_rows_count_where_nothing_numbers_the_rollouts(tmp_path):
    rows = [{"id": "a", "correct": 1, "text": "4"}] * 3 + [{"id": "a", "correct": 0, "text": "5"}]
    table = table_of(tmp_path, rows)
    assert (table.num_passed.tolist(), table.num_rollouts.tolist(), table.num_repeated) == ([3], [4], 0)
    (note,) = table.notes
    assert note.startswith("2 rows equal an earlier one in every cell and count")


@pytest.mark.parametrize("name", sorted(PERHAPS_TEXT))
def test_equal_texts_of_rollouts_are_not_one_rollout(tmp_path, name):
    rows = [{"id": "a", name: text, "correct": 1} for text in ("It is 4.", "It is 4.", "4")]
    table = table_of(tmp_path, rows)
    assert (table.num_rollouts.tolist(), table.num_repeated) == ([3], 0)


@pytest.mark.parametrize("name", PERHAPS_INDEX)
def test_a_column_that_numbers_the_rows_of_each_problem_is_an_index(tmp_path, name):
    rows = [{"problem_id": f"q{p}", name: k, "correct": k < p, "text": "same"} for p in range(3) for k in range(4)]
    table = table_of(tmp_path, [*rows, *rows[5:]])
    assert (table.num_passed.tolist(), table.num_rollouts.tolist(), table.num_repeated) == ([0, 1, 2], [4] * 3, 7)


@pytest.mark.parametrize("name", ["seed", "epoch", "run_id"])
def test_a_column_that_is_the_same_for_all_rollouts_is_not_an_index(tmp_path, name):
    different = [{"problem_id": "a", name: 42, "correct": 1, "text": str(k)} for k in range(4)]
    assert table_of(tmp_path, different).num_rollouts.tolist() == [4]
    equal = [{"problem_id": problem, name: 42, "correct": 1} for problem in "aabb"]
    table = table_of(tmp_path, equal)
    assert (table.num_rollouts.tolist(), table.num_repeated) == ([2, 2], 0)
    assert table.notes[0].startswith("2 rows equal an earlier one in every cell and count")


def test_rollouts_of_two_runs_that_all_ended_alike_are_not_repeats(tmp_path):
    rows = [{"problem_id": p, "run": run, "correct": p == "a"} for p in "ab" for run in (1, 2) for _ in range(4)]
    table = table_of(tmp_path, rows)
    assert (table.num_passed.tolist(), table.num_rollouts.tolist()) == ([8, 0], [8, 8])


def test_rows_of_outcomes_alone_are_equal_by_nature(tmp_path):
    assert table_of(tmp_path, [{"id": "a", "correct": 1}] * 3).notes == ()


def test_rollouts_of_which_none_could_be_graded_are_not_an_empty_file(tmp_path):
    with pytest.raises(ValueError, match="not one of 2 rollouts could be graded"):
        table_of(tmp_path, [{"id": "a", "verdict": "grader_error"}, {"id": "b", "verdict": "grader_timeout"}])
