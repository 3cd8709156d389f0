"""Model folders from elsewhere: what is damaged, mixed up or not a model is one sentence before the run."""

from __future__ import annotations

import json

import pytest
import torch
from pipeline.test_preflight import tiny
from safetensors.torch import load_file, save_file
from tiny_models import write_model

from paced.errors import ConfigError
from paced.pipeline.preflight import check_inputs
from paced.pipeline.preflight_models import check_weights

GENERATION, TOKENIZER, WEIGHTS = "generation_config.json", "tokenizer.json", "model.safetensors"


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "mine", "qwen2", chat=False)


def configure(model, **changes):
    settings = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**settings, **changes}))


def rewrite_weights(model, **tensors):
    weights = {name: tensor.clone() for name, tensor in load_file(model / WEIGHTS).items()}
    save_file({**weights, **tensors}, model / WEIGHTS, metadata={"format": "pt"})


FILES = {
    (GENERATION, '{"eos'): "generation_config.json must hold one JSON object",
    (GENERATION, "[1]"): "generation_config.json must hold one JSON object",
    (GENERATION, '{"eos_token_id": "0"}'): "eos_token_id must be an integer or a list of them, got '0'",
    (GENERATION, '{"eos_token_id": [0, "1"]}'): "eos_token_id must be an integer or a list of them",
    (GENERATION, '{"eos_token_id": true}'): "eos_token_id must be an integer or a list of them, got True",
    ("config.json", '{"model'): "cannot load a tokenizer|cannot read config.json",
    ("config.json", '{"model_type": "foo9"}'): "cannot read config.json .*foo9",
    ("config.json", "{}"): "cannot read config.json .*model_type",
    (TOKENIZER, '{"vers'): "cannot load a tokenizer",
    (TOKENIZER, ""): "cannot load a tokenizer",
    (TOKENIZER, '{"version": "1.0", "added_tokens": [], "model": {"type": "Foo"}}'): "cannot load a tokenizer",
    ("adapter_config.json", '{"peft_type": "LORA"}'): "holds an adapter.*merge_and_unload",
}


@pytest.mark.parametrize(("file", "text"), FILES)
def test_a_file_that_is_damaged_or_of_another_kind_is_named_before_the_run(tmp_path, model, file, text):
    (model / file).write_text(text)
    with pytest.raises(ConfigError, match=FILES[file, text]):
        check_inputs(tiny(tmp_path, model))


@pytest.mark.parametrize("ends", ["-1", "[0, -1]", "[0, 99999]", "null"])
def test_ends_that_no_token_has_are_passed_over_beside_the_tokenizers(tmp_path, model, ends):
    (model / GENERATION).write_text(f'{{"eos_token_id": {ends}}}')
    check_inputs(tiny(tmp_path, model))


@pytest.mark.parametrize("ends", ["-1", "99999", "null"])
def test_a_student_that_nothing_ends_is_refused(tmp_path, ends):
    model = write_model(tmp_path / "mine", "qwen2", chat=False, eos=None)
    (model / GENERATION).write_text(f'{{"eos_token_id": {ends}}}')
    with pytest.raises(ConfigError, match="names an end-of-sequence token of this tokenizer, so no completion would"):
        check_inputs(tiny(tmp_path, model))


def test_a_folder_without_a_tokenizer_is_not_given_an_empty_one(tmp_path, model):
    for file in model.glob("tok*"):
        file.unlink()
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        check_inputs(tiny(tmp_path, model))


def test_quantised_weights_are_refused_by_their_method(tmp_path, model):
    configure(model, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(ConfigError, match="student: the weights must not be quantised, got 'bitsandbytes'"):
        check_inputs(tiny(tmp_path, model))


CONFIGURATIONS = {
    "more layers": ({"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3}, "weights lack 12 tensors"),
    "fewer layers": ({"num_hidden_layers": 1, "layer_types": ["full_attention"]}, "12 tensors .* have no place"),
    "other heads": ({"num_attention_heads": 8}, "do not have the shapes that config.json says|lack"),
    "other vocabulary": ({"vocab_size": 300}, "do not have the shapes that config.json says"),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_weights_of_another_configuration_are_refused(tmp_path, model, name):
    changes, sentence = CONFIGURATIONS[name]
    configure(model, **changes)
    if name == "other heads":
        configure(model, head_dim=16)
    with pytest.raises(ConfigError, match=sentence):
        check_weights(tiny(tmp_path, model))


DAMAGES = {
    "cut": lambda content: content[:-1000],
    "empty": lambda content: b"",
    "pointer": lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 100\n",
    "flipped header": lambda content: content[:8] + bytes([content[8] ^ 255]) + content[9:],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_weights_that_are_damaged_are_one_sentence_with_the_folder(tmp_path, model, name):
    (model / WEIGHTS).write_bytes(DAMAGES[name]((model / WEIGHTS).read_bytes()))
    with pytest.raises(ConfigError, match="mine: a file of weights is damaged or not safetensors"):
        check_weights(tiny(tmp_path, model))


def test_weights_that_hold_nan_are_not_blamed_on_the_head(tmp_path, model):
    rewrite_weights(model, **{"model.norm.weight": torch.full((32,), torch.nan)})
    with pytest.raises(ConfigError, match="student: check_head: logits .* must be finite"):
        check_weights(tiny(tmp_path, model))


def test_an_adapter_left_in_the_weights_is_refused_and_another_tasks_head_is_not(tmp_path, model):
    rewrite_weights(model, **{"score.weight": torch.zeros(2, 32)})
    check_weights(tiny(tmp_path, model))
    rewrite_weights(model, **{"model.layers.0.self_attn.q_proj.lora_A.weight": torch.zeros(2, 32)})
    with pytest.raises(ConfigError, match=r"1 tensors .* have no place .*lora_A"):
        check_weights(tiny(tmp_path, model))


def test_a_shard_that_is_absent_is_named(tmp_path, model):
    (model / WEIGHTS).rename(model / "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {name: f"model-0000{name}-of-00002.safetensors" for name in "12"}}
    (model / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError, match="model-00002-of-00002.safetensors"):
        check_weights(tiny(tmp_path, model))
