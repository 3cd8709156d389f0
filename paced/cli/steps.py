"""A whole run, or one step of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from paced.cli.app import app
from paced.cli.running import do_step, working

if TYPE_CHECKING:
    from paced.run.folder import RunFolder
    from paced.run.progress import Progress


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
    from paced.pipeline.open import open_run, read_recipe

    if dry_run:
        from paced.pipeline.dry_run import show_dry_run
        from paced.run.folder import RunFolder

        settings = RunFolder(target).config() if target.is_dir() else read_recipe(target, overrides, seed=seed)
        show_dry_run(settings, print)
        return 0
    from paced.analysis.report.report import write_report
    from paced.analysis.report.terminal import print_results
    from paced.pipeline.job import run_job

    def job_and_report(folder: RunFolder, progress: Progress) -> Path:
        run_job(folder, progress)
        return write_report(folder)

    folder = open_run(target, overrides, seed=seed, root=root)
    report = working(folder, job_and_report)
    print_results(folder)
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
    return do_step("roll_out", target, overrides, stage, method, root, lambda folder: folder.stage(stage).rollouts)


@app.command(group="Steps of a run")
def grade(target: Path, *overrides: str, stage: int = 1, method: str = "", root: Path = Path("runs")) -> int:
    """Grade the rollouts of a stage and count the passes of every problem; arguments as for `rollout`."""
    return do_step("grade", target, overrides, stage, method, root, lambda folder: folder.stage(stage).pass_rates)


@app.command(group="Steps of a run")
def reference(target: Path, *overrides: str, stage: int = 1, method: str = "", root: Path = Path("runs")) -> int:
    """Let the teacher, who sees the expert solution, solve every problem; arguments as for `rollout`."""
    return do_step("refer", target, overrides, stage, method, root, lambda folder: folder.stage(stage).references)


@app.command(group="Steps of a run")
def distill(target: Path, *overrides: str, stage: int = 1, method: str = "", root: Path = Path("runs")) -> int:
    """Train one stage on its weighted problems, from its last checkpoint if it has one; arguments as for `rollout`.

    Several processes train together: torchrun --nproc-per-node 8 -m paced distill TARGET
    """
    return do_step(
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
    from paced.pipeline.evaluate import evaluate as measure
    from paced.pipeline.methods import prepare
    from paced.pipeline.open import open_run

    folder = open_run(target, overrides, root=root, method=method)

    def both(folder: RunFolder, progress: Progress) -> None:
        prepare(folder, progress)
        if checkpoint != "final":
            measure(folder, "base", progress)
        if checkpoint != "base":
            measure(folder, "final", progress)

    working(folder, both)
    print(f"results: {folder.evaluation}")
    return 0
