"""The report's section on training curves."""

from __future__ import annotations

from paced.analysis.page import Section, draw_picture
from paced.analysis.results.comparison import runs_by_method
from paced.analysis.results.training import training_table
from paced.run.folder import RunFolder


def training_section(run: RunFolder) -> Section:
    """Loss and gradient norm of every optimiser step of every method."""
    from paced.analysis.report import figures_run

    table = training_table(runs_by_method(run))
    if not table["step"]:
        return Section(title="Training", missing=(f"No optimiser step yet. Run: paced distill {run.root}",))
    picture = draw_picture(
        run, "training", figures_run.training_curves, table, "Every step, and a running median over nine"
    )
    return Section(title="Training", pictures=(picture,))
