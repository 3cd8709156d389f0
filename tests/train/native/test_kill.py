"""Kill -9 anywhere and run again: the same bytes as a run that nobody disturbed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import killing
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tiny_models import write_model, write_sums
from training_setup import metrics_of, run_whole_job, train_briefly

NIGHTLY = bool(os.environ.get("PACED_NIGHTLY"))
pytestmark = pytest.mark.timeout(7200 if NIGHTLY else 600)
DIFFERS = {"timings.jsonl", "environment.json", ".lock", ".lock-holder.json", "checkpoints"}
"""Say when and where a run ran; which checkpoints are kept depends on when a stop was asked for."""

PHASES = (Phase.explicit, Phase.generate)
"""Without shrinking: a moment in time does not fail twice in the same way."""

KILLS = st.lists(
    st.one_of(
        st.tuples(st.just("at_operation"), st.floats(0, 1)),
        st.tuples(st.just("after_seconds"), st.floats(0.02, 1)),
    ),
    min_size=2,
    max_size=2,
)
"""Where to kill, as a share of the operations or of the time of a calm run; two kills an example."""


def as_settings(kills, operations, seconds):
    """Shares as arguments of ``killing.run``."""
    return [
        {name: 1 + round(share * (operations - 1)) if name == "at_operation" else share * seconds}
        for name, share in kills
    ]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The bytes of an undisturbed training, its operations and its seconds."""
    killing.run(train_briefly, str(tmp_path_factory.mktemp("warm")), root=Path("/nowhere"))
    root = tmp_path_factory.mktemp("calm") / "run"
    operations, seconds = killing.measure(train_briefly, str(root), root=root)
    return killing.contents(root, DIFFERS), operations, seconds


@pytest.mark.slow
@settings(max_examples=100 if NIGHTLY else 5, phases=PHASES, suppress_health_check=list(HealthCheck), deadline=None)
@given(kills=KILLS)
def test_training_killed_anywhere_ends_in_the_bytes_of_an_undisturbed_one(tmp_path_factory, calm, kills):
    """Step, checkpoint write, hashing, rename, pruning, teacher cache, metrics, export: 10 kills, 200 nightly."""
    expected, operations, seconds = calm
    root = tmp_path_factory.mktemp("killed") / "run"
    killing.run_until_done(train_briefly, str(root), root=root, kills=as_settings(kills, operations, seconds))
    contents = killing.contents(root, DIFFERS)
    assert sorted(contents) == sorted(expected)
    assert [name for name in expected if contents[name] != expected[name]] == []
    assert not list((root / "stage-1" / "checkpoints").glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.nightly)])
def test_every_operation_around_the_first_checkpoint_can_be_the_last(tmp_path, calm, stride):
    """All kill points of one checkpoint write, the place where half a state could be taken for a whole one."""
    expected, operations, _ = calm
    points = range(operations // 3, operations, stride)
    for point in points:
        root = tmp_path / str(point)
        hits = killing.run_until_done(train_briefly, str(root), root=root, kills=[{"at_operation": point}])
        assert hits == 1
        assert killing.contents(root, DIFFERS) == expected


@pytest.mark.slow
def test_a_polite_signal_saves_a_checkpoint_and_exits_with_75(tmp_path, calm):
    expected, operations, _ = calm
    root = tmp_path / "run"
    code, _ = killing.run(train_briefly, str(root), root=root, at_operation=operations // 4, number=signal.SIGTERM)
    assert code == 75
    newest = max((root / "stage-1" / "checkpoints").glob("step-*/manifest.json")).parent.name
    assert 1 <= len(metrics_of(root)) < 7
    assert newest == f"step-{len(metrics_of(root)):06d}"
    killing.run_until_done(train_briefly, str(root), root=root, kills=[])
    assert killing.contents(root, DIFFERS) == expected


@pytest.fixture(scope="module")
def whole_job(tmp_path_factory):
    """A recipe of two stages (rated anew in between and within) and the bytes of its undisturbed run."""
    folder = tmp_path_factory.mktemp("job")
    write_model(folder / "model", "gpt2", chat=False)
    write_sums(folder / "sums.jsonl", 8)
    write_sums(folder / "heldout.jsonl", 4, first=20)
    killing.run(run_whole_job, str(folder), "warm", root=Path("/nowhere"))
    operations, seconds = killing.measure(run_whole_job, str(folder), "calm", root=folder / "calm")
    return folder, killing.contents(folder / "calm", DIFFERS), operations, seconds


@pytest.mark.slow
@settings(max_examples=50 if NIGHTLY else 3, phases=PHASES, suppress_health_check=list(HealthCheck), deadline=None)
@given(kills=KILLS)
def test_a_whole_job_killed_anywhere_ends_in_the_bytes_of_an_undisturbed_one(tmp_path_factory, whole_job, kills):
    """Rollouts, grades, weights, references, training, renewed pass rates, evaluation, report: 6 kills, 100 nightly."""
    folder, expected, operations, seconds = whole_job
    name = tmp_path_factory.mktemp("name").name
    root = folder / name
    killing.run_until_done(run_whole_job, str(folder), name, root=root, kills=as_settings(kills, operations, seconds))
    contents = killing.contents(root, DIFFERS)
    assert sorted(contents) == sorted(expected)
    assert [file for file in expected if contents[file] != expected[file]] == []
