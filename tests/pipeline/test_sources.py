"""The three kinds of completions that a stage can train along, on a real small model."""

from __future__ import annotations

import pytest
import torch
from tiny_models import write_model, write_sums

from paced.errors import RunFolderError
from paced.models.loading import load_model
from paced.pipeline import steps
from paced.pipeline.sources import FreshExamples, ReferenceExamples, RolloutExamples, StageProblems, open_source
from paced.records import PassRate, Rollout
from paced.rollouts.sampler import make_sampler
from paced.run.config import SamplingConfig
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.storage import read_parquet, read_records
from paced.train.backends import BACKENDS
from paced.train.native.backend import NativeBackend

ALONG = {
    "reference": ({"along": "reference"}, ReferenceExamples),
    "rollout": ({"along": "rollout"}, RolloutExamples),
    "fresh": ({"along": "rollout", "fresh_rollouts": True}, FreshExamples),
}
EVERY = range(6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("gpt2")
    write_model(root / "model", "gpt2", chat=False)
    write_sums(root / "sums.jsonl", len(EVERY))
    return root


def begin(folder, root, stage, **training):
    """A run that is ready to be distilled."""
    run = RunFolder(root)
    run.claim(
        build_config(
            {
                "name": "tiny",
                "student": {"path": str(folder / "model")},
                "problems": {"path": str(folder / "sums.jsonl")},
                "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
                "rollouts": {"num_samples": 4, "max_new_tokens": 5},
                "references": {"num_samples": 1, "sampling_temperature": 0.0, "max_new_tokens": 5},
                "weights": "uniform",
                "training": {"batch_size": 3, "learning_rate": 1e-3, **training},
                "stages": [{"divergence": "reverse_kl", **stage}],
            }
        )
    )
    steps.take_problems(run, Silent())
    for step in (steps.rollout, steps.grade, steps.weigh, steps.reference):
        step(run, 1, Silent())
    return run


def source_of(run):
    config = run.config()
    readers = {
        who: make_sampler(config, config.student, reader=who, sampling=SamplingConfig())
        for who in ("student", "teacher")
    }
    return open_source(StageProblems(run, 1, steps.stage_problems(run, 1), progress=Silent(), **readers))


def changed(folder):
    """The student with other weights, as after some training."""
    student = load_model(
        build_config({"name": "a", "problems": {"path": "p"}, "student": {"path": str(folder)}}).student
    )
    torch.manual_seed(3)
    with torch.no_grad():
        student.transformer.wte.weight.add_(torch.randn_like(student.transformer.wte.weight))
    return student


def completions(source, *, step, student):
    return [example.completion_ids for example in source.examples(EVERY, step=step, student=student)]


@pytest.mark.parametrize("name", ALONG)
def test_a_stage_gets_the_completions_that_it_asks_for_with_its_weights_and_pass_rates(folder, tmp_path, name):
    stage, kind = ALONG[name]
    run = begin(folder, tmp_path, stage)
    source = source_of(run)
    assert type(source) is kind
    rates = read_parquet(run.stage(1).pass_rates, PassRate)
    assert source.ratings().pass_rates == tuple(rate.pass_rate_estimate for rate in rates)
    assert source.ratings().unit_mean_weights == (1.0,) * len(EVERY)


def test_references_are_the_same_at_every_step_and_for_every_student(folder, tmp_path):
    run = begin(folder, tmp_path, ALONG["reference"][0])
    source = source_of(run)
    references = {one.problem_id: one.token_ids for one in read_records(run.stage(1).references, Rollout)}
    expected = [references[problem.problem_id] for problem in steps.stage_problems(run, 1)]
    assert completions(source, step=0, student=None) == expected
    assert completions(source, step=5, student=changed(folder / "model")) == expected


def test_held_rollouts_are_drawn_anew_at_every_step_and_the_same_on_every_call(folder, tmp_path):
    run = begin(folder, tmp_path, ALONG["rollout"][0])
    source = source_of(run)
    held = {(one.problem_id, one.token_ids) for one in read_records(run.stage(1).rollouts, Rollout)}
    drawn = [completions(source, step=step, student=None) for step in range(80)]
    ids = [problem.problem_id for problem in steps.stage_problems(run, 1)]
    assert {(ids[index], chosen[index]) for chosen in drawn for index in EVERY} == held
    again = source_of(run)
    assert [completions(again, step=step, student=None) for step in reversed(range(80))] == drawn[::-1]


def test_fresh_rollouts_come_from_the_student_as_it_is_and_from_noise_of_their_step(folder, tmp_path):
    source = source_of(begin(folder, tmp_path, ALONG["fresh"][0]))
    student, other = load_model(source.stage.config.student), changed(folder / "model")
    before = completions(source, step=0, student=student)
    assert completions(source, step=1, student=student) != before
    assert completions(source, step=0, student=other) != before
    assert completions(source, step=0, student=student) == before


@pytest.mark.parametrize("name", ALONG)
def test_a_renewal_rates_the_student_as_it_is_and_is_read_back_for_a_step_of_the_past(folder, tmp_path, name):
    run = begin(folder, tmp_path, ALONG[name][0])
    source, student = source_of(run), changed(folder / "model")
    with pytest.raises(RunFolderError, match="holds no pass rates"):
        source.refresh(step=2, student=None)
    ratings = source.refresh(step=2, student=student)
    renewed = read_records(run.stage(1).root / "renewed" / "step-000002" / "rollouts.jsonl", Rollout)
    assert len(renewed) == 4 * len(EVERY)
    assert {one.token_ids for one in renewed} != {one.token_ids for one in read_records(run.stage(1).rollouts, Rollout)}
    again = source_of(run)
    assert again.refresh(step=2, student=None) == ratings
    if name == "rollout":
        assert set(completions(again, step=2, student=None)) <= {one.token_ids for one in renewed}
    ours, theirs = (one.examples(EVERY, step=2, student=student) for one in (source, again))
    assert ours == theirs


def test_a_renewal_rolls_out_the_student_that_it_is_given(folder, tmp_path):
    rollouts = []
    for name in ("as it began", "trained"):
        run = begin(folder, tmp_path / name, ALONG["rollout"][0])
        student = changed(folder / "model") if name == "trained" else load_model(run.config().student)
        source_of(run).refresh(step=2, student=student)
        rollouts.append(read_records(run.stage(1).root / "renewed" / "step-000002" / "rollouts.jsonl", Rollout))
    assert [one.seed for one in rollouts[0]] == [one.seed for one in rollouts[1]]
    assert [one.token_ids for one in rollouts[0]] != [one.token_ids for one in rollouts[1]]


def test_distill_asks_the_backend_that_the_recipe_chose(folder, tmp_path, monkeypatch):
    stages = []

    class Counting(NativeBackend):
        """The native backend under another name, which keeps what it was given."""

        def train(self, stage, progress):
            stages.append(stage.stage_number)
            super().train(stage, progress)

    monkeypatch.setitem(BACKENDS, "counting", Counting)
    run = begin(folder, tmp_path, ALONG["reference"][0], backend="counting")
    steps.distill(run, 1, Silent())
    assert stages == [1]
    assert (run.stage(1).student / "config.json").exists()
