"""Several ranks (NCCL on cards, gloo on a CPU): sharded, replicated, sequence-parallel steps are those of one process.

The check starts ``torchrun`` on this file, whose ``main`` is one rank.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from training_setup import make_config

from gpu_check.gates import CannotRunError, Gate, Measured
from gpu_check.stages import Trained, first_gradient

CASES: dict[str, dict[str, object]] = {
    "sharded": {},
    "replicated": {"parallel.shard": False},
    "sharded, recomputed": {"parallel.gradient_checkpointing": True},
    "one sequence over two ranks": {"parallel.sequence_parallel": 2},
}
"""Name -> changes of the configuration; on cards also with shards in host memory."""
OFFLOADED = {"sharded, offloaded": {"parallel.offload": True}}


def run(device: torch.device) -> Measured:
    """Two ranks, or as many as there are cards, an even number."""
    size = 2
    if device.type == "cuda":
        size = torch.cuda.device_count() // 2 * 2
        if size == 0:
            raise CannotRunError("Two ranks need two cards, and this machine has one.")
    plain = first_gradient(device, make_config())
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "-m", "gpu_check.ranks", folder, device.type], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"torchrun ended with {done.returncode}: {done.stderr[-2000:]}")
        gates = [
            Gate(file.stem, Trained(torch.load(file, weights_only=True), plain).error, 1e-5)
            for file in sorted(Path(folder).glob("*.pt"))
        ]
    return Measured(gates=gates, facts={"ranks": size})


def main(folder: str, kind: str) -> None:
    """One rank: the first gradient of every case; the first rank writes them."""
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    device = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
    for name, changes in (CASES | (OFFLOADED if kind == "cuda" else {})).items():
        gradient = first_gradient(device, make_config(**changes))
        if rank == 0:
            torch.save(gradient, Path(folder) / f"{name}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
