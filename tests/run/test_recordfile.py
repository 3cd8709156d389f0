"""Records on the disk are those of the list that was written, in any order, as often as they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.errors import BadRows
from paced.records import Rollout
from paced.run.recordfile import Places, RecordFile, Spool, take
from paced.run.storage import read_records, write_records

rollouts = st.lists(
    st.builds(
        Rollout,
        problem_id=st.text(st.characters(codec="utf-8"), max_size=4),
        sample_index=st.integers(0, 9),
        token_ids=st.lists(st.integers(0, 2**31), max_size=4).map(tuple),
        text=st.text(st.characters(codec="utf-8"), max_size=9),
        finish_reason=st.sampled_from(["stop", "length"]),
        seed=st.integers(0, 2**64 - 1),
    ),
    max_size=8,
)


@given(rollouts, st.randoms(use_true_random=False))
def test_a_file_and_a_spool_read_as_the_list_in_any_order(tmp_path_factory, records, random):
    path = tmp_path_factory.mktemp("records") / "rollouts.jsonl"
    write_records(path, iter(records))
    spool = Spool(Rollout)
    for record in records:
        spool.append(record)
    order = np.arange(len(records))
    random.shuffle(order)
    for sequence in (RecordFile.read(path, Rollout), spool.records()):
        assert list(sequence) == records == read_records(path, Rollout)
        assert list(take(sequence, order)) == take(records, order)
        assert list(sequence[1:][::-1]) == records[1:][::-1]
        assert not records or sequence[-1] == records[-1]


def test_bad_lines_are_named_all_at_once_and_a_torn_last_one_is_passed_over(tmp_path):
    path = tmp_path / "rollouts.jsonl"
    path.write_text('{"problem_id": 1}\n[]\n{"problem_id": "a", "samp')
    with pytest.raises(BadRows, match="2 rows cannot be used"):
        RecordFile.read(path, Rollout)


def test_an_absent_file_has_no_record(tmp_path):
    assert list(RecordFile.read(tmp_path / "absent.jsonl", Rollout)) == []


@given(st.lists(st.text(st.characters(codec="utf-8")), unique=True))
def test_ids_are_where_they_are_and_others_nowhere(ids):
    places = Places(ids)
    assert [places.get(name) for name in [*ids, *ids[::-1]]] == [*range(len(ids)), *range(len(ids))[::-1]]
    assert places.get("".join(ids) + "?") is None


def test_an_id_that_comes_twice_has_no_place():
    with pytest.raises(ValueError, match="ids must be unique, got 1 that come again"):
        Places(["a", "b", "a"])
