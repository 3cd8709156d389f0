"""Gradient SNR against pass rate, every form beside its null: table in, Figure out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from paced.figures import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, label, legend, new_figure
from paced.records import Table


def snr_figure(table: Table, *, normalise: bool = True) -> Figure:
    """Eq. (8), its guarded form and nulls on the left; the debiased and cross-problem forms with the fit on the right.

    Args:
        table: columns of :func:`curve_columns`.
        normalise: divide each form by its largest bin as in the paper's Figure 3; nulls share the scale of Eq. (8).
    """
    figure, (left, right) = new_figure(columns=2, width=6.5, height=3.2)
    scale = _draw(left, table, "paper_snr", "Eq. (8)", ORANGE, "s", normalise)
    _draw(left, table, "guarded_snr", "guarded", BLUE, "o", normalise)
    x = np.asarray(table["pass_rate"], dtype=float)
    null = np.asarray(table["null_snr"], dtype=float) / scale
    left.plot(x, null, color=GREY, marker="x", markersize=4, linestyle="--", label="Eq. (8), signs flipped")
    floor = np.nanmean(np.asarray(table["floor"], dtype=float)) / scale
    left.axhline(floor, color=BLACK, linewidth=0.9, linestyle=":", label="floor 1/√(K−1)")
    scale = _draw(right, table, "debiased_snr_squared", "debiased √(ΣU/ΣV)", GREEN, "^", normalise)
    if np.isfinite(np.asarray(table["cross_debiased_snr_squared"], dtype=float)).any():
        _draw(right, table, "cross_debiased_snr_squared", "between problems", PURPLE, "D", normalise)
    if "fitted_snr_squared" in table:
        fitted = np.sqrt(np.asarray(table["fitted_snr_squared"], dtype=float)) / scale
        right.plot(x, fitted, color=BLACK, linewidth=1, linestyle="--", label="fitted kernel")
    for axes in (left, right):
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(bottom=0)
        legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, columnspacing=1.0)
    unit = "SNR / largest bin" if normalise else "SNR"
    label(left, x="pass rate p̂", y=unit)
    label(right, x="pass rate p̂", y="")
    for one, number in zip(x, table["num_problems"], strict=True):
        left.annotate(str(number), (one, 0), xytext=(0, 2), textcoords="offset points", fontsize=6, ha="center")
    return figure


def _draw(axes: Any, table: Table, name: str, text: str, colour: str, marker: str, normalise: bool) -> float:
    """One form as an amplitude with its interval; returns the scale it was divided by."""
    columns = [np.asarray(table[key], dtype=float) for key in (name, f"{name}_low", f"{name}_high")]
    if name.endswith("_squared"):  # negative estimates are drawn at 0: the interval shows what they are worth
        columns = [np.sqrt(np.maximum(values, 0.0)) for values in columns]
    value, low, high = columns
    finite = np.isfinite(value)
    scale = float(value[finite].max()) if normalise and finite.any() and value[finite].max() > 0 else 1.0
    errors = np.maximum(np.stack([value - low, high - value])[:, finite], 0.0) / scale
    x = np.asarray(table["pass_rate"], dtype=float)[finite]
    axes.errorbar(
        x, value[finite] / scale, yerr=errors, color=colour, marker=marker, markersize=4, capsize=2, linewidth=1.2,
        elinewidth=1, label=text,
    )  # fmt: skip
    return scale
