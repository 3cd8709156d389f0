"""The histogram of a file, counted batch by batch, is that of the file read whole; what is unusual is refused alike."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paced.errors import BadRows
from paced.weights.counts import CountHistogram
from paced.weights.table import cells as cells_file
from paced.weights.table.cells import read_cells
from paced.weights.table.read import read_counts

RNG = np.random.default_rng(4)
SIZE = 3000
ROLLOUTS = RNG.choice([1, 4, 8, 100], SIZE)
PASSED = RNG.binomial(ROLLOUTS, RNG.beta(0.7, 1.2, SIZE))
NAMES = {
    "rising numbers": np.arange(SIZE) * 3 - 50,
    "shuffled numbers": RNG.permutation(SIZE).astype(np.uint64),
    "short texts": [f"p{i}" for i in range(SIZE)],
    "long texts": [f"{'x' * (i % 40)}/{i}/" for i in range(SIZE)],
    "texts beyond ASCII": [f"é{i}" for i in range(SIZE)],
}


def written(path, names, passed=PASSED, rollouts=ROLLOUTS, **columns):
    table = pa.table({"problem_id": names, "num_passed": passed, "num_rollouts": rollouts, **columns})
    pq.write_table(table, path, row_group_size=700)
    return path


def triples(cells: CountHistogram) -> list[list[int]]:
    return [cells.num_passed.tolist(), cells.num_rollouts.tolist(), cells.num_problems.tolist()]


@pytest.mark.parametrize("kind", NAMES)
def test_batches_give_the_histogram_of_the_whole_file(tmp_path, kind, monkeypatch):
    path = written(tmp_path / "a.parquet", NAMES[kind])
    want = triples(CountHistogram.of(PASSED, ROLLOUTS))
    if kind != "texts beyond ASCII":  # those are left to the other reader
        monkeypatch.setattr(cells_file, "read_counts", lambda path: pytest.fail("the whole file was read"))
    assert triples(read_cells(path).cells) == want


def test_text_slices_of_every_length_have_keys_that_differ():
    texts = pa.array(["", *(char * length for char in "abz" for length in range(1, 30)), "ab", "ba", "a" * 8 + "b"])
    keys = cells_file._keys_of_texts(texts.slice(1))
    assert len(set(keys.tolist())) == len(texts) - 1
    assert cells_file._keys_of_texts(texts) is None


@pytest.mark.parametrize("kind", ["rising numbers", "shuffled numbers", "short texts", "long texts"])
def test_a_name_that_comes_twice_in_far_batches_is_a_bad_row(tmp_path, kind):
    names = pa.array(NAMES[kind]).to_pylist()
    names[-1] = names[0]
    path = written(tmp_path / "a.parquet", names)
    with pytest.raises(BadRows, match="has the same problem"):
        read_cells(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"passed": [9, 1, 0]}, "are the two columns swapped"),
        ({"passed": [-1, 1, 0]}, "A count cannot be negative"),
        ({"rollouts": [8, 0, 8]}, "needs at least one rollout"),
        ({"passed": [None, 1, 0]}, "Write the count"),
        ({"names": ["a", " ", "c"]}, "Give every problem a name"),
        ({"names": ["a", None, "c"]}, "Give every problem a name"),
        ({"rollouts": [8, 8, 10**6]}, "No problem has more than 100,000 rollouts"),
    ],
)
def test_faults_are_those_of_the_file_read_whole(tmp_path, changes, message):
    arguments = {"names": ["a", "b", "c"], "passed": [0, 1, 0], "rollouts": [8, 8, 8], **changes}
    path = written(tmp_path / "a.parquet", **arguments)
    for read in (read_cells, read_counts):
        with pytest.raises(BadRows, match=message):
            read(path)


def test_many_rollouts_and_notes_are_read_as_before(tmp_path):
    path = written(tmp_path / "a.parquet", [1, 2, 3], passed=[0, 5, 70_000], rollouts=[8, 8, 90_000])
    assert triples(read_cells(path).cells) == [[0, 5, 70_000], [8, 8, 90_000], [1, 1, 1]]
    doubtful = pa.table({"id": [1, 2], "correct": [0, 1], "total": [8, 8]})
    pq.write_table(doubtful, tmp_path / "b.parquet")
    assert read_cells(tmp_path / "b.parquet").notes == read_counts(tmp_path / "b.parquet").notes
    assert read_cells(tmp_path / "b.parquet").notes[0].startswith("'correct' is 0 or 1 in every row")


def test_an_empty_parquet_file_is_refused_as_before(tmp_path):
    path = written(
        tmp_path / "a.parquet",
        pa.array([], pa.string()),
        passed=pa.array([], pa.int64()),
        rollouts=pa.array([], pa.int64()),
    )
    with pytest.raises(ValueError, match="no row of data"):
        read_cells(path)
