"""The folder beside a table of pass rates: what its completions were made with, so that no others are mixed in.

``TABLE.rollouts/`` holds ``settings.json``, what the completions depend on; ``environment.json``, versions and what the
engine says of itself; ``rollouts.jsonl``, the completions; of a screening ``undecided.json`` and ``further.jsonl``, the
problems that continue and their completions; and ``grades.jsonl``, a verdict with its reason for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paced.errors import RunFolderError
from paced.run.environment import describe_environment
from paced.run.storage import read_json, write_json

ROLLOUTS, UNDECIDED, FURTHER, GRADES = "rollouts.jsonl", "undecided.json", "further.jsonl", "grades.jsonl"
SETTINGS, ENVIRONMENT = "settings.json", "environment.json"
NUM_SAMPLES = "rollouts.num_samples"
"""The one setting that may change, and only grow: old completions stay, new ones are others."""
SHARD = "shard"
"""The one setting in which the jobs of one rating differ."""


def claim_state(folder: Path, settings: Mapping[str, Any]) -> None:
    """Bind the folder to the settings of a call, or say which of them differ from those it is bound to.

    Args:
        folder: there, and held by this process.
        settings: key -> plain value, all that completions depend on.

    Raises:
        RunFolderError: it holds completions made with other settings; each with both values.
    """
    file = folder / SETTINGS
    if not (folder / ROLLOUTS).exists():  # nothing was sampled: a first try with settings that were too large, say
        for later in (UNDECIDED, FURTHER):
            (folder / later).unlink(missing_ok=True)
    else:
        if not file.exists():
            raise RunFolderError(
                f"{folder}: holds completions without {SETTINGS}, so that nobody can say what they were made with. "
                "Restore it, or delete this folder to sample anew."
            )
        kept = read_json(file)
        bound = kept.get("settings", {}) if isinstance(kept, dict) else {}
        changed = [
            f"{key} was {_shown(bound.get(key))}, is {_shown(settings.get(key))}"
            for key in dict.fromkeys([*bound, *settings])
            if bound.get(key) != settings.get(key) and not _has_grown(key, bound.get(key), settings)
        ]
        if changed:
            raise RunFolderError(
                f"{folder}: holds completions made with other settings: {'; '.join(changed)}. Give the table another "
                "name, or delete this folder to sample anew."
            )
    if not (folder / ENVIRONMENT).exists():
        write_json(folder / ENVIRONMENT, describe_environment(seed=settings["seed"]))
    write_json(file, {"settings": dict(settings)})


def settings_beside(table: Path) -> dict[str, Any]:
    """The settings that a table of rates was made with, where its folder is still beside it; nothing otherwise."""
    file = state_folder(table) / SETTINGS
    kept = read_json(file) if file.exists() else {}
    return dict(kept.get("settings", {})) if isinstance(kept, dict) else {}


def state_folder(table: Path) -> Path:
    """Where the completions behind a table are."""
    return table.with_name(f"{table.name}.rollouts")


def _has_grown(key: str, before: Any, settings: Mapping[str, Any]) -> bool:
    return key == NUM_SAMPLES and isinstance(before, int) and not settings.get("screen") and settings[key] >= before


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)
