"""Steps held by content: begun with hashes of what they read, complete with hashes of what they wrote.

A step asks :func:`finished` first. A file that is not as it was written is made anew by its step where that gives the
same again (samples, grades, weights), and refused by name where it would cost a training. What comes from outside
(models, problem files, held-out files) must stay what it was for the whole run: a run whose pass rates are of one
student and whose training is of another would be wrong in silence.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paced.errors import BadRows, RunFolderError
from paced.models.contents import model_files, model_hash
from paced.models.loading import teacher_model
from paced.pipeline.dependence import QUICK, outputs_of, readers_of, settings_of, steps_of
from paced.pipeline.taken import content_of, is_present, sources_of
from paced.problems.sources import are_there, content_hash
from paced.records import Grade
from paced.rollouts.collect import set_aside
from paced.rollouts.lines import first_fault
from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.steprecord import Step, StepRecord, read_all, read_record, write_record
from paced.run.storage import file_hash, read_records, text_hash

SAMPLED = ("rollout", "reference", "evaluate")
"""Steps whose file grows a batch at a time, and is completed where it ends."""
PROBLEM_FILE, HELD_OUT_FILE = "problem file", "held-out file"
"""What the files of problems are called in a record; a held-out one with the name of its set."""


def finished(run: RunFolder, step: Step, progress: Progress) -> bool:
    """Whether a step need not be done (again): its files are there and are what it wrote, from what is there now.

    Raises:
        RunFolderError: a trained student that is damaged, or was trained from files that have been made anew since.
    """
    record = read_record(run, step)
    files = outputs_of(run, step)
    if record is None:
        return _taken_as_it_is(run, step, files, progress)
    if not record.wrote:  # begun; a student is renamed into place as a whole, so it lacks its hashes only
        if step.name == "distill" and is_there(files[0]):
            complete(run, step)
            return True
        return False
    now = hashes_of(run, step)
    changed = [name for name, content in record.wrote.items() if now.get(name) != content]
    for name in changed:
        if _is_by_product(name):
            progress.note(
                f"{run.root / name.partition('#')[0]}: is not what {step.label} wrote there. Restore the file."
            )
    lost = [name for name in changed if not _is_by_product(name)]
    if lost:
        there = [name for name in record.wrote if name in now and not _is_by_product(name)]
        if step.name != "problems" and not there and _read_by_all(run, step):
            return True  # deleted by a person who knows that nothing needs it any more
        if step.name == "distill":
            raise RunFolderError(
                f"{run.root / lost[0]}: is not what was written there{_absent(lost[0], now)}. Restore the file, or "
                f"train the stage anew: paced run {run.root} --redo {step.label}"
            )
        progress.note(f"{run.root / lost[0]}: {_damage(run, step, lost[0], now)}. The step {step.label} is done again.")
        return False
    stale = _changed_since(run, record)
    if stale and step.name not in QUICK:
        raise RunFolderError(
            f"{run.root}: {step.label} was computed from another {stale[0]} than there is now. Restore the file, or "
            f"do the step again: paced run {run.root} --redo {step.label}"
        )
    return not stale


@contextlib.contextmanager
def computing(
    run: RunFolder, step: Step, read: Mapping[str, str], *, taken_from: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Do a step inside: its record is begun with what it reads, and completed with what it wrote.

    Args:
        run: the run.
        step: which step.
        read: what it reads -> SHA-256.
        taken_from: path, content and columns of the file that takes its place, if one does.

    Raises:
        RunFolderError: something from outside the run is no longer what an earlier step read.
    """
    begin(run, step, read, taken_from=taken_from)
    yield
    complete(run, step)


def begin(run: RunFolder, step: Step, read: Mapping[str, str], *, taken_from: Mapping[str, Any] | None = None) -> None:
    """Write down that a step begins, see :func:`computing`."""
    refuse_changed(run, read)
    settings = settings_of(run.config(), step)
    write_record(run, StepRecord(step=step, settings=settings, read=dict(read), taken_from=dict(taken_from or {})))


def also_read(run: RunFolder, step: Step, *files: Path) -> None:
    """Add files of the run to what a step that has begun reads: prompts, which it makes when they are not there."""
    record = read_record(run, step)
    assert record is not None, f"{step.label} has not begun"
    begin(run, step, dict(record.read) | contents(run, *files))


def complete(run: RunFolder, step: Step) -> None:
    """Write down that a step has ended, with the hashes of its files."""
    record = read_record(run, step)
    assert record is not None, f"{step.label} has not begun"
    write_record(run, dataclasses.replace(record, wrote=hashes_of(run, step)))


def refuse_changed(run: RunFolder, read: Mapping[str, str]) -> None:
    """Refuse what comes from outside the run and is no longer what a step of it read.

    Args:
        run: the run.
        read: what is read now -> SHA-256; names of files that the run itself writes are passed over.

    Raises:
        RunFolderError: with everything that changed, and the steps that read it as it was.
    """
    records = list(read_all(run))
    ours = {name for record in records for name in record.wrote}
    faults = []
    for name, content in read.items():
        held = [record.step.label for record in records if record.read.get(name, content) != content]
        if held and name not in ours:
            redo = " ".join(f"--redo {label}" for label in held)
            faults.append(
                f"{place_of(run.config(), name)} has changed since {', '.join(held)} read it. "
                f"Put it back, or do these steps again: {redo}."
            )
    if faults:
        raise RunFolderError(f"{run.root}: {' '.join(faults)}")


def refuse_changed_files(run: RunFolder) -> None:
    """Refuse a run whose problem file or held-out files are no longer what its steps read; absent ones are no fault.

    Raises:
        RunFolderError: as :func:`refuse_changed`.
    """
    config = run.config()
    files = {PROBLEM_FILE: config.problems.path}
    files |= {f"{HELD_OUT_FILE} {item.name}": item.path for item in config.evaluation.sets}
    read = {name: content_hash(path) for name, path in files.items() if path and are_there(path)}
    read |= {name: content_of(source) for name, source in sources_of(config).items() if is_present(source)}
    refuse_changed(run, read)


def place_of(config: RunConfig, name: str) -> str:
    """What a source is called in a message: with its path, where it has one."""
    paths = {"student": config.student.path, "teacher": config.teacher.path, PROBLEM_FILE: config.problems.path}
    paths |= {f"{HELD_OUT_FILE} {item.name}": item.path for item in config.evaluation.sets}
    paths |= {name: source.path for name, source in sources_of(config).items()}
    return f"the {name} {paths[name]}" if paths.get(name) else f"the {name}"


def written(run: RunFolder, step: Step) -> dict[str, str]:
    """The files of a step as its record has them, for the record of a step that reads them; empty without a record."""
    record = read_record(run, step)
    return dict(record.wrote) if record else {}


def contents(run: RunFolder, *files: Path) -> dict[str, str]:
    """Files of the run by their path below it -> SHA-256."""
    return {str(file.relative_to(run.root)): file_hash(file) for file in files}


def student_contents(run: RunFolder, stage_number: int) -> dict[str, str]:
    """The student that enters a stage, by content: the configured one, or what the stage before trained."""
    if stage_number == 1:
        return {"student": model_hash(run.config().student)}
    return written(run, Step("distill", stage_number - 1))


def teacher_contents(config: RunConfig) -> dict[str, str]:
    """The teacher by content; without one of its own it is the student that enters the first stage."""
    return {"teacher" if config.teacher.path else "student": model_hash(teacher_model(config))}


def hashes_of(run: RunFolder, step: Step) -> dict[str, str]:
    """The files of a step that are there, by their path below the run -> SHA-256."""
    files = [file for path in outputs_of(run, step) for file in (model_files(path) if path.is_dir() else [path])]
    hashes = contents(run, *(file for file in files if file.is_file()))
    if step.name == "distill":
        renewed = run.stage(step.stage).root / "renewed"
        hashes |= contents(run, *(file for file in sorted(renewed.rglob("*")) if file.is_file()))
        hashes |= _metrics(run, step.stage)
    return hashes


def _metrics(run: RunFolder, stage_number: int) -> dict[str, str]:
    """The lines of one stage in ``metrics.jsonl``, where later stages continue to write, as one hash."""
    if not run.metrics.exists():
        return {}
    mark = b'{"stage":%d,' % stage_number
    lines = [line for line in run.metrics.read_bytes().splitlines() if line.startswith(mark)]
    return {f"{run.metrics.name}#stage-{stage_number}": text_hash(*(line.decode("latin-1") for line in lines))}


def _is_by_product(name: str) -> bool:
    """Whether a file of a training is read by the report alone once the training is over."""
    return "#" in name or "/renewed/" in name


def is_there(path: Path) -> bool:
    """Whether an output is there: a file, or a model folder."""
    return (path / "config.json").exists() if path.name == "student" else path.exists()


def _taken_as_it_is(run: RunFolder, step: Step, files: list[Path], progress: Progress) -> bool:
    """Whether files without a record do for a step: those of an older version, or put there by a person."""
    if step.name in SAMPLED or not all(is_there(file) for file in files):
        return False
    settings = settings_of(run.config(), step)
    write_record(run, StepRecord(step=step, settings=settings, read={}, wrote=hashes_of(run, step)))
    progress.note(f"{files[-1]}: has no record of how it was made and is taken as it is.")
    return True


def _read_by_all(run: RunFolder, step: Step) -> bool:
    """Whether every step that reads this one's files is complete."""
    readers = readers_of(step, steps_of(run.config()))
    return bool(readers) and all((record := read_record(run, one)) and record.wrote for one in readers)


def _changed_since(run: RunFolder, record: StepRecord) -> list[str]:
    """The run's own files that a step read in another state than their steps have left since."""
    now = {name: content for other in read_all(run) for name, content in other.wrote.items()}
    return [name for name, content in record.read.items() if now.get(name, content) != content]


def _absent(name: str, now: Mapping[str, str]) -> str:
    return "" if name in now else " (it is absent)"


def _damage(run: RunFolder, step: Step, name: str, now: Mapping[str, str]) -> str:
    """What is wrong with a file, with its line where one can be told; samples without one are set aside as a whole."""
    path = run.root / name
    if name not in now:
        return "is absent"
    if step.name in SAMPLED:
        fault = first_fault(path)
        if fault is not None:
            return str(fault)
        os.replace(path, set_aside(path))
    elif path.suffix == ".jsonl":
        try:
            read_records(path, Grade)
        except BadRows as error:
            return f"line {error.rows[0].row} is damaged"
    return "is not what was written there"
