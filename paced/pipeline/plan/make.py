"""The whole plan of a recipe, from its configuration alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from paced.errors import ConfigError, check_number
from paced.lab.world import build_untrained_world
from paced.models.loading import teacher_model
from paced.pipeline.plan.devices import Device, device_of
from paced.pipeline.plan.disk import disk_bytes
from paced.pipeline.plan.hours import Rates, Timed, timed
from paced.pipeline.plan.inputs import Counts, counts_of
from paced.pipeline.plan.memory import Micro, Phase, largest_micro_batch, training_phases
from paced.pipeline.plan.sampling import Decoding, decoding
from paced.pipeline.plan.shapes import Shape, shape_of
from paced.pipeline.plan.work import Task, count_work, total_steps
from paced.pipeline.preflight import one_refusal
from paced.pipeline.preflight_options import option_faults
from paced.run.config import RunConfig
from paced.run.folder import RunFolder

if TYPE_CHECKING:
    from paced.train.lora import Lora


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked beside the recipe, and what is assumed."""

    gpus: int = 8
    """Devices of one computer; training has one rank for each."""
    device: str = "h200"
    """A name in ``DEVICES``."""
    reserve: float = 0.08
    """Share of a device's memory for its context and for what the allocator cannot use, in [0, 1)."""
    host_memory: float | None = None
    """Memory of the computer in bytes; None where nobody says."""
    num_problems: int | None = None
    """Training problems, instead of the file's."""
    student_prompt: int | None = None
    """Tokens of the longest student prompt."""
    teacher_prompt: int | None = None
    """Tokens of the longest teacher prompt."""
    fill: float = 1.0
    """Mean length of completions over their token limit."""
    rates: Rates = field(default_factory=Rates)
    """Shares of peak and bandwidth."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will need."""

    config: RunConfig
    """The recipe."""
    question: Question
    """What was asked and assumed."""
    device: Device
    """Each of its devices."""
    usable: float
    """Bytes of a device that a run may use."""
    student: Shape
    """Its sizes."""
    teacher: Shape
    """Its sizes."""
    counts: Counts
    """Problems and lengths."""
    micro: Micro
    """The largest micro-batch."""
    phases: tuple[Phase, ...]
    """Memory of training."""
    sampling: dict[str, Decoding]
    """Task -> memory of its engine."""
    tasks: tuple[Timed, ...]
    """Work and hours."""
    num_steps: int
    """Optimiser steps."""
    disk: dict[str, float]
    """What is written -> bytes."""

    @property
    def all_phases(self) -> tuple[Phase, ...]:
        """Of sampling and training."""
        return (*(one.phase for one in self.sampling.values()), *self.phases)

    @property
    def worst(self) -> Phase:
        """The phase of training, after loading, that takes most of a device."""
        return max(self.phases[1:], key=lambda phase: phase.total)

    @property
    def too_large(self) -> tuple[Phase, ...]:
        """Phases that do not fit the device."""
        return tuple(phase for phase in self.all_phases if phase.total > self.usable)

    @property
    def host_bytes(self) -> float:
        """Most host memory that all ranks take together."""
        return max(phase.host_total(self.question.gpus) for phase in self.phases)

    @property
    def hours(self) -> float:
        """Wall-clock hours of all tasks, one after the other."""
        return sum(task.hours for task in self.tasks)


def make_plan(config: RunConfig, question: Question) -> Plan:
    """The plan of one recipe.

    Args:
        config: the recipe; its compared methods are not counted.
        question: devices and assumptions.

    Raises:
        ConfigError: an unknown device or model, options that preflight refuses, or devices that the recipe
            cannot be spread over.
        ValueError: an assumption out of its range.

    Example:
        >>> from paced.run.configfile import build_config
        >>> student = {"path": "Qwen/Qwen3-0.6B", "dtype": "bfloat16"}
        >>> config = build_config({"name": "x", "student": student, "problems": {"path": "p.jsonl"}})
        >>> plan = make_plan(config, Question(gpus=1, device="h100"))
        >>> plan.student.parameters, plan.num_steps
        (596049920, 272)
    """
    faults = option_faults(config)
    if faults:
        raise one_refusal(config.name, [*faults.values()])
    if config.lab is None:
        return _plan(config, question, recipe=config)
    with tempfile.TemporaryDirectory(prefix="paced-plan-") as temporary:
        run = RunFolder(Path(temporary) / config.name)
        run.claim(config)
        build_untrained_world(run.lab, config.lab)
        return _plan(run.config(), question, recipe=config)


def _plan(config: RunConfig, question: Question, *, recipe: RunConfig) -> Plan:
    """The plan of ``recipe``, whose paths are filled in in ``config``."""
    device = device_of(question.device)
    student = shape_of(config.student, who="student", lora=_lora(config))
    teacher = shape_of(teacher_model(config), who="teacher")
    check_question(config, question, student, teacher)
    counts = counts_of(
        config,
        num_problems=question.num_problems,
        student_prompt=question.student_prompt,
        teacher_prompt=question.teacher_prompt,
        fill=question.fill,
    )
    usable = device.memory_bytes * (1 - question.reserve)
    tasks = count_work(config, counts, student=student, teacher=teacher)
    sampling = {
        task.name: _decoding(task, config, counts, student if task.who == "student" else teacher, device, usable)
        for task in tasks
        if task.kind == "sampling"
    }
    micro = _micro(config, counts, question.gpus)
    return Plan(
        config=recipe,
        question=question,
        device=device,
        usable=usable,
        student=student,
        teacher=teacher,
        counts=counts,
        micro=micro,
        phases=tuple(
            training_phases(
                config,
                student=student,
                teacher=teacher,
                micro=micro,
                num_ranks=question.gpus,
                device_kind=device.kind,
            )
        ),
        sampling=sampling,
        tasks=tuple(
            timed(
                task,
                decoding=sampling.get(task.name),
                device=device,
                num_devices=_num_devices(task, question.gpus),
                rates=question.rates,
            )
            for task in tasks
        ),
        num_steps=total_steps(config, counts.num_problems),
        disk=disk_bytes(config, counts, tasks, student=student, teacher=teacher),
    )


def _lora(config: RunConfig) -> Lora | None:
    from paced.train.lora import lora_of

    return lora_of(config.student)


def check_question(config: RunConfig, question: Question, student: Shape, teacher: Shape) -> None:
    """Refuse what no run could be started with.

    Raises:
        ConfigError: sequence parallelism that does not divide devices or heads.
        ValueError: a number out of its range.
    """
    from paced.train.native.sequence_parallel import sharing_fault

    check_number("plan", "gpus", question.gpus, low=1)
    check_number("plan", "reserve", question.reserve, low=0, high=1, high_open=True)
    check_number("plan", "fill", question.fill, low=0, high=1, low_open=True)
    check_number("plan", "utilisation", question.rates.utilisation, low=0, high=1, low_open=True)
    check_number("plan", "bandwidth_share", question.rates.bandwidth_share, low=0, high=1, low_open=True)
    degree = config.parallel.sequence_parallel
    faults: list[str] = []
    if question.gpus % degree:
        faults.append(f"parallel.sequence_parallel must divide --gpus {question.gpus}, got {degree}.")
    if degree > 1:
        for who, shape in (("student", student), ("teacher", teacher)):
            faults.append(sharing_fault(shape.settings, degree, who=who))
    if any(faults):
        raise ConfigError(f"{config.name}: {' '.join(filter(None, dict.fromkeys(faults)))}")


def _micro(config: RunConfig, counts: Counts, num_ranks: int) -> Micro:
    """The largest micro-batch of any stage."""
    limits = [
        (config.references if stage.along == "reference" else config.rollouts).max_new_tokens for stage in config.stages
    ]
    return largest_micro_batch(
        config,
        num_ranks=num_ranks,
        student_prompt=counts.longest_student_prompt,
        teacher_prompt=counts.longest_teacher_prompt,
        completion=max(limits),
    )


def _decoding(task: Task, config: RunConfig, counts: Counts, shape: Shape, device: Device, usable: float) -> Decoding:
    assert task.sampling is not None
    return decoding(
        task.name,
        model=config.student if task.who == "student" else teacher_model(config),
        shape=shape,
        sampling=task.sampling,
        prompt=counts.longest_student_prompt if task.who == "student" else counts.longest_teacher_prompt,
        num_completions=task.num_sequences,
        device=device,
        usable=usable,
    )


def _num_devices(task: Task, gpus: int) -> int:
    """The engine ``hf`` samples in one process; the others, and training, use all devices."""
    return 1 if task.sampling is not None and task.sampling.engine.name == "hf" else gpus


def faults_of(plan: Plan) -> Sequence[str]:
    """A sentence for everything that does not fit."""
    faults = [
        f"{phase.name} needs {phase.total / 1e9:.1f} GB of a {plan.device.name}, which has {plan.usable / 1e9:.1f} GB "
        "to use"
        for phase in plan.too_large
    ]
    host = plan.question.host_memory
    if host is not None and plan.host_bytes > host:
        faults.append(f"all ranks take {plan.host_bytes / 1e9:.0f} GB of host memory together, of {host / 1e9:.0f} GB")
    for who, shape in (("student", plan.student), ("teacher", plan.teacher)):
        longest = plan.micro.student_tokens if who == "student" else plan.micro.teacher_tokens
        if shape.num_positions is not None and longest > shape.num_positions:
            faults.append(f"sequences of {longest:,} tokens exceed the {who}'s {shape.num_positions:,} positions")
    return faults
