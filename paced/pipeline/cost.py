"""What a run will cost, before it starts: upper limits that follow from the recipe, the prompts and the models' sizes.

The work is counted as in ``paced plan`` (``plan/work.py``), with the prompts that were made and every completion at its
token limit, as nobody knows its length before sampling; the true cost is below.
Left out: seconds and the memory of activations, for which ``paced plan`` takes a device.
"""

from __future__ import annotations

from dataclasses import dataclass

from paced.models.loading import teacher_model
from paced.pipeline.plan.inputs import Counts
from paced.pipeline.plan.memory import shares_base
from paced.pipeline.plan.shapes import BYTES, FOUR, shape_of
from paced.pipeline.plan.work import count_work, total_steps
from paced.pipeline.preflight import Inputs
from paced.problems.prompts import Prompt
from paced.run.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Upper limits of one run without compared methods."""

    student_parameters: int
    """Parameters of the student."""
    teacher_parameters: int
    """Parameters of the teacher."""
    num_rollouts: int
    """Completions sampled to rate the problems, over all stages."""
    sampled_tokens: int
    """Tokens sampled at most: rollouts, references, both evaluations."""
    num_steps: int
    """Optimiser steps."""
    trained_tokens: int
    """Tokens of the training sequences at most, prompts included."""
    operations: float
    """Floating-point operations at most."""
    memory_bytes: int
    """Weights in float32, gradients and optimiser state of those that are trained, and the teacher; activations come on
    top."""

    def sentences(self) -> list[str]:
        """The estimate in words."""
        return [
            f"student {self.student_parameters:,} parameters, teacher {self.teacher_parameters:,}",
            f"{self.num_rollouts:,} rollouts; at most {self.sampled_tokens:,} tokens sampled, references and "
            "evaluation included",
            f"{self.num_steps:,} optimiser steps on at most {self.trained_tokens:,} tokens",
            f"at most {self.operations:.2g} floating-point operations; "
            f"{self.memory_bytes / 1e9:.2g} GB for weights, gradients and optimiser state, activations on top",
        ]


def estimate_cost(config: RunConfig, inputs: Inputs) -> Cost:
    """The cost of one run of ``config`` on its inputs.

    Args:
        config: the recipe; its compared methods are not counted.
        inputs: problems and prompts.
    """
    from paced.train.lora import lora_of

    student = shape_of(config.student, who="student", lora=lora_of(config.student))
    teacher = shape_of(teacher_model(config), who="teacher")
    counts = Counts(
        num_problems=len(inputs.problems),
        num_heldout=inputs.num_heldout,
        student_prompt=_mean_length(inputs.student_prompts),
        teacher_prompt=_mean_length(inputs.teacher_prompts),
        longest_student_prompt=_longest(inputs.student_prompts),
        longest_teacher_prompt=_longest(inputs.teacher_prompts),
    )
    tasks = count_work(config, counts, student=student, teacher=teacher)
    teacher_bytes = 0 if shares_base(config) else BYTES[config.teacher.dtype] * teacher.parameters
    return Cost(
        student_parameters=student.parameters,
        teacher_parameters=teacher.parameters,
        num_rollouts=round(sum(task.num_sequences for task in tasks if task.name == "rollouts")),
        sampled_tokens=round(sum(task.tokens for task in tasks if task.kind == "sampling")),
        num_steps=total_steps(config, counts.num_problems),
        trained_tokens=round(sum(task.tokens for task in tasks if task.name == "training")),
        operations=sum(task.operations for task in tasks),
        memory_bytes=FOUR * (student.parameters + student.adapter_parameters + 3 * student.trained_parameters)
        + teacher_bytes,
    )


def _mean_length(prompts: list[Prompt]) -> float:
    return sum(len(prompt.token_ids) for prompt in prompts) / max(1, len(prompts))


def _longest(prompts: list[Prompt]) -> int:
    return max((len(prompt.token_ids) for prompt in prompts), default=0)
