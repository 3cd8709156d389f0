"""What ranks do in the tests of loading in parts; a model that is large beside what a process needs anyway."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from paced.models.in_parts import open_in_parts
from paced.models.loading import load_model
from paced.run.config import ModelConfig
from paced.train.layers import layers_of
from paced.train.loss import DistillationStudent
from paced.train.native.parallel import give_memory, read_weights, shard_module
from paced.train.team import join_team, whole_tensor

LARGE = {
    "vocab_size": 4096, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
    "num_attention_heads": 12, "num_key_value_heads": 12, "tie_word_embeddings": True,
}  # fmt: skip
"""88 million parameters: 353 MB in float32."""


def write_large(folder: Path) -> None:
    """A model whose largest tensor is a thirtieth of it."""
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**LARGE))
    model = model.to_empty(device="cpu")
    model.tie_weights()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.fill_(0.001 * number)
    model.save_pretrained(folder)


def _team():
    from training_setup import make_config

    config = make_config()
    return join_team(config.parallel, device=torch.device("cpu"), dtype=torch.float32)


def read_on_ranks(folders: list[str], target: str) -> None:
    """Read models in parts and let the first rank write them down whole, gathered."""
    from safetensors.torch import save_file

    with _team() as team:
        for folder in folders:
            model, files = open_in_parts(ModelConfig(path=folder), dtype="float32")
            root = DistillationStudent(model)
            shard_module(root, layers_of(model), team, compute_dtype=torch.float32, offload=False)
            give_memory(root, team, offload=False)
            model.tie_weights()
            read_weights(model, files)
            named = [*model.named_parameters(), *model.named_buffers()]
            whole = {name: whole_tensor(tensor).detach().contiguous() for name, tensor in named}
            if team.is_first:
                save_file(whole, Path(target) / f"{Path(folder).name}.read")


def measure_loading(folder: str, target: str, in_parts: bool) -> None:
    """Spread a model over these ranks; every rank writes the growth of its resident memory's peak, in bytes."""
    torch.set_num_threads(1)
    config = ModelConfig(path=folder)
    with _team() as team:
        # what the first model of a process allocates for good is not its weights
        small = LlamaForCausalLM(LlamaConfig(**LARGE | {"hidden_size": 48, "vocab_size": 8, "num_hidden_layers": 1}))
        shard_module(DistillationStudent(small), layers_of(small), team, compute_dtype=torch.float32, offload=False)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _resident("VmRSS")
        if in_parts:
            model, files = open_in_parts(config, dtype="float32")
        else:
            model, files = load_model(config, dtype="float32"), None
        root = DistillationStudent(model)
        shard_module(root, layers_of(model), team, compute_dtype=torch.float32, offload=False)
        if files is not None:
            give_memory(root, team, offload=False)
            model.tie_weights()
            read_weights(model, files)
        growth = _resident("VmHWM") - before
        Path(f"{target}-{os.environ['RANK']}").write_text(str(growth))


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
