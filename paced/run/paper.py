"""What the paper sets a recipe's keys to, and in which unit a key is counted: two columns of docs/recipe.md.

Values are those of the paper's Table 10 (both tracks share it), and of §3.4 for what the table leaves out. A key that
is not here has no value in the paper. Left out: what Table 10 has and a recipe does not (the tensor parallelism of its
inference servers, its evaluation every 10 steps).
"""

from __future__ import annotations

from typing import Any

PAPER: dict[str, Any] = {
    "student.path": "Qwen3-8B; Qwen2.5-Math-7B-Instruct in self-distillation",
    "student.dtype": "bfloat16",
    "teacher.path": "Qwen3-14B; the initial student in self-distillation",
    "teacher.dtype": "bfloat16",
    "problems.path": "DAPO-Math-17k",
    "prompts.max_student_tokens": 1024,
    "prompts.max_teacher_tokens": 3072,
    "rollouts.num_samples": 8,
    "rollouts.sampling_temperature": 1.0,
    "rollouts.max_new_tokens": 8192,
    "references.max_new_tokens": 16384,
    "weights.name": "beta",
    "weights.parameters": {"alpha": 1, "beta": 1},
    "stages.N.divergence.name": "forward_kl; reverse_kl in self-distillation; one after the other in two stages",
    "stages.N.num_epochs": 1.0,
    "stages.N.recompute_every": 0,
    "training.batch_size": 32,
    "training.micro_batch_tokens": "2 sequences on each GPU",
    "training.normaliser": "dataset",
    "training.learning_rate": "constant; the value is not printed",
    "training.schedule": "constant",
    "training.weight_decay": 0.01,
    "training.clip_norm": 1.0,
    "parallel.sequence_parallel": 8,
    "parallel.offload": True,
    "parallel.gradient_checkpointing": True,
    "evaluation.sets.N.name": "MATH-500, AIME 2024, AIME 2025; MMLU for stability",
    "evaluation.sampling.num_samples": 8,
    "evaluation.sampling.sampling_temperature": 0.6,
    "evaluation.sampling.top_p": 0.95,
    "evaluation.sampling.max_new_tokens": 30000,
}
"""Key -> the paper's value as a recipe has it, or what the paper says of it in words."""

UNITS = {
    "num_problems": "problems",
    "num_heldout": "problems",
    "num_prior": "problems",
    "limit": "problems",
    "batch_size": "problems",
    "num_samples": "completions of a problem",
    "stability_samples": "completions of a problem",
    "retries": "attempts",
    "max_student_tokens": "tokens",
    "max_teacher_tokens": "tokens",
    "max_new_tokens": "tokens",
    "micro_batch_tokens": "tokens",
    "num_epochs": "epochs",
    "num_steps": "optimiser steps",
    "recompute_every": "optimiser steps",
    "warmup_steps": "optimiser steps",
    "checkpoint_every": "optimiser steps",
    "keep_checkpoints": "checkpoints",
    "share": "of the problems",
    "top_p": "probability",
    "zpd_epsilon": "pass rate",
    "rank": "dimensions",
    "sequence_parallel": "ranks",
    "clip_norm": "norm of the gradient",
    "learning_rate": "per step",
    "weight_decay": "of the learning rate",
}
"""Last part of a key -> what its number counts."""
PURE = {
    "seed", "alpha", "sampling_temperature", "loss_temperature", "adam_betas", "adam_epsilon", "interpolation_power",
}  # fmt: skip
"""Last parts of keys whose numbers are pure: seeds, temperatures, exponents, factors."""
