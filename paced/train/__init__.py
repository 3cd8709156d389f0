"""The training of one stage: losses, the native loop and other trainers; blind to how weights were made."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "WeightedDistillationTrainer": "paced.train.hf_trainer",
    "WeightedTRLTrainer": "paced.train.trl_trainer",
}
"""Public name -> the module that defines it, imported when the name is first used."""

__all__ = ["WeightedDistillationTrainer", "WeightedTRLTrainer"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'paced.train' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
