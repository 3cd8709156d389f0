"""What each step read and wrote is held by content: a file that changed or was damaged is named, and made anew."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil

import pytest
from tiny_models import write_model, write_sums
from tiny_run import begin, contents, recipe

from paced.errors import RunFolderError
from paced.pipeline import steps
from paced.pipeline.change import adopt
from paced.pipeline.evaluate import evaluate
from paced.pipeline.job import run_job
from paced.run.configfile import build_config
from paced.run.progress import Silent
from paced.run.signals import StopRequested
from paced.run.steprecord import Step, read_all, read_record, write_record
from paced.run.storage import file_hash, read_lines


class Notes(Silent):
    """Keeps what was said."""

    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, gpt2):
    """A finished run; tests copy it."""
    folder = tmp_path_factory.mktemp("whole")
    run = begin(folder, recipe(folder, gpt2))
    run_job(run, Silent())
    return run


def copy_of(run, tmp_path):
    shutil.copytree(run.root, tmp_path / "copy")
    return type(run)(tmp_path / "copy")


def sample_until(run, batch, monkeypatch):
    """Sample the rollouts of a run until a stop is asked for before this batch, counted from 1."""
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == batch:
            raise StopRequested("stop")

    with monkeypatch.context() as patched:
        patched.setattr("paced.rollouts.collect.stop_if_requested", stop)
        with pytest.raises(StopRequested, match="stop"):
            steps.rollout(run, 1, Silent())


def rollouts_of_a_new_run(tmp_path, data):
    """What the same settings give in a folder of their own."""
    (tmp_path / "new").mkdir()
    run = begin(tmp_path / "new", data)
    steps.rollout(run, 1, Silent())
    return run.stage(1).rollouts.read_bytes()


def test_every_step_writes_down_what_it_read_and_wrote(whole):
    records = {record.step.label: record for record in read_all(whole)}
    assert sorted(records) == [
        "count-base-heldout", "count-final-heldout", "evaluate-base-heldout", "evaluate-final-heldout", "problems",
        "stage-1-distill", "stage-1-grade", "stage-1-reference", "stage-1-rollout", "stage-1-weigh",
    ]  # fmt: skip
    written = {}
    for record in records.values():
        assert record.wrote
        written |= record.wrote
    assert written.pop("metrics.jsonl#stage-1")
    for name, content in written.items():
        assert file_hash(whole.root / name) == content
    student = records["stage-1-rollout"].read["student"]
    assert records["evaluate-base-heldout"].read["student"] == student
    assert records["stage-1-distill"].read["student"] == student
    weights = "stage-1/student/model.safetensors"
    assert records["evaluate-final-heldout"].read[weights] == records["stage-1-distill"].wrote[weights]
    assert "stage-1/student-prompts.jsonl" in records["stage-1-distill"].read


def halve(raw):
    return raw[: len(raw) // 2]


def double_a_line(raw):
    lines = raw.splitlines(keepends=True)
    return b"".join([*lines[:6], lines[5], *lines[7:]])


def drop_a_line(raw):
    lines = raw.splitlines(keepends=True)
    return b"".join([*lines[:5], *lines[6:]])


def zeros(raw):
    return raw[:300] + b"\0" * 40 + raw[340:]


def flip(raw):
    return raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:]


def other_tokens(raw):
    lines = raw.splitlines(keepends=True)
    row = json.loads(lines[3])
    row["token_ids"] = [row["token_ids"][0] + 1, *row["token_ids"][1:]]
    return b"".join(
        [*lines[:3], json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n", *lines[4:]]
    )


FILES = (
    "problems.parquet", "stage-1/rollouts.jsonl", "stage-1/grades.jsonl", "stage-1/pass_rates.parquet",
    "stage-1/weights.parquet", "stage-1/references.jsonl", "eval/base-heldout-rollouts.jsonl",
    "eval/final-heldout-rollouts.jsonl", "eval/final-heldout.parquet",
)  # fmt: skip


@pytest.mark.parametrize("damage", [halve, zeros, flip], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_made_anew_with_the_same_bytes(tmp_path, whole, name, damage):
    run = copy_of(whole, tmp_path)
    before = contents(run.root)
    (run.root / name).write_bytes(damage((run.root / name).read_bytes()))
    notes = Notes()
    run_job(run, notes)
    assert any(name in text for text in notes.said), notes.said
    after = {path: content for path, content in contents(run.root).items() if not path.endswith(".damaged")}
    assert after == before


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (double_a_line, "line 7 repeats or leaves out a sample"),
        (drop_a_line, "line 6 repeats or leaves out a sample"),
        (zeros, "line [0-9]+ is damaged"),
        (other_tokens, "is not what was written there"),
    ],
    ids=["doubled", "missing", "zeros", "tokens"],
)
def test_samples_that_are_not_those_that_were_drawn_are_named_by_line_and_drawn_again(tmp_path, whole, damage, words):
    run = copy_of(whole, tmp_path)
    raw = run.stage(1).rollouts.read_bytes()
    run.stage(1).rollouts.write_bytes(damage(raw))
    notes = Notes()
    steps.rollout(run, 1, notes)
    assert re.search(rf"rollouts.jsonl: {words}", "\n".join(notes.said)), notes.said
    assert run.stage(1).rollouts.read_bytes() == raw
    assert run.stage(1).rollouts.with_name("rollouts.jsonl.damaged").read_bytes() == damage(raw)


@pytest.mark.parametrize("name", ["student/model.safetensors", "student/config.json", "student/tokenizer.json"])
def test_a_damaged_student_is_named_and_not_trained_anew_unasked(tmp_path, whole, name):
    run = copy_of(whole, tmp_path)
    file = run.stage(1).root / name
    file.write_bytes(flip(file.read_bytes()))
    with pytest.raises(RunFolderError, match=rf"stage-1/{name}: is not what was written there.*--redo stage-1-distill"):
        run_job(run, Silent())


def test_a_training_on_other_weights_than_there_are_now_is_refused(tmp_path, whole):
    """Weights that were made anew and differ do not pass for those that the student was trained with."""
    run = copy_of(whole, tmp_path)
    record = read_record(run, Step("distill", 1))
    assert record is not None
    read = dict(record.read) | {"stage-1/weights.parquet": "0" * 64}
    write_record(run, dataclasses.replace(record, read=read))
    with pytest.raises(RunFolderError, match=r"stage-1-distill was computed from another stage-1/weights.parquet"):
        run_job(run, Silent())


@pytest.mark.parametrize("damage", [zeros, flip], ids=lambda one: one.__name__)
def test_damaged_metrics_are_named_and_cost_no_training(tmp_path, whole, damage):
    run = copy_of(whole, tmp_path)
    run.metrics.write_bytes(damage(run.metrics.read_bytes()))
    notes = Notes()
    run_job(run, notes)
    assert any("metrics.jsonl: is not what stage-1-distill wrote there" in text for text in notes.said)


def test_a_file_that_nothing_reads_any_more_may_be_deleted(tmp_path, whole, monkeypatch):
    run = copy_of(whole, tmp_path)
    run.stage(1).rollouts.unlink()
    monkeypatch.setattr("paced.rollouts.hf.sample_batches", None)
    run_job(run, Silent())
    assert not run.stage(1).rollouts.exists()


def test_a_part_of_a_student_that_is_absent_is_damage(tmp_path, whole):
    run = copy_of(whole, tmp_path)
    (run.stage(1).student / "config.json").unlink()
    with pytest.raises(RunFolderError, match=r"student/config.json: is not what was written there \(it is absent\)"):
        run_job(run, Silent())


def test_a_step_without_its_file_is_done_again_when_a_later_one_needs_it(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    steps.rollout(run, 1, Silent())
    raw = run.stage(1).rollouts.read_bytes()
    run.stage(1).rollouts.unlink()
    notes = Notes()
    steps.rollout(run, 1, notes)
    assert run.stage(1).rollouts.read_bytes() == raw
    assert any("rollouts.jsonl: is absent" in text for text in notes.said)


@pytest.mark.parametrize("who", ["student", "teacher"])
def test_a_model_that_changes_between_rollouts_and_training_is_refused_by_name(tmp_path, gpt2, who):
    model = shutil.copytree(gpt2, tmp_path / "model")
    data = recipe(tmp_path, gpt2) | {who: {"path": str(model)}}
    run = begin(tmp_path, data)
    for step in (steps.rollout, steps.grade, steps.weigh, steps.reference):
        step(run, 1, Silent())
    write_model(model, "gpt2", chat=False, seed=9)
    read_by = "stage-1-rollout" if who == "student" else "stage-1-reference"
    with pytest.raises(RunFolderError, match=rf"the {who} {model} has changed since [^.]*{read_by} read it.*--redo"):
        steps.distill(run, 1, Silent())
    assert not run.stage(1).student.exists()


def test_a_measurement_is_not_made_on_another_student_than_its_pass_rates(tmp_path, gpt2):
    model = shutil.copytree(gpt2, tmp_path / "model")
    run = begin(tmp_path, recipe(tmp_path, model))
    steps.rate_stage(run, 1, Silent())
    write_model(model, "gpt2", chat=False, seed=9)
    with pytest.raises(RunFolderError, match="the student .* has changed since stage-1-rollout read it"):
        steps.rate_stage(run, 1, Silent())


def test_a_student_replaced_under_a_killed_sampling_is_refused(tmp_path, gpt2, monkeypatch):
    model = shutil.copytree(gpt2, tmp_path / "model")
    run = begin(tmp_path, recipe(tmp_path, model))
    sample_until(run, 2, monkeypatch)
    assert 0 < len(list(read_lines(run.stage(1).rollouts))) < 48
    write_model(model, "gpt2", chat=False, seed=9)
    with pytest.raises(RunFolderError, match="the student .* has changed since stage-1-rollout read it"):
        steps.rollout(run, 1, Silent())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sums.jsonl", "heldout.jsonl"])
def test_a_problem_file_that_changes_under_a_run_is_refused_and_taken_back(tmp_path, gpt2, name):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    evaluate(run, "base", Silent())
    steps.rollout(run, 1, Silent())
    before = (tmp_path / name).read_bytes()
    write_sums(tmp_path / name, 5, first=70)
    with pytest.raises(
        RunFolderError, match=rf"{name} has changed since .* Put it back, or do these steps again: --redo"
    ):
        run_job(run, Silent())
    (tmp_path / name).write_bytes(before)
    run_job(run, Silent())
    assert run.stage(1).student.exists()


def test_a_run_needs_its_problem_file_no_more_once_it_was_read(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    steps.rollout(run, 1, Silent())
    (tmp_path / "sums.jsonl").unlink()
    notes = Notes()
    run_job(run, notes)
    assert any("is not there any more; the run continues with its own copy" in text for text in notes.said)
    assert run.stage(1).student.exists()


def test_the_student_is_trained_on_the_prompts_that_were_sampled(tmp_path, gpt2, monkeypatch):
    """Whatever a template would say later, as one with a clock may: stored prompts are not rendered again."""
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    for step in (steps.rollout, steps.grade, steps.weigh, steps.reference):
        step(run, 1, Silent())
    assert run.stage(1).student_prompts.read_bytes().count(b"\n") == 12
    monkeypatch.setattr("paced.rollouts.sampler.make_prompts", None)
    steps.distill(run, 1, Silent())
    assert run.stage(1).student.exists()


def test_damaged_prompts_are_rendered_again(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    steps.rollout(run, 1, Silent())
    stored = run.stage(1).student_prompts.read_bytes()
    run.stage(1).student_prompts.write_bytes(flip(stored))
    for step in (steps.grade, steps.weigh, steps.reference, steps.distill):
        step(run, 1, Silent())
    assert run.stage(1).student_prompts.read_bytes() == stored


@pytest.mark.slow
@pytest.mark.parametrize("max_rows", [16, 6])
def test_more_samples_are_added_to_those_that_are_there(tmp_path, gpt2, max_rows):
    """K from 4 to 7 in a run: the old lines stay, the new ones are those that a run with K = 7 would have had."""
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, data)
    steps.rollout(run, 1, Silent())
    four = run.stage(1).rollouts.read_bytes().splitlines()
    data["rollouts"] |= {"num_samples": 7, "engine": {"name": "hf", "parameters": {"max_rows": max_rows}}}
    said = []
    adopt(run, build_config(data), say=said.append)
    assert any("stage-1-rollout keeps its samples and gets more" in text for text in said)
    steps.rollout(run, 1, Silent())
    assert run.stage(1).rollouts.read_bytes() == rollouts_of_a_new_run(tmp_path, data)
    seven = run.stage(1).rollouts.read_bytes().splitlines()
    assert [line for line in seven if json.loads(line)["sample_index"] < 4] == four
    assert not list(run.stage(1).root.glob("*.from-*"))


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_stop_while_samples_are_added_costs_nothing(tmp_path, gpt2, monkeypatch, stop_at):
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, data)
    steps.rollout(run, 1, Silent())
    data["rollouts"] |= {"num_samples": 7}
    adopt(run, build_config(data), say=lambda text: None)
    sample_until(run, stop_at, monkeypatch)
    steps.rollout(run, 1, Silent())
    assert run.stage(1).rollouts.read_bytes() == rollouts_of_a_new_run(tmp_path, data)


def test_a_half_sampled_file_of_a_smaller_k_is_completed_first(tmp_path, gpt2):
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, data)
    steps.rollout(run, 1, Silent())
    lines = run.stage(1).rollouts.read_bytes().splitlines(keepends=True)
    run.stage(1).rollouts.write_bytes(b"".join(lines[:18]))
    data["rollouts"] |= {"num_samples": 7}
    adopt(run, build_config(data), say=lambda text: None)
    steps.rollout(run, 1, Silent())
    assert run.stage(1).rollouts.read_bytes() == rollouts_of_a_new_run(tmp_path, data)


def test_files_without_a_record_are_taken_as_they_are_and_said(tmp_path, whole):
    run = copy_of(whole, tmp_path)
    shutil.rmtree(run.steps)
    before = contents(run.root)
    notes = Notes()
    run_job(run, notes)
    assert any("problems.parquet: has no record of how it was made" in text for text in notes.said)
    assert {name: raw for name, raw in contents(run.root).items() if not name.startswith("steps")} == before


def test_a_damaged_record_is_named(tmp_path, whole):
    run = copy_of(whole, tmp_path)
    (run.steps / "stage-1-rollout.json").write_text('{"step": ')
    with pytest.raises(RunFolderError, match=r"stage-1-rollout.json: must be JSON, but is damaged"):
        run_job(run, Silent())
    text = (whole.steps / "stage-1-rollout.json").read_text()
    (run.steps / "stage-1-rollout.json").write_text(text.replace('"rollouts.top_p": 1.0', '"rollouts.top_p": 0.9'))
    with pytest.raises(RunFolderError, match=r"stage-1-rollout.json: must be the record of a step"):
        run_job(run, Silent())


def test_prompts_are_not_stored_with_a_model_that_is_refused(tmp_path, gpt2):
    model = shutil.copytree(gpt2, tmp_path / "model")
    run = begin(tmp_path, recipe(tmp_path, model))
    evaluate(run, "base", Silent())
    write_model(model, "gpt2", chat=False, seed=9)
    with pytest.raises(RunFolderError, match="the student .* has changed since evaluate-base-heldout read it"):
        steps.rollout(run, 1, Silent())
    assert not run.stage(1).student_prompts.exists()
