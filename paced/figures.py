"""The look of every figure, and how one is saved: a PNG and, beside it, the CSV of exactly what was drawn.

``figures_*.py`` hold one function a figure, table in, :class:`matplotlib.figure.Figure` out. Colours are Okabe and
Ito's, which stay apart for colour-blind readers and in grey; every series has a marker of its own. Nothing touches
pyplot, so no global state changes and no window opens. matplotlib is imported in ``figures*.py`` and nowhere else.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paced.records import Table
from paced.run.inert import inert_cell
from paced.run.storage import write_atomic

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000",
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#6B6B6B"

WIDTH = 5.5
"""Inches: the text width of a one-column paper, so that 8-point labels stay readable in print."""
HEIGHT = 3.2


def new_figure(*, columns: int = 1, rows: int = 1, width: float = WIDTH, height: float = HEIGHT) -> tuple[Figure, Any]:
    """An empty figure with a grid of axes in the house style.

    Returns: the figure, and one axes or an array of axes [rows, columns] as ``Figure.subplots`` gives them.
    """
    figure = Figure(figsize=(width, height), layout="constrained", dpi=150)
    axes = figure.subplots(rows, columns)
    for one in figure.axes:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=8)
        one.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        one.set_axisbelow(True)
    return figure, axes


def label(axes: Axes, *, x: str, y: str, title: str = "") -> None:
    """Name the axes, with units in the text."""
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    if title:
        axes.set_title(title, fontsize=9, loc="left")


def legend(axes: Axes, **options: Any) -> None:
    """A legend that does not cover the data by a frame."""
    axes.legend(fontsize=8, frameon=False, **options)


def style_of(index: int) -> dict[str, Any]:
    """Colour and marker of the ``index``-th series."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)], "markersize": 4}


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG, the same bytes for the same drawing."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def csv_text(table: Table) -> str:
    """The table as CSV; a text cell that a spreadsheet would run as a formula is prefixed with an apostrophe.

    Example:
        >>> print(csv_text({"p": [0.5], "label": ["=1+1"]}), end="")
        p,label
        0.5,'=1+1
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(inert_cell, table))
    for row in zip(*table.values(), strict=True):
        writer.writerow([inert_cell(cell) for cell in row])
    return buffer.getvalue()


def save_figure(figure: Figure, table: Table, path: Path) -> Path:
    """Write ``path`` (PNG) and the CSV of the same name, both atomically; return ``path``.

    Args:
        figure: the drawing.
        table: the columns it was drawn from.
        path: ends in ``.png``.
    """
    if path.suffix != ".png":
        raise ValueError(f"save_figure: path must end in .png, got {path.name!r}. Figures are saved as PNG and CSV.")
    write_atomic(path, png_bytes(figure))
    write_atomic(path.with_suffix(".csv"), csv_text(table))
    return path
