"""The report's section on the gradient SNR against pass rate."""

from __future__ import annotations

from paced.analysis.page import Section, draw_picture
from paced.analysis.snr.bins import curve_warnings
from paced.analysis.snr.tables import (
    fit_text,
    measured_curve,
    measured_fit,
    measured_losses,
    measured_table,
    missing_fit_reason,
)
from paced.run.folder import RunFolder
from paced.run.storage import read_json


def snr_section(run: RunFolder) -> Section:
    """One figure for each measured loss, with its fit and its warnings."""
    from paced.analysis.snr.figure import snr_figure

    losses = measured_losses(run)
    if not losses:
        return Section(title="Gradient SNR", missing=(f"Not measured. Run: paced snr {run.root}",))
    settings = read_json(run.snr / "settings.json")
    prose = [
        f"SNR of the gradient with respect to the lm_head over {settings['num_samples']} fresh samples of each problem"
        + (", half for the pass rate and half for the gradients" if settings["split"] else "")
        + f"; token {settings['token_reduction']}. Without any signal Eq. (8) reads the floor and the debiased form 0."
    ]
    pictures = []
    for loss in losses:
        curve = measured_curve(run, loss)
        prose.append(f"{loss}: {fit_text(measured_fit(run, loss), missing_fit_reason(run, loss))}.")
        prose.extend(f"{loss}: {note}" for note in curve_warnings(curve, same_rollouts=not settings["split"]))
        pictures.append(
            draw_picture(run, f"snr-{loss}", snr_figure, measured_table(run, loss), f"Gradient SNR, {loss}")
        )
    return Section(title="Gradient SNR", prose=tuple(prose), pictures=tuple(pictures))
