"""What a recipe will need, held against arithmetic by hand and against a run."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paced.errors import ConfigError
from paced.pipeline.open import read_recipe
from paced.pipeline.plan.fits import smallest_change
from paced.pipeline.plan.make import Question, faults_of, make_plan
from paced.pipeline.plan.report import plan_json
from paced.pipeline.plan.shapes import shipped_models
from paced.run.configfile import build_config

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "paper-distillation.yaml"
CELL = {"name": "llama", "dtype": "float32", "checkpointing": True}


@pytest.fixture(scope="module")
def paper():
    return read_recipe(RECIPE, ())


@pytest.fixture(scope="module")
def plan(paper):
    return make_plan(paper, Question(gpus=8, device="h200"))


def with_parallel(config, **changes):
    return dataclasses.replace(config, parallel=dataclasses.replace(config.parallel, **changes))


def by_hand(result):
    """The largest phase as the arithmetic by hand counts it, in GB.

    By hand the loss has two float32 tiles of logits, without the scratch of its divergence and of a product on
    tensor cores, and the teacher's embedding is sharded; FSDP gathers it in the first forward and keeps it, as no
    backward follows.
    """
    chunk = (1 << 27) // result.student.head_rows
    tiles = 2 * 4 * chunk * result.student.head_rows
    phases = {phase.name: phase for phase in result.phases}
    gathered = 2 * (result.teacher.root_parameters - result.teacher.head_parameters)  # bytes of bfloat16
    return (result.worst.total - (phases["optimiser"].device["loss"] - tiles) - gathered) / 1e9


@pytest.mark.parametrize(
    ("changes", "peak"),
    [({"offload": False}, 30.1), ({"offload": False, "sequence_parallel": 1}, 38.1), ({}, 10.2)],
    ids=["ulysses", "no-ulysses", "offload"],
)
def test_the_papers_setting_is_what_arithmetic_by_hand_gives(paper, changes, peak):
    result = make_plan(with_parallel(paper, **changes), Question(gpus=8, device="h200"))
    assert by_hand(result) == pytest.approx(peak, rel=0.05)


def test_offloading_takes_what_arithmetic_by_hand_gives_each_rank(plan):
    in_step = max(sum(phase.host.values()) for phase in plan.phases if phase.name != "loading")
    assert in_step / 1e9 == pytest.approx(20.1, rel=0.05)


def test_ranks_that_read_their_parts_load_an_eighth_where_one_process_loads_all(paper):
    """By hand: (4 S + 2 T) of Qwen3-8B and -14B whole, 62.3 GB; an eighth, and the teacher's head, on 8 ranks."""
    alone = with_parallel(paper, offload=False, sequence_parallel=1)
    (whole, *_), (parts, *_) = (make_plan(alone, Question(gpus=gpus, device="h200")).phases for gpus in (1, 8))
    assert whole.name == parts.name == "loading"
    assert whole.total / 1e9 == pytest.approx(62.3, rel=0.01)
    head = 2 * 151_936 * 5_120
    assert parts.total == pytest.approx((whole.total - head) / 8 + head, rel=0.01)


def test_parts_add_up_to_totals(plan):
    data = json.loads(plan_json(plan))
    for phase in data["phases"]:
        assert sum(phase["parts"].values()) == pytest.approx(phase["bytes"], rel=1e-12)
    assert plan.hours == pytest.approx(sum(task["hours"] for task in data["tasks"]), rel=1e-12)
    assert data["host_bytes"] == plan.host_bytes
    assert set(data["faults"]) == set(faults_of(plan))


def test_sharding_over_more_ranks_and_checkpointing_take_less(paper):
    lean = make_plan(paper, Question(gpus=8, device="h200"))
    kept = make_plan(with_parallel(paper, gradient_checkpointing=False), Question(gpus=8, device="h200"))
    assert lean.worst.total < kept.worst.total
    more = make_plan(with_parallel(paper, offload=False), Question(gpus=16, device="h200"))
    fewer = make_plan(with_parallel(paper, offload=False), Question(gpus=8, device="h200"))
    assert more.worst.total < fewer.worst.total


@pytest.mark.slow
def test_what_is_proposed_fits_when_it_is_planned_again(plan):
    assert faults_of(plan)
    change = smallest_change(plan)
    assert change is not None
    typed = [f"{key}={json.dumps(value)}" for key, value in change.changes.items()]
    again = make_plan(read_recipe(RECIPE, typed), plan.question)
    assert not faults_of(again)
    assert again.worst.total == change.plan.worst.total


@pytest.mark.slow
def test_nothing_is_proposed_where_all_fits_or_nothing_helps(plan):
    fitting = smallest_change(plan).plan
    assert smallest_change(fitting) is None
    assert smallest_change(make_plan(plan.config, Question(gpus=8, device="l4", host_memory=1e9))) is None


def test_an_unknown_device_lists_the_choices(paper):
    with pytest.raises(
        ConfigError, match=r"--device must be one of b200, h200, .*cpu, got 'h20'\. Did you mean 'h200'"
    ):
        make_plan(paper, Question(device="h20"))


def test_an_unknown_model_lists_the_shipped_ones(paper):
    student = dataclasses.replace(paper.student, path="Qwen/Qwen3-8C")
    with pytest.raises(ConfigError, match=r"student\.path: .*Qwen/Qwen3-8B.*Did you mean"):
        make_plan(dataclasses.replace(paper, student=student), Question())


def test_sequence_parallelism_that_no_run_starts_with_is_refused(paper):
    with pytest.raises(ConfigError, match=r"sequence_parallel must divide --gpus 6, got 8"):
        make_plan(paper, Question(gpus=6))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(shipped_models()))
def test_every_shipped_configuration_can_be_planned(name):
    config = build_config(
        {"name": "x", "student": {"path": name, "dtype": "bfloat16"}, "problems": {"path": "absent.jsonl"}}
    )
    result = make_plan(config, Question(gpus=1, device="b200"))
    assert result.worst.total > 16 * result.student.parameters  # master weights, gradients, moments


@pytest.mark.slow
def test_no_weights_are_loaded_no_gpu_is_asked_and_no_network_is_used():
    program = (
        "import socket, sys, torch\n"
        "def refuse(*_, **__): raise AssertionError('asked')\n"
        "socket.socket.connect = refuse\n"
        "torch.cuda.init = torch.cuda._lazy_init = torch.load = refuse\n"
        "import safetensors.torch\n"
        "safetensors.torch.load_file = safetensors.safe_open = refuse\n"
        "from paced.cli import app\n"
        "app(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "plan", str(RECIPE), "--gpus", "8", "--device", "h200"],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Memory of one h200" in done.stdout


@pytest.mark.slow
def test_a_training_run_takes_what_was_planned_within_15_percent():
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "plan.py"), "--cell", json.dumps(CELL)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["planned"] == pytest.approx(row["measured"], rel=0.15)


@pytest.mark.slow
def test_a_rank_of_eight_holds_what_was_planned_within_15_percent():
    """Parameters, gradients and moments between two steps, by PyTorch's tracker on tensors without memory."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "plan_ranks.py"), "--cell", '{"name": "gpt2", "dtype": "bfloat16"}'],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = json.loads(done.stdout.splitlines()[-1])
    assert parts.keys() == {"parameters", "gradients", "optimiser"}
    for planned, tracked in parts.values():
        assert planned == pytest.approx(tracked, rel=0.15)


def small(**sections):
    """A recipe of a shipped model, with what is given in place of its sections."""
    student = {"path": "Qwen/Qwen3-0.6B", "dtype": "bfloat16"} | sections.pop("student", {})
    return build_config(
        {"name": "x", "student": student, "problems": {"path": "absent.jsonl", "limit": 100}} | sections
    )


def test_a_lora_student_has_gradients_and_moments_of_its_adapters_alone_and_one_copy_of_the_weights():
    """Qwen3-0.6B, 28 layers: q 1024x2048 and v 1024x1024 with rank 16 have 16 (1024 + 2048) + 16 (1024 + 1024)."""
    adapter = {"rank": 16, "targets": ["q_proj", "v_proj"]}
    question = Question(gpus=2, device="h100")
    lora, whole = (make_plan(small(student=one, teacher={"dtype": "bfloat16"}), question)
                   for one in ({"adapter": adapter}, {}))  # fmt: skip
    base, adapters = lora.student.parameters, lora.student.adapter_parameters
    assert adapters == 28 * 16 * ((1024 + 2048) + (1024 + 1024))
    assert base == whole.student.parameters
    step = {phase.name: phase.device for phase in lora.phases}["optimiser"]
    assert step["parameters"] == 4 * (base + adapters) / 2
    assert step["gradients"] == 4 * adapters / 2
    assert step["optimiser"] < 2 * 4 * adapters  # both moments of half of them, and the scratch of one tensor
    assert step["teacher"] == 2 * lora.teacher.head_parameters  # its head alone
    assert lora.worst.total < whole.worst.total
    other = make_plan(small(student={"adapter": adapter}, teacher={"path": "Qwen/Qwen3-1.7B", "dtype": "bfloat16"}),
                      question)  # fmt: skip
    assert other.worst.device["teacher"] > other.teacher.parameters  # a model of its own, 2 bytes over 2 ranks
    training, full = (next(one.task for one in plan.tasks if one.task.name == "training") for plan in (lora, whole))
    saved = 2 * lora.student.multiplied_parameters - 3 * 2 * adapters  # a product a token; three with the adapters
    assert full.operations - training.operations == pytest.approx(saved * full.tokens, rel=1e-9)
    assert lora.disk["checkpoints"] == pytest.approx(whole.disk["checkpoints"] * adapters / base)


def test_references_are_counted_with_all_samples_and_retries():
    def references(**settings):
        plan = make_plan(small(references={"sampling_temperature": 1.0} | settings), Question(gpus=1, device="h100"))
        return next(one for one in plan.tasks if one.task.name == "references")

    one, several = references(), references(num_samples=4, retries=2)
    assert (one.task.num_sequences, several.task.num_sequences) == (100, 1200)
    assert several.task.tokens == 12 * one.task.tokens
    assert several.hours == pytest.approx(12 * one.hours, rel=0.1)  # more rows share a read of the weights at most


def test_evaluation_is_counted_set_by_set_as_its_preset_samples():
    sets = [
        {"name": "math-500", "path": "absent-math.jsonl", "preset": "math-500"},
        {"name": "mmlu", "path": "absent-mmlu.jsonl", "preset": "mmlu"},
        {"name": "own", "path": "absent-own.jsonl"},
    ]
    sampling = {"num_samples": 2, "max_new_tokens": 1000}
    plan = make_plan(small(evaluation={"sets": sets, "sampling": sampling}), Question(gpus=1, device="h200"))
    tasks = {one.task.name: one.task for one in plan.tasks}
    before_and_after = 2
    assert tasks["evaluation math-500"].tokens == before_and_after * 500 * 8 * 30_000
    assert tasks["evaluation mmlu"].tokens == before_and_after * 14_042 * 1 * 4096
    assert tasks["evaluation own"].tokens == before_and_after * 500 * 2 * 1000
    assert all(one.hours > 0 and one.task.operations > 2 * one.task.tokens * 5e8 for one in plan.tasks
               if one.task.name.startswith("evaluation"))  # fmt: skip


def test_what_a_file_takes_the_place_of_is_not_sampled(tmp_path):
    plan = make_plan(
        small(rollouts={"from": "absent-rollouts.jsonl"}, references={"from": "absent-references.jsonl"}),
        Question(gpus=1, device="h100"),
    )
    assert {one.task.name for one in plan.tasks} == {"teacher states", "training"}
