"""What the native loop writes into a checkpoint (``train/checkpoints.py``): enough to continue with the same bits.

    step-000100/
      tensors.safetensors  trained weights (with LoRA the adapters) and AdamW's state of a run in one process
      shards/              the same, sharded over ranks (torch.distributed.checkpoint), of a run in several

A run stores nothing else because nothing else is state: the order of problems, every seed, the schedule and the renewed
pass rates are functions of the configuration, the step and files of the run. The torch format holds a pickle, so no
shard is opened before its hash is verified, and the pickle can name tensors only (``shards.py``).
Resuming with another number of ranks works: shards are cut anew. Only the rounding of sums then differs.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from paced.models.loading import writing_weights
from paced.train.checkpoints import CheckpointFolder
from paced.train.native.learner import Learner
from paced.train.team import copy_whole

TENSORS, SHARDS = "tensors.safetensors", "shards"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps for a parameter."""


class Checkpoints(CheckpointFolder):
    """The checkpoints of one stage of the native loop."""

    format = 1

    def save(self, step: int, learner: Learner, *, weights_hash: str) -> None:
        """Write the checkpoint after ``step`` steps; all ranks together."""
        temporary = self.folder / f".step-{step:06d}"
        if self.team.is_first:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
        self.team.barrier()
        tensors = {name: _detached(tensor) for name, tensor in _state_of(learner)}
        if self.team.size == 1:
            with writing_weights(temporary / TENSORS):
                save_file({name: _local(tensor) for name, tensor in tensors.items()}, temporary / TENSORS)
            _sync(temporary / TENSORS)
        else:
            import torch.distributed.checkpoint as dcp

            dcp.save(tensors, storage_writer=dcp.FileSystemWriter(temporary / SHARDS))
        trained = sorted({name.rpartition(".")[0] for name in tensors if name.startswith("optimizer.")})
        self.seal(temporary, step, weights_hash=weights_hash, trained=trained)

    def restore(self, learner: Learner, *, weights_hash: str) -> int:
        """Load the newest whole checkpoint into the learner and return its step; 0 when there is none.

        Raises:
            RunFolderError: it belongs to other weights, or to another version of the format.
        """
        newest = self.newest_whole(weights_hash=weights_hash)
        if newest is None:
            return 0
        folder, facts = newest
        _load(folder, facts, learner)
        return int(facts["step"])


def _state_of(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that training changes, by name; a frozen base is not one."""
    for name, parameter in learner.trained():
        yield f"model.{name}", parameter
    for name, parameter in learner.trained():
        for key, tensor in learner.optimizer.state.get(parameter, {}).items():
            yield f"optimizer.{name}.{key}", tensor


def _load(folder: Path, facts: dict[str, Any], learner: Learner) -> None:
    """Read both layouts into whatever sharding the learner has now."""
    trained = {name.removeprefix("optimizer.") for name in facts["trained"]}
    for name, parameter in learner.trained():
        if name in trained:
            learner.optimizer.state[parameter] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }
    targets = {name: _detached(tensor) for name, tensor in _state_of(learner)}
    if (folder / SHARDS).exists():
        import torch.distributed.checkpoint as dcp

        from paced.train.native.shards import TensorShards

        with warnings.catch_warnings():  # that one process reads shards is meant, and said in a note
            warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
            dcp.load(targets, storage_reader=TensorShards(folder / SHARDS), no_dist=learner.team.size == 1)
        return
    with torch.no_grad(), safe_open(folder / TENSORS, framework="pt") as file:
        for name, target in targets.items():
            copy_whole(file.get_tensor(name), target)


def _detached(tensor: Tensor) -> Tensor:
    return tensor.detach()


def _local(tensor: Any) -> Tensor:
    """The memory of a tensor that one process holds in full."""
    local: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return local.contiguous()


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
