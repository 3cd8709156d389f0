"""Where a run computes: versions, machine and commit, written into its folder once."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import paced


def describe_environment(*, seed: int) -> dict[str, Any]:
    """Versions of what computes, the device and the seed; no host names, paths or tokens."""
    versions = {}
    for package in (
        "numpy",
        "scipy",
        "pyarrow",
        "torch",
        "transformers",
        "tokenizers",
        "safetensors",
        "vllm",
        "trl",
        "httpx",
    ):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {**describe_machine(), "seed": seed, "versions": versions}


def describe_machine() -> dict[str, str]:
    """This package, the interpreter and the kind of machine."""
    return {
        "paced": paced.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def _commit() -> str:
    """The commit of the checkout that runs, or nothing for an installed package."""
    head = Path(__file__).resolve().parents[2] / ".git"
    with contextlib.suppress(OSError):
        text = (head / "HEAD").read_text(encoding="utf-8").strip()
        if text.startswith("ref: "):
            return (head / text[5:]).read_text(encoding="utf-8").strip()
        return text
    return ""
