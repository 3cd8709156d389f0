"""LoRA students of the native loop: PEFT's adapters, the transformers backend's gradient, one copy of the weights."""

from __future__ import annotations

import contextlib
import gc
import shutil

import killing
import pytest
import ranks
import torch
from backend_setup import (
    ADAPTER,
    LARGE_STEPS,
    TRACKS,
    backend_config,
    cut_config,
    even_examples,
    first_gradients,
    gradient_difference,
    kept,
    lora_steps,
    run_stage,
    train_long,
    train_lora_on_ranks,
)
from peft import PeftModel
from safetensors.torch import load_file
from tiny_models import write_model
from tolerances import F32
from training_setup import largest_difference, metrics_of, weights_of
from transformers import AutoModelForCausalLM

from paced.errors import ConfigError
from paced.models.loading import load_model, teacher_model
from paced.run.config import ModelConfig
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.schema import Choice
from paced.train.backends import make_backend
from paced.train.examples import FixedExamples
from paced.train.inputs import StageInputs

NATIVE = make_backend(Choice("native"))
BOTH = ["native", "transformers"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A student, and a teacher of another architecture with the same tokenizer."""
    root = tmp_path_factory.mktemp("models")
    for who, family in (("student", "qwen2"), ("teacher", "llama")):
        write_model(root / who, family, chat=False)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory, models):
    """A self-distilled LoRA student after four steps, with its checkpoints."""
    root = tmp_path_factory.mktemp("trained")
    return run_stage(NATIVE, root, lora_steps(models), even_examples())


def adapters_of(root):
    return load_file(RunFolder(root).stage(1).adapter / "adapter_model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    "cut", kept(["micro-batch 4, accumulation 1", "micro-batch 1, accumulation 4"], "micro-batch 1, accumulation 4")
)
@pytest.mark.parametrize("track", TRACKS)
def test_the_first_gradient_is_that_of_the_transformers_backend(tmp_path, models, track, cut):
    ours, theirs = (
        first_gradients(
            make_backend(Choice(name)), tmp_path / name, cut_config(models, track, cut, **ADAPTER), even_examples()
        )
        for name in BOTH
    )
    assert sum(bool(gradient.any()) for gradient in theirs) == 4  # B of two targets in two layers; A has none yet
    assert gradient_difference(ours, theirs) < F32


def test_three_steps_end_where_the_transformers_backend_ends(tmp_path, models):
    for name in BOTH:
        run_stage(make_backend(Choice(name)), tmp_path / name, lora_steps(models), even_examples())
    ours, theirs = (adapters_of(tmp_path / name) for name in BOTH)
    assert largest_difference(ours, theirs) < F32
    assert largest_difference(weights_of(tmp_path / "native"), weights_of(tmp_path / "transformers")) < F32


def test_a_stage_leaves_the_adapters_and_a_student_with_them_merged(trained, models):
    """PEFT puts the adapters on the base and gets what the merged student computes."""
    base = load_model(ModelConfig(path=str(models / "student")))
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    merged = AutoModelForCausalLM.from_pretrained(trained.folder.student)
    changed = {name for name, weight in merged.state_dict().items() if not torch.equal(weight, before[name])}
    assert len(changed) == 4
    assert all("q_proj" in name or "down_proj" in name for name in changed)
    adapted = PeftModel.from_pretrained(base, trained.folder.adapter)
    ids = torch.arange(4, 24)[None]
    with torch.no_grad():
        torch.testing.assert_close(adapted(ids).logits, merged(ids).logits, rtol=F32, atol=F32)
        with adapted.disable_adapter():
            assert not torch.allclose(base(ids).logits, merged(ids).logits, rtol=F32, atol=100 * F32)


def test_a_checkpoint_holds_the_adapters_alone(trained):
    newest = max(trained.folder.checkpoints.glob("step-*"))
    names = load_file(newest / "tensors.safetensors").keys()
    assert len(names) == 8 * (1 + 3)  # A and B of two targets in two layers; each with AdamW's three
    assert all(".lora_" in name for name in names)


def test_the_base_teaches_as_a_copy_of_it_does(tmp_path, trained, models):
    """Adapters compute something from the second step on; a teacher that had them on would be another one."""
    shutil.copytree(models, tmp_path / "models")
    shutil.copytree(models / "student", tmp_path / "models" / "teacher", dirs_exist_ok=True)
    config = lora_steps(tmp_path / "models")
    other = backend_config(
        tmp_path / "models", **ADAPTER, stages=[{"divergence": "reverse_kl", "num_steps": 4}],
        **LARGE_STEPS, **{"training.checkpoint_every": 1},
    )  # fmt: skip
    assert config.teacher.path != other.teacher.path
    run_stage(NATIVE, tmp_path / "run", other, even_examples())
    ours, theirs = adapters_of(tmp_path / "run"), adapters_of(trained.run.root)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


ROWS = 283
"""Vocabulary rows that no other model of the test process has, so that tables can be counted by shape."""


@pytest.mark.parametrize(("teacher", "copies"), [("", 1), ("copy", 2)])
def test_student_and_self_teacher_are_one_copy_of_the_weights(tmp_path, monkeypatch, teacher, copies):
    """The control is the same teacher under another path, which is loaded beside the student."""
    write_model(tmp_path / "student", "qwen2", chat=False, vocab_size=ROWS)
    shutil.copytree(tmp_path / "student", tmp_path / "copy")
    changes = {"teacher.path": teacher and str(tmp_path / teacher), "stages": [{"num_steps": 1}]}
    counts = []
    original = torch.optim.AdamW.step

    def step(self, *given, **named):
        kinds = (torch.Tensor, torch.nn.Parameter)
        tables = [one for one in gc.get_objects() if type(one) in kinds and one.shape[:1] == (ROWS,)]
        counts.append(len({one.untyped_storage().data_ptr() for one in tables}))
        return original(self, *given, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    run_stage(NATIVE, tmp_path / "run", backend_config(tmp_path, **changes | ADAPTER), even_examples())
    assert counts == [copies]


def test_the_cache_of_the_base_gives_the_same_bytes(tmp_path, models):
    """In bfloat16 the base is held in float32 and computes in bfloat16, which is what the cache keeps."""
    for name, cached in (("computed", False), ("cached", True)):
        types = {"student.dtype": "bfloat16", "teacher.dtype": "bfloat16", "training.micro_batch_tokens": 1}
        changes = types | ADAPTER | {"teacher.path": "", "parallel.cache_teacher": cached, "training.batch_size": 3}
        run_stage(NATIVE, tmp_path / name, backend_config(models, **changes), even_examples())
    ours, theirs = adapters_of(tmp_path / "cached"), adapters_of(tmp_path / "computed")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert list((tmp_path / "cached" / "teacher-cache").rglob("*.safetensors"))
    base = load_model(ModelConfig(path=str(models / "student"))).state_dict()
    student = weights_of(tmp_path / "computed")
    frozen = [name for name in student if "q_proj" not in name and "down_proj" not in name]
    assert all(torch.equal(student[name], base[name]) for name in frozen)  # float32, not what bfloat16 computed with


def test_the_second_stage_continues_with_the_adapters_of_the_first(tmp_path, trained, models):
    shutil.copytree(trained.run.root, tmp_path / "run")
    config = lora_steps(models)
    two = backend_config(
        models, **ADAPTER, **LARGE_STEPS, stages=[{"num_steps": 4, "share": 0.5}, {"num_steps": 0, "share": 0.5}]
    )
    stage = StageInputs(
        run=RunFolder(tmp_path / "run"), config=two, stage_number=2, student=config.student,
        teacher=teacher_model(config), source=FixedExamples(even_examples()[:2]),
    )  # fmt: skip
    NATIVE.train(stage, Silent())
    first, second = (load_file(stage.run.stage(number).adapter / "adapter_model.safetensors") for number in (1, 2))
    moved = largest_difference(second, first)
    assert 0 < moved < 3 * two.training.learning_rate  # one step of AdamW from where the first stage ended
    (stage.run.stage(1).adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"holds no adapters .* Train the stage before it anew"):
        NATIVE.train(stage, Silent())


class Crash(Silent):
    """Fails after a number of steps, as a machine does."""

    def __init__(self, steps):
        self.left = steps

    def track(self, label, total):
        return contextlib.nullcontext(self.advance)

    def advance(self, count):
        self.left -= count
        if self.left < 0:
            raise RuntimeError("the machine is gone")


def test_a_lora_stage_that_crashed_continues_with_the_same_bytes(tmp_path, trained, models):
    with pytest.raises(RuntimeError, match="the machine is gone"):
        run_stage(NATIVE, tmp_path, lora_steps(models), even_examples(), progress=Crash(2))
    assert not RunFolder(tmp_path).stage(1).adapter.exists()
    run_stage(NATIVE, tmp_path, lora_steps(models), even_examples())
    differs = {"timings.jsonl"}
    assert killing.contents(tmp_path, differs) == killing.contents(trained.run.root, differs)


@pytest.mark.slow
def test_a_killed_lora_stage_continues_with_the_same_bytes(tmp_path, models):
    """SIGKILL at chosen file operations of the run folder, the last ones among them: adapters and merged student."""
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    operations, _ = killing.measure(train_long, str(calm), str(models), "native", True, root=calm)
    kills = [{"at_operation": int(share * operations)} for share in (0.3, 0.5, 0.5, 0.9)]
    assert killing.run_until_done(train_long, str(killed), str(models), "native", True, root=killed, kills=kills)
    differs = {"timings.jsonl", "checkpoints"}
    assert killing.contents(killed, differs) == killing.contents(calm, differs)


@pytest.mark.slow
def test_two_ranks_take_the_step_of_one_and_continue_from_its_checkpoint(tmp_path, trained, models):
    """Gradients of both backends, weights after four steps, and those of a stage that one process began."""
    shutil.copytree(trained.run.root, tmp_path / "resumed")
    for folder in ("student", "adapter", "checkpoints/step-000003"):
        shutil.rmtree(tmp_path / "resumed" / "stage-1" / folder)
    ranks.run(train_lora_on_ranks, str(tmp_path), str(models), size=2)
    for number, track in enumerate(TRACKS):
        config = cut_config(models, track, "micro-batch 1, accumulation 4", **ADAPTER)
        expected = first_gradients(NATIVE, tmp_path / track, config, even_examples())
        for name in BOTH:
            gradients = torch.load(tmp_path / f"{name}-{number}.pt", weights_only=True)
            assert gradient_difference(gradients, expected) < F32, (name, track)
    for name in ("steps", "resumed"):
        assert largest_difference(adapters_of(tmp_path / name), adapters_of(trained.run.root)) < F32
        assert largest_difference(weights_of(tmp_path / name), weights_of(trained.run.root)) < F32
        for ours, theirs in zip(metrics_of(tmp_path / name), metrics_of(trained.run.root), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", BOTH)
def test_check_names_every_target_that_the_student_lacks(tmp_path, name):
    for who in ("student", "teacher"):
        write_model(tmp_path / who, "llama", chat=False)
    targets = {"student.adapter.targets": ["q_proj", "c_attn", "wq"]}
    faults = make_backend(Choice(name)).check(backend_config(tmp_path, **targets))
    assert [fault.partition("got ")[2].partition(".")[0] for fault in faults] == ["'c_attn'", "'wq'"]
    assert all(fault.startswith("student.adapter.targets must name") for fault in faults)
    assert all("It has down_proj, gate_proj, k_proj" in fault for fault in faults)
    assert make_backend(Choice(name)).check(backend_config(tmp_path, **ADAPTER)) == []


def test_check_refuses_an_adapter_on_a_head_that_is_the_embedding(tmp_path, models):
    (fault,) = NATIVE.check(backend_config(models, **{"student.adapter.targets": ["q_proj", "lm_head"]}))
    assert fault.startswith("student.adapter.targets must leave out 'lm_head'")


def test_verl_says_that_adapters_are_its_own(models):
    faults = make_backend(Choice("verl")).check(backend_config(models, **ADAPTER))
    assert any(fault.startswith("student.adapter must be null with the backend verl") for fault in faults)
