"""What a run will cost, before it starts: upper limits that follow from the recipe, the prompts and the model's size.

Completions are counted at their token limit, as nobody knows their length before sampling; the true cost is below.
Operations are 2 per parameter and token forward and 6 with the backward pass; attention over long contexts adds to it.
Left out: seconds. They depend on the machine, the batch and the length of what the model writes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from paced.models.loading import load_config, teacher_model
from paced.pipeline.plan.memory import shares_base
from paced.pipeline.plan.shapes import shape_of
from paced.pipeline.preflight import Inputs
from paced.pipeline.taken import needs_rollouts, source_of
from paced.problems.prompts import Prompt
from paced.run.config import ModelConfig, RunConfig, StageConfig
from paced.run.presets import set_sampling


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

    student, teacher = count_parameters(config.student), count_parameters(teacher_model(config))
    lora = lora_of(config.student)
    adapters = shape_of(config.student, who="student", lora=lora).adapter_parameters if lora else 0
    trained_parameters = adapters if lora else student
    seen, shown = _mean_length(inputs.student_prompts), _mean_length(inputs.teacher_prompts)
    count = len(inputs.problems)
    rollouts = references = trained = steps = 0.0
    operations = 0.0
    for number, stage in enumerate(config.stages, start=1):
        share = stage.share * count
        stage_steps = num_steps(config, stage, count)
        examples = stage_steps * config.training.batch_size
        limit = config.references if stage.along == "reference" else config.rollouts
        rolls = needs_rollouts(config, number) and source_of(config, "rollout", number) is None
        rollouts += (share * config.rollouts.num_samples if rolls else 0) + (examples if stage.fresh_rollouts else 0)
        sampled = stage.along == "reference" and not config.references.from_
        references += share * config.references.num_samples * (1 + config.references.retries) if sampled else 0
        trained += examples * (seen + limit.max_new_tokens)
        steps += stage_steps
        operations += examples * 2 * teacher * (shown + limit.max_new_tokens)
    presets = [set_sampling(config, item) for item in config.evaluation.sets if item.preset != "none"]
    most = max(one.num_samples * one.max_new_tokens for one in (config.evaluation.sampling, *presets))
    if config.evaluation.rate_training:
        rollouts += count * config.rollouts.num_samples
    rolled = rollouts * config.rollouts.max_new_tokens
    referred = references * config.references.max_new_tokens
    held_out = 2 * inputs.num_heldout * most
    operations += 2 * student * (rolled + held_out) + 2 * teacher * referred
    # A frozen weight has no gradient of its own; the two other products of a token pass through it and the adapters.
    operations += (4 * (student + adapters) + 2 * trained_parameters) * trained
    teacher_bytes = 2 if config.teacher.dtype == "bfloat16" else 4
    return Cost(
        student_parameters=student,
        teacher_parameters=teacher,
        num_rollouts=round(rollouts),
        sampled_tokens=round(rolled + referred + held_out),
        num_steps=round(steps),
        trained_tokens=round(trained),
        operations=operations,
        memory_bytes=4 * (student + adapters)
        + 12 * trained_parameters
        + (0 if shares_base(config) else teacher_bytes * teacher),
    )


def num_steps(config: RunConfig, stage: StageConfig, num_problems: int) -> int:
    """Optimiser steps of a stage, when every problem takes a slot."""
    if stage.num_steps:
        return stage.num_steps
    return math.ceil(stage.num_epochs * round(stage.share * num_problems) / config.training.batch_size)


def count_parameters(model: ModelConfig) -> int:
    """Parameters of a model, tied ones once, from its configuration alone."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(load_config(model))
    return sum(parameter.numel() for parameter in built.parameters())


def _mean_length(prompts: list[Prompt]) -> float:
    return sum(len(prompt.token_ids) for prompt in prompts) / max(1, len(prompts))
