"""What compared methods have in common: made once in the run folder, copied into each method's own.

A recipe without ``methods`` is one run. With methods, the run folder holds what they have in common (problems, the
first rollouts, grades, references, the base student's evaluation) and each method is a run folder of its own below
``methods/``, into which the common files are copied as far as its settings leave them the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from paced.lab.world import build_world
from paced.models.loading import quiet_transformers
from paced.pipeline.evaluate import evaluate
from paced.pipeline.preflight import check_options
from paced.pipeline.steps import grade, refer, roll_out, stage_problems
from paced.run.configfile import to_dict
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.storage import write_atomic


def prepare(run: RunFolder, progress: Progress) -> None:
    """Build the lab of a run that has one; give a compared method what it has in common with the whole run.

    Raises:
        ConfigError: the recipe chooses a weight function, divergence, engine or answer format that there is not.
    """
    quiet_transformers()
    config = run.config()
    check_options(config)
    if config.lab is not None:
        build_world(Path(config.problems.path).parent, config.lab, progress)
    if run.whole.root != run.root:
        share(run.whole, run)


def run_shared(run: RunFolder, progress: Progress) -> None:
    """What the compared methods have in common: rollouts of the first student, grades, references, its evaluation."""
    evaluate(run, "base", progress)
    roll_out(run, 1, progress)
    grade(run, 1, progress)
    refer(run, 1, progress)


def share(run: RunFolder, method: RunFolder) -> None:
    """Copy into a method's folder the files that its own settings would give again: same settings, same bytes.

    A stage that takes a share of the problems gets the lines of those problems; the order of the lines is the one that
    sampling them alone would have given (``collect.py``), so nothing downstream can tell the difference.
    """
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
