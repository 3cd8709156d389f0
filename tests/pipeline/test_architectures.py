"""What the preflight says of an architecture is what a run makes of it: it trains, or is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from pipeline.test_preflight import tiny
from tiny_models import byte_tokenizer

from paced.errors import ConfigError
from paced.models.loading import load_model
from paced.pipeline.job import run_job
from paced.pipeline.preflight import check_inputs
from paced.rollouts.hf import sample_completions
from paced.run.config import ModelConfig
from paced.run.folder import RunFolder
from paced.run.progress import Silent

SIZES = {"vocab_size": 264, "hidden_size": 32, "num_hidden_layers": 2}
ENDS = {"eos_token_id": 0, "bos_token_id": 0, "pad_token_id": None}
BASE = {**SIZES, **ENDS, "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 96}
GROUPED = {**BASE, "num_key_value_heads": 2}
WIDE = {**GROUPED, "head_dim": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8}
GPT = {"vocab_size": 264, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 96, **ENDS}
OPT = {**SIZES, **ENDS, "num_attention_heads": 4, "ffn_dim": 48, "max_position_embeddings": 96, "pad_token_id": 1}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
ROUTED = {"n_routed_experts": 8, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1}

TRAINED = {
    "Cohere": GROUPED,
    "Cohere2": {**WIDE, **SLIDING},
    "DeepseekV3": {**BASE, **EXPERTS, **LATENT, **ROUTED},
    "Ernie4_5": WIDE,
    "Exaone4": WIDE,
    "Falcon": {**SIZES, **ENDS, "num_attention_heads": 4},
    "GPT2": GPT,
    "GPTBigCode": GPT,
    "GPTNeoX": BASE,
    "Gemma2": {**WIDE, "query_pre_attn_scalar": 8},
    "Gemma3Text": {**WIDE, **SLIDING, "query_pre_attn_scalar": 8},
    "Glm4": WIDE,
    "Granite": {**GROUPED, "logits_scaling": 8.0},
    "Llama4Text": {**WIDE, "num_local_experts": 2, "intermediate_size_mlp": 48, "attention_chunk_size": 32},
    "Mistral": {**WIDE, "sliding_window": 8},
    "Mixtral": {**GROUPED, "num_local_experts": 4},
    "OPT": {**OPT, "word_embed_proj_dim": 16},
    "Olmo2": GROUPED,
    "Olmo3": {**GROUPED, **SLIDING},
    "Phi3": GROUPED,
    "Qwen3": WIDE,
    "Qwen3Moe": {**WIDE, **EXPERTS},
    "SmolLM3": GROUPED,
    "Starcoder2": GROUPED,
}
EAGER = {
    "Bloom": {"vocab_size": 264, "hidden_size": 32, "n_layer": 2, "n_head": 4, **ENDS},
    "GPTJ": {**GPT, "rotary_dim": 8},
    "GptOss": {**WIDE, "num_local_experts": 4, "sliding_window": 8},
    "Mpt": {"vocab_size": 264, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 96, **ENDS},
}
"""transformers has no fused attention for them."""
MIXED = {"layer_types": ["linear_attention", "full_attention"]}
REFUSED = {
    "Bamba": {**GROUPED, "mamba_n_heads": 4, "mamba_d_head": 16},
    "FalconH1": {**GROUPED, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8},
    "GraniteMoeHybrid": {**GROUPED, "layer_types": ["mamba", "attention"], "mamba_n_heads": 4, "mamba_d_head": 16},
    "Lfm2": {**GROUPED, "layer_types": ["conv", "full_attention"]},
    "Mamba2": {**SIZES, **ENDS, "num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1},
    "Qwen3Next": {**WIDE, **EXPERTS, **MIXED},
    "Qwen3_5Text": {**WIDE, **MIXED},
    "RecurrentGemma": GROUPED,
}


def write(folder, name, settings):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**settings)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.generation_config.eos_token_id = 0
    model.save_pretrained(folder)
    byte_tokenizer(chat=False).save_pretrained(folder)
    return folder


def has_fused_attention(name):
    """Whether this version of transformers computes it with ``sdpa``: Gemma 2 and GPT-J have changed places."""
    return transformers.MODEL_FOR_CAUSAL_LM_MAPPING[getattr(transformers, f"{name}Config")]._supports_sdpa


def run_two_steps_of_each_divergence(tmp_path, model, **changes):
    """From rollouts to two exported students, the first along references, the second along fresh rollouts."""
    further = {"num_steps": 2, "share": 0.5, "divergence": "reverse_kl", "along": "rollout", "fresh_rollouts": True}
    config = tiny(tmp_path, model, stages=[{"num_steps": 2, "share": 0.5}, further], **changes)
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.claim(config)
    run_job(run, Silent())
    assert (run.stage(2).student / "model.safetensors").exists()


def assert_greedy_samples_are_the_models_own(folder, attention):
    """Prompts of four lengths side by side, beyond the sliding windows, against the whole text read without a cache."""
    model = load_model(ModelConfig(path=str(folder), attention=attention), dtype="float32")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # the untrained model hardly prefers one token
    prompts = [list(range(20, 20 + length)) for length in (3, 12, 20, 7)]
    keys = np.arange(8, dtype=np.uint64).reshape(4, 2)
    sampled = sample_completions(
        model,
        prompts=prompts,
        keys=keys,
        max_new_tokens=24,
        sampling_temperature=0,
        eos_token_id=None,
        pad_token_id=0,
        max_rows=64,
    )
    for prompt, completions in zip(prompts, sampled, strict=True):
        for completion in completions:
            with torch.no_grad():
                logits = model(torch.tensor([[*prompt, *completion.token_ids]])).logits[0, len(prompt) - 1 : -1]
            chosen = logits.gather(-1, torch.tensor(completion.token_ids)[:, None]).squeeze(-1)
            assert bool((logits.amax(-1) - chosen <= 1e-3 * logits.abs().amax()).all())


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_an_architecture_that_passes_is_sampled_trained_and_exported(tmp_path, name):
    attention = "sdpa" if has_fused_attention(name) else "eager"
    model = write(tmp_path / "mine", name, TRAINED[name])
    assert_greedy_samples_are_the_models_own(model, attention)
    run_two_steps_of_each_divergence(tmp_path, model, **{"student.attention": attention})


@pytest.mark.slow
@pytest.mark.parametrize("name", EAGER)
def test_an_architecture_without_the_asked_attention_is_told_which_to_set_and_then_trains(tmp_path, name):
    if has_fused_attention(name):
        pytest.skip(f"transformers {transformers.__version__} has it")
    model = write(tmp_path / "mine", name, EAGER[name])
    with pytest.raises(
        ConfigError, match=r"student: .* cannot compute attention with 'sdpa' .*Set student.attention=e"
    ):
        check_inputs(tiny(tmp_path, model))
    assert_greedy_samples_are_the_models_own(model, "eager")
    run_two_steps_of_each_divergence(tmp_path, model, **{"student.attention": "eager"})


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_an_architecture_with_a_state_is_refused_by_name_and_could_indeed_not_be_sampled(tmp_path, name):
    model = write(tmp_path / "mine", name, REFUSED[name])
    with pytest.raises(ConfigError, match="student: the engine 'hf' samples models that keep keys and values alone"):
        check_inputs(tiny(tmp_path, model))
    with pytest.raises((TypeError, ValueError, RuntimeError), match=r"repeated|Attention layers|must match"):
        assert_greedy_samples_are_the_models_own(model, "eager")
