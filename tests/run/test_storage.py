"""A file on disk is whole or absent, and a kill loses at most the line in flight."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.errors import BadRows, RunFolderError
from paced.records import Grade, PassRate, Rollout
from paced.run import storage


@contextlib.contextmanager
def largest_file(num_bytes):
    """The system itself refuses to let this process's files grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "write",
    [
        lambda file: storage.write_atomic(file, b"x" * 5000),
        lambda file: storage.append_lines(file, [{"text": "x" * 5000}]),
        lambda file: storage.write_json(file, ["x" * 5000]),
    ],
    ids=["write_atomic", "append_lines", "write_json"],
)
def test_a_write_that_the_system_refuses_names_the_file_and_keeps_its_lines(tmp_path, write):
    file = tmp_path / "a.jsonl"
    storage.append_lines(file, [{"a": 1}])
    with largest_file(1000), pytest.raises(OSError, match="File too large") as refusal:
        write(file)
    assert refusal.value.filename == str(file)
    assert list(storage.read_lines(file)) == [{"a": 1}]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
    storage.append_lines(file, [{"a": 2}])
    assert list(storage.read_lines(file)) == [{"a": 1}, {"a": 2}]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    storage.write_atomic(file, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.write_atomic(file, "new")
    assert file.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@given(st.lists(st.text(min_size=0, max_size=20), min_size=1, max_size=8), st.data())
def test_a_file_cut_anywhere_keeps_whole_lines_and_takes_new_ones(tmp_path_factory, texts, data):
    file = tmp_path_factory.mktemp("cut") / "a.jsonl"
    storage.append_lines(file, [{"text": text} for text in texts])
    raw = file.read_bytes()
    keep = data.draw(st.integers(0, len(raw)))
    file.write_bytes(raw[:keep])
    whole = raw[:keep].count(b"\n")
    assert [row["text"] for row in storage.read_lines(file)] == texts[:whole]
    storage.append_lines(file, [{"text": "next"}])
    assert [row["text"] for row in storage.read_lines(file)] == [*texts[:whole], "next"]


def test_records_survive_jsonl_and_parquet(tmp_path):
    rates = [PassRate(problem_id=str(k), num_passed=k, num_rollouts=8) for k in range(5)]
    storage.append_lines(tmp_path / "a.jsonl", rates)
    storage.write_parquet(tmp_path / "a.parquet", rates, PassRate)
    assert storage.read_records(tmp_path / "a.jsonl", PassRate) == rates
    assert storage.read_parquet(tmp_path / "a.parquet", PassRate) == rates


def test_tuples_of_tokens_survive_jsonl(tmp_path):
    rollout = Rollout(problem_id="a", sample_index=0, token_ids=(1, 2), text="x", finish_reason="stop", seed=2**63 + 1)
    storage.append_lines(tmp_path / "a.jsonl", [rollout])
    assert storage.read_records(tmp_path / "a.jsonl", Rollout) == [rollout]


def test_equal_rows_give_equal_parquet_bytes(tmp_path):
    rates = [PassRate(problem_id="a", num_passed=1, num_rollouts=8)]
    storage.write_parquet(tmp_path / "a.parquet", rates, PassRate)
    storage.write_parquet(tmp_path / "b.parquet", rates, PassRate)
    assert storage.file_hash(tmp_path / "a.parquet") == storage.file_hash(tmp_path / "b.parquet")


def test_all_bad_rows_are_named_at_once(tmp_path):
    file = tmp_path / "a.jsonl"
    good = '{"problem_id":"a","num_passed":1,"num_rollouts":8}'
    rows = ["{", '{"problem_id":"a"}', '{"problem_id":1,"num_passed":1,"num_rollouts":8}', "[1]", '{"colour":1}', good]
    file.write_text("\n".join(rows) + "\n")
    with pytest.raises(BadRows) as caught:
        storage.read_records(file, PassRate)
    assert [row.row for row in caught.value.rows] == [1, 2, 3, 4, 5]
    assert "num_passed" in str(caught.value)


def test_truncate_keeps_the_first_lines(tmp_path):
    file = tmp_path / "a.jsonl"
    storage.append_lines(file, [{"step": step} for step in range(5)])
    storage.truncate_lines(file, 3)
    assert [row["step"] for row in storage.read_lines(file)] == [0, 1, 2]


@pytest.mark.slow
def test_kill_9_during_appends_loses_only_the_tail(tmp_path):
    file = tmp_path / "a.jsonl"
    program = (
        "import sys; from pathlib import Path; from paced.run.storage import append_lines\n"
        "for i in range(10**6): append_lines(Path(sys.argv[1]), [{'i': i, 'pad': 'x' * 5000}])"
    )
    for _ in range(3):
        before = file.stat().st_size if file.exists() else 0
        child = subprocess.Popen([sys.executable, "-c", program, str(file)])
        deadline = time.monotonic() + 60  # a busy machine takes seconds to import
        while time.monotonic() < deadline and (file.stat().st_size if file.exists() else 0) < before + 50_000:
            time.sleep(0.01)
        child.kill()
        child.wait()
        values = [row["i"] for row in storage.read_lines(file)]
        assert values
        assert all(later == earlier + 1 or later == 0 for earlier, later in itertools.pairwise(values))


def test_what_a_kill_leaves_of_a_write_is_gone_after_the_next(tmp_path):
    """The half-written file has the name that the next write of the same file takes."""
    program = (
        "import os, signal, sys; from pathlib import Path; from paced.run import storage; "
        "os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL); "
        "storage.write_atomic(Path(sys.argv[1]), 'half')"
    )
    target = tmp_path / "a.json"
    done = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    assert not target.exists()
    storage.write_atomic(target, "whole")
    assert os.listdir(tmp_path) == ["a.json"]
    assert target.read_text() == "whole"


@pytest.mark.parametrize("damage", [b"\0" * 40, b'{"problem_id":"a","num_pas', b"\xff\xfe{\0}\0", b"[1, 2]", b"NaN"])
def test_a_damaged_line_is_named_with_its_file_and_number(tmp_path, damage):
    file = tmp_path / "a.jsonl"
    storage.append_lines(file, [PassRate(problem_id="a", num_passed=1, num_rollouts=8)] * 3)
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([lines[0], damage, lines[2], b""]))
    with pytest.raises(RunFolderError, match=r"a\.jsonl: line 2 must be a JSON object"):
        list(storage.read_lines(file))
    with pytest.raises(BadRows, match=r"a\.jsonl: 1 row cannot be used\.\n  row 2"):
        storage.read_records(file, PassRate)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_damaged_parquet_or_json_file_is_named(tmp_path, keep):
    file = tmp_path / "a.parquet"
    storage.write_parquet(file, [PassRate(problem_id="a", num_passed=1, num_rollouts=8)], PassRate)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(RunFolderError, match=r"a\.parquet: must be a parquet file of PassRate rows, but is damaged"):
        storage.read_parquet(file, PassRate)
    storage.write_json(tmp_path / "a.json", {"numbers": [1] * 50})
    (tmp_path / "a.json").write_bytes((tmp_path / "a.json").read_bytes()[: keep if keep > 0 else -5])
    with pytest.raises(RunFolderError, match=r"a\.json: must be JSON, but is damaged"):
        storage.read_json(tmp_path / "a.json")


def test_rows_of_another_kind_are_not_taken_for_ours(tmp_path):
    storage.write_parquet(tmp_path / "a.parquet", [PassRate(problem_id="a", num_passed=1, num_rollouts=8)], PassRate)
    with pytest.raises(RunFolderError, match="must be a parquet file of Grade rows"):
        storage.read_parquet(tmp_path / "a.parquet", Grade)
