"""FSDP2 in a group of one: bfloat16 forward over float32 master weights, shards in host memory, recomputed layers.

Each must give the plain float32 stage's first gradient: exactly as far as rounding goes, and bfloat16 to its 8 bits.
"""

from __future__ import annotations

import torch
from training_setup import make_config

from gpu_check.gates import Gate, Measured
from gpu_check.stages import Trained, first_gradient

CASES: dict[str, tuple[dict[str, object], float]] = {
    "gradient checkpointing": ({"parallel.gradient_checkpointing": True}, 1e-5),
    "bfloat16 forward": ({"student.dtype": "bfloat16"}, 0.1),
    "offload": ({"parallel.offload": True}, 1e-5),
    "offload, gradient checkpointing": ({"parallel.offload": True, "parallel.gradient_checkpointing": True}, 1e-5),
    "offload, bfloat16 forward": ({"parallel.offload": True, "student.dtype": "bfloat16"}, 0.1),
}
"""Name -> (changes of the configuration, largest relative error of the first gradient)."""


def run(device: torch.device) -> Measured:
    """Every case against the plain stage on the same device; the plain one on CUDA against the CPU's."""
    measured = Measured()
    plain = first_gradient(device, make_config())
    if device.type == "cuda":
        host = first_gradient(torch.device("cpu"), make_config())
        measured.gates.append(Gate("the card's gradient against the CPU's", Trained(plain, host).error, 1e-4))
    else:
        measured.left_out.append("Offloading moves nothing on a CPU, whose memory is the host's.")
    for name, (changes, limit) in CASES.items():
        if "offload" in name and device.type == "cpu":
            continue
        gradient = first_gradient(device, make_config(**changes))
        measured.gates.append(Gate(name, Trained(gradient, plain).error, limit))
    return measured
