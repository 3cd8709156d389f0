"""Steps with room in the cache and shared key-value heads: the logits of transformers' own cache and attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tolerances import F32
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, Qwen3Config, Qwen3ForCausalLM
from transformers.cache_utils import DynamicSlidingWindowLayer

from paced.rollouts import growing_cache, hf
from paced.rollouts.causal_calls import CausalCalls
from paced.rollouts.grouped_attention import NAME, grouped_attention
from paced.rollouts.growing_cache import GrowingLayer

SIZES = {
    "vocab_size": 23, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "initializer_range": 0.6,
}  # fmt: skip
PROMPTS = [[3, 4, 5, 6, 7], [8, 9], [10], [11, 12, 13]]


@pytest.fixture(params=["full", "sliding"])
def model(request):
    """One model with full attention, one with a layer of each kind."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if request.param == "full":
            return Qwen3ForCausalLM(Qwen3Config(**SIZES)).eval()
        kinds = ["sliding_attention", "full_attention"]
        return Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, sliding_window=6, layer_types=kinds)).eval()


@torch.no_grad()
def steps(model, num_steps=40):
    """Logits of each step, two samples of each prompt; half the rows leave after ten steps."""
    calls = CausalCalls(model)
    numbers = np.random.default_rng(0)
    every = [calls.prefill(*hf._pad_left(PROMPTS, 0), 2, num_steps)]
    for position in range(num_steps):
        rows = every[-1].shape[0]
        if position == 10:
            calls.keep_rows(torch.tensor([0, 2, 3, 6]))
            rows = 4
        every.append(calls.step(torch.from_numpy(numbers.integers(2, 23, size=rows))))
    return calls, every


def test_room_and_shared_heads_give_the_logits_of_the_models_own_cache_and_attention(model, monkeypatch):
    monkeypatch.setattr(growing_cache, "ROOM", 16)  # grows twice
    with grouped_attention(model):
        assert model.config._attn_implementation == NAME
        calls, ours = steps(model)
    assert any(type(layer) is GrowingLayer for layer in calls.cache.layers)
    monkeypatch.setattr(growing_cache, "with_room", lambda cache: None)
    calls, theirs = steps(model)
    assert not any(type(layer) is GrowingLayer for layer in calls.cache.layers)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=F32, atol=F32 * float(other.abs().max()))


def test_only_layers_that_grow_by_concatenation_get_room(model):
    calls, _ = steps(model, num_steps=1)
    kinds = [type(layer) for layer in calls.cache.layers]
    num_sliding = model.config.layer_types.count("sliding_attention")
    assert kinds.count(DynamicSlidingWindowLayer) == num_sliding
    assert kinds.count(GrowingLayer) == 2 - num_sliding


def test_the_models_attention_is_as_it_was_after_an_error_inside(model):
    with pytest.raises(KeyError, match="inside"), grouped_attention(model):
        raise KeyError("inside")
    assert model.config._attn_implementation == "sdpa"


def test_a_model_with_another_attention_keeps_it(model):
    model.set_attn_implementation("eager")
    with grouped_attention(model):
        assert model.config._attn_implementation == "eager"
