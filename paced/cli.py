"""The command line: one subcommand for each step of the data flow, and no logic of its own.

Every command imports what it needs when it runs, so that ``paced --help`` answers at once and ``paced fit`` or
``paced verify`` never load torch. A TARGET is a recipe (YAML) or the folder of a run that has begun.
Exit codes: 0 done, 1 a check failed or a loss was not finite, 2 wrong input, 75 stopped by a signal and ready to go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from cyclopts import App, Parameter

from paced import __version__
from paced.errors import ConfigError, MissingExtraError, RunFolderError

if TYPE_CHECKING:
    from paced.runfolder import RunFolder
    from paced.train.progress import Progress

Result = TypeVar("Result")

app = App(name="paced", version=__version__, help="Distillation at the frontier of student competence.")

FAILED, WRONG_INPUT, STOPPED = 1, 2, 75


def main() -> None:
    """Run the command line; errors of the caller are one sentence and an exit code, not a traceback."""
    from paced.train.signals import StopRequested, end_process

    try:
        result = app()
        code = result if isinstance(result, int) else 0
    except StopRequested as stop:
        _say(str(stop))
        code = STOPPED
    except FloatingPointError as error:
        _say(f"error: {error}")
        code = FAILED
    except (ConfigError, RunFolderError, MissingExtraError, ValueError, OSError) as error:
        _say(f"error: {error}")
        code = WRONG_INPUT
    end_process(code)


def _say(sentence: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text(sentence, style="red"))


@app.command(group="Whole jobs")
def run(
    target: Path,
    *overrides: str,
    seed: int | None = None,
    root: Path = Path("runs"),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a recipe from rollouts to report; finished steps are kept, so the same command goes on after a kill.

    Parameters
    ----------
    target
        recipe (YAML), or the folder of a run that has begun.
    overrides
        settings as section.field=value.
    seed
        the run's seed; every other seed is derived from it.
    root
        folder that holds the run folders.
    dry_run
        show the first prompts and the estimated cost, train nothing, write nothing.
    """
    from paced.analysis import job

    if dry_run:
        from paced.analysis.dry_run import show_dry_run
        from paced.runfolder import RunFolder

        settings = RunFolder(target).config() if target.is_dir() else job.read_recipe(target, overrides, seed=seed)
        show_dry_run(settings, print)
        return 0
    folder = job.open_run(target, overrides, seed=seed, root=root)
    report = _working(folder, job.run_job)
    job.print_results(folder)
    print(f"report: {report}")
    return 0


@app.command(group="Steps of a run")
def rollout(target: Path, *overrides: str, stage: int = 1, method: str = "", root: Path = Path("runs")) -> int:
    """Sample K completions of every problem by the student that enters a stage.

    Parameters
    ----------
    target
        recipe (YAML), or the folder of a run that has begun.
    overrides
        settings as section.field=value; only with a recipe.
    stage
        which stage, counted from 1.
    method
        a compared method of the recipe; empty for the run itself.
    root
        folder that holds the run folders.
    """
    return _step("roll_out", target, overrides, stage, method, root, lambda folder: folder.stage(stage).rollouts)


@app.command(group="Steps of a run")
def grade(target: Path, *overrides: str, stage: int = 1, method: str = "", root: Path = Path("runs")) -> int:
    """Grade the rollouts of a stage and count the passes of every problem; arguments as for `rollout`."""
    return _step("grade", target, overrides, stage, method, root, lambda folder: folder.stage(stage).pass_rates)


@app.command(group="Steps of a run")
def reference(target: Path, *overrides: str, stage: int = 1, method: str = "", root: Path = Path("runs")) -> int:
    """Let the teacher, who sees the expert solution, solve every problem; arguments as for `rollout`."""
    return _step("refer", target, overrides, stage, method, root, lambda folder: folder.stage(stage).references)


@app.command(group="Steps of a run")
def distill(target: Path, *overrides: str, stage: int = 1, method: str = "", root: Path = Path("runs")) -> int:
    """Train one stage on its weighted problems, from its last checkpoint if it has one; arguments as for `rollout`.

    Several processes train together: torchrun --nproc-per-node 8 -m paced distill TARGET
    """
    return _step(
        "distill", target, overrides, stage, method, root, lambda folder: folder.stage(stage).student, together=True
    )


@app.command(group="Steps of a run")
def evaluate(
    target: Path,
    *overrides: str,
    checkpoint: Literal["base", "final", "both"] = "both",
    method: str = "",
    root: Path = Path("runs"),
) -> int:
    """Measure mean@k on the held-out sets; arguments as for `rollout`.

    Parameters
    ----------
    checkpoint
        the student before training, after it, or both.
    """
    from paced.analysis import job
    from paced.train.evaluate import evaluate as measure

    folder = job.open_run(target, overrides, root=root, method=method)

    def both(folder: RunFolder, progress: Progress) -> None:
        job.prepare(folder, progress)
        if checkpoint != "final":
            measure(folder, "base", progress)
        if checkpoint != "base":
            measure(folder, "final", progress)

    _working(folder, both)
    print(f"results: {folder.evaluation}")
    return 0


@app.command(group="Steps of a run")
def snr(
    target: Path, *, loss: tuple[str, ...] = (), stage: int = 1, num_samples: int = 64, per_bin: int = 32,
    split: bool = True, anatomy: bool = False, method: str = "",
) -> int:  # fmt: skip
    """Measure the head-gradient SNR against pass rate, with nulls and intervals; finished problems are kept.

    Parameters
    ----------
    target
        the folder of a run.
    loss
        reverse_kl_sampled, reverse_kl, forward_kl (the three by default), jsd, akl …; may be given more than once.
    stage
        the student that enters this stage.
    num_samples
        fresh samples of each problem.
    per_bin
        most problems of each of ten pass-rate bins.
    split
        half of the samples for the pass rate, half for the gradients.
    anatomy
        size, coherence and usefulness of each pass-rate group's full gradient instead.
    method
        a compared method.
    """
    from paced.analysis import job
    from paced.analysis.snr.command import LOSSES, SnrSettings, measure_run

    asked = SnrSettings(
        losses=loss or LOSSES, stage=stage, num_samples=num_samples, per_bin=per_bin, split=split
    )  # fmt: skip
    folder = job.open_run(target, method=method)
    if anatomy:
        from paced.analysis.snr.anatomy import measure_anatomy

        figure = _working(folder, lambda folder, progress: measure_anatomy(folder, progress, stage=stage))
        print(f"figure: {figure}")
        return 0
    for figure in _working(folder, lambda folder, progress: measure_run(folder, asked, progress)):
        print(f"figure: {figure}")
    return 0


@app.command(group="Steps of a run")
def report(target: Path) -> int:
    """Write the page of a run from what is there, and print the table of results.

    Parameters
    ----------
    target
        the folder of a run.
    """
    from paced.analysis import job
    from paced.analysis.report import write_report

    folder = job.open_run(target)
    job.refuse_empty(folder)
    path = write_report(folder)
    job.print_results(folder)
    print(f"report: {path}")
    return 0


def _step(
    name: str,
    target: Path,
    overrides: tuple[str, ...],
    stage: int,
    method: str,
    root: Path,
    made: Callable[[RunFolder], Path],
    *,
    together: bool = False,
) -> int:
    """Do one step of ``paced.train.run`` alone and say which file it made."""
    from paced.analysis import job
    from paced.train import run as steps

    folder = job.open_run(target, overrides, root=root, method=method)

    def work(folder: RunFolder, progress: Progress) -> None:
        if together:
            from paced.train.models import pick_device
            from paced.train.parallel import team_for_files

            team_for_files(pick_device()).first_then_others(lambda: job.prepare(folder, progress))
        else:
            job.prepare(folder, progress)
        getattr(steps, name)(folder, stage, progress)

    _working(folder, work, together=together)
    if _rank() == 0:
        print(f"{name}: {made(folder)}")
    return 0


def _working(folder: RunFolder, work: Callable[[RunFolder, Progress], Result], *, together: bool = False) -> Result:
    """Do ``work`` while holding the run's lock, with signals turned into a wish to stop at the next boundary.

    Of several processes that work together the first holds the lock and shows the progress.
    """
    from paced.train.progress import Silent, make_progress
    from paced.train.signals import stop_on_signals

    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not together:
        raise ConfigError("paced: only `paced distill` runs in several processes. Start this command without torchrun.")
    if _rank() > 0:
        with stop_on_signals():
            return work(folder, Silent())
    with stop_on_signals(), folder.locked():
        return work(folder, make_progress())


def _rank() -> int:
    """Which of the processes that torchrun started this is; 0 without it."""
    return int(os.environ.get("RANK", "0"))


@app.command(group="Weights from a table")
def fit(
    file: Path,
    *,
    zpd: float | None = None,
    level: float = 0.95,
    figure: bool = True,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    budget: int | None = None,
    num_resamples: int = 199,
    seed: int = 0,
    json: bool = False,
) -> int:
    """Fit the law of pass rates to a table and print the kernel exponents, by three methods, with intervals.

    Parameters
    ----------
    file
        CSV, JSONL or parquet with (num_passed, num_rollouts), or one row for each graded rollout.
    zpd
        epsilon; keep problems with epsilon <= pass rate <= 1 - epsilon (the paper's method takes 0.1 when not told).
    level
        of the intervals.
    figure
        draw the histogram with the fitted curves as PNG, and the CSV of it.
    output
        name of the PNG; by default FILE with the suffix .fit.png.
    budget
        rollouts to spend on as many problems; prints what each policy costs and how good its weights are.
    num_resamples
        replicates of the goodness of fit.
    seed
        of the replicates.
    json
        print one JSON object.
    """
    from paced.analysis.fit_report import fit_file

    text, results = fit_file(
        file, zpd=zpd, level=level, num_resamples=num_resamples, seed=seed, budget=budget, as_json=json
    )
    print(text)
    if figure:
        from paced.analysis.figures import save_figure
        from paced.analysis.figures_fit import fit_figure, fit_table

        table = fit_table(results)
        path = save_figure(fit_figure(table), table, output or file.with_suffix(".fit.png"))
        if not json:
            print(f"figure: {path}")
    return 0 if results[0].success else FAILED


@app.command(group="Weights from a table")
def weigh(
    target: Path,
    *parameters: str,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    weight: str = "beta",
    fitted: bool = False,
    stage: int = 1,
    method: str = "",
    root: Path = Path("runs"),
) -> int:
    """Turn pass rates into weights, with unit mean over all problems: of a table, or of a stage of a run.

    Parameters
    ----------
    target
        a table of counts or graded rollouts (CSV, JSONL, parquet); or a recipe (YAML) or run folder, whose own
        weight function is used.
    parameters
        of the weight function, as alpha=1 beta=2 estimator=posterior.
    output
        where to write the weights, .parquet or .csv.
    weight
        beta, uniform, hard_filter, drop_zero, target_difficulty, saturated, minimax or teacher_ceiling.
    fitted
        beta kernel with the exponents that `paced fit` finds in the same table.
    stage
        of a run: which stage, counted from 1.
    method
        of a run: a compared method.
    root
        of a recipe: folder that holds the run folders.
    """
    if target.is_dir() or target.suffix in {".yaml", ".yml"}:
        return _step("weigh", target, parameters, stage, method, root, lambda folder: folder.stage(stage).weights)
    from paced.analysis.fit_report import fitted_kernel, weigh_file, weight_function

    if output is None:
        raise ValueError("weigh: --output is needed for a table. Say where the weights go: -o weights.parquet.")
    if fitted and (parameters or weight != "beta"):
        raise ValueError(
            "weigh: --fitted chooses the beta kernel and its exponents. Leave out --weight and parameters."
        )
    function = fitted_kernel(target) if fitted else weight_function(weight, parameters)
    print(weigh_file(target, output, weight=function))
    return 0


@app.command(group="Theory")
def verify(
    *,
    claim: tuple[str, ...] = (),
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    explain: str | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    json: Path | None = None,
    html: Path | None = None,
    docs: Path | None = None,
    workers: int | None = None,
) -> int:
    """Check every claim of the paper and every extension by machine, in under a minute and without torch.

    Parameters
    ----------
    claim
        only this claim and those below it (thm6 takes thm6.i to thm6.iii); may be given more than once.
    list_
        show the claims and their verdicts, run nothing.
    explain
        show one claim: statement, proof sketch, counterexample, repair, checks and controls.
    strict
        exit with 1 when any outcome differs from the recorded one, or a check crashes.
    json
        write every outcome to this file.
    html
        write one page with the dependency graph, the counterexample figures and every outcome.
    docs
        write the Markdown pages of the theory to this folder, run nothing.
    workers
        processes; by default one for each core.
    """
    from rich.console import Console

    from paced.theory import console as terminal

    out = terminal.console()
    if list_ or explain is not None:
        terminal.show_claim(explain, out) if explain is not None else terminal.show_list(claim, out)
        return 0
    if docs is not None:
        from paced.analysis.theory_pages import write_docs

        print(f"{len(write_docs(docs))} files in {docs}")
        return 0
    report = terminal.run_with_bar(claim, workers=workers, console=Console(stderr=True))
    terminal.show_report(report, out)
    if json is not None:
        from paced.theory.runner import write_json

        write_json(report, json)
    if html is not None:
        from paced.analysis.theory_pages import write_html

        write_html(report, html)
    return FAILED if strict and report.failures else 0
