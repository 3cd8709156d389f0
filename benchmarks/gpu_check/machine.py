"""The machine that a check runs on: whether its device is there, and what it is called.

python -m gpu_check.machine cuda     exit code 2 and one sentence where there is no card
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

NO_DEVICE = 2
"""Exit code where the device that was asked for is absent."""
PACKAGES = ("torch", "transformers", "triton", "liger_kernel", "trl", "vllm")


def is_there(kind: str) -> bool:
    """Whether checks can run on ``cuda`` or ``cpu``; says so on stderr where they cannot."""
    if kind != "cuda" or torch.cuda.is_available():
        return True
    print(
        "gpu-check: this machine has no CUDA device that torch can use; "
        "`make gpu-check DEVICE=cpu` runs the part of the checks that a CPU can run.",
        file=sys.stderr,
    )
    return False


def describe(device: torch.device) -> dict[str, Any]:
    """Name and size of the device, and versions."""
    facts: dict[str, Any] = {"device": platform.processor() or platform.machine(), "versions": {}}
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        facts["device"] = card.name
        facts |= {"num_devices": torch.cuda.device_count(), "memory_bytes": card.total_memory}
        facts |= {"compute_capability": f"{card.major}.{card.minor}", "cuda": torch.version.cuda}
    for name in PACKAGES:
        try:
            facts["versions"][name] = version(name)
        except PackageNotFoundError:
            continue
    return facts


if __name__ == "__main__":
    sys.exit(0 if is_there(sys.argv[1]) else NO_DEVICE)
