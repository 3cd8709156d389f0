"""Processes that train together: who they are and how they agree, in one process and under ``torchrun``.

Gradients are averaged over all ranks by FSDP or DDP, so the multipliers of a step carry the number of ranks
(``num_averaged_ranks`` in ``loss/reductions.py``): the mean is the global one, whatever the split.
Left out: how a model is spread over the ranks, which is each backend's own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from paced.errors import ConfigError, RunFolderError
from paced.run.config import ParallelConfig
from paced.run.signals import StopRequested

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = timedelta(hours=12)
"""How long ranks wait for each other: an engine with processes of its own is asked by the first rank alone."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """The ranks of one training run, seen from one of them; a single process is a team of one."""

    rank: int = 0
    """This process, 0 <= rank < size; rank 0 writes the files."""
    size: int = 1
    """Processes."""
    degree: int = 1
    """Ranks that share one sequence; neighbours in rank."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where this rank computes."""
    mesh: DeviceMesh | None = None
    """Over which FSDP shards; none in a plain process."""
    sequence_group: dist.ProcessGroup | None = None
    """The ranks that share this rank's sequences, when ``degree`` > 1."""

    @property
    def num_shares(self) -> int:
        """Micro-batches that run side by side."""
        return self.size // self.degree

    @property
    def share(self) -> int:
        """Which of them is this rank's."""
        return self.rank // self.degree

    @property
    def part(self) -> int:
        """Which piece of its sequences is this rank's."""
        return self.rank % self.degree

    @property
    def is_first(self) -> bool:
        """Whether this rank writes files."""
        return self.rank == 0

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over all ranks, in float64; the same on each."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return sums.tolist()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return self.total([float(flag)])[0] > 0

    def gather(self, item: Any) -> list[Any]:
        """The items of all ranks, in order of rank, on each of them."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item)
        return items

    def divide(self, items: Sequence[Item], work: Callable[[list[Item]], list[Result]]) -> list[Result]:
        """Results of ``work`` for all items in their order, each rank doing its part of them."""
        mine = list(items[self.rank :: self.size])
        parts = self.gather(work(mine) if mine else [])
        return [parts[index % self.size][index // self.size] for index in range(len(items))]

    def together(self, work: Callable[[], Result]) -> Result:
        """Do ``work``, which asks no other rank, on all ranks side by side; an error of one stops all of them.

        Raises:
            StopRequested: raised on a rank.
            RunFolderError: the error of another rank, with its number.
        """
        if self.size == 1:
            return work()
        try:
            result = work()
        except Exception as error:
            self.gather((isinstance(error, StopRequested), str(error)))
            raise
        for rank, fault in enumerate(self.gather(None)):
            if fault is not None:
                raise StopRequested(fault[1]) if fault[0] else RunFolderError(f"rank {rank}: {fault[1]}")
        return result

    def first_then_others(self, work: Callable[[], Result]) -> Result:
        """Do ``work`` on rank 0, which writes files, and then on the others, which read them; errors reach all."""
        result: Any = self.together(lambda: work() if self.is_first else None)
        return work() if not self.is_first else cast(Result, result)

    def from_first(self, work: Callable[[], Result]) -> Result:
        """What ``work`` gives on rank 0, on every rank; the others wait for it."""
        result = self.together(lambda: work() if self.is_first else None)
        first: Result = self.gather(result)[0]
        return first

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.size > 1:
            dist.barrier()


@contextlib.contextmanager
def join_team(parallel: ParallelConfig, *, device: torch.device, dtype: torch.dtype) -> Iterator[Team]:
    """Meet the other processes that ``torchrun`` started.

    Args:
        parallel: degree of sequence parallelism, sharding, offloading.
        device: where this process computes.
        dtype: type of the student's forward passes.

    Raises:
        ConfigError: the degree does not divide the number of processes.
    """
    rank, size = place_among_ranks()
    degree = parallel.sequence_parallel
    if size % degree:
        raise ConfigError(
            f"parallel.sequence_parallel must divide the number of processes, got {degree} for {size}. "
            f"Start with: torchrun --nproc-per-node {degree} -m paced distill ..."
        )
    sharded = size > 1 or parallel.offload or dtype != torch.float32
    if not sharded:
        yield Team(device=device)
        return
    begun = _meet(device, rank=rank, size=size)
    shape, names = ((size,), ("shard",)) if parallel.shard else ((size, 1), ("replicate", "shard"))
    try:
        yield Team(
            rank=rank,
            size=size,
            degree=degree,
            device=device,
            mesh=init_device_mesh(device.type, shape, mesh_dim_names=names),
            sequence_group=dist.new_subgroups(degree)[0] if degree > 1 else None,
        )
    finally:
        if begun and size == 1:
            dist.destroy_process_group()


def place_among_ranks() -> tuple[int, int]:
    """(rank, number of ranks) as ``torchrun`` says; (0, 1) in a plain process."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def team_for_files(device: torch.device) -> Team:
    """The ranks that ``torchrun`` started, before any model is there: to let the first write files that all read."""
    rank, size = place_among_ranks()
    if size > 1:
        _meet(device, rank=rank, size=size)
    return Team(rank=rank, size=size, device=device)


def _meet(device: torch.device, *, rank: int, size: int) -> bool:
    """Form the process group; several processes meet once and part when they end, as one store serves one meeting."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if dist.is_initialized():
        return False
    backend = "gloo" if device.type == "cpu" else f"cpu:gloo,{device.type}:nccl"  # small facts travel on the CPU
    store = dist.HashStore() if size == 1 else None
    dist.init_process_group(backend, rank=rank, world_size=size, timeout=PATIENCE, store=store)
    if size > 1:
        atexit.register(dist.destroy_process_group)
    return True


def copy_whole(whole: Tensor, target: Any) -> None:
    """Copy a whole tensor into ``target``, or into the part of it that this rank has; nothing is sent."""
    if not hasattr(target, "device_mesh"):
        target.copy_(whole)
        return
    from torch.distributed.tensor import distribute_tensor

    part = distribute_tensor(whole.to(target.device), target.device_mesh, target.placements, src_data_rank=None)
    target.to_local().copy_(part.to_local())


def whole_tensor(tensor: Tensor) -> Tensor:
    """A sharded tensor in full (all ranks must ask for it together), any other as it is."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
