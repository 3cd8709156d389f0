"""The training loop of one stage: batches of weighted examples, the fused loss, AdamW, metrics, checkpoints.

A step is decided before it begins: which problems, their weights and every denominator come from the whole batch, so
cutting it into micro-batches changes the memory and not the step. The loop never learns how weights were made.
A checkpoint is a folder that is whole or absent; a run that resumes from one continues with the same bits.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from paced.config import RunConfig, StageConfig
from paced.errors import ConfigError
from paced.runfolder import RunFolder
from paced.storage import append_lines, read_json, read_lines, sync_folder, truncate_lines, write_json
from paced.train.batches import Batch, number_of_steps, plan_batches
from paced.train.data.examples import Example, ExampleSource
from paced.train.loss import DistillationStudent, LossTargets, head_of, make_divergence, token_weights, trunk_of
from paced.train.progress import Progress
from paced.train.signals import StopRequested, stop_requested


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """What one stage did."""

    num_steps: int
    """Optimiser steps, those before an interruption included."""


def train_stage(
    *,
    run: RunFolder,
    config: RunConfig,
    stage_number: int,
    student: Any,
    teacher: Any,
    tokenizer: Any,
    source: ExampleSource,
    progress: Progress,
) -> StageOutcome:
    """Train the student of one stage and save it to ``stage-<k>/student``.

    Raises:
        StopRequested: a signal came; a checkpoint of the last whole step is on the disk.
    """
    _refuse_unsupported(config)
    training, stage = config.training, config.stages[stage_number - 1]
    folder = run.stage(stage_number)
    ratings = source.ratings()
    total = number_of_steps(
        len(ratings.unit_mean_weights),
        batch_size=training.batch_size,
        num_epochs=stage.num_epochs,
        num_steps=stage.num_steps,
    )
    student.eval()  # no dropout: its noise would be part of the divergence, and of no seed of the run
    wrapped = DistillationStudent(student)
    optimizer = torch.optim.AdamW(
        student.parameters(),
        lr=training.learning_rate,
        betas=training.adam_betas,
        eps=training.adam_epsilon,
        weight_decay=training.weight_decay,
    )
    done = _restore(folder.checkpoints, student, optimizer)
    before = [line for line in read_lines(run.metrics) if line["stage"] < stage_number]
    truncate_lines(run.metrics, len(before) + done)
    divergence = make_divergence(stage.divergence, **stage.parameters)
    started = time.monotonic()
    with progress.track(f"training (stage {stage_number})", total) as advance:
        advance(done)
        plan, planned_from = _plan(ratings.unit_mean_weights, config, stage, stage_number, 0, total), 0
        for step in range(done):
            if stage.recompute_every and step and step % stage.recompute_every == 0:
                ratings = source.refresh(step=step, student=student)
                plan, planned_from = _plan(ratings.unit_mean_weights, config, stage, stage_number, step, total), step
        for step in range(done, total):
            if stage.recompute_every and step and step % stage.recompute_every == 0:
                ratings = source.refresh(step=step, student=student)
                plan, planned_from = _plan(ratings.unit_mean_weights, config, stage, stage_number, step, total), step
            batch = plan[step - planned_from]
            examples = source.examples(batch.indices, step=step, student=student)
            loss, norm = _step(wrapped, teacher, tokenizer, optimizer, divergence, examples, batch, config, step, total)
            append_lines(
                run.metrics,
                [
                    {
                        "stage": stage_number,
                        "step": step + 1,
                        "loss": loss,
                        "grad_norm": norm,
                        "num_examples": len(examples),
                    }
                ],
            )
            advance(1)
            last = step + 1 == total
            if stop_requested() or (
                training.checkpoint_every and (step + 1) % training.checkpoint_every == 0 and not last
            ):
                _save(folder.checkpoints, step + 1, student, optimizer, training.keep_checkpoints)
            if stop_requested() and not last:
                raise StopRequested(
                    f"stopped after step {step + 1} of stage {stage_number}; run the same command again."
                )
    append_lines(run.timings, [{"stage": stage_number, "seconds": time.monotonic() - started}])
    _export(folder.student, student.eval(), tokenizer)
    return StageOutcome(num_steps=total)


def _refuse_unsupported(config: RunConfig) -> None:
    """Say what this loop does not do, instead of passing over it."""
    asked = {
        "parallel.sequence_parallel > 1": config.parallel.sequence_parallel > 1,
        "parallel.cache_teacher": config.parallel.cache_teacher,
        "parallel.gradient_checkpointing": config.parallel.gradient_checkpointing,
        "training.interpolation": config.training.interpolation != "none",
        "training.track_snr": config.training.track_snr,
        "trackers": bool(config.trackers),
    }
    refused = [name for name, wanted in asked.items() if wanted]
    if refused:
        raise ConfigError(f"{config.name}: training in one process does not take {', '.join(refused)}. Leave it out.")


def _plan(
    weights: Sequence[float], config: RunConfig, stage: StageConfig, stage_number: int, first: int, total: int
) -> list[Batch]:
    return plan_batches(
        weights,
        batching=config.training.batching,
        batch_size=config.training.batch_size,
        first_step=first,
        num_steps=total - first,
        seed=config.seed,
        stage_number=stage_number,
    )


def _step(
    wrapped: DistillationStudent,
    teacher: Any,
    tokenizer: Any,
    optimizer: torch.optim.Optimizer,
    divergence: Any,
    examples: list[Example],
    batch: Batch,
    config: RunConfig,
    step: int,
    total: int,
) -> tuple[float, float]:
    """One optimiser step; the loss of the weighted batch and the gradient norm before clipping."""
    training = config.training
    counts = [len(example.completion_ids) for example in examples]
    multipliers = (
        token_weights(
            problem_weights=batch.weights,
            token_counts=counts,
            reduction=training.reduction,
            normaliser=training.normaliser,
            num_problems=batch.num_slots,
        )
        if examples
        else torch.zeros(0)
    )
    optimizer.zero_grad(set_to_none=False)
    loss = 0.0
    for part in _micro_batches(examples, training.micro_batch_tokens):
        chosen = [examples[index] for index in part]
        device = next(wrapped.parameters()).device
        ids, positions = _pack([(e.student_prompt_ids, e.completion_ids) for e in chosen], device)
        teacher_ids, teacher_positions = _pack([(e.teacher_prompt_ids, e.completion_ids) for e in chosen], device)
        with torch.no_grad():
            hidden = trunk_of(teacher)(input_ids=teacher_ids, use_cache=False).last_hidden_state
        per_token = torch.repeat_interleave(
            multipliers[list(part)], torch.tensor([counts[index] for index in part])
        ).float()
        targets = LossTargets(
            positions=positions,
            teacher_hidden=hidden.flatten(0, 1).index_select(0, teacher_positions),
            teacher_head=head_of(teacher),
            token_weights=per_token.to(device),
            divergence=divergence,
            loss_temperature=training.loss_temperature,
            vocab_size=len(tokenizer),
        )
        out = wrapped(targets, input_ids=ids)
        out.loss.backward()
        loss += float(out.loss.detach())
    norm = torch.nn.utils.clip_grad_norm_(
        wrapped.parameters(), training.clip_norm or float("inf"), error_if_nonfinite=True
    )
    if examples:
        scale = min(1.0, (step + 1) / training.warmup_steps) if training.warmup_steps else 1.0
        if training.schedule == "cosine":
            scale *= 0.5 * (1 + math.cos(math.pi * step / total))
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate * scale
        optimizer.step()
    return loss, float(norm)


def _micro_batches(examples: Sequence[Example], max_tokens: int) -> Iterator[list[int]]:
    """Indices of examples in groups whose padded tokens (the teacher's, the longer) stay below the limit."""
    order = sorted(range(len(examples)), key=lambda index: -_length(examples[index]))
    group: list[int] = []
    for index in order:
        if group and (len(group) + 1) * _length(examples[group[0]]) > max_tokens:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _length(example: Example) -> int:
    return max(len(example.student_prompt_ids), len(example.teacher_prompt_ids)) + len(example.completion_ids)


def _pack(pairs: list[tuple[Sequence[int], Sequence[int]]], device: Any) -> tuple[Tensor, Tensor]:
    """Token ids padded on the right, and the flat positions whose logits predict the completions' tokens."""
    longest = max(len(prompt) + len(completion) for prompt, completion in pairs)
    ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    positions: list[int] = []
    for row, (prompt, completion) in enumerate(pairs):
        ids[row, : len(prompt) + len(completion)] = torch.tensor([*prompt, *completion])
        start = row * longest + len(prompt) - 1
        positions.extend(range(start, start + len(completion)))
    return ids.to(device), torch.tensor(positions, device=device)


def _save(folder: Path, step: int, student: Any, optimizer: torch.optim.Optimizer, keep: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".step-"))
    tensors = {f"model.{name}": value.detach().contiguous() for name, value in student.named_parameters()}
    for name, value in student.named_parameters():
        for key, state in optimizer.state.get(value, {}).items():
            tensors[f"optimizer.{name}.{key}"] = state.detach().clone()
    save_file(tensors, temporary / "state.safetensors")
    write_json(temporary / "step.json", {"step": step})
    target = folder / f"step-{step:06d}"
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    sync_folder(folder)
    for old in sorted(folder.glob("step-*"))[: -keep or None]:
        shutil.rmtree(old)


def _restore(folder: Path, student: Any, optimizer: torch.optim.Optimizer) -> int:
    saved = sorted(folder.glob("step-*")) if folder.exists() else []
    if not saved:
        return 0
    tensors = load_file(saved[-1] / "state.safetensors")
    with torch.no_grad():
        for name, value in student.named_parameters():
            value.copy_(tensors[f"model.{name}"])
            state = {
                key.removeprefix(f"optimizer.{name}."): tensor
                for key, tensor in tensors.items()
                if key.rpartition(".")[0] == f"optimizer.{name}"
            }
            if state:
                optimizer.state[value] = state
    return int(read_json(saved[-1] / "step.json")["step"])


def _export(folder: Path, student: Any, tokenizer: Any) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".student-"))
    student.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.chmod(0o755)
    temporary.rename(folder)
    sync_folder(folder.parent)
