"""The report of a run: one HTML page that opens offline, made from the files of the run folder and nothing else.

:data:`SECTIONS` follow the data flow. A part whose files are not there is named with the command that makes it. Each
figure is also saved in ``figures/`` with the CSV it was drawn from. Nothing that differs between two equal runs (times,
paths of the machine) is on the page, so that a resumed run ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from paced.analysis.anatomy.section import anatomy_section
from paced.analysis.page import Section, render
from paced.analysis.report.curriculum import curriculum_section
from paced.analysis.report.lm_eval import lm_eval_section
from paced.analysis.report.overview import overview_section
from paced.analysis.report.pass_rates import pass_rates_section
from paced.analysis.report.references import references_section
from paced.analysis.report.results import results_section
from paced.analysis.report.samples import samples_section
from paced.analysis.report.training import training_section
from paced.analysis.snr.section import snr_section
from paced.errors import RunFolderError
from paced.records import Problem
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet, write_atomic

SECTIONS: dict[str, Callable[[RunFolder], Section]] = {
    "What was run": overview_section,
    "Results": results_section,
    "lm-eval tasks": lm_eval_section,
    "Pass rates and weights": pass_rates_section,
    "References": references_section,
    "Training": training_section,
    "Curriculum": curriculum_section,
    "Gradient SNR": snr_section,
    "Gradient anatomy": anatomy_section,
    "Sample completions": samples_section,
}
"""Title -> what makes the section from a run folder, in the order of the page."""


def write_report(run: RunFolder) -> Path:
    """Write ``report.html`` of a run folder and its figures; return the path of the page.

    Raises:
        RunFolderError: the folder holds no run.
        MissingExtraError: jinja2 is not installed.
    """
    config = run.config()
    sections = [_section(run, title, make) for title, make in SECTIONS.items()]
    problems = len(read_parquet(run.problems, Problem)) if run.problems.exists() else 0
    subtitle = f"{problems:,} problems · K = {config.rollouts.num_samples} · seed {config.seed}"
    write_atomic(run.report, render(f"paced: {config.name}", subtitle, sections))
    return run.report


def _section(run: RunFolder, title: str, make: Callable[[RunFolder], Section]) -> Section:
    """The section, or what kept it from being made: one damaged file does not cost the page its other parts."""
    try:
        return make(run)
    except (OSError, ValueError, KeyError, RunFolderError) as error:
        return Section(title=title, missing=(f"Could not be made: {type(error).__name__}: {error}",))
