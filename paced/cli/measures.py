"""What is measured on a run, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from paced.cli.app import app
from paced.cli.arguments import NORMAL, Count, Method, RunTarget, Stage, Verbosity
from paced.cli.extras import need_extra
from paced.cli.running import working

Losses = Annotated[tuple[str, ...], Parameter(negative="")]
Names = Annotated[tuple[str, ...], Parameter(negative="")]
Chance = Annotated[float, Parameter(validator=Number(gt=0, lt=1))]


@app.command(group="Steps of a run")
def snr(
    target: RunTarget, *, loss: Losses = (), stage: Stage = 1, num_samples: Count = 64, per_bin: Count = 32,
    split: bool = True, method: Method = "", verbosity: Verbosity = NORMAL,
) -> int:  # fmt: skip
    """Measure the head-gradient SNR against pass rate, with nulls and intervals; finished problems are kept.

    Parameters
    ----------
    loss
        Losses to measure, by default reverse_kl_sampled, reverse_kl and forward_kl; jsd, akl …; may be given more
        than once.
    num_samples
        Fresh samples of each problem.
    per_bin
        Most problems of each of ten pass-rate bins.
    split
        Half of the samples for the pass rate, half for the gradients.
    """
    need_extra("snr", "train")
    from paced.analysis.snr.command import LOSSES, SnrSettings, measure_run
    from paced.pipeline.open import open_begun

    asked = SnrSettings(
        losses=loss or LOSSES, stage=stage, num_samples=num_samples, per_bin=per_bin, split=split
    )  # fmt: skip
    folder = open_begun(target, method=method)
    for figure in working(folder, lambda folder, progress: measure_run(folder, asked, progress), verbosity=verbosity):
        print(f"figure: {figure}")
    return 0


@app.command(group="Steps of a run")
def anatomy(target: RunTarget, *, stage: Stage = 1, method: Method = "", verbosity: Verbosity = NORMAL) -> int:
    """Measure size, coherence and usefulness of each pass-rate group's full gradient; samples are kept."""
    need_extra("anatomy", "train")
    from paced.analysis.anatomy.command import measure_anatomy
    from paced.pipeline.open import open_begun

    folder = open_begun(target, method=method)
    figure = working(
        folder, lambda folder, progress: measure_anatomy(folder, progress, stage=stage), verbosity=verbosity
    )
    print(f"figure: {figure}")
    return 0


@app.command(group="Pass rates and training sets")
def power(
    target: Path, *, gain: Chance, after: Path | None = None, name: Names = (), chance: Chance = 0.8,
    num_methods: Count = 1, gain_spread: float | None = None, method: Method = "",
) -> int:  # fmt: skip
    """Say how many held-out problems, or samples of each, would show a gain.

    Parameters
    ----------
    target
        The folder of a run, or a table of one student's counts (num_passed, num_rollouts) on held-out problems.
    gain
        Mean gain that should be seen, 0.03 for three points.
    after
        With a table: the counts of another student on the same problems.
    name
        With a run: a held-out set, all unless given; may be given more than once.
    chance
        With which the gain should be found.
    num_methods
        Compared methods, of which Holm's strictest step asks 0.05 over their number.
    gain_spread
        Standard deviation of the gain over problems, as large as the gain unless given; used where only one student
        has been evaluated.
    """
    from paced.analysis.report.power import PowerQuestion, power_of_run, power_of_tables

    question = PowerQuestion(gain=gain, target=chance, num_methods=num_methods, gain_spread=gain_spread)
    if not target.is_dir():
        print(power_of_tables(target, after, question))
        return 0
    from paced.run.folder import RunFolder

    folder = RunFolder(target)
    print(power_of_run(folder.method(method) if method else folder, question, names=name))
    return 0


@app.command(group="Steps of a run")
def report(target: RunTarget) -> int:
    """Write the page of a run from what is there, and print the table of results."""
    need_extra("report", "report")
    from paced.analysis.report.report import write_report
    from paced.analysis.report.terminal import print_results
    from paced.pipeline.open import open_begun, refuse_empty

    folder = open_begun(target)
    refuse_empty(folder)
    path = write_report(folder)
    print_results(folder)
    print(f"report: {path}")
    return 0
