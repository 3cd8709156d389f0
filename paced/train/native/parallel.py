"""How the native loop spreads a model over ranks: FSDP2, layer by layer.

Parameters, gradients and optimiser state are sharded by ``fully_shard``; the sharded parameters are float32 master
weights, the forward runs in the student's configured type, gradients are reduced in float32. A bfloat16 run in one
process uses the same machinery in a group of one.
Left out: tensor and pipeline parallelism, and loading a model shard by shard; every rank first holds a whole copy.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard

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
