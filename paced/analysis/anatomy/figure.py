"""Gradient anatomy of the pass-rate groups: table in, Figure out."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from paced.figures import GREY, label, legend, new_figure, style_of
from paced.records import Table

PANELS = (
    ("norm", "mean gradient norm"),
    ("pair_cosine", "cosine of two problems"),
    ("useful_cosine", "group mean · useful direction"),
    ("prior_cosine", "group mean · prior skill"),
)


def anatomy_figure(table: Table) -> Figure:
    """Norm, pairwise cosine and both directions by group, one series a loss, bootstrap intervals over problems.

    Args:
        table: columns of ``anatomy_columns``; groups are drawn in their order, hardest first.
    """
    figure, axes = new_figure(rows=2, columns=2, width=6.5, height=5.0)
    groups = list(dict.fromkeys(table["group"]))
    losses = list(dict.fromkeys(table["loss"]))
    for panel, (name, text) in zip(figure.axes, PANELS, strict=True):
        for index, loss in enumerate(losses):
            rows = [row for row, loss_of_row in enumerate(table["loss"]) if loss_of_row == loss]
            value, low, high = (
                np.array([table[key][row] for row in rows], float) for key in (name, f"{name}_low", f"{name}_high")
            )
            x = np.array([groups.index(table["group"][row]) for row in rows]) + 0.16 * (index - (len(losses) - 1) / 2)
            panel.errorbar(
                x, value, yerr=np.maximum([value - low, high - value], 0.0), linestyle="none", capsize=2,
                label=loss.replace("_", " "), **style_of(index),
            )  # fmt: skip
        if name == "norm":
            panel.set_yscale("log")
        else:
            panel.axhline(0, color=GREY, linewidth=0.8)
        panel.set_xticks(range(len(groups)), groups, rotation=35, ha="right", fontsize=7)
        panel.set_xlim(-0.5, len(groups) - 0.5)
        label(panel, x="", y=text)
    legend(axes[0, 0], loc="best")
    return figure
