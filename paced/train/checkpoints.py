"""The checkpoints of a stage as folders that are whole or absent, whoever wrote what is in them.

    step-000100/
      manifest.json        the hash of every other file; written last, then the folder is renamed into place
      state.json           step, stage, number of ranks, hash of the weights in force at the stage's beginning
      ...                  tensors, as the backend writes them

A checkpoint whose hashes differ is refused by name and the one before it is used; nothing of it is opened before.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from paced.errors import RunFolderError
from paced.run.folder import check_free_space
from paced.run.progress import Progress
from paced.run.storage import file_hash, read_json, sync_folder, write_json
from paced.train.team import Team

MANIFEST, STATE = "manifest.json", "state.json"


class CheckpointFolder:
    """The checkpoints of one stage."""

    format: int | str
    """What the files of this backend's checkpoints mean; others are refused."""

    def __init__(self, folder: Path, *, stage_number: int, keep: int, team: Team, progress: Progress) -> None:
        """Use ``folder``; ``keep`` newest ones are kept, 0 for all."""
        self.folder, self.stage_number, self.keep = folder, stage_number, keep
        self.team, self.progress = team, progress

    @property
    def newest(self) -> str:
        """Where to continue from, in words."""
        folders = self._folders()
        return str(folders[-1]) if folders else "the beginning of the stage (it has not saved a checkpoint yet)"

    def check_room(self, num_parameters: int) -> None:
        """Refuse to begin when the disk cannot hold the checkpoints and the exported student, or cannot be written.

        Raises:
            RunFolderError: too little space, or a folder that cannot be written.
        """
        if not self.team.is_first:
            return
        try:
            check_free_space(self.folder, room_for(num_parameters, self.keep))
            probe = self.folder / ".probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise RunFolderError(
                f"{self.folder}: cannot be written ({error.strerror}). Checkpoints go there."
            ) from error

    def seal(self, temporary: Path, step: int, *, weights_hash: str, **facts: Any) -> None:
        """Make what the backend wrote into ``temporary``, beside its place, the checkpoint after ``step`` steps.

        All ranks call it together, after their last write.
        """
        self.team.barrier()
        if self.team.is_first:
            known = {
                "format": self.format,
                "step": step,
                "stage": self.stage_number,
                "num_ranks": self.team.size,
                "weights_hash": weights_hash,
            }
            write_json(temporary / STATE, known | facts)
        self.team.barrier()
        hashes = self._hashes(temporary)
        if self.team.is_first:
            write_json(temporary / MANIFEST, hashes)
            self._put(temporary, self.folder / f"step-{step:06d}")
        self.team.barrier()

    def newest_whole(self, *, weights_hash: str) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that is as it was written, and the facts of its state; None without such a one.

        Raises:
            RunFolderError: it belongs to other weights, or to another backend or version of the format.
        """
        if self.team.is_first:
            for leftover in self.folder.glob(".step-*"):  # a write that a kill cut short
                shutil.rmtree(leftover, ignore_errors=True)
        self.team.barrier()
        for folder in reversed(self._folders()):
            reason = self._fault(folder)
            if reason:
                self.progress.note(f"{folder} is not used: {reason}. The run continues from the one before it.")
                continue
            facts: dict[str, Any] = read_json(folder / STATE)
            if facts["format"] != self.format or facts["stage"] != self.stage_number:
                raise RunFolderError(f"{folder}: is of format {facts['format']} and stage {facts['stage']}. Delete it.")
            if facts["weights_hash"] != weights_hash:
                raise RunFolderError(
                    f"{folder}: was trained with other problem weights than the stage now has. "
                    "Restore the weights, or delete the stage's checkpoints to train it anew."
                )
            if facts["num_ranks"] != self.team.size:
                self.progress.note(
                    f"{folder} was written by {facts['num_ranks']} ranks and is read by {self.team.size}: "
                    "sums round differently from here on."
                )
            return folder, facts
        return None

    def _folders(self) -> list[Path]:
        return sorted(self.folder.glob("step-*")) if self.folder.exists() else []

    def _fault(self, folder: Path) -> str:
        """Why a checkpoint cannot be used; empty when it is whole. The ranks share the hashing."""
        if not (folder / MANIFEST).exists():
            return f"it has no {MANIFEST}"
        try:
            expected = read_json(folder / MANIFEST)
        except RunFolderError:
            expected = None
        if not isinstance(expected, dict):
            return f"{MANIFEST} cannot be read"
        actual = self._hashes(folder)
        for name in sorted(expected.keys() | actual.keys()):
            if name not in actual or name not in expected:
                return f"{name} is {'absent' if name not in actual else 'not in the manifest'}"
            if actual[name] != expected[name]:
                return f"{name} does not have the hash that the manifest holds"
        return ""

    def _hashes(self, folder: Path) -> dict[str, str]:
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
        names = [str(file.relative_to(folder)) for file in files]
        return dict(self.team.divide(names, lambda part: [(name, file_hash(folder / name)) for name in part]))

    def _put(self, temporary: Path, target: Path) -> None:
        """Rename into place, then drop the checkpoints that are too old; each step leaves a whole one behind."""
        sync_folder(temporary)
        if target.exists():
            old = self.folder / f".{target.name}.old"
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
        temporary.rename(target)
        sync_folder(self.folder)
        for stale in (*self.folder.glob(".step-*.old"), *(self._folders()[: -self.keep] if self.keep else [])):
            shutil.rmtree(stale)


def room_for(num_parameters: int, keep: int) -> int:
    """Bytes for ``keep`` checkpoints, the one being written, and the exported student: 12 and 4 a parameter."""
    return 4 * num_parameters + 12 * num_parameters * ((keep or 3) + 1)
