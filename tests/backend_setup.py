"""One optimiser step by any backend, and its gradient: what AdamW is given, parameter by parameter."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_setup import NUM_TOKENS, make_config

from paced.models.loading import teacher_model
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.schema import Choice
from paced.train.backends import make_backend
from paced.train.examples import Example, FixedExamples
from paced.train.inputs import StageInputs

LENGTH = 20
"""Tokens of the longer sequence of every example below, so that a budget of tokens is a number of sequences."""

TRACKS = {
    "forward KL along references": {"stages": [{"divergence": "forward_kl", "num_steps": 1}]},
    "reverse KL along rollouts, self-teacher": {
        "stages": [{"divergence": "reverse_kl", "along": "rollout", "num_steps": 1}],
        "teacher.path": "",
    },
}
"""Both tracks of the paper; the teacher reads another prompt than the student in each."""

CUTS = {
    "micro-batch 1, accumulation 1": (1, 1),
    "micro-batch 1, accumulation 4": (1, 4),
    "micro-batch 4, accumulation 1": (4, 1),
    "micro-batch 4, accumulation 4": (4, 4),
}
"""Sequences in a micro-batch, micro-batches in a step."""


def kept(cases: Iterable[Any], *in_check: Any) -> list[Any]:
    """Cases of a test that is a matrix: those named run in ``make check`` as well, the others are slow together."""
    return [case if case in in_check else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def even_examples(count: int = 16) -> list[Example]:
    """Examples of one length, whose completions have different lengths; two weights are zero."""
    random = np.random.default_rng(7)
    weights = random.uniform(0.2, 2.0, count)
    weights[[2, 5]] = 0.0
    weights /= weights.mean()

    def tokens(size: int) -> tuple[int, ...]:
        return tuple(random.integers(4, NUM_TOKENS, size).tolist())

    lengths = random.integers(3, 12, count).tolist()
    return [
        Example(
            problem_id=f"problem-{index}",
            sample_index=0,
            student_prompt_ids=tokens(4),
            teacher_prompt_ids=tokens(LENGTH - length),
            completion_ids=tokens(length),
            unit_mean_weight=float(weights[index]),
        )
        for index, length in enumerate(lengths)
    ]


def backend_config(models: Path, **changes: Any):
    """A recipe of the student and the other teacher in ``models``; gradients are not clipped."""
    paths = {"student.path": str(models / "student"), "teacher.path": str(models / "teacher")}
    return make_config(**paths | {"training.clip_norm": 0.0} | changes)


def cut_config(models: Path, track: str, cut: str, **changes: Any):
    """One step of a track, cut so over the accumulation."""
    size, accumulation = CUTS[cut]
    settings = {"training.batch_size": size * accumulation, "training.micro_batch_tokens": size * LENGTH}
    return backend_config(models, **settings | TRACKS[track] | changes)


def run_stage(backend: Any, root: Path, config: Any, examples: list[Example], *, progress: Any = None) -> StageInputs:
    """Train the first stage in ``root`` and return its inputs."""
    stage = StageInputs(
        run=RunFolder(root),
        config=config,
        stage_number=1,
        student=config.student,
        teacher=teacher_model(config),
        source=FixedExamples(examples),
    )
    backend.train(stage, progress or Silent())
    return stage


def first_gradients(
    backend: Any, root: Path, config: Any, examples: list[Example], *, progress: Any = None
) -> list[torch.Tensor]:
    """What AdamW's first step is given, whole, parameter by parameter."""
    from paced.train.team import whole_tensor

    first: list[torch.Tensor] = []
    original = torch.optim.AdamW.step

    def step(self, *given, **named):
        if not first:
            parameters = [parameter for group in self.param_groups for parameter in group["params"]]
            first.extend(whole_tensor(parameter.grad).detach().clone() for parameter in parameters)
        return original(self, *given, **named)

    torch.optim.AdamW.step = step  # type: ignore[method-assign]
    try:
        run_stage(backend, root, config, examples, progress=progress)
    finally:
        torch.optim.AdamW.step = original  # type: ignore[method-assign]
    return first


def gradient_difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Norm of the difference of two gradients over the norm of the second."""
    assert [tensor.shape for tensor in ours] == [tensor.shape for tensor in theirs]
    norm = torch.cat([tensor.flatten() for tensor in theirs]).norm()
    assert norm > 0
    difference = torch.cat([(one - other).flatten() for one, other in zip(ours, theirs, strict=True)]).norm()
    return float(difference / norm)


def gradients_on_ranks(folder: str, models: str, backends: list[str]) -> None:
    """Every track and cut by every backend on these ranks; the first one leaves the gradients in files."""
    for name in backends:
        for number, (track, cut) in enumerate((track, cut) for track in TRACKS for cut in CUTS):
            config = cut_config(Path(models), track, cut)
            root = Path(folder) / name / str(number)
            gradients = first_gradients(make_backend(Choice(name)), root, config, even_examples())
            if int(os.environ.get("RANK", "0")) == 0:
                torch.save(gradients, Path(folder) / f"{name}-{number}.pt")


ADAPTER = {"student.adapter.rank": 4, "student.adapter.targets": ["q_proj", "down_proj"]}
"""A LoRA student of the recipe."""


LARGE_STEPS = {"training.adam_epsilon": 1e-3, "training.learning_rate": 0.05}
"""With this floor of AdamW's denominator roundings stay small, and steps of this size are seen in the logits."""


def train_lora_on_ranks(folder: str, models: str) -> None:
    """By both backends: the first gradient of a LoRA student for each track; natively also three steps and a resume."""
    torch.set_num_threads(1)
    first = int(os.environ.get("RANK", "0")) == 0
    for name in ("native", "transformers"):
        for number, track in enumerate(TRACKS):
            config = cut_config(Path(models), track, "micro-batch 1, accumulation 4", **ADAPTER)
            root = Path(folder) / name / str(number)
            gradients = first_gradients(make_backend(Choice(name)), root, config, even_examples())
            if first:
                torch.save(gradients, Path(folder) / f"{name}-{number}.pt")
    native = make_backend(Choice("native"))
    for root in ("steps", "resumed"):
        run_stage(native, Path(folder) / root, lora_steps(Path(models)), even_examples())


def lora_steps(models: Path) -> Any:
    """Four steps of a self-distilled LoRA student with a checkpoint after each."""
    changes = {"teacher.path": "", "training.checkpoint_every": 1} | LARGE_STEPS
    return backend_config(models, **changes | ADAPTER, stages=[{"divergence": "reverse_kl", "num_steps": 4}])


def train_long(folder: str, models: str, name: str, lora: bool = False) -> None:
    """Seven steps with a checkpoint after every second, for tests that kill it."""
    from paced.run.signals import stop_on_signals

    torch.set_num_threads(1)
    changes = {"training.checkpoint_every": 2, "training.batch_size": 3}
    changes |= ADAPTER | {"teacher.path": ""} if lora else {}
    stages = [{"divergence": "reverse_kl", "num_steps": 7}]
    with stop_on_signals():
        run_stage(
            make_backend(Choice(name)), Path(folder), backend_config(Path(models), stages=stages, **changes),
            even_examples(),
        )  # fmt: skip


OPTIONS: dict[str, tuple[dict[str, Any], float]] = {
    "plain": ({}, 1e-5),
    "recomputed": ({"parallel.gradient_checkpointing": True}, 1e-5),
    "bfloat16": ({"student.dtype": "bfloat16"}, 0.05),
    "adapters": (ADAPTER, 1e-5),
    "adapters, self-teacher, recomputed": (
        {"teacher.path": "", "parallel.gradient_checkpointing": True, "student.adapter.rank": 2},
        1e-5,
    ),
}
"""Name -> changes of the recipe, and how far the first gradient on several ranks may be off that on one."""


class Notes(Silent):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def options_on_ranks(folder: str, models: str) -> None:
    """Every option on these ranks; the first one leaves the first gradients and the notes in a file."""
    for name, (changes, _) in OPTIONS.items():
        config = cut_config(Path(models), "forward KL along references", "micro-batch 1, accumulation 4", **changes)
        notes, root = Notes(), Path(folder) / f"run of {name}"
        examples = even_examples()
        backend = make_backend(Choice("transformers"))
        gradients = first_gradients(backend, root, config, examples, progress=notes)
        if int(os.environ.get("RANK", "0")) == 0:
            torch.save({"gradients": gradients, "notes": notes.notes}, Path(folder) / f"{name}.pt")
