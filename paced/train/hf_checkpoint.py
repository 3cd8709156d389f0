"""Checkpoints of a stage that ``transformers.Trainer`` trains: what it saves, whole or absent, under the stage's names.

    step-000100/
      model.safetensors, or adapter_model.safetensors
      optimizer.pt, scheduler.pt, rng_state.pth, trainer_state.json

Trainer writes file by file; so it writes into a folder of its own, which is sealed with hashes and renamed into place.
Its tensors outside of safetensors are read by ``torch.load(weights_only=True)``, after their hashes were verified.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from paced.train.checkpoints import CheckpointFolder


class TrainerCheckpoints(CheckpointFolder):
    """The checkpoints of one stage."""

    format = "transformers 1"

    @staticmethod
    def outgoing(folder: Path) -> Path:
        """Where Trainer writes before a checkpoint is whole; a name that is cleared on resume."""
        return folder / ".step-of-trainer"

    def take(self, step: int, *, weights_hash: str) -> None:
        """Take over what Trainer has saved after ``step`` steps; all ranks together."""
        self.seal(self.outgoing(self.folder) / f"checkpoint-{step}", step, weights_hash=weights_hash)
        self.clear()

    def clear(self) -> None:
        """Remove the folder that Trainer writes into."""
        if self.team.is_first:
            shutil.rmtree(self.outgoing(self.folder), ignore_errors=True)
        self.team.barrier()
