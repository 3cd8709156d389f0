"""The whole job: the lab, what all methods share, each method from the same student, evaluation, report, table.

A recipe without ``methods`` is one run. With methods, the run folder holds what they have in common (problems, the
first rollouts, grades, references, the base student's evaluation) and each method is a run folder of its own below
``methods/``, into which the common files are copied as far as its settings leave them the same.
Left out: methods side by side in several processes. One after the other is what a laptop can do, and each is a run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from paced.analysis.comparison import compare, unfinished
from paced.analysis.figures import Table
from paced.analysis.report import differences, reference_method, results_table, write_report
from paced.config import RunConfig, check_name
from paced.configfile import load_config, to_dict, with_method
from paced.errors import ConfigError, RunFolderError
from paced.lab.files import with_lab_paths
from paced.runfolder import RunFolder
from paced.storage import write_atomic
from paced.train.progress import Progress


def open_run(
    target: Path,
    overrides: tuple[str, ...] = (),
    *,
    seed: int | None = None,
    root: Path = Path("runs"),
    method: str = "",
) -> RunFolder:
    """The run folder of a recipe (begun if it is not there), or of a run that has begun.

    Args:
        target: a YAML recipe, or the folder of a run.
        overrides: ``section.field=value``, for a recipe only: a folder belongs to one configuration for good.
        seed: the run's seed; another than the recipe's puts ``-seed-N`` behind the run's name.
        root: folder of the run folders.
        method: the run folder of this compared method.

    Raises:
        ConfigError: a recipe that cannot be read, settings given for a run that has begun, an unknown method.
        RunFolderError: the folder holds another configuration.
    """
    if target.is_dir():
        if overrides or seed is not None:
            raise ConfigError(
                f"{target}: is a run that has begun, its settings are fixed. Give the recipe to run it with others."
            )
        run = RunFolder(target)
    else:
        config = read_recipe(target, overrides, seed=seed)
        run = RunFolder(root / config.name)
        run.claim(config)
    if not method:
        run.written_config()
        return run
    return method_folder(run, method)


def read_recipe(recipe: Path, overrides: tuple[str, ...] = (), *, seed: int | None = None) -> RunConfig:
    """A recipe with its overrides, its seed and the lab's paths; nothing is written."""
    config = load_config(recipe, overrides)
    if seed is not None and seed != config.seed:
        named = any(override.partition("=")[0].strip() == "name" for override in overrides)
        name = config.name if named else check_name(f"{recipe}: name", f"{config.name}-seed-{seed}")
        config = load_config(recipe, (*overrides, f"seed={seed}", f"name={name}"))
    return with_lab_paths(config)


def method_folder(run: RunFolder, method: str) -> RunFolder:
    """The run folder of one compared method, begun if it is not there."""
    config = run.written_config()
    if method not in config.methods:
        known = ", ".join(config.methods) or "none"
        raise ConfigError(f"{run.root}: method must be one of its compared methods ({known}), got {method!r}.")
    folder = run.method(method)
    folder.claim(with_method(config, method))
    return folder


def prepare(run: RunFolder, progress: Progress) -> None:
    """Build the lab of a run that has one; give a compared method what it has in common with the whole run.

    Raises:
        ConfigError: the recipe chooses a weight function, divergence, engine or answer format that there is not.
    """
    from paced.train.models import quiet_transformers
    from paced.train.preflight import check_options

    quiet_transformers()
    config = run.config()
    check_options(config)
    if config.lab is not None:
        from paced.lab.world import build_world

        build_world(Path(config.problems.path).parent, config.lab, progress)
    if run.whole.root != run.root:
        share(run.whole, run)


def run_job(run: RunFolder, progress: Progress) -> Path:
    """Everything from the lab to the report; finished steps are kept.

    Returns:
        The path of the report.

    Raises:
        StopRequested: a signal came; the same call goes on from there.
    """
    from paced.train.evaluate import evaluate
    from paced.train.preflight import check_inputs, check_options
    from paced.train.run import train_run

    prepare(run, progress)
    config = run.config()
    for note in check_inputs(config).notes:
        progress.note(note)
    folders = {method: method_folder(run, method) for method in config.methods}
    for folder in folders.values():
        check_options(folder.config())
    if not folders:
        evaluate(run, "base", progress)
        train_run(run, progress)
        evaluate(run, "final", progress)
        return write_report(run)
    run_shared(run, progress)
    for method, folder in folders.items():
        progress.note(f"method '{method}'")
        prepare(folder, progress)
        evaluate(folder, "base", progress)
        train_run(folder, progress)
        evaluate(folder, "final", progress)
    return write_report(run)


def run_shared(run: RunFolder, progress: Progress) -> None:
    """What the compared methods have in common: rollouts of the first student, grades, references, its evaluation."""
    from paced.train.evaluate import evaluate
    from paced.train.run import grade, refer, roll_out

    evaluate(run, "base", progress)
    roll_out(run, 1, progress)
    grade(run, 1, progress)
    refer(run, 1, progress)


def share(run: RunFolder, method: RunFolder) -> None:
    """Copy into a method's folder the files that its own settings would give again: same settings, same bytes.

    A stage that takes a share of the problems gets the lines of those problems; the order of the lines is the one that
    sampling them alone would have given (``collect.py``), so nothing downstream can tell the difference.
    """
    from paced.train.run import stage_problems

    ours, theirs = to_dict(run.config()), to_dict(method.config())
    first = ("seed", "student", "problems")
    if _same(ours, theirs, "problems"):
        _copy(run.problems, method.problems)
    if _same(ours, theirs, *first, "prompts", "grading", "evaluation"):
        for file in sorted(run.evaluation.glob("base-*")):
            _copy(file, method.evaluation / file.name)
    if not method.problems.exists():
        return
    for number in range(1, len(method.config().stages) + 1):
        wanted = [problem.problem_id for problem in stage_problems(method, number)]
        stage = method.stage(number)
        if number == 1 and _same(ours, theirs, *first, "prompts", "rollouts"):
            _copy_lines(run.stage(1).rollouts, stage.rollouts, wanted)
            if ours["grading"] == theirs["grading"] and len(wanted) == len(stage_problems(run, 1)):
                _copy(run.stage(1).grades, stage.grades)
                _copy(run.stage(1).pass_rates, stage.pass_rates)
        along_reference = method.config().stages[number - 1].along == "reference"
        if along_reference and _same(ours, theirs, *first, "teacher", "prompts", "references"):
            _copy_lines(run.stage(1).references, stage.references, wanted)


def _same(ours: dict[str, Any], theirs: dict[str, Any], *sections: str) -> bool:
    return all(ours[section] == theirs[section] for section in sections)


def _copy(source: Path, target: Path) -> None:
    if source.exists() and not target.exists():
        write_atomic(target, source.read_bytes())


def _copy_lines(source: Path, target: Path, problem_ids: list[str]) -> None:
    """Copy the lines of these problems, if the source has them all."""
    if target.exists() or not source.exists():
        return
    wanted = set(problem_ids)
    lines = [
        (json.loads(line)["problem_id"], line) for line in source.read_bytes().splitlines(keepends=True) if line.strip()
    ]
    if wanted <= {problem_id for problem_id, _ in lines}:
        write_atomic(target, b"".join(line for problem_id, line in lines if problem_id in wanted))


def print_results(run: RunFolder) -> None:
    """Print the tables of the report on the terminal: every method with intervals, and the paired differences."""
    results = compare(run)
    if results:
        print("\nHeld-out accuracy in per cent, gain and forgetting in points, [95 % interval over problems]")
        print(as_text(results_table(results)))
    if len(results) > 1:
        reference = reference_method(results)
        print(f"\n{reference} minus the others, paired by problem, in points")
        print(as_text(differences(results, reference)))
    for sentence in unfinished(run):
        print(sentence)
    print()


def as_text(table: Table) -> str:
    """A table in columns of equal width, numbers whole: a narrow terminal wraps lines and cuts nothing.

    Example:
        >>> print(as_text({"method": ["base", "paced"], "gain": ["", "+8.4"]}))
        method  gain
        base
        paced   +8.4
    """
    columns = [[name, *map(str, cells)] for name, cells in table.items()]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def refuse_empty(run: RunFolder) -> None:
    """Refuse to report on a folder in which nothing has been computed.

    Raises:
        RunFolderError: it holds a configuration and nothing else.
    """
    if not run.problems.exists():
        raise RunFolderError(f"{run.root}: has no results yet. Run: paced run {run.root}")
