"""What ``paced snr`` left in a run folder, read back for figures and the report; loads no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from paced.analysis.snr.bins import BinSnr, CrossBin, fit_curve
from paced.records import Table
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet
from paced.weights.snr_exponents import ExponentFit

MISFIT = 0.3
"""Misfit in log SNR² for which the error bound of the exponents is stated."""


def measured_losses(run: RunFolder) -> list[str]:
    """Names of the losses that have been measured, sorted."""
    return sorted(path.name.removesuffix("-curve.parquet") for path in run.snr.glob("*-curve.parquet"))


def measured_table(run: RunFolder, loss: str) -> Table:
    """The columns of the figure of one loss, its fit included where there is one."""
    curve, cross = measured_curve(run, loss), read_parquet(run.snr / f"{loss}-cross.parquet", CrossBin)
    return curve_columns(curve, cross, _fit(curve))


def measured_curve(run: RunFolder, loss: str) -> list[BinSnr]:
    """The bins of one loss."""
    return read_parquet(run.snr / f"{loss}-curve.parquet", BinSnr)


def fit_text(curve: Sequence[BinSnr]) -> str:
    """The kernel that fits SNR², its standard errors and the bound for a misfit, or why there is none."""
    fit = _fit(curve)
    if fit is None:
        return "no kernel fitted: fewer than three bins have a positive debiased SNR²"
    errors, bound = np.sqrt(np.diag(fit.cov))[1:], fit.error_bound(MISFIT)
    (a, b) = fit.unprojected
    return (
        f"SNR² ~ p^{a:.2f}±{errors[0]:.2f} (1−p)^{b:.2f}±{errors[1]:.2f} over {fit.num_bins} bins "
        f"({fit.num_dropped} without a positive value left out); a misfit of {MISFIT} in log SNR² can move them by "
        f"{bound[0]:.2f} and {bound[1]:.2f}"
    )


def _fit(curve: Sequence[BinSnr]) -> ExponentFit | None:
    try:
        return fit_curve(curve)
    except ValueError:
        return None


def curve_columns(curve: Sequence[BinSnr], cross: Sequence[CrossBin] = (), fit: ExponentFit | None = None) -> Table:
    """The columns that the figure draws: bins, cross-problem values of the same bins (NaN where too thin), fit."""
    table: dict[str, list[Any]] = {
        field.name: [getattr(one, field.name) for one in curve] for field in dataclasses.fields(BinSnr)
    }
    by_edge = {round(one.low, 9): one for one in cross}
    for name in ("debiased_snr_squared", "debiased_snr_squared_low", "debiased_snr_squared_high", "num_problems"):
        found = [by_edge.get(round(one.low, 9)) for one in curve]
        table[f"cross_{name}"] = [float("nan") if one is None else float(getattr(one, name)) for one in found]
    if fit is not None:
        p = np.asarray(table["pass_rate"], dtype=float)
        table["fitted_snr_squared"] = (np.exp(fit.log_scale) * p**fit.alpha * (1 - p) ** fit.beta).tolist()
    return table
