"""A whole run is the same run whoever trains it: its files, its metrics by name, its report."""

from __future__ import annotations

import json
import re

import pytest
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.analysis.report.report import write_report
from paced.pipeline.job import run_job
from paced.run.progress import Silent
from paced.train.backends import BACKENDS

STAGES = [
    {"share": 0.5},
    {
        "divergence": "reverse_kl",
        "along": "rollout",
        "fresh_rollouts": True,
        "share": 0.5,
        "num_steps": 3,
        "recompute_every": 2,
    },
]


def run_with(root, backend, **changes):
    """Two stages, the second on fresh rollouts with pass rates renewed on its way; then the report."""
    root.mkdir(parents=True)
    model = write_model(root / "model", "llama", chat=False)
    training = {"batch_size": 2, "learning_rate": 1e-3, "checkpoint_every": 1, "backend": backend}
    run = begin(root, recipe(root, model, training=training, stages=STAGES, **changes))
    run_job(run, Silent())
    write_report(run)
    return run


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return run_with(tmp_path_factory.mktemp("runs") / "native", "native")


def names(run):
    return {
        str(file.relative_to(run.root))
        for file in run.root.rglob("*")
        if file.is_file() and "checkpoints/step-" not in str(file)
    }


def lines(run):
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def headings(run):
    return re.findall(r"<h[12][^>]*>(.*?)</h[12]>", run.report.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, one in BACKENDS.items() if one.trains_here and name != "native"])
def test_a_run_has_the_files_metrics_and_report_of_a_native_one(tmp_path, native, name):
    run = run_with(tmp_path / name, name)
    assert names(run) == names(native)
    assert [list(line) for line in lines(run)] == [list(line) for line in lines(native)]
    assert headings(run) == headings(native)
    for ours, theirs in zip(lines(run), lines(native), strict=True):
        assert ours["learning_rate"] == theirs["learning_rate"]
        assert ours["num_examples"] == theirs["num_examples"]
    first = len([line for line in lines(native) if line["stage"] == 1])
    for ours, theirs in zip(lines(run)[:first], lines(native), strict=False):
        # a KL of 2e-4 is a sum of log-ratios of both signs: TRL's float32 log-softmax leaves 2e-7 of it to rounding
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["native", "transformers"])
def test_a_lora_run_keeps_its_teacher_and_hands_plain_students_on(tmp_path, backend):
    """Two stages: the second continues with the adapters of the first, on the same base."""
    adapter = {"rank": 4, "targets": ["q_proj", "down_proj"]}
    student = {"path": str(tmp_path / "lora" / "model"), "adapter": adapter}
    run = run_with(tmp_path / "lora", backend, student=student)
    for number in (1, 2):
        stage = run.stage(number)
        assert not (stage.student / "adapter_config.json").exists()
        assert (stage.adapter / "adapter_model.safetensors").exists()
    from safetensors.torch import load_file

    start = load_file(tmp_path / "lora" / "model" / "model.safetensors")
    first, second = (load_file(run.stage(number).student / "model.safetensors") for number in (1, 2))
    assert start.keys() == first.keys() == second.keys()
    changed = {name for name in start if not first[name].equal(start[name])}
    assert changed
    assert all("q_proj" in name or "down_proj" in name for name in changed)
    assert any(not second[name].equal(first[name]) for name in changed)
