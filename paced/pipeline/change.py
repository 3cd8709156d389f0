"""A recipe that changes under a run that has begun: what was computed stays where nothing in it depends on the change.

Settings are compared with those that each step wrote down when it began (``dependence.py``). Steps that take seconds
are done again without a word asked; more samples of a problem are added to those that are there; any other step whose
results would change is refused by name, until ``--redo`` gives it up, with all that followed from it.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paced.errors import ConfigError, RunFolderError, did_you_mean
from paced.pipeline.dependence import QUICK, after, outputs_of, settings_of, steps_of
from paced.run.config import RunConfig
from paced.run.configfile import with_method
from paced.run.folder import RunFolder, config_text
from paced.run.steprecord import Step, StepRecord, read_all, record_file, write_record
from paced.run.storage import read_lines, truncate_lines, write_atomic


@dataclass(frozen=True)
class Change:
    """What another configuration means for one run folder."""

    run: RunFolder
    """The folder."""
    config: RunConfig
    """What is asked for now."""
    removed: tuple[Step, ...]
    """Steps whose files go: given up with ``--redo``, or quick to do again."""
    added_to: tuple[StepRecord, ...]
    """Steps that need more samples than they have, with their new settings."""
    refused: tuple[str, ...]
    """A sentence for every step that depends on the change and was not given up."""


def adopt(run: RunFolder, config: RunConfig, *, redo: Sequence[str] = (), say: Callable[[str], None]) -> None:
    """Begin a run, or continue one under a configuration that may have changed; only a change touches the folder.

    Args:
        run: the folder.
        config: what is asked for.
        redo: steps to give up and do again, by label (``stage-1-distill``) or by name for all stages (``distill``).
        say: called with what changed and what is done again.

    Raises:
        RunFolderError: something that was computed depends on the change, or another process is at work in the run;
            nothing is touched then.
        ConfigError: ``redo`` names a step that the run does not have.
    """
    if not run.begun:
        run.claim(config)
        return
    run.refuse_links()
    difference = _difference(run, config)
    if not difference and not redo:
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            f"{run.root}: settings of a run that has begun are changed by one process. Give them once without torchrun."
        )
    with run.locked():
        _take_on(run, config, redo, difference, say)


def _take_on(
    run: RunFolder, config: RunConfig, redo: Sequence[str], difference: Sequence[str], say: Callable[[str], None]
) -> None:
    folders = {run: config}
    folders |= {run.method(name): with_method(config, name) for name in config.methods if run.method(name).begun}
    known = {step for folder in folders for step in _records(folder)}
    given_up = {step for label in redo for step in _steps_named(label, known)}
    changes = [_change(folder, asked, given_up) for folder, asked in folders.items()]
    refused = [sentence for change in changes for sentence in change.refused]
    if refused:
        raise RunFolderError(
            f"{run.root}: " + "\n  ".join([*refused, "Difference of the settings (- held, + asked):", *difference])
        )
    if difference:
        say("\n  ".join([f"{run.root}: continues with other settings (- held, + asked):", *difference]))
    for change in reversed(changes):  # the run last: until its configuration is written the change can be asked again
        _apply(change, say)


def _change(run: RunFolder, config: RunConfig, given_up: set[Step]) -> Change:
    """What ``config`` means for a folder whose steps wrote down the settings that they were computed with."""
    steps = steps_of(config)
    records = {step: record for step, record in _records(run).items() if step in steps}
    removed = {step for step in records if step in given_up}
    removed |= {later for step in removed for later in after(step, steps) if later in records}
    added_to: list[StepRecord] = []
    refused: list[str] = []
    for step in steps:
        if step not in records or step in removed:
            continue
        settings = settings_of(config, step)
        different = {
            key: f"{key} ({held} -> {settings.get(key)})"
            for key, held in records[step].settings.items()
            if held != settings.get(key)
        }
        if not different:
            continue
        later = [one for one in after(step, steps) if one in records and one not in removed]
        lost = [one for one in (step, *later) if one.name not in QUICK and _has_results(run, records[one])]
        if _is_more_samples(step, list(different), records[step], settings):
            added_to.append(dataclasses.replace(records[step], settings=settings, wrote={}))
            lost = [one for one in lost if one != step]
        else:
            later = [step, *later]
        if lost:
            labels = ", ".join(one.label for one in lost)
            whose = f"method '{run.root.name}': " if run.whole != run else ""
            refused.append(
                f"{whose}{', '.join(different.values())} would change what was computed: {labels}. "
                f"Do it again with: --redo {lost[0].label}. Or keep the setting, or choose another name."
            )
        removed |= set(later)
    order = tuple(step for step in steps if step in removed)
    return Change(run=run, config=config, removed=order, added_to=tuple(added_to), refused=tuple(refused))


def _records(run: RunFolder) -> dict[Step, StepRecord]:
    """What each step was computed with; results without a record with what the folder's configuration says.

    Raises:
        ConfigError, RunFolderError: there are such results, and a configuration that cannot be read.
    """
    records = {record.step: record for record in read_all(run)}
    if not any(path.exists() for path in (run.problems, run.stage(1).root, run.evaluation)):
        return records
    try:
        held = run.written_config()
    except (ConfigError, RunFolderError):
        if records:  # every step that this version computes has one
            return records
        raise
    for step in steps_of(held):
        if step not in records and any(path.exists() for path in outputs_of(run, step)):
            records[step] = StepRecord(step=step, settings=settings_of(held, step), read={})
    return records


def _is_more_samples(step: Step, keys: list[str], record: StepRecord, settings: dict[str, object]) -> bool:
    """Whether a change asks for more samples of each problem and for nothing else."""
    if step.name not in ("rollout", "evaluate") or len(keys) != 1 or not keys[0].endswith(".num_samples"):
        return False
    held, asked = record.settings[keys[0]], settings[keys[0]]
    return isinstance(held, int) and isinstance(asked, int) and asked > held


def _has_results(run: RunFolder, record: StepRecord) -> bool:
    """Whether a step has computed anything that would be lost: it may have been refused as soon as it began."""
    if record.wrote:
        return True
    if record.step.name == "distill" and any(run.stage(record.step.stage).checkpoints.glob("step-*")):
        return True
    return any(path.exists() and path.stat().st_size for path in outputs_of(run, record.step))


def _apply(change: Change, say: Callable[[str], None]) -> None:
    run = change.run
    for record in change.added_to:
        write_record(run, record)
        say(f"{run.root}: {record.step.label} keeps its samples and gets more")
    if change.removed:
        say(f"{run.root}: done again: {', '.join(step.label for step in change.removed)}")
    for step in reversed(change.removed):  # the last first, so that a kill leaves no step without what it came from
        _remove(run, step)
    if _difference(run, change.config):
        write_atomic(run.config_file, config_text(change.config))
    read = {name for record in read_all(run) for name in record.read}
    for file in (*run.root.glob("stage-*/*-prompts.jsonl"), *run.evaluation.glob("*-prompts.jsonl")):
        if str(file.relative_to(run.root)) not in read:  # of a template that no step has used
            file.unlink()


def _remove(run: RunFolder, step: Step) -> None:
    """Take away what a step left, its record last."""
    stage = run.stage(step.stage)
    if step.name == "grade" and stage.grades.exists():  # kept, so that grading again can say what it changed
        stage.grades.replace(stage.earlier_grades)
    for path in outputs_of(run, step):
        _delete(path)
    if step.name == "distill":
        for folder in (stage.checkpoints, stage.root / "renewed"):
            _delete(folder)
        for file in (run.metrics, run.timings):
            truncate_lines(file, sum(int(line["stage"]) < step.stage for line in read_lines(file)))
    if step.name == "reference":
        _delete(stage.reference_samples)
        _delete(stage.reference_checks)
    if step.name in ("rollout", "distill"):
        _delete(stage.root / "anatomy")
        _delete(run.snr)
    _delete(record_file(run, step))


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _steps_named(label: str, known: set[Step]) -> set[Step]:
    steps = {step for step in known if label in (step.label, step.name)}
    if not steps:
        labels = sorted({step.label for step in known})
        raise ConfigError(
            f"--redo: must name a step that the run has computed ({', '.join(labels) or 'none yet'}), got {label!r}."
            f"{did_you_mean(label, labels)}"
        )
    return steps


def _difference(run: RunFolder, config: RunConfig) -> list[str]:
    """The lines of config.yaml that change."""
    lines = difflib.unified_diff(run.config_lines(), config_text(config).splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
