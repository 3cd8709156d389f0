"""Weights that ranks read in parts are those that transformers loads whole, and no rank holds them all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import ranks
import torch
import transformers
from in_parts_setup import LARGE, measure_loading, read_on_ranks, write_large
from safetensors.torch import load_file, save_file
from tiny_models import FAMILIES, write_model

from paced.models.in_parts import NotInPartsError, open_in_parts
from paced.models.loading import load_model
from paced.run.config import ModelConfig

OTHERS = ("Qwen3", "Gemma", "Gemma2", "Phi3", "Olmo2")
EXPERTS = ("Mixtral", "Qwen3Moe")
SIZES = {
    "vocab_size": 264, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 96, "pad_token_id": None, "eos_token_id": 0,
    "bos_token_id": None,
}  # fmt: skip


def write(folder, family, **changes):
    """A model folder of a family of ``tiny_models``, or of an architecture by its name in transformers."""
    if family in FAMILIES:
        return write_model(folder, family, chat=False, **changes)
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SIZES)
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(folder)
    return folder


def filled(folder, dtype="float32"):
    """The model that is read in parts, by one process that reads all of it."""
    model, files = open_in_parts(ModelConfig(path=str(folder), attention="eager"), dtype=dtype)
    assert all(parameter.is_meta for parameter in model.parameters())
    model._apply(lambda one: torch.empty_like(one, device="cpu") if one.is_meta else one)
    model.tie_weights()
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    files.fill({name: tensors[name] for name in files.places})
    return model


def tensors_of(model):
    return dict(model.named_parameters()) | dict(model.named_buffers())


def assert_same(ours, theirs):
    """Parameters and buffers, those that no checkpoint holds too: names, types, bytes; and what goes with them."""
    mine, its = tensors_of(ours), tensors_of(theirs)
    assert mine.keys() == its.keys()
    for name, tensor in its.items():
        assert mine[name].dtype == tensor.dtype, name
        assert torch.equal(mine[name], tensor), name
    assert ours.config.to_dict() == theirs.config.to_dict()
    assert ours.generation_config.to_dict() == theirs.generation_config.to_dict()
    assert ours.name_or_path == theirs.name_or_path


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_what_is_read_in_parts_is_what_transformers_loads(tmp_path, family, dtype):
    folder = write(tmp_path / family, family)
    assert_same(filled(folder, dtype), load_model(ModelConfig(path=str(folder), attention="eager"), dtype=dtype))


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_the_parts_of_all_ranks_are_the_whole(tmp_path, size):
    """Rows that divide by the number of ranks or do not; a tied head and one of its own; one file and more."""
    folders = [write(tmp_path / family, family, vocab_size=271) for family in ("gpt2", "llama", "qwen2")]
    load_model(ModelConfig(path=str(folders[1]))).save_pretrained(folders[1], max_shard_size="20KB")
    assert len(list(folders[1].glob("model-*.safetensors"))) > 1
    (folders[1] / "model.safetensors").unlink()
    ranks.run(read_on_ranks, [str(folder) for folder in folders], str(tmp_path), size=size)
    for folder in folders:
        ours, theirs = load_file(tmp_path / f"{folder.name}.read"), load_model(ModelConfig(path=str(folder)))
        expected = tensors_of(theirs)
        assert ours.keys() == expected.keys()
        assert all(torch.equal(ours[name], expected[name]) for name in expected)


def stored(folder):
    return load_file(folder / "model.safetensors")


def rewritten(folder, tensors):
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_names_of_older_checkpoints_are_translated_as_transformers_does(tmp_path):
    """A trunk saved alone has no prefix."""
    folder = write(tmp_path / "llama", "llama", tied=True)
    rewritten(folder, {name.removeprefix("model."): one for name, one in stored(folder).items()})
    assert_same(filled(folder), load_model(ModelConfig(path=str(folder), attention="eager")))


def test_a_tied_head_that_is_stored_twice_is_read_once(tmp_path):
    folder = write(tmp_path / "qwen2", "qwen2")
    tensors = stored(folder)
    rewritten(folder, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()})
    ours = filled(folder)
    assert_same(ours, load_model(ModelConfig(path=str(folder), attention="eager")))
    assert ours.lm_head.weight is ours.model.embed_tokens.weight


def other_head(folder):
    tensors = stored(folder)
    rewritten(folder, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"] + 1})


def fewer(folder):
    tensors = stored(folder)
    rewritten(folder, {name: one for name, one in tensors.items() if "layers.1.mlp.up" not in name})


def more(folder):
    rewritten(folder, stored(folder) | {"model.layers.7.mlp.up_proj.weight": torch.zeros(2, 2)})


def wider(folder):
    rewritten(folder, stored(folder) | {"model.norm.weight": torch.zeros(33)})


def broken(folder):
    (folder / "model.safetensors").write_bytes(b"no weights")


def without_index(folder):
    (folder / "model.safetensors").rename(folder / "other.safetensors")


def quantised(folder):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"quantization_config": {"quant_method": "gptq"}}))


DAMAGES = {
    other_head: "are tied and have different numbers",
    fewer: "layers.1.mlp.up_proj.weight is not there",
    more: "layers.7.mlp.up_proj.weight has no place in the model",
    wider: "norm.weight has another shape",
    broken: "cannot be read",
    without_index: "neither model.safetensors nor an index",
    quantised: "quantised",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_the_ordinary_load_must_judge_is_left_to_it(tmp_path, damage):
    folder = write(tmp_path / "qwen2", "qwen2")
    damage(folder)
    with pytest.raises(NotInPartsError, match=DAMAGES[damage]):
        open_in_parts(ModelConfig(path=str(folder)))


@pytest.mark.parametrize("family", EXPERTS)
def test_experts_that_transformers_stacks_are_loaded_whole(tmp_path, family):
    with pytest.raises(NotInPartsError, match=r"transformers computes .*experts.* from other tensors"):
        open_in_parts(ModelConfig(path=str(write(tmp_path / family, family))))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")
@pytest.mark.parametrize("size", [2, 4])
def test_no_rank_ever_holds_a_whole_copy(tmp_path, size):
    """Peak of the resident memory while a float32 student is spread and read.

    A rank holds its part and, at times, another two tensors. The control loads the model whole before it is spread.
    """
    write_large(tmp_path / "large")
    whole = sum(one.numel() * 4 for one in load_file(tmp_path / "large" / "model.safetensors").values())
    for name, in_parts in (("parts", True), ("whole", False)):
        ranks.run(measure_loading, str(tmp_path / "large"), str(tmp_path / name), in_parts, size=size)
    peaks, control = ([int(Path(f"{tmp_path / name}-{rank}").read_text()) for rank in range(size)]
                      for name in ("parts", "whole"))  # fmt: skip
    table = 4 * LARGE["vocab_size"] * LARGE["hidden_size"]
    bound = 1.1 * whole / size + 2 * table
    assert max(peaks) < bound
    assert min(control) > bound
