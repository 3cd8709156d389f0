"""How the native loop spreads a model over ranks: FSDP2, layer by layer.

Parameters, gradients and optimiser state are sharded by ``fully_shard``; the sharded parameters are float32 master
weights, the forward runs in the student's configured type, gradients are reduced in float32. A bfloat16 run in one
process uses the same machinery in a group of one.
Several ranks spread a model before it has weights, and each then reads its own part (``models/in_parts.py``).
Left out: tensor and pipeline parallelism.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard

from paced.models.in_parts import WeightFiles
from paced.train.lora import base_parameters, has_adapters
from paced.train.team import Team


def shard_module(
    root: nn.Module, layers: Sequence[nn.Module], team: Team, *, compute_dtype: torch.dtype | None, offload: bool
) -> None:
    """Shard ``layers`` one by one and what remains of ``root`` last, in place.

    Args:
        root: the module whose forward is called.
        layers: its decoder layers; at most one of them is whole at any time.
        team: the ranks.
        compute_dtype: type of the gathered weights; None keeps the type they have.
        offload: keep the shards in host memory.
    """
    policy = MixedPrecisionPolicy(param_dtype=compute_dtype, reduce_dtype=torch.float32)
    offloading = CPUOffloadPolicy(pin_memory=team.device.type == "cuda") if offload else OffloadPolicy()
    for module in (*layers, root):
        fully_shard(module, mesh=team.mesh, mp_policy=policy, offload_policy=offloading)


def give_memory(root: nn.Module, team: Team, *, offload: bool) -> None:
    """Memory for what is on the meta device, of sharded parameters this rank's part; what it holds is undefined.

    Tied parameters are no longer one afterwards.
    """
    device = torch.device("cpu") if offload else team.device

    def fill(tensor: Tensor) -> Tensor:
        return torch.empty_like(tensor, device=device) if tensor.is_meta else tensor

    root._apply(fill)


def read_weights(model: Any, files: WeightFiles) -> None:
    """Fill a plain causal language model, or the base of one with adapters, with this rank's part of its weights."""
    tensors = dict(base_parameters(model)) | dict(_buffers(model))
    files.fill({name: tensors[name] for name in files.places})


def _buffers(model: Any) -> Iterator[tuple[str, Tensor]]:
    plain = model.get_base_model() if has_adapters(model) else model
    yield from plain.named_buffers()
