"""The report's sections on gradients: SNR against pass rate, and anatomy by pass-rate group."""

from __future__ import annotations

from paced.analysis.anatomy.rows import AnatomyRow, anatomy_columns
from paced.analysis.bins import curve_warnings
from paced.analysis.page import Section, draw_picture
from paced.analysis.snr_tables import fit_text, measured_curve, measured_losses, measured_table
from paced.runfolder import RunFolder
from paced.storage import read_json, read_parquet


def anatomy_section(run: RunFolder) -> Section:
    """One figure for each stage whose entering student was measured."""
    from paced.analysis.figures_anatomy import anatomy_figure

    files = sorted(run.root.glob("stage-*/anatomy/rows.parquet"))
    if not files:
        return Section(title="Gradient anatomy", missing=(f"Not measured. Run: paced anatomy {run.root}",))
    prose = (
        "Whole gradients by pass-rate group: size, cosine of two problems, and cosine of the group's mean with the "
        "gradient of held-out success and of the prior skill. Intervals: 95 %, bootstrap over problems.",
    )
    pictures = []
    for file in files:
        stage = file.parents[1].name
        table = anatomy_columns(read_parquet(file, AnatomyRow))
        title = f"Gradient anatomy of the student that enters {stage.replace('-', ' ')}, by pass-rate group"
        pictures.append(draw_picture(run, f"anatomy-{stage}", anatomy_figure, table, title))
    return Section(title="Gradient anatomy", prose=prose, pictures=tuple(pictures))


def snr_section(run: RunFolder) -> Section:
    """One figure for each measured loss, with its fit and its warnings."""
    from paced.analysis.figures_snr import snr_figure

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
        prose.append(f"{loss}: {fit_text(curve)}.")
        prose.extend(f"{loss}: {note}" for note in curve_warnings(curve, same_rollouts=not settings["split"]))
        pictures.append(
            draw_picture(run, f"snr-{loss}", snr_figure, measured_table(run, loss), f"Gradient SNR, {loss}")
        )
    return Section(title="Gradient SNR", prose=tuple(prose), pictures=tuple(pictures))
