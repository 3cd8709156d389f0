"""Evaluation is paired: one noise for every checkpoint, one file for every set, nothing measured twice."""

from __future__ import annotations

import dataclasses
import json
import shutil
import typing

import pytest
from tiny_models import write_model, write_sums

from paced.analysis.report.evaluation import part_tables
from paced.analysis.report.terminal import print_evaluation
from paced.errors import ConfigError
from paced.grading.grade import count_passes, grade_all
from paced.pipeline import steps
from paced.pipeline.dependence import settings_of
from paced.pipeline.evaluate import evaluate
from paced.pipeline.preflight import check_inputs
from paced.problems.files import read_problems
from paced.problems.labels import ProblemLabels
from paced.records import Grade, PassRate, Rollout
from paced.run.config import EvaluationSet
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.presets import PRESETS, set_grading, set_sampling
from paced.run.progress import Silent
from paced.run.steprecord import Step
from paced.run.storage import read_parquet, read_records, write_parquet


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


def test_verdicts_and_reasons_are_stored_like_those_of_training(run):
    evaluate(run, "base", Silent())
    for name, num_samples in (("taught", 3), ("older", 2)):
        grades = read_records(run.evaluation_grades("base", name), Grade)
        rates = read_parquet(run.counts("base", name), PassRate)
        assert [grade.problem_id for grade in grades] == [rate.problem_id for rate in rates for _ in range(num_samples)]
        assert all(grade.reason for grade in grades)
        for rate in rates:
            verdicts = [grade.verdict for grade in grades if grade.problem_id == rate.problem_id]
            assert (verdicts.count("correct"), verdicts.count("truncated")) == (rate.num_passed, rate.num_truncated)


def test_grades_that_were_lost_are_made_again_without_sampling(run, monkeypatch):
    evaluate(run, "base", Silent())
    file = run.evaluation_grades("base", "taught")
    before = file.read_bytes()
    file.unlink()
    monkeypatch.setattr("paced.pipeline.evaluate.make_sampler", None)
    evaluate(run, "base", Silent())
    assert file.read_bytes() == before


def test_difficulty_and_subject_are_kept_where_the_file_has_them(run, tmp_path):
    rows = [json.loads(line) for line in (tmp_path / "taught.jsonl").read_text().splitlines()]
    labelled = [row | {"level": 1 + number % 2, "type": "Sums"} for number, row in enumerate(rows)]
    (tmp_path / "taught.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    evaluate(run, "base", Silent())
    labels = read_parquet(run.evaluation_labels("taught"), ProblemLabels)
    assert [(row.level, row.subject) for row in labels] == [(str(1 + k % 2), "Sums") for k in range(6)]
    assert not run.evaluation_labels("older").exists()
    assert part_tables(run, checkpoints=("base",))[0][1]["level"] == ["1", "2"]


def test_a_run_in_which_every_completion_was_cut_says_so_in_the_terminal(run, capsys):
    evaluate(run, "base", Silent())
    rollouts = [dataclasses.replace(one, finish_reason="length") for one in
                read_records(run.evaluation_rollouts("base", "taught"), Rollout)]  # fmt: skip
    problems = list(read_problems(next(item.path for item in run.config().evaluation.sets)).problems)
    grades = grade_all(problems, rollouts, run.config().grading)
    write_parquet(run.counts("base", "taught"), count_passes(problems, grades), PassRate)
    print_evaluation(run, ["base"])
    printed = capsys.readouterr().out
    assert "base on 'taught': every completion was cut by max_new_tokens=5" in printed
    assert "100.0" in printed


def test_a_preset_samples_and_grades_as_its_benchmark_is_measured(run):
    (item, other) = run.config().evaluation.sets
    config = dataclasses.replace(
        run.config(),
        evaluation=dataclasses.replace(run.config().evaluation, sets=(dataclasses.replace(item, preset="aime"), other)),
    )
    sampling = set_sampling(config, config.evaluation.sets[0])
    assert (sampling.num_samples, sampling.sampling_temperature, sampling.top_p) == (8, 0.6, 0.95)
    assert sampling.max_new_tokens == 30000
    assert sampling.engine == config.evaluation.sampling.engine
    assert set_sampling(config, other).num_samples == 2
    assert set_grading(config, "taught").answer_format.name == "boxed"
    assert set_grading(config, "older") == set_grading(config, "training") == config.grading
    count = Step("count", part="base-taught")
    assert settings_of(config, count) != settings_of(run.config(), count)  # graded again when the preset changes


def test_every_preset_that_a_recipe_may_name_is_there():
    named = typing.get_args(typing.get_type_hints(EvaluationSet)["preset"])
    assert set(named) == {"none", *PRESETS}


def test_the_final_student_must_have_been_trained(run):
    with pytest.raises(ConfigError, match="stage 2 needs the student of stage 1. Run: paced distill"):
        evaluate(run, "final", Silent())


def test_a_preset_whose_completions_do_not_fit_the_model_is_refused_before_the_run(run, tmp_path):
    taught, older = run.config().evaluation.sets
    sets = (dataclasses.replace(taught, preset="aime"), older)
    config = dataclasses.replace(run.config(), evaluation=dataclasses.replace(run.config().evaluation, sets=sets))
    with pytest.raises(ConfigError, match=r"evaluation\.sets\.taught\.preset=aime: max_new_tokens is 30000"):
        check_inputs(config)
