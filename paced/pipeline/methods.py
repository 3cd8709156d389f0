"""What compared methods have in common: made once in the run folder, copied into each method's own.

A recipe without ``methods`` is one run. With methods, the run folder holds what they have in common (problems, the
first rollouts, grades, references, the base student's evaluation) and each method is a run folder of its own below
``methods/``, into which the common files are copied as far as its settings leave them the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paced.lab.world import build_world
from paced.models.loading import quiet_transformers
from paced.pipeline.dependence import outputs_of, settings_of
from paced.pipeline.evaluate import evaluate
from paced.pipeline.held import contents, hashes_of, refuse_changed_files
from paced.pipeline.preflight_options import check_options
from paced.pipeline.steps import grade, reference, rollout, stage_problems, take_problems
from paced.run.configfile import to_dict
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.steprecord import Step, StepRecord, read_record, write_record
from paced.run.storage import write_atomic


def prepare(run: RunFolder, progress: Progress) -> None:
    """Build the lab of a run that has one; give a compared method what it has in common with the whole run.

    Raises:
        ConfigError: the recipe chooses a weight function, divergence, engine or answer format that there is not.
        RunFolderError: a file of problems is no longer what the run has read.
    """
    check_options(run.config())
    build_lab(run, progress)
    if run.whole.root != run.root:
        share(run.whole, run)
    refuse_changed_files(run)


def build_lab(run: RunFolder, progress: Progress) -> None:
    """Write the embedded world of a run that has one; what is there already is kept.

    Raises:
        ConfigError: a choice of the recipe that there is not; said before the minute that a student takes.
    """
    quiet_transformers()
    config = run.config()
    if config.lab is not None:
        check_options(config)
        build_world(Path(config.problems.path).parent, config.lab, progress)


def run_shared(run: RunFolder, progress: Progress) -> None:
    """What the compared methods have in common: rollouts of the first student, grades, references, its evaluation."""
    take_problems(run, progress)
    evaluate(run, "base", progress)
    rollout(run, 1, progress)
    grade(run, 1, progress)
    reference(run, 1, progress)


def share(run: RunFolder, method: RunFolder) -> None:
    """Copy into a method's folder the files that its own settings would give again: same settings, same bytes.

    A stage that takes a share of the problems gets the lines of those problems; the order of the lines is the one that
    sampling them alone would have given (``collect.py``), so nothing downstream can tell the difference.
    """
    config = method.config()
    ours, theirs = to_dict(run.config()), to_dict(config)
    first = ("seed", "student", "problems")
    chosen = config.references.num_samples > 1 or config.references.retries > 0
    by_grade = ("grading",) if chosen else ()
    for sections in (ours, theirs):  # what a method trains along decides nothing of what is sampled
        del sections["references"]["flagged"]
    if _same(ours, theirs, "problems"):
        _share(run, Step("problems"), method, Step("problems"))
    if _same(ours, theirs, *first, "prompts", "evaluation"):
        for item in config.evaluation.sets:
            _share(run, Step("evaluate", part=f"base-{item.name}"), method, Step("evaluate", part=f"base-{item.name}"))
            if _same(ours, theirs, "grading"):
                _share(run, Step("count", part=f"base-{item.name}"), method, Step("count", part=f"base-{item.name}"))
    if not method.problems.exists():
        return
    for number, stage in enumerate(config.stages, start=1):
        wanted = [problem.problem_id for problem in stage_problems(method, number)]
        if number == 1 and _same(ours, theirs, *first, "prompts", "rollouts"):
            _share(run, Step("rollout", 1), method, Step("rollout", 1), wanted)
            if _same(ours, theirs, "grading", "pass_rates") and len(wanted) == len(stage_problems(run, 1)):
                _share(run, Step("grade", 1), method, Step("grade", 1))
        if stage.along == "reference" and _same(ours, theirs, *first, *by_grade, "teacher", "prompts", "references"):
            _share(run, Step("reference", 1), method, Step("reference", number), wanted)


def _share(run: RunFolder, source: Step, method: RunFolder, target: Step, problem_ids: Sequence[str] = ()) -> None:
    """Copy a complete step unless the method has it: its prompts, its files, and its record.

    Args:
        run: the run.
        source: the step there.
        method: the run folder of a compared method.
        target: the same step there; its stage may be another.
        problem_ids: problems whose lines are copied; empty for whole files.
    """
    record, own = read_record(run, source), read_record(method, target)
    if record is None or not record.wrote or (own is not None and own.wrote):
        return
    read: dict[str, str] = {}
    for name, content in record.read.items():
        path = method.root / name.replace(f"stage-{source.stage}/", f"stage-{target.stage}/")
        if name.endswith("-prompts.jsonl"):
            _copy(run.root / name, path, problem_ids)
        read |= contents(method, path) if path.is_file() else {name: content}
    for file, path in zip(outputs_of(run, source), outputs_of(method, target), strict=True):
        if not _copy(file, path, problem_ids):
            return
    shared = StepRecord(
        step=target, settings=settings_of(method.config(), target), read=read, taken_from=record.taken_from
    )
    write_record(method, dataclasses.replace(shared, wrote=hashes_of(method, target)))


def _same(ours: dict[str, Any], theirs: dict[str, Any], *sections: str) -> bool:
    return all(ours[section] == theirs[section] for section in sections)


def _copy(source: Path, target: Path, problem_ids: Sequence[str]) -> bool:
    """Copy a file, or its lines of these problems if it has them all; returns whether the target is there."""
    if not source.exists():
        return False
    raw = source.read_bytes()
    if problem_ids:
        wanted = set(problem_ids)
        lines = [(json.loads(line)["problem_id"], line) for line in raw.splitlines(keepends=True) if line.strip()]
        if not wanted <= {problem_id for problem_id, _ in lines}:
            return False
        raw = b"".join(line for problem_id, line in lines if problem_id in wanted)
    write_atomic(target, raw)
    return True
