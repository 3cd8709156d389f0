"""What a run says: intervals, comparisons, curriculum, gradient SNR, figures and the report.

Names are imported when they are first used, so that importing this package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "ProblemSnr": "paced.analysis.snr.rows",
    "lm_head_snr": "paced.analysis.snr.measure",
    "snr_curve": "paced.analysis.snr.bins",
    "tracked_snr": "paced.analysis.snr.tracking",
}
"""Public name -> the module that defines it."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'paced.analysis' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
