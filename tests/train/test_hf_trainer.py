"""``WeightedDistillationTrainer`` as users call it: rows, denominators of the whole step, logs, evaluation, LoRA."""

from __future__ import annotations

import copy
import dataclasses
import gc
import shutil

import pytest
import ranks
import torch
from backend_setup import CUTS, backend_config, even_examples, kept, run_stage
from datasets import Dataset
from tiny_models import byte_tokenizer, write_model
from tolerances import F32
from trainer_setup import (
    REDUCTIONS,
    difference,
    gradients,
    problems,
    rows_of,
    train_and_evaluate_on_ranks,
    train_sharded_by_accelerate,
    trainer_of,
)
from training_setup import build_student, make_config, metrics_of, step_gradients
from transformers import TrainerCallback

from paced.run.schema import Choice
from paced.train import WeightedDistillationTrainer
from paced.train.backends import make_backend
from paced.train.examples import FixedExamples
from paced.train.hf_rows import Rows
from paced.train.lora import Lora, adapters_off, add_adapters, new_adapters


def native_gradients(root, examples, **training):
    """The native loop's, with the whole batch in one forward."""
    settings = {"training.batch_size": len(examples), "training.micro_batch_tokens": 10_000}
    config = make_config(**settings | {f"training.{key}": value for key, value in training.items()})
    return step_gradients(root, config, source=FixedExamples(examples))


@pytest.mark.parametrize(("reduction", "normaliser"), REDUCTIONS)
@pytest.mark.parametrize("cut", kept(CUTS, "micro-batch 1, accumulation 4"))
def test_the_first_gradient_is_the_native_loops_for_every_cut(tmp_path, cut, reduction, normaliser):
    micro_batch, accumulation = CUTS[cut]
    examples = problems(micro_batch * accumulation)
    named = {"reduction": reduction, "normaliser": normaliser}
    ours = gradients(tmp_path / "ours", rows_of(examples), micro_batch=micro_batch, accumulation=accumulation, **named)
    assert difference(ours, native_gradients(tmp_path / "native", examples, **named)) < F32


class PerMicroBatch(WeightedDistillationTrainer):
    """Wrong on purpose: every micro-batch divides by its own weights, and the step takes the mean of them."""

    def get_batch_samples(self, *given):
        samples, nothing = super().get_batch_samples(*given)
        for sample in samples:
            del sample["multipliers"]
        self.number = len(samples)
        return samples, nothing

    def compute_loss(self, *given, **named):
        return super().compute_loss(*given, **named) / self.number


@pytest.mark.slow
def test_a_mean_inside_each_micro_batch_would_be_another_gradient(tmp_path):
    examples, named = problems(4), {"reduction": "sequence_mean", "normaliser": "self"}
    native = native_gradients(tmp_path / "native", examples, **named)
    whole, cut = (
        gradients(
            tmp_path / str(size),
            rows_of(examples),
            micro_batch=size,
            accumulation=4 // size,
            cls=PerMicroBatch,
            **named,
        )
        for size in (4, 1)
    )
    assert difference(whole, native) < F32
    assert difference(cut, native) > 0.1


@pytest.mark.slow
def test_weights_in_any_unit_give_one_step(tmp_path):
    ours, theirs = (gradients(tmp_path, rows_of(problems(4), unit=unit)) for unit in (1.0, 250.0))
    assert difference(ours, theirs) < F32


@pytest.mark.slow
@pytest.mark.parametrize(("reduction", "normaliser"), REDUCTIONS)
@pytest.mark.parametrize("cut", [(1, 4), (4, 1)])
def test_rows_of_weight_zero_change_nothing(tmp_path, cut, reduction, normaliser):
    examples = problems(8)
    assert [one.unit_mean_weight for one in examples].count(0.0) == 2
    other = [
        one if one.unit_mean_weight else dataclasses.replace(one, completion_ids=(77,) * 9, teacher_prompt_ids=(5,))
        for one in examples
    ]
    ends = []
    for rows in (rows_of(examples), rows_of(other)):
        trainer = trainer_of(
            tmp_path,
            rows,
            micro_batch=cut[0],
            accumulation=cut[1],
            steps=3,
            reduction=reduction,
            normaliser=normaliser,
        )
        trainer.train()
        ends.append(trainer.model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    before = build_student().state_dict()
    assert any(not torch.equal(ends[0][name], before[name]) for name in before)


def test_a_step_whose_weights_are_all_zero_has_no_gradient(tmp_path):
    rows = [row | {"weight": 0.0} for row in rows_of(problems(2))]
    assert all(not gradient.any() for gradient in gradients(tmp_path, rows, micro_batch=1, accumulation=2).values())


def test_a_data_set_of_text_trains_as_its_tokens_do(tmp_path):
    tokenizer = byte_tokenizer(chat=False)
    texts = [("1 + 1", " 2", 0.5), ("2 + 2 is", " 4, of course", 2.0), ("3", " 3", 0.0), ("4 + 5", " 9", 1.0)]
    table = Dataset.from_list(
        [{"prompt": p, "completion": c, "weight": w, "teacher_prompt": f"{c}: {p}", "note": "x"} for p, c, w in texts]
    )
    ids = [
        {
            "prompt": tokenizer(p)["input_ids"],
            "completion": [*tokenizer(c)["input_ids"], tokenizer.eos_token_id],
            "weight": w,
            "teacher_prompt": tokenizer(f"{c}: {p}")["input_ids"],
        }
        for p, c, w in texts
    ]
    assert difference(gradients(tmp_path / "text", table), gradients(tmp_path / "ids", ids)) < F32


def test_logged_numbers_are_those_of_the_whole_step(tmp_path):
    examples = problems(4)
    logs = []
    for size in (4, 1):
        trainer = trainer_of(tmp_path, rows_of(examples), micro_batch=size, accumulation=4 // size)
        trainer.train()
        logs.append(trainer.state.log_history[0])
    native_gradients(tmp_path / "native", examples)
    assert logs[0]["loss"] == pytest.approx(logs[1]["loss"], rel=F32)
    assert logs[0]["loss"] == pytest.approx(metrics_of(tmp_path / "native")[0]["loss"], rel=1e-4)
    assert logs[0]["forward_kl"] == pytest.approx(logs[1]["forward_kl"], rel=F32)


def test_the_logged_divergence_is_without_weights(tmp_path):
    rows = rows_of(problems(4))
    for row in rows:
        row["weight"] = 1.0
    trainer = trainer_of(tmp_path, rows, reduction="token_mean")
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["forward_kl"] == pytest.approx(log["loss"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("reduction", "normaliser"), REDUCTIONS)
def test_evaluation_is_the_loss_of_the_whole_set_for_every_batch_size(tmp_path, reduction, normaliser):
    rows = rows_of(problems(8))
    named = {"reduction": reduction, "normaliser": normaliser}
    trainer = trainer_of(tmp_path, rows, micro_batch=8, **named)
    trainer.train()
    trained = trainer.state.log_history[0]["loss"]
    for size in (8, 3, 1):
        ours = trainer_of(
            tmp_path, rows, eval_dataset=rows, settings={"per_device_eval_batch_size": size}, **named
        ).evaluate()
        assert ours["eval_loss"] == pytest.approx(trained, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"completion": None}, "must have completion"),
        ({"weight": -1.0}, "weight must be finite and >= 0"),
        ({"prompt": []}, "prompt must have at least one token"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused(change, message):
    row = rows_of(problems(1))[0] | change
    with pytest.raises(ValueError, match=message):
        Rows(byte_tokenizer(chat=False))([row])


# LoRA ----------------------------------------------------------------------------------------------------------------

LORA = Lora(rank=2, alpha=4, targets=("q_proj", "down_proj"))


def lora_student():
    """A student whose adapters already compute something."""
    student = add_adapters(build_student(), LORA, new_adapters(0))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return student


@pytest.mark.slow
def test_without_a_teacher_a_lora_student_learns_from_its_base_as_from_a_copy_of_it(tmp_path):
    rows, named = rows_of(problems(4)), {"divergence": "reverse_kl"}
    own = gradients(tmp_path, rows, model=lora_student(), **named)
    copied = gradients(tmp_path, rows, model=lora_student(), teacher=build_student(), **named)
    assert own
    assert all("lora_" in name for name in own)
    assert difference(own, copied) < F32
    adapted = copy.deepcopy(lora_student()).merge_and_unload()
    other = gradients(tmp_path, rows, model=lora_student(), teacher=adapted, **named)
    assert difference(other, copied) > 0.1


def test_the_base_is_read_with_adapters_off_and_they_are_on_again_afterwards(tmp_path):
    student = lora_student()
    ids = torch.arange(4, 20)[None]
    with torch.no_grad():
        before = student(input_ids=ids).logits
        with adapters_off(student):
            base = student(input_ids=ids).logits
    trainer = trainer_of(tmp_path, rows_of(problems(4)), model=student, settings={"learning_rate": 0.0})
    trainer.train()
    with torch.no_grad():
        assert torch.equal(student(input_ids=ids).logits, before)
    assert not torch.equal(before, base)


def test_a_student_without_adapters_needs_a_teacher(tmp_path):
    with pytest.raises(TypeError, match="teacher must be a model, got None"):
        trainer_of(tmp_path, rows_of(problems(1)), model=build_student())


ROWS_OF_TABLE = 283
"""Vocabulary rows that no other model of the test process has, so that parameters can be counted by shape."""


class CountTables(TrainerCallback):
    """Counts the embedding tables in memory during a step."""

    def on_pre_optimizer_step(self, args, state, control, **_):
        tables = [
            one
            for one in gc.get_objects()
            if type(one) in (torch.Tensor, torch.nn.Parameter) and one.shape[:1] == (ROWS_OF_TABLE,)
        ]
        self.count = len({one.untyped_storage().data_ptr() for one in tables})


@pytest.mark.slow
@pytest.mark.parametrize(("teacher", "copies"), [("student", 1), ("copy", 2)])
def test_a_lora_stage_with_self_teacher_has_one_copy_of_the_weights(tmp_path, teacher, copies):
    """The control is the same teacher under another path, which is loaded beside the student."""
    write_model(tmp_path / "student", "qwen2", chat=False, vocab_size=ROWS_OF_TABLE)
    shutil.copytree(tmp_path / "student", tmp_path / "copy")
    changes = {"teacher.path": str(tmp_path / teacher), "stages": [{"num_steps": 1}], "student.adapter.rank": 2}
    config = backend_config(tmp_path, **changes)
    counted = CountTables()
    backend = make_backend(Choice("transformers", {"callbacks": [counted]}))
    run_stage(backend, tmp_path / "run", config, even_examples())
    assert counted.count == copies


@pytest.mark.slow
def test_two_processes_take_the_step_of_one_and_evaluate_as_one_does(tmp_path):
    ranks.run(train_and_evaluate_on_ranks, str(tmp_path), size=2)
    train_and_evaluate_on_ranks(str(tmp_path))
    for reduction, normaliser in REDUCTIONS:
        one, two = (torch.load(tmp_path / f"{reduction}-{normaliser}-{size}.pt", weights_only=True) for size in (1, 2))
        names = {name.removeprefix("module."): gradient for name, gradient in two["gradient"].items()}
        assert difference(names, one["gradient"]) < F32
        assert two["loss"] == pytest.approx(one["loss"], rel=F32)
        assert two["eval_loss"] == pytest.approx(one["eval_loss"], rel=F32)


@pytest.mark.slow
def test_a_student_sharded_by_accelerate_takes_the_step_of_one_process(tmp_path):
    """FSDP2, with accelerate's refusal to shard on CPUs overruled."""
    ranks.run(train_sharded_by_accelerate, str(tmp_path), size=2)
    train_sharded_by_accelerate(str(tmp_path))
    for head in ("tied", "untied"):
        one, two = (torch.load(tmp_path / f"{head}-{size}.pt", weights_only=True) for size in (1, 2))
        assert difference(two, one) < F32
