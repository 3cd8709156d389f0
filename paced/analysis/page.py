"""The parts of an HTML page and how they become one file that opens offline and runs nothing.

Everything that came from a model, a data set or a name is text: jinja2 escapes it, control characters (ANSI escapes,
bidirectional marks) are made visible, figures are embedded as data, and a content-security policy forbids scripts and
every outside address. Left out: links, scripts and web fonts.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING

from paced.errors import MissingExtraError
from paced.records import Table
from paced.run.folder import RunFolder
from paced.run.inert import inert

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure in the page."""

    title: str
    """Short caption."""
    png: bytes
    """The image."""
    alternative: str
    """What it shows, in words, for a reader who cannot see it."""

    @property
    def source(self) -> str:
        """The image as a data URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One completion shown as text."""

    heading: str
    """Which problem and what became of it."""
    lines: tuple[tuple[str, str], ...]
    """(label, text) pairs."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the page; what could not be shown is said, not left out in silence."""

    title: str
    """Heading."""
    prose: tuple[str, ...] = ()
    """Paragraphs."""
    tables: tuple[tuple[str, Table], ...] = ()
    """(caption, columns) pairs; cells are formatted already."""
    pictures: tuple[Picture, ...] = ()
    """Figures."""
    samples: tuple[Sample, ...] = ()
    """Completions."""
    details: tuple[tuple[str, str], ...] = ()
    """(summary, preformatted text) pairs, folded."""
    missing: tuple[str, ...] = field(default=())
    """What is not here and which command would make it."""


def render(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The page as HTML; the same input gives the same bytes.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise MissingExtraError("report", "jinja2", "report") from error
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["inert"] = inert
    environment.filters["rows"] = lambda table: list(zip(*table.values(), strict=True))
    template = environment.from_string(
        resources.files("paced.analysis.templates").joinpath("page.html").read_text("utf-8")
    )
    return template.render(title=title, subtitle=subtitle, sections=sections)


def draw_picture(run: RunFolder, name: str, draw: Callable[[Table], Figure], table: Table, title: str) -> Picture:
    """Draw a table, save the figure and its CSV in ``figures/`` of the run, and return it for the page."""
    from paced.figures import save_figure

    file = save_figure(draw(table), table, run.figures / f"{name}.png")
    return Picture(title=title, png=file.read_bytes(), alternative=f"{title}. The numbers are in figures/{name}.csv.")
