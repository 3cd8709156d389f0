"""The SNR along training: what ``training.track_snr`` writes at every step, smoothed into a curve."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from paced.records import Table
from paced.run.folder import RunFolder
from paced.run.storage import read_lines


def tracked_snr(runs: Mapping[str, RunFolder], *, window: int = 15) -> Table:
    """SNR² of the head's gradient along training: each step's debiased value and its mean over a centred window.

    A step's value is unbiased in signal and noise over the problems of its batch, weights included, hence noisy and
    sometimes negative. The standard error is that of the window's mean, neighbouring steps taken as independent.

    Args:
        runs: run folders by the name of their method; those without tracked steps add no rows.
        window: steps in the mean, odd and >= 3; it shrinks at both ends.

    Returns: columns ``method``, ``step`` (counted through all stages), ``snr_squared``, ``smoothed``,
        ``standard_error``.
    """
    if window < 3 or window % 2 == 0:
        raise ValueError(f"tracked_snr: window must be odd and >= 3, got {window}.")
    table: dict[str, list] = {name: [] for name in ("method", "step", "snr_squared", "smoothed", "standard_error")}
    for method, run in runs.items():
        numbered = enumerate(read_lines(run.metrics), start=1)
        tracked = [(step, line["head_snr_squared"]) for step, line in numbered if "head_snr_squared" in line]
        values = np.array([value for _, value in tracked], dtype=np.float64)
        half = window // 2
        for index, (step, _) in enumerate(tracked):
            near = values[max(0, index - half) : index + half + 1]
            table["method"].append(method)
            table["step"].append(step)
            table["snr_squared"].append(float(values[index]))
            table["smoothed"].append(float(near.mean()))
            error = float(near.std(ddof=1) / np.sqrt(near.size)) if near.size > 1 else float("nan")
            table["standard_error"].append(error)
    return table
