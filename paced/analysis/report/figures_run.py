"""Figures of one run or of several compared: pass rates, weights, training, gain against forgetting, curriculum.

One function a figure, table in (columns named in the docstring), Figure out. Intervals are drawn wherever the table
has them; the tables come from ``pass_rates.py``, ``curriculum.py``, ``comparison.py`` and ``training.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from paced.figures import BLUE, GREEN, GREY, ORANGE, RED, SKY, label, legend, new_figure, style_of
from paced.records import Table
from paced.zone import TABLE_9

REGION_COLOURS = {"low": RED, "zpd": BLUE, "high": GREEN}


def pass_rate_histogram(table: Table, kernel: Table | None = None) -> Figure:
    """Share of problems at each pass rate, with Wilson intervals and the kernel that weights them.

    Args:
        table: columns ``pass_rate_estimate``, ``share``, ``share_low``, ``share_high``, ``num_problems``.
        kernel: columns ``pass_rate`` in [0, 1] and ``weight``, drawn to its own scale on the right.
    """
    figure, axes = new_figure()
    x = np.asarray(table["pass_rate_estimate"], dtype=float)
    share = np.asarray(table["share"], dtype=float)
    width = 0.8 * float(np.min(np.diff(x))) if x.size > 1 else 0.1
    axes.bar(x, share, width=width, color=SKY, edgecolor=BLUE, linewidth=0.8, label="problems")
    axes.errorbar(x, share, yerr=_errors(table, "share"), fmt="none", ecolor=GREY, elinewidth=1, capsize=2)
    total = sum(table["num_problems"])
    label(axes, x="pass-rate estimate p̂", y="share of problems", title=f"{total:,} problems")
    axes.set_xlim(-0.09, 1.09)
    if kernel is not None:
        right = axes.twinx()
        right.spines[["top"]].set_visible(False)
        right.plot(kernel["pass_rate"], kernel["weight"], color=RED, linewidth=1.6, label="weight w(p)")
        right.set_ylabel("weight w(p)", fontsize=9, color=RED)
        right.tick_params(labelsize=8)
        right.set_ylim(bottom=0)
    return figure


def weight_profile(table: Table) -> Figure:
    """Share of problems against share of training weight at each pass rate.

    Args:
        table: columns ``pass_rate_estimate``, ``share_of_problems``, ``share_of_weight``.
    """
    figure, axes = new_figure()
    x = np.asarray(table["pass_rate_estimate"], dtype=float)
    step = float(np.min(np.diff(x))) if x.size > 1 else 0.2
    axes.bar(x - 0.2 * step, table["share_of_problems"], width=0.38 * step, color=SKY, label="problems")
    axes.bar(x + 0.2 * step, table["share_of_weight"], width=0.38 * step, color=ORANGE, label="training weight")
    label(axes, x="pass-rate estimate p̂", y="share of the total")
    legend(axes)
    return figure


def training_curves(table: Table, *, smooth: int = 9) -> Figure:
    """Weighted loss and gradient norm of every optimiser step, one colour a method.

    Args:
        table: columns ``method``, ``step``, ``loss``, ``grad_norm`` in step order within a method.
        smooth: steps in the running median drawn over the raw values, odd.
    """
    figure, axes = new_figure(columns=2, width=6.5, height=3.2)
    methods = list(dict.fromkeys(table["method"]))
    for column, one in zip(("loss", "grad_norm"), axes, strict=True):
        for index, method in enumerate(methods):
            rows = [row for row, name in enumerate(table["method"]) if name == method]
            steps = np.asarray([table["step"][row] for row in rows], dtype=float)
            values = np.asarray([table[column][row] for row in rows], dtype=float)
            colour = style_of(index)["color"]
            one.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            one.plot(steps, running_median(values, smooth), color=colour, linewidth=1.6, label=method)
        one.set_yscale("symlog", linthresh=_threshold(table[column]))
    label(axes[0], x="optimiser step", y="weighted loss (nats per token)")
    label(axes[1], x="optimiser step", y="gradient norm before clipping")
    handles, names = axes[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 4), fontsize=8, frameon=False)
    return figure


def gain_against_forgetting(table: Table) -> Figure:
    """Accuracy gained on the taught skill against accuracy lost on the prior skill, in percentage points.

    Args:
        table: columns ``method``, ``gain``, ``gain_low``, ``gain_high``, ``forgetting``, ``forgetting_low``,
            ``forgetting_high``; differences to the base student in [-1, 1].
    """
    figure, axes = new_figure()
    for index, method in enumerate(table["method"]):
        x, y = 100 * table["forgetting"][index], 100 * table["gain"][index]
        axes.errorbar(
            [x],
            [y],
            xerr=_cross(table, "forgetting", index),
            yerr=_cross(table, "gain", index),
            linestyle="none",
            capsize=2,
            elinewidth=1,
            label=method,
            **(style_of(index) | {"markersize": 6}),
        )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(0, color=GREY, linewidth=0.8)
    label(axes, x="forgetting of the prior skill (points, lower is better)", y="gain on held-out problems (points)")
    legend(axes)
    return figure


def curriculum_stack(table: Table) -> Figure:
    """Shares of low, ZPD and high problems along checkpoints, with Wilson intervals and the mean pass rate.

    Args:
        table: columns of :func:`paced.analysis.results.curriculum.curriculum_table`.
    """
    figure, axes = new_figure()
    x = np.arange(len(table["checkpoint"]))
    bottom = np.zeros(len(x))
    names = {"low": f"low (p̂ < {TABLE_9.low:g})", "zpd": "ZPD", "high": f"high (p̂ > {TABLE_9.high:g})"}
    for name, text in names.items():
        share = np.asarray(table[name], dtype=float)
        axes.bar(x, share, bottom=bottom, width=0.6, color=REGION_COLOURS[name], alpha=0.75, label=text)
        middle = bottom + share / 2
        axes.errorbar(x, middle, yerr=_errors(table, name), fmt="none", ecolor="white", elinewidth=1.4, capsize=2)
        for index, value in enumerate(share):
            axes.annotate(f"{100 * value:.0f}%", (x[index] + 0.05, middle[index]), fontsize=7, va="center", color="w")
        bottom = bottom + share
    axes.errorbar(
        x,
        table["mean_pass_rate"],
        yerr=_errors(table, "mean_pass_rate"),
        color="black",
        marker="o",
        markersize=4,
        capsize=2,
        linewidth=1.2,
        label="mean pass rate",
    )
    axes.set_xticks(x, table["checkpoint"])
    label(axes, x="checkpoint", y="share of training problems")
    axes.set_ylim(0, 1.02)
    legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def curriculum_flow(table: Table) -> Figure:
    """Where each region's problems went, against what sampling noise alone would show.

    Args:
        table: columns of :func:`paced.analysis.results.curriculum.flow_table`.
    """
    figure, axes = new_figure()
    starts = list(dict.fromkeys(table["from_region"]))
    for index, end in enumerate(dict.fromkeys(table["to_region"])):
        rows = [row for row, name in enumerate(table["to_region"]) if name == end]
        x = np.arange(len(starts)) + 0.26 * (index - 1)
        share = np.asarray([table["share"][row] for row in rows], dtype=float)
        axes.bar(x, share, width=0.24, color=REGION_COLOURS[end], alpha=0.8, label=f"to {end}")
        picked = {key: [table[key][row] for row in rows] for key in ("share", "share_low", "share_high")}
        axes.errorbar(x, share, yerr=_errors(picked, "share"), fmt="none", ecolor=GREY, elinewidth=1, capsize=2)
        chance = [table["expected_flow_by_chance"][row] for row in rows]
        axes.scatter(x, chance, marker="_", color="black", s=80, linewidths=1.4, zorder=3)
    axes.scatter([], [], marker="_", color="black", s=80, label="sampling noise alone")
    axes.set_xticks(np.arange(len(starts)), [f"from {start}" for start in starts])
    label(axes, x="region before training", y="share after training")
    legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def running_median(values: Sequence[float] | np.ndarray, width: int) -> np.ndarray:
    """Median over a centred window that shrinks at the ends.

    Example:
        >>> running_median([1.0, 9.0, 2.0, 3.0], 3).tolist()
        [5.0, 2.0, 3.0, 2.5]
    """
    array, half = np.asarray(values, dtype=float), width // 2
    return np.array([np.median(array[max(0, k - half) : k + half + 1]) for k in range(array.size)])


def _errors(table: Table, column: str) -> np.ndarray:
    """Distances from the value down and up to its interval, shape [2, n], as matplotlib wants them."""
    value = np.asarray(table[column], dtype=float)
    low = np.asarray(table[f"{column}_low"], dtype=float)
    high = np.asarray(table[f"{column}_high"], dtype=float)
    return np.maximum(np.stack([value - low, high - value]), 0.0)


def _cross(table: Table, column: str, index: int) -> Any:
    picked = {key: [table[key][index]] for key in (column, f"{column}_low", f"{column}_high")}
    return 100 * _errors(picked, column)


def _threshold(values: Sequence[float]) -> float:
    """Where a symmetric logarithmic axis turns linear: a tenth of the typical size, so that zero stays in view."""
    sizes = np.abs(np.asarray(values, dtype=float))
    sizes = sizes[sizes > 0]
    return float(np.median(sizes)) / 10 if sizes.size else 1.0
