"""Tokens and floating-point operations of every task of a run.

A token costs 2 operations a parameter forward (an untied embedding is read, not multiplied), and attention over a
sequence of s tokens 2·a·s² a layer, a the query heads times their size: half of all pairs, two products. A training
pass is three forwards, four where activations are recomputed; a frozen base has no gradient of its weights, which
saves one of them. What the methods of a recipe share is counted once in each; what a file takes the place of, not at
all.
Left out: seconds (``hours.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from paced.pipeline.plan.inputs import Counts
from paced.pipeline.plan.shapes import Shape
from paced.pipeline.taken import needs_rollouts, source_of
from paced.run.config import RunConfig, SamplingConfig, StageConfig
from paced.run.presets import set_sampling
from paced.train.batches import number_of_steps


@dataclass(frozen=True, kw_only=True)
class Task:
    """One kind of work of a run."""

    name: str
    """rollouts, references, teacher states, training, or evaluation with the name of its set."""
    kind: Literal["sampling", "training"]
    """Whether tokens are sampled one after the other, or sequences are read whole."""
    who: Literal["student", "teacher"]
    """Whose forward passes."""
    num_sequences: float
    """Completions sampled, or sequences read."""
    tokens: float
    """Tokens sampled, or read with their prompts."""
    operations: float
    """Floating-point operations."""
    sampling: SamplingConfig | None = None
    """How completions are sampled; None for sequences that are read whole."""


def count_work(config: RunConfig, counts: Counts, *, student: Shape, teacher: Shape) -> list[Task]:
    """Every task of one run of ``config``; its compared methods are not counted.

    Args:
        config: the recipe.
        counts: problems, prompts, and how full completions are.
        student: the student's sizes.
        teacher: the teacher's; the student's for a self-teacher.
    """
    count, fill = counts.num_problems, counts.fill
    limit = fill * config.rollouts.max_new_tokens
    rolled = referred = trained = taught = 0.0
    training = teaching = 0.0
    for number, stage in enumerate(config.stages, start=1):
        share, steps = stage.share * count, steps_of(config, stage, count)
        examples = steps * config.training.batch_size
        along = config.references if stage.along == "reference" else config.rollouts
        completion = fill * along.max_new_tokens
        renewals = (steps - 1) // stage.recompute_every if stage.recompute_every else 0
        first = needs_rollouts(config, number) and source_of(config, "rollout", number) is None
        rolled += share * config.rollouts.num_samples * (first + renewals) + (examples if stage.fresh_rollouts else 0)
        referred += share if stage.along == "reference" and config.references.from_ is None else 0
        repeated = config.parallel.cache_teacher and not stage.fresh_rollouts
        shown = min(examples, share) if repeated else examples
        trained += examples * (counts.student_prompt + completion)
        taught += shown * (counts.teacher_prompt + completion)
        training += examples * forward_and_backward(
            student, counts.student_prompt + completion, recomputed=config.parallel.gradient_checkpointing
        )
        teaching += shown * forward(teacher, counts.teacher_prompt + completion)
    if config.evaluation.rate_training:
        rolled += count * config.rollouts.num_samples
    samples = config.references.num_samples * (1 + config.references.retries)
    tasks = [
        _sampling("rollouts", config.rollouts, "student", student, counts, num_sequences=rolled),
        _sampling("references", config.references, "teacher", teacher, counts, num_sequences=referred * samples),
        Task(
            name="teacher states",
            kind="training",
            who="teacher",
            num_sequences=taught / max(1.0, counts.teacher_prompt + limit),
            tokens=taught,
            operations=teaching,
        ),
        Task(
            name="training",
            kind="training",
            who="student",
            num_sequences=total_steps(config, count) * config.training.batch_size,
            tokens=trained,
            operations=training,
        ),
        *_evaluation(config, counts, student),
    ]
    return [task for task in tasks if task.tokens]


def forward(shape: Shape, tokens: float) -> float:
    """Operations of a forward pass over one sequence.

    Args:
        shape: the model.
        tokens: length of the sequence.
    """
    attention = 2.0 * shape.num_layers * shape.attention_width * tokens**2
    return 2.0 * shape.multiplied_parameters * tokens + attention


def forward_and_backward(shape: Shape, tokens: float, *, recomputed: bool) -> float:
    """Operations of a training pass over one sequence: with adapters the frozen base has one product less a weight.

    Args:
        shape: the model, with its adapters where it has any.
        tokens: length of the sequence.
        recomputed: whether the backward pass runs every layer's forward again.
    """
    passes = 4 if recomputed else 3
    if shape.lora is None:
        return passes * forward(shape, tokens)
    base = passes * forward(shape, tokens) - 2.0 * shape.multiplied_parameters * tokens
    return base + passes * 2.0 * shape.adapter_parameters * tokens


def steps_of(config: RunConfig, stage: StageConfig, num_problems: int) -> int:
    """Optimiser steps of a stage, when every problem takes a slot."""
    return number_of_steps(
        round(stage.share * num_problems),
        batch_size=config.training.batch_size,
        num_epochs=stage.num_epochs,
        num_steps=stage.num_steps,
    )


def total_steps(config: RunConfig, num_problems: int) -> int:
    """Optimiser steps of all stages."""
    return sum(steps_of(config, stage, num_problems) for stage in config.stages)


def _evaluation(config: RunConfig, counts: Counts, student: Shape) -> Sequence[Task]:
    """A task for each held-out set, as its preset or the recipe samples it, before training and after it."""
    samplings = [(item.name, set_sampling(config, item)) for item in config.evaluation.sets]
    return [
        _sampling(
            f"evaluation {name}", sampling, "student", student, counts,
            num_sequences=2 * counts.num_heldout[name] * sampling.num_samples,
        )
        for name, sampling in samplings
    ]  # fmt: skip


def _sampling(
    name: str,
    sampling: SamplingConfig,
    who: Literal["student", "teacher"],
    shape: Shape,
    counts: Counts,
    *,
    num_sequences: float,
) -> Task:
    """Completions of one length; each is counted as if its prompt had been read for itself."""
    completion = counts.fill * sampling.max_new_tokens
    prompt = counts.student_prompt if who == "student" else counts.teacher_prompt
    return Task(
        name=name,
        kind="sampling",
        who=who,
        num_sequences=num_sequences,
        tokens=num_sequences * completion,
        operations=num_sequences * forward(shape, prompt + completion),
        sampling=sampling,
    )
