"""The report's section on training curves."""

from __future__ import annotations

from paced.analysis.page import Section, draw_picture
from paced.analysis.results.comparison import runs_by_method
from paced.analysis.results.training import training_table
from paced.analysis.snr.tracking import tracked_snr
from paced.run.folder import RunFolder


def training_section(run: RunFolder) -> Section:
    """Loss and gradient norm of every optimiser step of every method, and the head's SNR² where it was tracked."""
    from paced.analysis.report import figures_run
    from paced.analysis.snr.figure_tracking import tracking_figure

    table = training_table(runs_by_method(run))
    if not table["step"]:
        return Section(title="Training", missing=(f"No optimiser step yet. Run: paced distill {run.root}",))
    pictures = [
        draw_picture(run, "training", figures_run.training_curves, table, "Every step, and a running median over nine")
    ]
    tracked = tracked_snr(runs_by_method(run))
    if tracked["step"]:
        caption = "SNR² of the head's gradient over the problems of a step: mean of 15 steps, two standard errors"
        pictures.append(draw_picture(run, "tracked-snr", tracking_figure, tracked, caption))
    return Section(title="Training", pictures=tuple(pictures))
