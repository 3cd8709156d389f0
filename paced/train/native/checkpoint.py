"""Checkpoints that are whole or absent, verified before use, and enough to go on with the same bits.

    step-000100/
      manifest.json        the hash of every other file; written last, then the folder is renamed into place
      state.json           step, stage, number of ranks, hash of the weights in force at the stage's beginning
      tensors.safetensors  master weights and AdamW's state of a run in one process
      shards/              the same, sharded over ranks (torch.distributed.checkpoint), of a run in several

A run stores nothing else because nothing else is state: the order of problems, every seed, the schedule and the renewed
pass rates are functions of the configuration, the step and files of the run. A checkpoint whose hashes differ is
refused by name and the one before it is used. The torch format holds pickles, so no shard is opened before its hash.
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

from paced.errors import RunFolderError
from paced.models.loading import writing_weights
from paced.run.folder import check_free_space
from paced.run.progress import Progress
from paced.run.storage import file_hash, read_json, sync_folder, write_json
from paced.train.native.learner import Learner
from paced.train.team import Team

FORMAT = 1
MANIFEST, STATE, TENSORS, SHARDS = "manifest.json", "state.json", "tensors.safetensors", "shards"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW keeps for a parameter."""


class Checkpoints:
    """The checkpoints of one stage."""

    def __init__(self, folder: Path, *, stage_number: int, keep: int, team: Team, progress: Progress) -> None:
        """Use ``folder``; ``keep`` newest ones are kept, 0 for all."""
        self.folder, self.stage_number, self.keep = folder, stage_number, keep
        self.team, self.progress = team, progress

    @property
    def newest(self) -> str:
        """Where to go on from, in words."""
        found = self._found()
        return str(found[-1]) if found else "the beginning of the stage (no checkpoint yet)"

    def check_room(self, num_parameters: int) -> None:
        """Refuse to begin when the disk cannot hold the checkpoints and the exported student, or cannot be written.

        Raises:
            RunFolderError: too little space, or a folder that cannot be written.
        """
        if not self.team.is_first:
            return
        try:
            check_free_space(self.folder, room_for(num_parameters, self.keep))
            probe = self.folder / ".probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise RunFolderError(
                f"{self.folder}: cannot be written ({error.strerror}). Checkpoints go there."
            ) from error

    def save(self, step: int, learner: Learner, *, weights_hash: str) -> None:
        """Write the checkpoint after ``step`` steps; all ranks together."""
        target = self.folder / f"step-{step:06d}"
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
        self.team.barrier()
        if self.team.is_first:
            facts = {
                "format": FORMAT,
                "step": step,
                "stage": self.stage_number,
                "num_ranks": self.team.size,
                "weights_hash": weights_hash,
                "trained": sorted({name.rpartition(".")[0] for name in tensors if name.startswith("optimizer.")}),
            }
            write_json(temporary / STATE, facts)
        self.team.barrier()
        hashes = self._hashes(temporary)
        if self.team.is_first:
            write_json(temporary / MANIFEST, hashes)
            self._put(temporary, target)
        self.team.barrier()

    def restore(self, learner: Learner, *, weights_hash: str) -> int:
        """Load the newest whole checkpoint into the learner and return its step; 0 when there is none.

        Raises:
            RunFolderError: it belongs to other weights, or to another version of the format.
        """
        if self.team.is_first:
            for leftover in self.folder.glob(".step-*"):  # a write that a kill cut short
                shutil.rmtree(leftover, ignore_errors=True)
        self.team.barrier()
        for folder in reversed(self._found()):
            reason = self._fault(folder)
            if reason:
                self.progress.note(f"{folder} is not used: {reason}. Going on from the one before it.")
                continue
            facts = read_json(folder / STATE)
            if facts["format"] != FORMAT or facts["stage"] != self.stage_number:
                raise RunFolderError(f"{folder}: is of format {facts['format']} and stage {facts['stage']}. Delete it.")
            if facts["weights_hash"] != weights_hash:
                raise RunFolderError(
                    f"{folder}: was trained with other problem weights than the stage now has. "
                    "Restore the weights, or delete the stage's checkpoints to train it anew."
                )
            _load(folder, facts, learner)
            if facts["num_ranks"] != self.team.size:
                self.progress.note(
                    f"{folder} was written by {facts['num_ranks']} ranks and is read by {self.team.size}: "
                    "sums round differently from here on."
                )
            return int(facts["step"])
        return 0

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("step-*")) if self.folder.exists() else []

    def _fault(self, folder: Path) -> str:
        """Why a checkpoint cannot be used; empty when it is whole. The ranks share the hashing."""
        if not (folder / MANIFEST).exists():
            return f"it has no {MANIFEST}"
        try:
            expected = read_json(folder / MANIFEST)
        except RunFolderError:
            expected = None
        if not isinstance(expected, dict):
            return f"{MANIFEST} cannot be read"
        found = self._hashes(folder)
        for name in sorted(expected.keys() | found.keys()):
            if name not in found or name not in expected:
                return f"{name} is {'absent' if name not in found else 'not in the manifest'}"
            if found[name] != expected[name]:
                return f"{name} does not have the hash that the manifest holds"
        return ""

    def _hashes(self, folder: Path) -> dict[str, str]:
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
        names = [str(file.relative_to(folder)) for file in files]
        return dict(self.team.divide(names, lambda part: [(name, file_hash(folder / name)) for name in part]))

    def _put(self, temporary: Path, target: Path) -> None:
        """Rename into place, then drop the checkpoints that are too old; each step leaves a whole one behind."""
        sync_folder(temporary)
        if target.exists():
            old = self.folder / f".{target.name}.old"
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
        temporary.rename(target)
        sync_folder(self.folder)
        for stale in (*self.folder.glob(".step-*.old"), *(self._found()[: -self.keep] if self.keep else [])):
            shutil.rmtree(stale)


def room_for(num_parameters: int, keep: int) -> int:
    """Bytes for ``keep`` checkpoints, the one being written, and the exported student: 12 and 4 a parameter."""
    return 4 * num_parameters + 12 * num_parameters * ((keep or 3) + 1)


def _state_of(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that training changes, by name."""
    for name, parameter in learner.model.named_parameters():
        yield f"model.{name}", parameter
    for name, parameter in learner.model.named_parameters():
        for key, tensor in learner.optimizer.state.get(parameter, {}).items():
            yield f"optimizer.{name}.{key}", tensor


def _load(folder: Path, facts: dict[str, Any], learner: Learner) -> None:
    """Read both layouts into whatever sharding the learner has now."""
    trained = {name.removeprefix("optimizer.") for name in facts["trained"]}
    for name, parameter in learner.model.named_parameters():
        if name in trained:
            learner.optimizer.state[parameter] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }
    targets = {name: _detached(tensor) for name, tensor in _state_of(learner)}
    if (folder / SHARDS).exists():
        import torch.distributed.checkpoint as dcp

        with warnings.catch_warnings():  # that one process reads shards is meant, and said in a note
            warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
            dcp.load(targets, storage_reader=dcp.FileSystemReader(folder / SHARDS), no_dist=learner.team.size == 1)
        return
    with torch.no_grad(), safe_open(folder / TENSORS, framework="pt") as file:
        for name, target in targets.items():
            _copy(file.get_tensor(name), target)


def _copy(full: Tensor, target: Any) -> None:
    """Copy a whole tensor, or this rank's part of it, into ``target``."""
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        part = distribute_tensor(full.to(target.device), target.device_mesh, target.placements, src_data_rank=None)
        target.to_local().copy_(part.to_local())
    else:
        target.copy_(full)


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
