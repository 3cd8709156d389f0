"""Evaluation is paired: one noise for every checkpoint, one file for every set, nothing measured twice."""

from __future__ import annotations

import shutil

import pytest
from tiny_models import write_model, write_sums

from paced.errors import ConfigError
from paced.pipeline import steps
from paced.pipeline.evaluate import evaluate
from paced.records import PassRate
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.storage import read_parquet


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("llama"), "llama", chat=True)


@pytest.fixture
def run(tmp_path, model):
    """A run of ten problems with a taught and an older skill, and the base student in the place of the trained one."""
    write_sums(tmp_path / "sums.jsonl", 10)
    write_sums(tmp_path / "taught.jsonl", 6)
    write_sums(tmp_path / "older.jsonl", 5)
    sets = [
        {"name": "taught", "path": str(tmp_path / "taught.jsonl")},
        {"name": "older", "path": str(tmp_path / "older.jsonl"), "role": "stability"},
    ]
    sampling = {"num_samples": 3, "max_new_tokens": 5, "sampling_temperature": 0.6, "top_p": 0.95}
    folder = RunFolder(tmp_path / "run")
    folder.claim(
        build_config(
            {
                "name": "run",
                "student": {"path": str(model)},
                "problems": {"path": str(tmp_path / "sums.jsonl")},
                "rollouts": {"num_samples": 4, "max_new_tokens": 5},
                "evaluation": {"sets": sets, "sampling": sampling, "stability_samples": 2, "rate_training": True},
            }
        )
    )
    steps.take_problems(folder, Silent())
    return folder


def test_every_set_has_a_file_of_its_own_with_its_own_number_of_samples(run):
    evaluate(run, "base", Silent())
    counts = {
        name: [rate.num_rollouts for rate in read_parquet(run.counts("base", name), PassRate)]
        for name in ("taught", "older")
    }
    assert counts == {"taught": [3] * 6, "older": [2] * 5}
    assert not run.counts("base", "training").exists()


def test_an_unchanged_student_gets_the_same_completions_before_and_after(run, model):
    shutil.copytree(model, run.stage(1).student)
    evaluate(run, "base", Silent())
    evaluate(run, "final", Silent())
    for name in ("taught", "older"):
        before, after = (run.evaluation / f"{checkpoint}-{name}-rollouts.jsonl" for checkpoint in ("base", "final"))
        assert before.read_bytes() == after.read_bytes()
    rates = read_parquet(run.counts("final", "training"), PassRate)
    assert [rate.num_rollouts for rate in rates] == [4] * 10


def test_what_was_measured_is_not_measured_again(run, monkeypatch):
    evaluate(run, "base", Silent())
    before = {file.name: file.read_bytes() for file in run.evaluation.iterdir()}
    monkeypatch.setattr("paced.pipeline.evaluate.make_sampler", None)
    evaluate(run, "base", Silent())
    assert before
    assert {file.name: file.read_bytes() for file in run.evaluation.iterdir()} == before


def test_the_final_student_must_have_been_trained(run):
    with pytest.raises(ConfigError, match="stage 2 needs the student of stage 1. Run: paced distill"):
        evaluate(run, "final", Silent())
