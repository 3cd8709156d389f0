"""Distillation at the frontier of student competence: weights, theory, training and analysis.

The names that a reader needs first, each imported when it is first used; importing ``paced`` itself loads neither
torch nor scipy.

Example:
    >>> import paced
    >>> paced.normalise(paced.BetaKernel()([0, 2, 4], [8, 8, 8])).unit_mean_weights.round(2).tolist()
    [0.0, 1.29, 1.71]
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "WEIGHTS": "paced.weights",
    "BetaKernel": "paced.weights",
    "DropZero": "paced.weights",
    "HardFilter": "paced.weights",
    "MinimaxKernel": "paced.weights",
    "Uniform": "paced.weights",
    "fit": "paced.weights",
    "normalise": "paced.weights",
    "plan_rollouts": "paced.weights",
    "check_weighting": "paced.theory",
    "Problem": "paced.records",
    "Rollout": "paced.records",
    "Grade": "paced.records",
    "PassRate": "paced.records",
    "RunConfig": "paced.run.config",
    "load_config": "paced.run.configfile",
    "RunFolder": "paced.run.folder",
    "train_run": "paced.pipeline.steps",
    "train_stage": "paced.train.native.loop",
    "write_report": "paced.analysis.report.report",
}
"""Public name -> the module that defines it."""

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'paced' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
