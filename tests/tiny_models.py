"""Tiny causal language models with a byte-level tokenizer, written to disk as a user would bring them."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_tokenizer(*, chat: bool, eos: str | None = "<|end|>", pad: str | None = None) -> PreTrainedTokenizerFast:
    """A byte-level BPE of the 256 bytes and a few control tokens; without padding token unless asked."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + 4,
        special_tokens=["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=eos, pad_token=pad)
    if chat:
        tokenizer.chat_template = CHAT
    return tokenizer


def small_model(
    family: str, *, vocab_size: int = 264, tied: bool | None = None, seed: int = 0, num_positions: int = 96
):
    """Random weights of an architecture; ``vocab_size`` is larger than the tokenizer's, as padded vocabularies are."""
    torch.manual_seed(seed)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": num_positions,
    }
    if family == "gpt2":
        config = GPT2Config(
            vocab_size=vocab_size, n_embd=32, n_layer=2, n_head=4, n_positions=num_positions, eos_token_id=0
        )
        return GPT2LMHeadModel(config)
    if family == "llama":
        config = LlamaConfig(
            vocab_size=vocab_size, intermediate_size=48, num_key_value_heads=2, tie_word_embeddings=bool(tied), **sizes
        )
        return LlamaForCausalLM(config)
    if family == "qwen2":
        tied = True if tied is None else tied
        config = Qwen2Config(
            vocab_size=vocab_size, intermediate_size=48, num_key_value_heads=2, tie_word_embeddings=tied, **sizes
        )
        return Qwen2ForCausalLM(config)
    config = GPTNeoXConfig(vocab_size=vocab_size, intermediate_size=48, **sizes)
    return GPTNeoXForCausalLM(config)


FAMILIES = ("gpt2", "llama", "qwen2", "neox")


def write_model(folder: Path, family: str, *, chat: bool, eos: str | None = "<|end|>", **changes) -> Path:
    """Save a model folder; its generation config asks for sampling settings that must not leak into rollouts."""
    model = small_model(family, **changes)
    model.generation_config.eos_token_id = 0 if eos else None
    model.generation_config.bos_token_id = None
    model.save_pretrained(folder)
    byte_tokenizer(chat=chat, eos=eos).save_pretrained(folder)
    return folder


def write_sums(path: Path, count: int = 12, *, first: int = 0) -> Path:
    """A problem file of small sums with solutions, of the numbers from ``first`` on."""
    rows = [
        {"problem": f"{i} + {i + 1}", "answer": 2 * i + 1, "solution": f"{2 * i + 1}"}
        for i in range(first, first + count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
