"""What ``paced snr`` left in a run folder, read back for figures and the report; loads no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from paced.analysis.snr.bins import BinSnr, CrossBin
from paced.analysis.snr.exponents import KernelExponents
from paced.records import Table
from paced.run.folder import RunFolder
from paced.run.storage import read_json, read_parquet

MISFIT = 0.3
"""Misfit in log SNR² for which the error bound of the exponents is stated."""


def measured_losses(run: RunFolder) -> list[str]:
    """Names of the losses that have been measured, sorted."""
    return sorted(path.name.removesuffix("-curve.parquet") for path in run.snr.glob("*-curve.parquet"))


def measured_table(run: RunFolder, loss: str) -> Table:
    """The columns of the figure of one loss, its fit included where there is one."""
    curve, cross = measured_curve(run, loss), read_parquet(run.snr / f"{loss}-cross.parquet", CrossBin)
    return curve_columns(curve, cross, measured_fit(run, loss))


def measured_curve(run: RunFolder, loss: str) -> list[BinSnr]:
    """The bins of one loss."""
    return read_parquet(run.snr / f"{loss}-curve.parquet", BinSnr)


def measured_fit(run: RunFolder, loss: str) -> KernelExponents | None:
    """The kernel fitted to the problems of one loss; None where none fits."""
    file = run.snr / f"{loss}-kernel.parquet"
    fits = read_parquet(file, KernelExponents) if file.exists() else []
    return fits[0] if fits else None


def missing_fit_reason(run: RunFolder, loss: str) -> str:
    """Why no kernel fits the problems of one loss; empty where one does, or where the folder does not say."""
    file = run.snr / f"{loss}-no-kernel.json"
    return str(read_json(file)["reason"]) if file.exists() else ""


def fit_text(fit: KernelExponents | None, reason: str = "") -> str:
    """The kernel that fits SNR², its 95 % intervals and the bound for a misfit; or that there is none, and why.

    Example:
        >>> fit_text(None, "one problem only.")
        'no kernel fitted: one problem only'
    """
    if fit is None:
        return f"no kernel fitted: {reason}".rstrip(": .")
    return (
        f"SNR² ~ p^{fit.alpha:.2f} [{fit.alpha_low:.2f}, {fit.alpha_high:.2f}] "
        f"(1−p)^{fit.beta:.2f} [{fit.beta_low:.2f}, {fit.beta_high:.2f}] over {fit.num_problems} problems solved "
        f"sometimes; a misfit of {MISFIT} in log SNR² can move them by {MISFIT * fit.alpha_per_misfit:.2f} and "
        f"{MISFIT * fit.beta_per_misfit:.2f}"
    )


def curve_columns(curve: Sequence[BinSnr], cross: Sequence[CrossBin] = (), fit: KernelExponents | None = None) -> Table:
    """The columns that the figure draws: bins, cross-problem values of the same bins (NaN where too thin), fit."""
    table: dict[str, list[Any]] = {
        field.name: [getattr(one, field.name) for one in curve] for field in dataclasses.fields(BinSnr)
    }
    by_edge = {round(one.low, 9): one for one in cross}
    for name in ("debiased_snr_squared", "debiased_snr_squared_low", "debiased_snr_squared_high", "num_problems"):
        matches = [by_edge.get(round(one.low, 9)) for one in curve]
        table[f"cross_{name}"] = [float("nan") if one is None else float(getattr(one, name)) for one in matches]
    if fit is not None:
        table["fitted_snr_squared"] = fit.snr_squared(table["pass_rate"]).tolist()
    return table
