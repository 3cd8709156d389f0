"""Tiny real models, built once per session: random weights, real architectures."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

VOCABULARY = 24
PAD, EOS = 0, 1


def build_qwen3(*, seed: int = 0, vocab_size: int = VOCABULARY, tied: bool = False, **changes):
    torch.manual_seed(seed)
    settings = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 128,
        "initializer_range": 0.5,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
        "bos_token_id": None,
    } | changes
    config = Qwen3Config(vocab_size=vocab_size, tie_word_embeddings=tied, **settings)
    return Qwen3ForCausalLM(config).eval()


def build_llama(*, seed: int = 0):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.5,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="session")
def tiny_qwen3():
    return build_qwen3()


@pytest.fixture(scope="session")
def tiny_llama():
    return build_llama()
