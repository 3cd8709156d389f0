"""Everything around the algorithm of one stage: ranks, models, checkpoints, files, signals; ``loop.py`` holds the rest.

A stage goes on where its newest whole checkpoint ended, and stops at the boundary of a step when any rank was asked to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from paced.models.loading import DTYPES
from paced.models.tokens import absent_ids, vocabulary_size
from paced.run.progress import Advance, Progress
from paced.run.signals import StopRequested, stop_requested
from paced.run.storage import text_hash
from paced.train.examples import Example
from paced.train.inputs import StageInputs
from paced.train.loss import Divergence
from paced.train.native.batches import Batch, number_of_steps, plan_batches
from paced.train.native.checkpoint import Checkpoints
from paced.train.native.export import export_student
from paced.train.native.learner import Learner
from paced.train.native.metrics import (
    Clock,
    StageLog,
    StepTally,
    batch_facts,
    divergence_facts,
    head_facts,
    pass_rate_facts,
)
from paced.train.native.parallel import Team, join_team
from paced.train.native.schedule import renewal_due
from paced.train.native.teacher import Teacher
from paced.train.native.teacher_cache import TeacherCache, teacher_revision


@dataclass(frozen=True, kw_only=True)
class Models:
    """The models of a stage, loaded on this rank's device."""

    student: Any
    """A causal language model in float32, trained in place."""
    teacher: Any
    """A frozen causal language model with the same tokenizer."""
    tokenizer: Any
    """The student's; its size bounds the vocabulary of both heads."""


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """What one stage did."""

    num_steps: int
    """Optimiser steps, those before an interruption included."""
    skipped_fraction: float
    """Share of the slots since the last resume whose problem had weight 0: no forward of either model ran for it."""


@contextlib.contextmanager
def open_stage(inputs: StageInputs, models: Models, progress: Progress) -> Iterator[Stage]:
    """Meet the other ranks, spread both models over them, and load the newest checkpoint; see ``train_stage``."""
    config, device = inputs.config, next(models.student.parameters()).device
    with join_team(config.parallel, device=device, dtype=DTYPES[config.student.dtype]) as team:
        log = StageLog(inputs.run, config, stage_number=inputs.stage_number, team=team)
        try:
            yield Stage(inputs, models, progress, team, log)
        finally:
            log.close()


class Stage:
    """One stage on its way."""

    def __init__(self, inputs: StageInputs, models: Models, progress: Progress, team: Team, log: StageLog) -> None:
        config = inputs.config
        self.config, self.number, self.team, self.log = config, inputs.stage_number, team, log
        self.settings, self.folder, self.source = inputs.settings, inputs.folder, inputs.source
        self.tokenizer, self.progress = models.tokenizer, progress
        self.vocab_size = vocabulary_size(models.tokenizer)
        gaps = absent_ids(models.tokenizer)
        self.absent_ids = torch.tensor(gaps, device=team.device) if gaps else None  # [M]
        cache = _open_cache(inputs, models.teacher)
        self.learner = Learner(models.student, config, team)
        self.teacher = Teacher(models.teacher, config, team, cache)
        self.checkpoints = Checkpoints(
            self.folder.checkpoints,
            stage_number=self.number,
            keep=config.training.keep_checkpoints,
            team=team,
            progress=progress,
        )
        self.checkpoints.check_room(self.learner.num_parameters)
        self.ratings = self.first_ratings = self.source.ratings()
        self.num_steps = number_of_steps(
            len(self.ratings.unit_mean_weights),
            batch_size=config.training.batch_size,
            num_epochs=self.settings.num_epochs,
            num_steps=self.settings.num_steps,
        )
        self.weights_hash = text_hash(*map(repr, self.first_ratings.unit_mean_weights))
        self.done = self.checkpoints.restore(self.learner, weights_hash=self.weights_hash)
        log.cut(self.done)
        self.clock = Clock(team.device)
        self.num_slots = self.num_skipped = 0
        self._plan_from(0)

    def steps(self) -> Iterator[int]:
        """The steps that are left, counted from 0; pass rates are renewed in between as the stage's settings say."""
        advance: Advance
        with self.progress.track(f"training (stage {self.number})", self.num_steps) as advance:
            advance(self.done)
            for step in range(self.num_steps):
                if renewal_due(step, self.settings):
                    self._renew(step)
                if step >= self.done:
                    self.clock = Clock(self.team.device)
                    yield step
                    advance(1)

    def batch(self, step: int) -> Batch:
        """The problems of a step and their weights."""
        return self._plan[step - self._planned_from]

    def examples(self, batch: Batch, step: int) -> list[Example]:
        """The completions of a batch; fresh ones are sampled by all ranks, each its part, from the student as it is."""
        if not self.settings.fresh_rollouts:
            return self.source.examples(batch.indices, step=step, student=None)
        student = self.learner.for_sampling()
        return self.team.divide(
            batch.indices, lambda indices: self.source.examples(indices, step=step, student=student)
        )

    def place(self, step: int) -> str:
        """Where the run is and where it could go on from, in words, for an error."""
        return f"step {step + 1} of stage {self.number}; go on from {self.checkpoints.newest}"

    def finish(
        self, step: int, batch: Batch, tally: StepTally, *, divergence: Divergence, learning_rate: float
    ) -> None:
        """Write the step down, save a checkpoint when it is time, and stop when any rank was asked to.

        Raises:
            StopRequested: after the checkpoint; not after the last step, which the exported student holds.
        """
        training, done = self.config.training, step + 1
        metrics = {
            "step": done,
            "loss": tally.loss,
            **divergence_facts(
                self.settings.divergence.name, divergence, tally, loss_temperature=training.loss_temperature
            ),
            "grad_norm": tally.grad_norm,
            **head_facts(tally),
            "learning_rate": learning_rate,
            **batch_facts(batch, tally.num_tokens),
            **pass_rate_facts(self.ratings),
        }
        self.num_slots += batch.num_slots
        self.num_skipped += batch.num_slots - len(batch.indices)
        stopping = self.team.any(stop_requested())
        due = training.checkpoint_every > 0 and done % training.checkpoint_every == 0
        self.log.write(metrics, self.clock.facts(tally.num_processed))
        if done < self.num_steps and (due or stopping):
            self._save(done)
        if done < self.num_steps and stopping:
            raise StopRequested(
                f"stopped after step {done} of stage {self.number}; run the same command again to go on."
            )

    def outcome(self) -> StageOutcome:
        """Save the trained student and say what the stage did."""
        skipped = self.num_skipped / self.num_slots if self.num_slots else 0.0
        if self.num_skipped:
            self.progress.note(
                f"stage {self.number}: {100 * skipped:.0f} % of the slots had weight 0; neither model computed them"
            )
        whole = self.learner.for_export()
        if whole is not None:
            facts = {"stage": f"{self.number} of {len(self.config.stages)}", "steps": self.num_steps}
            facts["divergence"] = f"{self.settings.divergence} along {self.settings.along}"
            export_student(self.folder.student, whole, self.tokenizer, config=self.config, facts=facts)
        self.team.barrier()
        return StageOutcome(num_steps=self.num_steps, skipped_fraction=skipped)

    def _save(self, num_steps: int) -> None:
        with self.clock.phase("checkpoint"):
            self.checkpoints.save(num_steps, self.learner, weights_hash=self.weights_hash)

    def _renew(self, step: int) -> None:
        """Pass rates and weights of the student before ``step``; of a step in the past, those on the disk."""
        student = self.learner.for_sampling() if step >= self.done else None
        try:
            self.ratings = self.team.first_then_others(lambda: self.source.refresh(step=step, student=student))
        except StopRequested:
            self._save(step)
            raise
        self._plan_from(step)

    def _plan_from(self, step: int) -> None:
        self._planned_from = step
        self._plan = plan_batches(
            self.ratings.unit_mean_weights,
            batching=self.config.training.batching,
            batch_size=self.config.training.batch_size,
            first_step=step,
            num_steps=self.num_steps - step,
            seed=self.config.seed,
            stage_number=self.number,
        )


def _open_cache(inputs: StageInputs, teacher: Any) -> TeacherCache | None:
    """The cache of the teacher's states, which compared methods share."""
    if not inputs.config.parallel.cache_teacher:
        return None
    revision = teacher_revision(inputs.teacher, teacher)
    return TeacherCache(inputs.run.whole.root / "teacher-cache", revision=revision, dtype=teacher.dtype)
