"""What a trainer is given: one stage, as the steps before it left it."""

from __future__ import annotations

from dataclasses import dataclass

from paced.run.config import ModelConfig, RunConfig, StageConfig
from paced.run.folder import RunFolder, StageFolder
from paced.train.examples import ExampleSource


@dataclass(frozen=True, kw_only=True)
class StageInputs:
    """One stage to train. Models are named, not loaded: a trainer may need them in another form or another place."""

    run: RunFolder
    """Where metrics, timings, checkpoints and the student go."""
    config: RunConfig
    """The run's configuration."""
    stage_number: int
    """Which stage, counted from 1."""
    student: ModelConfig
    """The student that enters the stage; the trained one goes to ``stage-<k>/student``."""
    teacher: ModelConfig
    """The frozen teacher, with the same tokenizer."""
    source: ExampleSource
    """The stage's problems, weights and completions."""

    @property
    def settings(self) -> StageConfig:
        """The stage's own section of the configuration."""
        return self.config.stages[self.stage_number - 1]

    @property
    def folder(self) -> StageFolder:
        """The stage's files."""
        return self.run.stage(self.stage_number)
