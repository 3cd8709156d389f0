"""A ``WeightedDistillationTrainer`` on small models and rows, its first gradient, and both on several ranks."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import torch
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from backend_setup import even_examples, gradient_difference
from tiny_models import byte_tokenizer
from tolerances import F32
from training_setup import build_student, build_teacher
from transformers import TrainerCallback, TrainingArguments

from paced.train import WeightedDistillationTrainer
from paced.train.team import whole_tensor

REDUCTIONS = [(one, other) for one in ("sequence_mean", "token_mean") for other in ("dataset", "self")]


def problems(count):
    """Examples whose weights have mean 1."""
    examples = even_examples()[:count]
    mean = sum(example.unit_mean_weight for example in examples) / count
    return [dataclasses.replace(one, unit_mean_weight=one.unit_mean_weight / mean) for one in examples]


def rows_of(examples, *, unit=3.7):
    """The same as a user's table, in token ids, with weights in another unit."""
    return [
        {
            "prompt": list(one.student_prompt_ids),
            "teacher_prompt": list(one.teacher_prompt_ids),
            "completion": list(one.completion_ids),
            "weight": unit * one.unit_mean_weight,
        }
        for one in examples
    ]


class FirstGradient(TrainerCallback):
    """Keeps what the first optimiser step is given."""

    def __init__(self):
        self.by_name = {}

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        if not self.by_name:
            self.by_name = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def trainer_of(folder, rows, *, micro_batch=4, accumulation=1, steps=1, cls=WeightedDistillationTrainer, **changes):
    """A trainer on the small student and its other teacher, unless ``changes`` say otherwise."""
    settings = {"learning_rate": 1e-3} | changes.pop("settings", {})
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=accumulation,
        max_grad_norm=0.0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **settings,
    )
    models = {"model": build_student(), "teacher": build_teacher()} if "model" not in changes else {}
    named = {"args": arguments, "train_dataset": rows, "processing_class": byte_tokenizer(chat=False)}
    return cls(**models, **named | changes)


def gradients(*given, **named):
    """The first step's gradient by parameter name."""
    first = FirstGradient()
    trainer_of(*given, callbacks=[first], **named).train()
    return first.by_name


def difference(ours, theirs):
    assert ours.keys() == theirs.keys()
    return gradient_difference([ours[name] for name in theirs], list(theirs.values()))


def train_and_evaluate_on_ranks(folder: str) -> None:
    """One step over six rows and an evaluation over five, which ranks can share only by seeing one of them twice.

    For half of the reductions the evaluation comes first: transformers 5.19 alone would then train each rank apart.
    """
    rows, num_ranks = rows_of(problems(6)), int(os.environ.get("WORLD_SIZE", "1"))
    for reduction, normaliser in REDUCTIONS:
        first = FirstGradient()
        trainer = trainer_of(
            Path(folder) / "trainer",
            rows,
            micro_batch=1,
            accumulation=6 // num_ranks,
            eval_dataset=rows[:5],
            callbacks=[first],
            reduction=reduction,
            normaliser=normaliser,
            settings={"per_device_eval_batch_size": 1, "learning_rate": 0.0},
        )
        before = trainer.evaluate()["eval_loss"] if normaliser == "self" else None
        trainer.train()
        loss = trainer.evaluate()["eval_loss"]
        assert before is None or abs(before - loss) <= F32 * abs(loss)  # the learning rate is 0
        if trainer.args.process_index == 0:
            logged = next(log["loss"] for log in trainer.state.log_history if "loss" in log)
            measured = {"gradient": first.by_name, "eval_loss": loss, "loss": logged}
            torch.save(measured, Path(folder) / f"{reduction}-{normaliser}-{num_ranks}.pt")


def shard_by_accelerate(trainer) -> None:
    """FSDP2 as accelerate does it on accelerators; on a CPU it takes DDP without a word, so its choice is overruled."""
    state = trainer.accelerator.state
    state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["Qwen3DecoderLayer"],
        cpu_ram_efficient_loading=False,
    )
    state.distributed_type = DistributedType.FSDP
    trainer.is_fsdp_enabled = True


def train_sharded_by_accelerate(folder: str) -> None:
    """One step with a tied and an untied head, under FSDP2 where there are several ranks."""
    num_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    for tied in (True, False):
        first = FirstGradient()
        trainer = trainer_of(
            Path(folder) / "trainer",
            rows_of(problems(4)),
            micro_batch=1,
            accumulation=4 // num_ranks,
            callbacks=[first],
            model=build_student(tied=tied),
            teacher=build_teacher(),
            settings={"learning_rate": 0.0},
        )
        if num_ranks > 1:
            shard_by_accelerate(trainer)
        trainer.train()
        if num_ranks > 1:
            sizes = [(one.to_local().numel(), one.numel()) for one in trainer.model.parameters()]
            assert all(part <= 0.6 * whole for part, whole in sizes), sizes
        gradients = {name: whole_tensor(one) for name, one in first.by_name.items()}
        if trainer.args.process_index == 0:
            torch.save(gradients, Path(folder) / f"{'tied' if tied else 'untied'}-{num_ranks}.pt")
