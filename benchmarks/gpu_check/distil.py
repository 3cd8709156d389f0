"""Two minutes of distillation by the native loop: the loss falls, memory is what ``paced plan`` says, tokens a second.

bfloat16 forwards over float32 master weights in a group of one, as a run on one card has them.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from tiny_models import byte_tokenizer
from training_setup import make_config

from gpu_check.gates import Gate, Measured
from gpu_check.stages import metrics_of, random_qwen3
from paced.pipeline.plan.memory import largest_micro_batch, training_phases
from paced.pipeline.plan.shapes import shape_of
from paced.run.config import ModelConfig
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.train.examples import Example, FixedExamples
from paced.train.inputs import StageInputs
from paced.train.native.loop import train_stage
from paced.train.native.stage import Models

SECONDS = 120.0
FEWEST, MOST = 40, 2000
"""Steps of the long training; a CPU takes the fewest, whatever its speed."""
SIZES = {"cuda": {"hidden": 1024, "layers": 12, "vocab": 32_768}, "cpu": {"hidden": 64, "layers": 2, "vocab": 512}}
LENGTHS = {"cuda": (64, 128, 448), "cpu": (4, 8, 24)}
"""Tokens of the student's prompt, the teacher's, and the completion."""
BATCH, PROBLEMS = 8, 16


class Tokens:
    """A tokenizer with as many tokens as the models have rows."""

    def __init__(self, rows: int) -> None:
        self.core, self.rows = byte_tokenizer(chat=False), rows

    def get_vocab(self) -> dict[str, int]:
        return {str(number): number for number in range(self.rows)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.core, name)


def run(device: torch.device) -> Measured:
    """On a card a few steps for the time of one, then as many as fit into the two minutes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    kind = device.type
    steps = FEWEST
    if kind == "cuda":
        steps = max(FEWEST, min(MOST, int(SECONDS / _train(device, 4)["step_seconds"])))
    long = _train(device, steps)
    measured = Measured(
        gates=[Gate("mean loss of the last tenth over the first", long["ratio"], 0.8)],
        facts={"steps": steps, "tokens/s": long["tokens_per_second"]},
    )
    if kind == "cpu":
        measured.left_out.append("Memory on a CPU is benchmarks/plan.py's, in a process for each row.")
        return measured
    measured.gates.append(Gate("planned over measured memory, distance from 1", abs(long["planned"] - 1), 0.15))
    measured.facts["peak GB"] = torch.cuda.max_memory_allocated(device) / 1e9
    return measured


def _train(device: torch.device, steps: int) -> dict[str, float]:
    kind = device.type
    sizes = SIZES[kind]
    prompt, shown, written = LENGTHS[kind]
    config = make_config(
        **{
            "student.dtype": "bfloat16",
            "teacher.dtype": "bfloat16",
            "stages": [{"divergence": "forward_kl", "num_steps": steps}],
            "training.batch_size": BATCH,
            "training.micro_batch_tokens": 4 * (shown + written),
            "training.learning_rate": 1e-3 if kind == "cpu" else 3e-4,
            "parallel.gradient_checkpointing": kind == "cuda",
        }
    )
    student = random_qwen3(seed=0, device=device, **sizes)
    teacher = random_qwen3(seed=1, device=device, initializer_range=0.1, **sizes).bfloat16().requires_grad_(False)
    generator = torch.Generator().manual_seed(2)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(4, sizes["vocab"], (count,), generator=generator).tolist())

    examples = [
        Example(
            problem_id=str(index),
            sample_index=0,
            student_prompt_ids=tokens(prompt),
            teacher_prompt_ids=tokens(shown),
            completion_ids=tokens(written),
            unit_mean_weight=1.0,
        )
        for index in range(PROBLEMS)
    ]
    own = ModelConfig(dtype="bfloat16")
    with tempfile.TemporaryDirectory() as folder:
        student.config.save_pretrained(folder)
        run_folder = RunFolder(Path(folder) / "run")
        inputs = StageInputs(
            run=run_folder, config=config, stage_number=1, student=own, teacher=own, source=FixedExamples(examples)
        )
        train_stage(inputs, Models(student=student, teacher=teacher, tokenizer=Tokens(sizes["vocab"])), Silent())
        losses = [line["loss"] for line in metrics_of(run_folder.root)]
        tenth = max(1, len(losses) // 10)
        timings = [json.loads(line) for line in run_folder.timings.read_text().splitlines()]
        result = {
            "ratio": sum(losses[-tenth:]) / sum(losses[:tenth]),
            "step_seconds": min(line["step_seconds"] for line in timings),
            "tokens_per_second": max(line["tokens_per_second"] for line in timings),
        }
        if kind == "cuda":
            shape = shape_of(ModelConfig(path=folder), who="student")
            micro = largest_micro_batch(
                config, num_ranks=1, student_prompt=prompt, teacher_prompt=shown, completion=written
            )
            phases = training_phases(config, student=shape, teacher=shape, micro=micro, num_ranks=1, device_kind=kind)
            planned = max(phase.total for phase in phases[1:])
            result["planned"] = planned / torch.cuda.max_memory_allocated(device)
    return result
