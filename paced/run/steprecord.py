"""What a step of a run was computed from, and what it gave, by content.

    <run>/steps/stage-1-rollout.json     settings, what was read, what was written; a hash for every file

A step writes its record when it begins, with what it reads, and completes it with the hashes of its own files. So a
file that changed under a run, or was damaged, is seen by whoever would read it, and settings can be changed where
nothing that was computed depends on them. Left out: what to do about it (``pipeline/held.py``, ``pipeline/change.py``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from paced.errors import RunFolderError
from paced.run.folder import RunFolder
from paced.run.storage import read_json, text_hash, write_json

StepName = Literal["problems", "rollout", "grade", "weigh", "reference", "distill", "evaluate", "count"]
"""The commands' names; ``problems`` is the first thing any of them does, ``count`` the last of ``evaluate``."""


@dataclass(frozen=True)
class Step:
    """One step of one run."""

    name: StepName
    """What is done."""
    stage: int = 0
    """For which stage, counted from 1; 0 for what belongs to no stage."""
    part: str = ""
    """Which checkpoint on which set, for an evaluation: ``base-heldout``."""

    @property
    def label(self) -> str:
        """What it is called on the command line and in the run's files: ``stage-1-rollout``, ``evaluate-base-prior``.

        Example:
            >>> Step("rollout", 2).label, Step("evaluate", part="base-prior").label, Step("problems").label
            ('stage-2-rollout', 'evaluate-base-prior', 'problems')
        """
        return f"stage-{self.stage}-{self.name}" if self.stage else "-".join(filter(None, (self.name, self.part)))


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one step read and wrote."""

    step: Step
    """Which step."""
    settings: Mapping[str, Any]
    """The settings that its results depend on, key of the recipe -> value."""
    read: Mapping[str, str]
    """What it read -> SHA-256: ``student``, ``teacher``, ``problem file`` …, or a file's path below the run."""
    wrote: Mapping[str, str] = field(default_factory=dict)
    """Its files, by their path below the run -> SHA-256; empty until it is complete."""
    taken_from: Mapping[str, Any] = field(default_factory=dict)
    """``path``, ``sha256`` and ``columns`` of the file that took the step's place; empty for one that was computed."""


def write_record(run: RunFolder, record: StepRecord) -> None:
    """Write a record, in place of an older one of the same step; it holds a hash of itself."""
    data = dataclasses.asdict(record)
    if not record.taken_from:
        del data["taken_from"]
    write_json(record_file(run, record.step), data | {"sha256": _hash(data)})


def read_record(run: RunFolder, step: Step) -> StepRecord | None:
    """The record of a step, or None when it has none.

    Raises:
        RunFolderError: the record is damaged.
    """
    file = record_file(run, step)
    return _read(file) if file.exists() else None


def read_all(run: RunFolder) -> Iterator[StepRecord]:
    """The records of a run, in the order of their names."""
    for file in sorted(run.steps.glob("*.json")):
        yield _read(file)


def record_file(run: RunFolder, step: Step) -> Path:
    """Where the record of a step is."""
    return run.steps / f"{step.label}.json"


def _read(file: Path) -> StepRecord:
    data = read_json(file)
    own = data.pop("sha256", None) if isinstance(data, dict) else None
    if own is None or own != _hash(data):
        raise RunFolderError(
            f"{file}: must be the record of a step, but is damaged. Restore it, or delete it to take the step's files "
            "as they are."
        )
    return StepRecord(**{**data, "step": Step(**data["step"])})


def _hash(data: Mapping[str, Any]) -> str:
    return text_hash(json.dumps(data, sort_keys=True))
