"""Two tiny architectures, tied and untied, and random prompts and completions for them."""

from __future__ import annotations

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

VOCAB = 61
SIZES = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3,
}  # fmt: skip
F64, F32 = 1e-10, 5e-5
"""The issue's two figures, relative to the mean squared gradient."""


def model(kind: str, seed: int, dtype: torch.dtype):
    torch.manual_seed(seed)
    if kind == "qwen3":
        made = Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=8, tie_word_embeddings=False))
    else:
        made = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True))
    return made.to(dtype).eval()


def data(K: int, num_problems: int = 2, seed: int = 0):
    rng = np.random.default_rng(seed)

    def draw(n):
        return rng.integers(1, VOCAB, size=n).tolist()

    prompts = [draw(3 + 2 * x) for x in range(num_problems)]
    shown = [draw(4) + prompt for prompt in prompts]
    answers = [[draw(1 + (k + x) % 5) for k in range(K)] for x in range(num_problems)]
    return prompts, shown, answers


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.trace(expected) * len(expected))
