"""The head's gradient SNR² along training: table in, Figure out."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from paced.figures import GREY, label, legend, new_figure, style_of
from paced.records import Table


def tracking_figure(table: Table) -> Figure:
    """The smoothed SNR² of every method over the optimiser steps, with a band of two standard errors.

    Args:
        table: columns of :func:`paced.analysis.snr.tracking.tracked_snr`.
    """
    figure, axes = new_figure(width=6.5, height=3.2)
    for index, method in enumerate(dict.fromkeys(table["method"])):
        rows = [row for row, name in enumerate(table["method"]) if name == method]
        steps, smoothed, error = (
            np.array([table[name][row] for row in rows], dtype=np.float64)  # [num_steps]
            for name in ("step", "smoothed", "standard_error")
        )
        colour = style_of(index)["color"]
        axes.plot(steps, smoothed, color=colour, linewidth=1.6, label=method)
        axes.fill_between(steps, smoothed - 2 * error, smoothed + 2 * error, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(0, color=GREY, linewidth=0.8)
    label(axes, x="optimiser step", y="SNR² of the head's gradient")
    legend(axes)
    return figure
