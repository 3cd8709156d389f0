"""A whole run, or one step of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from paced.cli.app import app
from paced.cli.arguments import NORMAL, Method, Overrides, Root, Seed, Stage, Target, Verbosity
from paced.cli.extras import need_extra
from paced.cli.running import do_step, say_result, working
from paced.run.inert import say

if TYPE_CHECKING:
    from paced.run.folder import RunFolder
    from paced.run.progress import Progress


@app.command(group="Whole jobs")
def run(
    target: Target,
    *overrides: Overrides,
    seed: Seed | None = None,
    method: Method = "",
    root: Root = Path("runs"),
    redo: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = (),
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    verbosity: Verbosity = NORMAL,
) -> int:
    """Run a recipe from rollouts to report; finished steps are kept, so the same command continues after a kill.

    Parameters
    ----------
    seed
        The run's seed; every other seed is derived from it.
    redo
        A step to give up and do again with all that follows from it, e.g. stage-1-distill; may be given several times.
    dry_run
        Show the first prompts and the estimated cost, train nothing, write nothing.
    """
    need_extra("run", "train")
    from paced.pipeline.open import open_run, read_recipe

    if dry_run:
        from paced.pipeline.dry_run import show_dry_run
        from paced.run.configfile import with_method
        from paced.run.folder import RunFolder

        settings = RunFolder(target).config() if target.is_dir() else read_recipe(target, overrides, seed=seed)
        show_dry_run(with_method(settings, method) if method else settings, print)
        return 0
    from paced.analysis.report.report import write_report
    from paced.analysis.report.terminal import print_results
    from paced.pipeline.job import run_job

    def job_and_report(folder: RunFolder, progress: Progress) -> Path:
        run_job(folder, progress)
        return write_report(folder)

    folder = open_run(target, overrides, seed=seed, root=root, method=method, redo=redo, progress=verbosity.progress())
    report = working(folder, job_and_report, verbosity=verbosity)
    print_results(folder)
    say(f"report: {report}")
    return 0


@app.command(group="Steps of a run")
def rollout(
    target: Target,
    *overrides: Overrides,
    stage: Stage = 1,
    method: Method = "",
    root: Root = Path("runs"),
    shard: str = "",
    verbosity: Verbosity = NORMAL,
) -> int:
    """Sample K completions of every problem by the student that enters a stage.

    Parameters
    ----------
    shard
        Part i/n of the recipe's first stage, 0 <= i < n: every n-th problem, into ROOT/NAME.shards. Independent jobs
        make the parts; the run takes them with rollouts.from="ROOT/NAME.shards/*.jsonl".
    """
    need_extra("rollout", "train")
    from paced.pipeline import steps

    if shard:
        return _rollout_shard(target, overrides, stage, method, root, shard, verbosity)
    from paced.pipeline.open import open_run

    folder = open_run(target, overrides, root=root, method=method, progress=verbosity.progress())
    do_step(steps.rollout, folder, stage, verbosity=verbosity)
    return say_result("rollout", folder.stage(stage).rollouts)


def _rollout_shard(
    target: Path, overrides: tuple[str, ...], stage: int, method: str, root: Path, shard: str, verbosity: Verbosity
) -> int:
    from paced.errors import ConfigError
    from paced.pipeline.open import read_recipe
    from paced.pipeline.shards import rollout_shard
    from paced.rollouts.shards import Shard
    from paced.run.configfile import with_method
    from paced.run.signals import stop_on_signals

    part = Shard.parse(shard)
    if target.is_dir() or stage != 1:
        raise ConfigError("--shard: samples the first stage of a recipe, got a run folder or a later stage.")
    config = read_recipe(target, overrides)
    config = with_method(config, method) if method else config
    with stop_on_signals():
        return say_result("rollout", rollout_shard(config, root, part, verbosity.progress()))


@app.command(group="Steps of a run")
def grade(
    target: Target,
    *overrides: Overrides,
    stage: Stage = 1,
    explain: str = "",
    method: Method = "",
    root: Root = Path("runs"),
    verbosity: Verbosity = NORMAL,
) -> int:
    """Grade the rollouts of a stage and count the passes of every problem; nothing is sampled anew.

    Parameters
    ----------
    explain
        Id of a problem: show every rung that its completions took on the way to their verdicts.
    """
    need_extra("grade", "train")
    from paced.pipeline import steps
    from paced.pipeline.open import open_run

    folder = open_run(target, overrides, root=root, method=method, progress=verbosity.progress())
    if explain:
        from paced.pipeline.explain import explain_grades

        for line in explain_grades(folder, stage, explain):
            print("".join(one if one.isprintable() else " " for one in line))
        return 0
    do_step(steps.grade, folder, stage, verbosity=verbosity)
    return say_result("grade", folder.stage(stage).pass_rates)


@app.command(group="Steps of a run")
def reference(
    target: Target,
    *overrides: Overrides,
    stage: Stage = 1,
    method: Method = "",
    root: Root = Path("runs"),
    verbosity: Verbosity = NORMAL,
) -> int:
    """Let the teacher, who sees the expert solution, solve every problem."""
    need_extra("reference", "train")
    from paced.pipeline import steps
    from paced.pipeline.open import open_run

    folder = open_run(target, overrides, root=root, method=method, progress=verbosity.progress())
    do_step(steps.reference, folder, stage, verbosity=verbosity)
    return say_result("reference", folder.stage(stage).references)


@app.command(group="Steps of a run")
def distill(
    target: Target,
    *overrides: Overrides,
    stage: Stage = 1,
    method: Method = "",
    root: Root = Path("runs"),
    verbosity: Verbosity = NORMAL,
) -> int:
    """Train one stage on its weighted problems, from its last checkpoint if it has one.

    Several processes train together: torchrun --nproc-per-node 8 -m paced distill TARGET
    """
    need_extra("distill", "train")
    from paced.pipeline import steps
    from paced.pipeline.open import open_run
    from paced.train.trackers import check_trackers

    folder = open_run(target, overrides, root=root, method=method, progress=verbosity.progress())
    check_trackers(folder.config())
    do_step(steps.distill, folder, stage, verbosity=verbosity, together=True)
    return say_result("distill", folder.stage(stage).student)


@app.command(group="Steps of a run")
def evaluate(
    target: Target,
    *overrides: Overrides,
    checkpoint: Literal["base", "final", "both"] = "both",
    method: Method = "",
    root: Root = Path("runs"),
    verbosity: Verbosity = NORMAL,
) -> int:
    """Measure mean@k, pass@k and maj@k on the held-out sets and print them with their intervals.

    Parameters
    ----------
    checkpoint
        The student before training, after it, or both.
    """
    need_extra("evaluate", "train")
    from paced.analysis.report.terminal import print_evaluation
    from paced.pipeline.evaluate import Checkpoint
    from paced.pipeline.evaluate import evaluate as measure
    from paced.pipeline.methods import prepare
    from paced.pipeline.open import open_run

    folder = open_run(target, overrides, root=root, method=method, progress=verbosity.progress())
    checkpoints: tuple[Checkpoint, ...] = ("base", "final") if checkpoint == "both" else (checkpoint,)

    def measure_all(folder: RunFolder, progress: Progress) -> None:
        prepare(folder, progress)
        for one in checkpoints:
            measure(folder, one, progress)

    working(folder, measure_all, verbosity=verbosity)
    print_evaluation(folder, checkpoints)
    say(f"results: {folder.evaluation}")
    return 0
