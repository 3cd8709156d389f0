"""The report's section on gradient anatomy: size, coherence and usefulness by pass-rate group."""

from __future__ import annotations

from paced.analysis.anatomy.rows import AnatomyRow, anatomy_columns
from paced.analysis.page import Section, draw_picture
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet


def anatomy_section(run: RunFolder) -> Section:
    """One figure for each stage whose entering student was measured."""
    from paced.analysis.anatomy.figure import anatomy_figure

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
