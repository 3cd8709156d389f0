"""The engine ``server`` against a real vLLM server on loopback; what all engines promise is in ``test_engine.py``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engines_setup import build_hf, build_server
from tiny_models import byte_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from paced.errors import ConfigError
from paced.models.loading import load_tokenizer
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.seeds import sample_keys

PROMPTS = [(40, 41, 42), (60,), (70, 71, 72, 73, 74), (80, 81), (90, 91, 92)]

SAMPLINGS = ({}, {"sampling_temperature": 0.6, "top_p": 0.9}, {"sampling_temperature": 0.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A head without padding rows: a server's own noise would choose a padding row with a large logit."""
    folder = tmp_path_factory.mktemp("served")
    torch.manual_seed(0)
    sizes = {"vocab_size": 260, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 96}
    model = LlamaForCausalLM(LlamaConfig(**sizes, **heads))
    with torch.no_grad():
        model.lm_head.weight.normal_(0, 0.2)
    model.generation_config.eos_token_id, model.generation_config.bos_token_id = 0, None
    model.save_pretrained(folder)
    byte_tokenizer(chat=False).save_pretrained(folder)
    return folder


def draw(engine, prompts=PROMPTS, *, num_samples, **changes):
    ids = [f"p{row}" for row in range(len(prompts))]
    keys = sample_keys(run_seed=1, stage=1, problem_ids=ids, num_samples=num_samples)
    rows = dict(engine.sample(prompts, np.asarray(keys), SamplingConfig(**({"max_new_tokens": 6} | changes))))
    return [rows[row] for row in range(len(prompts))]


@pytest.mark.parametrize("changes", SAMPLINGS)
def test_vllms_endpoint_for_tokens_gives_the_texts_of_the_engine_in_this_process(folder, changes):
    engine = build_server(folder, parameters={"dialect": "vllm"})
    assert draw(engine, num_samples=8, **changes) == draw(build_hf(folder), num_samples=8, **changes)


def test_the_servers_own_noise_is_sampling_and_not_greedy(folder):
    drawn = draw(build_server(folder, parameters={"noise": "server"}), PROMPTS[:2], num_samples=20)
    assert all(len({one.token_ids for one in of_prompt}) > 15 for of_prompt in drawn)


def test_a_completion_of_text_alone_has_the_text_of_the_sampled_one(folder):
    """Greedy, so that both ask for the same; the tokens may be others that read alike."""
    tokenizer = load_tokenizer(ModelConfig(path=str(folder)))
    sampled = draw(build_hf(folder), num_samples=1, sampling_temperature=0.0)
    given = draw(build_server(folder, parameters={"dialect": "text"}), num_samples=1, sampling_temperature=0.0)
    for (ours,), (theirs,) in zip(sampled, given, strict=True):
        texts = [tokenizer.decode(one.token_ids, skip_special_tokens=True) for one in (ours, theirs)]
        if "\ufffd" not in texts[0]:  # half a character has no text to compare
            assert texts[0] == texts[1]
        assert ours.finish_reason == theirs.finish_reason


def test_a_server_says_what_it_is(folder):
    engine = build_server(folder)
    draw(engine, num_samples=1)
    (said,) = engine.facts["servers"].values()
    assert said["model"] == "tiny"
    assert said["version"].count(".") >= 2
    assert said["fingerprint"].startswith("vllm-")
    assert said["context_tokens"] == 96
    assert "our noise is validated there" in said["confirmed"]


def test_a_name_that_the_server_does_not_have_is_refused(folder):
    with pytest.raises(ConfigError, match="must serve the model 'other', it serves tiny"):
        draw(build_server(folder, parameters={"served_model": "other"}), num_samples=1)
