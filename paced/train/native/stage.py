"""Everything around the algorithm of one stage: ranks, models, checkpoints, signals; ``loop.py`` holds the rest.

A stage continues where its newest whole checkpoint ended, and stops at the boundary of a step when any rank was asked
to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from paced.models.in_parts import WeightFiles
from paced.models.loading import DTYPES, pick_device
from paced.run.progress import Advance, Progress
from paced.run.signals import StopRequested, stop_requested
from paced.train.export import public_name
from paced.train.inputs import StageInputs
from paced.train.metrics import Clock, StageLog, StepTally
from paced.train.native.checkpoint import Checkpoints
from paced.train.native.learner import Learner, StudentSource
from paced.train.native.teacher import base_as_teacher, spread_teacher
from paced.train.stage import Stage, StageOutcome, Step, open_log
from paced.train.teacher import open_cache
from paced.train.team import Team, join_team


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models of a stage, on this rank's device, or on the meta device with the files that have their weights."""

    student: Any
    """A causal language model in float32, plain or with adapters, trained in place."""
    teacher: Any
    """A frozen causal language model with the same tokenizer; None for the base of a student with adapters."""
    tokenizer: Any
    """The student's; its size bounds the vocabulary of both heads."""
    student_source: StudentSource | None = None
    """Where the weights of a student on the meta device are."""
    teacher_files: WeightFiles | None = None
    """Where those of a teacher on the meta device are."""


@contextlib.contextmanager
def open_stage(inputs: StageInputs, models: Models, progress: Progress) -> Iterator[NativeStage]:
    """Meet the other ranks, spread both models over them, and load the newest checkpoint; see ``train_stage``."""
    config, device = inputs.config, next(models.student.parameters()).device
    if device.type == "meta":
        device = pick_device()
    with (
        join_team(config.parallel, device=device, dtype=DTYPES[config.student.dtype]) as team,
        open_log(inputs, team) as log,
    ):
        yield NativeStage(inputs, models, progress, team, log)


class NativeStage(Stage):
    """A stage with the models and checkpoints of the native loop."""

    def __init__(self, inputs: StageInputs, models: Models, progress: Progress, team: Team, log: StageLog) -> None:
        config = inputs.config
        cache = open_cache(inputs, models.student if models.teacher is None else models.teacher)
        self.learner = Learner(models.student, config, team, models.student_source)
        if models.teacher is None:
            self.teacher = base_as_teacher(self.learner, cache)
        else:
            self.teacher = spread_teacher(models.teacher, config, team, cache, files=models.teacher_files)
        self.checkpoints = Checkpoints(
            inputs.folder.checkpoints,
            stage_number=inputs.stage_number,
            keep=config.training.keep_checkpoints,
            team=team,
            progress=progress,
        )
        self.checkpoints.check_room(self.learner.num_parameters)
        super().__init__(inputs, self.learner, models.tokenizer, progress, team, log)
        self.done = self.checkpoints.restore(self.learner, weights_hash=self.weights_hash)
        log.cut(self.done)

    def steps(self) -> Iterator[int]:
        """The steps that are left, counted from 0; pass rates are renewed in between as the stage's settings say."""
        advance: Advance
        with self.progress.track(f"training (stage {self.number})", self.num_steps) as advance:
            advance(self.done)
            for step in range(self.num_steps):
                self._renew(step)
                if step >= self.done:
                    self.clock = Clock(self.team.device)
                    yield step
                    advance(1)

    def place(self, step: int) -> str:
        """Where the run is and where it can continue from, in words, for an error."""
        return f"step {step + 1} of stage {self.number}; continue from {self.checkpoints.newest}"

    def outcome(self) -> StageOutcome:
        """Save adapters, if there are any, and the trained student with them merged."""
        self.learner.save_adapters(self.folder.adapter, base=public_name(self.config.student))
        return super().outcome()

    def finish(self, step: int, plan: Step, tally: StepTally, *, learning_rate: float) -> None:
        """Write the step down, save a checkpoint when it is time, and stop when any rank was asked to.

        Raises:
            StopRequested: after the checkpoint; not after the last step, which the exported student holds.
        """
        done = step + 1
        stopping = self.team.any(stop_requested()) and done < self.num_steps
        self.record(step, plan, tally, learning_rate=learning_rate)
        if self.due(done) or stopping:
            self._save(done)
        if stopping:
            raise StopRequested(self.stop_sentence(done))

    def _save(self, num_steps: int) -> None:
        with self.clock.phase("checkpoint"):
            self.checkpoints.save(num_steps, self.learner, weights_hash=self.weights_hash)

    def _renew(self, step: int) -> None:
        """Pass rates and weights of the student before ``step``; a stop on the way saves what was trained."""
        try:
            self.renew_if_due(step, past=step < self.done)
        except StopRequested:
            self._save(step)
            raise
