"""Stages that checks train: small ones for exactness, one of some size for two minutes of distillation."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from training_setup import build_student, build_teacher, metrics_of, step_gradients, train

from gpu_check.gates import relative_error

__all__ = ["Trained", "first_gradient", "metrics_of", "random_qwen3", "train"]


def first_gradient(device: torch.device, config: Any) -> Tensor:
    """The first step's gradient before clipping, all parameters in one row, on the host in float64."""
    student, teacher = build_student().to(device), build_teacher().to(device)
    with tempfile.TemporaryDirectory() as folder:
        gradients = step_gradients(Path(folder), config, student=student, teacher=teacher)
    return torch.cat([gradients[name].double().cpu().flatten() for name in sorted(gradients)])


@dataclass(frozen=True)
class Trained:
    """The first gradients of one configuration and of the plain one."""

    changed: Tensor
    plain: Tensor

    @property
    def error(self) -> float:
        """Relative difference."""
        return relative_error(self.changed, self.plain)


def random_qwen3(*, hidden: int, layers: int, vocab: int, seed: int, device: torch.device, **settings: Any) -> Any:
    """A Qwen3 of random float32 weights with heads of 64 numbers, or of 16 where the model is narrower."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    head = 64 if hidden >= 256 else 16
    heads = hidden // head
    config = Qwen3Config(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 4),
        head_dim=head,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        eos_token_id=0,
        bos_token_id=None,
        pad_token_id=None,
        **settings,
    )
    return Qwen3ForCausalLM(config).eval().to(device)
