"""A small stage to train: a Qwen3 student, a wider Llama teacher with more padding rows, weighted examples."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_models import byte_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from paced.models.loading import teacher_model
from paced.run.configfile import apply_overrides, build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.train.examples import Example, FixedExamples
from paced.train.inputs import StageInputs
from paced.train.native.loop import train_stage
from paced.train.native.stage import Models

SMALL_BATCHES = {"name": "hf", "parameters": {"max_rows": 8}}
"""An engine that takes several batches for a few problems."""
NUM_TOKENS = 260
"""Tokens of the tokenizer; both models have more rows."""


def build_student(*, seed: int = 0, heads: int = 4, kv_heads: int = 2, tied: bool = True) -> Qwen3ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=264,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=8,
        max_position_embeddings=128,
        initializer_range=0.3,
        tie_word_embeddings=tied,
        eos_token_id=0,
        bos_token_id=None,
        pad_token_id=None,
    )
    return Qwen3ForCausalLM(config)


def build_teacher(*, seed: int = 1) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=272,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.3,
        eos_token_id=0,
        bos_token_id=None,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config).requires_grad_(False)


def make_examples(count: int = 12, *, weights: list[float] | None = None, longest: int = 12) -> list[Example]:
    """Examples of different lengths; weights have unit mean unless given, and two of them are 0."""
    random = np.random.default_rng(5)
    if weights is None:
        drawn = random.uniform(0.2, 2.0, count)
        drawn[[1, count // 2]] = 0.0
        weights = (drawn / drawn.mean()).tolist()

    def tokens(low: int, high: int) -> tuple[int, ...]:
        return tuple(random.integers(4, NUM_TOKENS, random.integers(low, high + 1)).tolist())

    return [
        Example(
            problem_id=f"problem-{index}",
            sample_index=0,
            student_prompt_ids=tokens(2, 6),
            teacher_prompt_ids=tokens(4, 14),
            completion_ids=tokens(1, longest),
            unit_mean_weight=weights[index],
        )
        for index in range(count)
    ]


def make_config(**changes: Any):
    """A configuration by dotted overrides, such as ``**{"training.batch_size": 6}``."""
    data = {
        "name": "small",
        "seed": 3,
        "problems": {"path": "none.jsonl"},
        "training": {"batch_size": 6, "learning_rate": 1e-3, "checkpoint_every": 0, "micro_batch_tokens": 64},
        "stages": [{"divergence": "forward_kl", "num_steps": 4}],
    }
    return build_config(apply_overrides(data, changes, "test"))


def train(
    root: Path,
    config: Any,
    *,
    source: Any = None,
    student: Any = None,
    teacher: Any = None,
    progress: Any = None,
    stage_number: int = 1,
):
    """Train one stage in ``root``; returns its outcome."""
    inputs = StageInputs(
        run=RunFolder(root),
        config=config,
        stage_number=stage_number,
        student=config.student,
        teacher=teacher_model(config),
        source=source or FixedExamples(make_examples()),
    )
    models = Models(
        student=student or build_student(), teacher=teacher or build_teacher(), tokenizer=byte_tokenizer(chat=False)
    )
    return train_stage(inputs, models, progress or Silent())


def weights_of(root: Path, stage_number: int = 1) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(RunFolder(root).stage(stage_number).student / "model.safetensors")


def metrics_of(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in RunFolder(root).metrics.read_text().splitlines()]


def largest_difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Largest difference of any weight, over the largest change that one step of AdamW can make."""
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


def train_briefly(root: str) -> None:
    """Seven steps with a checkpoint after every second, for tests that kill it; stops politely on SIGTERM."""
    from paced.run.signals import stop_on_signals

    torch.set_num_threads(1)
    config = make_config(
        **{
            "training.checkpoint_every": 2,
            "training.batch_size": 3,
            "stages": [{"divergence": "reverse_kl", "num_steps": 7}],
            "parallel.cache_teacher": True,
        }
    )
    with stop_on_signals():
        train(Path(root), config)


def run_whole_job(folder: str, name: str) -> None:
    """From problems to the report: two stages, the second on fresh rollouts with pass rates renewed on its way."""
    from paced.analysis.report.report import write_report
    from paced.pipeline.job import run_job
    from paced.run.signals import stop_on_signals

    torch.set_num_threads(1)
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    os.chdir(os.path.join(folder, name))  # the report names the run's folder as it was given
    data = {
        "name": "tiny",
        "student": {"path": "../model"},
        "problems": {"path": "../sums.jsonl"},
        "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
        "rollouts": {"num_samples": 2, "max_new_tokens": 4, "engine": SMALL_BATCHES},
        "references": {"num_samples": 1, "sampling_temperature": 0.0, "max_new_tokens": 4},
        "grading": {"answer_format": "last_number"},
        "weights": "uniform",
        "training": {"batch_size": 2, "learning_rate": 1e-3, "checkpoint_every": 1},
        "stages": [
            {"share": 0.5},
            {
                "divergence": "reverse_kl",
                "along": "rollout",
                "fresh_rollouts": True,
                "share": 0.5,
                "num_steps": 4,
                "recompute_every": 2,
            },
        ],
        "evaluation": {
            "sets": [{"name": "heldout", "path": "../heldout.jsonl"}],
            "sampling": {"num_samples": 2, "max_new_tokens": 4, "sampling_temperature": 0.6, "top_p": 0.95},
        },
    }
    run = RunFolder(Path("run"))
    with stop_on_signals():
        run.claim(build_config(data))
        run_job(run, Silent())
        write_report(run)


def step_gradients(root: Path, config: Any, **models: Any) -> dict[str, torch.Tensor]:
    """The gradient of the first step before clipping, whole on every rank; AdamW would hide its size."""
    from paced.train.native.learner import Learner
    from paced.train.team import whole_tensor

    found: dict[str, torch.Tensor] = {}
    original = Learner.update

    def update(self: Learner, **settings: Any) -> None:
        for name, parameter in self.model.named_parameters():
            if name not in found:
                found[name] = whole_tensor(parameter.grad).detach().clone()
        original(self, **settings)

    one_step = tuple(dataclasses.replace(stage, num_steps=1) for stage in config.stages)
    Learner.update = update  # type: ignore[method-assign]
    try:
        train(root, dataclasses.replace(config, stages=one_step), **models)
    finally:
        Learner.update = original  # type: ignore[method-assign]
    return found


def measure_snr(folder: str, name: str) -> None:
    """``paced snr`` from nothing: rollouts, grades, fresh samples, Gram matrices of two losses, tables and figures."""
    from paced.analysis.snr.command import SnrSettings, measure_run
    from paced.pipeline import steps
    from paced.run.signals import stop_on_signals

    torch.set_num_threads(1)
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    os.chdir(os.path.join(folder, name))
    data = {
        "name": "tiny",
        "student": {"path": "../model"},
        "problems": {"path": "../sums.jsonl"},
        "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
        "rollouts": {"num_samples": 2, "max_new_tokens": 4, "engine": SMALL_BATCHES},
        "grading": {"answer_format": "last_number"},
    }
    run = RunFolder(Path("run"))
    with stop_on_signals():
        run.claim(build_config(data))
        steps.take_problems(run, Silent())
        asked = SnrSettings(losses=("reverse_kl_sampled", "forward_kl"), num_samples=8, per_bin=8)
        measure_run(run, asked, Silent())
