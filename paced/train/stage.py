"""One stage on its way, whoever computes it: its plan of batches, its pass rates, what it writes and leaves behind.

A backend asks :meth:`Stage.prepare` what a step is, computes the gradient of that, and hands the sums to
:meth:`Stage.record`. Left out: models on devices, the optimiser, checkpoints; these are each backend's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from paced.models.tokens import absent_ids, vocabulary_size
from paced.run.progress import Progress
from paced.run.storage import text_hash
from paced.train.batches import Batch, number_of_steps, plan_batches
from paced.train.examples import Example
from paced.train.export import export_student
from paced.train.inputs import StageInputs
from paced.train.loss import Divergence, token_weights
from paced.train.metrics import (
    Clock,
    StageLog,
    StepTally,
    batch_facts,
    divergence_facts,
    head_facts,
    pass_rate_facts,
)
from paced.train.micro_batches import length_of, split_batch
from paced.train.schedule import divergence_at, renewal_due
from paced.train.team import Team


class Learner(Protocol):
    """A student in training, as far as a stage needs it."""

    def for_sampling(self) -> Any:
        """A causal language model with the weights as they are now; all ranks ask together."""
        ...

    def for_export(self) -> Any:
        """A plain causal language model with the weights in full on rank 0, None on the others."""
        ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """One optimiser step before it is computed; the same on every rank."""

    batch: Batch
    """Which problems, and their weights."""
    divergence: Divergence
    """The loss of a token."""
    examples: list[Example]
    """One for each problem of the batch."""
    multipliers: Tensor
    """[B] float64: what multiplies the loss of every token of each example."""
    rounds: list[list[list[int]]]
    """Micro-batches, see ``split_batch``."""

    def parts(self, share: int) -> Iterator[tuple[list[Example], Tensor]]:
        """The micro-batches of one share of the ranks: examples, possibly none, with their multipliers."""
        for shares in self.rounds:
            yield [self.examples[index] for index in shares[share]], self.multipliers[shares[share]]


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """What one stage did."""

    num_steps: int
    """Optimiser steps, those before an interruption included."""
    skipped_fraction: float
    """Share of the slots since the last resume whose problem had weight 0: no forward of either model ran for it."""


class Stage:
    """One stage on its way."""

    def __init__(
        self, inputs: StageInputs, learner: Learner, tokenizer: Any, progress: Progress, team: Team, log: StageLog
    ) -> None:
        config = inputs.config
        self.config, self.number, self.team, self.log = config, inputs.stage_number, team, log
        self.settings, self.folder, self.source = inputs.settings, inputs.folder, inputs.source
        self.tokenizer, self.progress, self.student = tokenizer, progress, learner
        self.vocab_size = vocabulary_size(tokenizer)
        gaps = absent_ids(tokenizer)
        self.absent_ids = torch.tensor(gaps, device=team.device) if gaps else None  # [M]
        self.ratings = self.first_ratings = self.source.ratings()
        self.num_steps = number_of_steps(
            len(self.ratings.unit_mean_weights),
            batch_size=config.training.batch_size,
            num_epochs=self.settings.num_epochs,
            num_steps=self.settings.num_steps,
        )
        self.weights_hash = text_hash(*map(repr, self.first_ratings.unit_mean_weights))
        self.clock = Clock(team.device)
        self.num_slots = self.num_skipped = 0
        self._plan_from(0)

    def renew_if_due(self, step: int, *, past: bool) -> None:
        """Renew pass rates and weights before ``step`` when the settings say so; read back those of a step in the past.

        Ranks with a model of their own sample side by side; an engine with processes of its own is asked by the first.

        Raises:
            StopRequested: a signal came while the student was sampled.
        """
        if not renewal_due(step, self.settings):
            return
        student = None if past else self.student.for_sampling()
        if not past and self.team.size > 1 and self.source.samples_on_every_rank:
            rank, size = self.team.rank, self.team.size
            self.team.together(lambda: self.source.sample_share(step=step, student=student, index=rank, count=size))
        self.ratings = self.team.first_then_others(lambda: self.source.refresh(step=step, student=student))
        self._plan_from(step)

    def prepare(self, step: int) -> Step:
        """Everything that decides a step, before anything of it is computed."""
        training = self.config.training
        # Pass rates and weights stay the same between renewals (Assumption 4); the batch follows from them.
        batch = self._plan[step - self._planned_from]
        divergence = divergence_at(self.settings, training, first=self.first_ratings, now=self.ratings)

        # The teacher's reference (forward track) or the student's own rollout (reverse track), Eq. (5).
        # Problems of weight zero are not in the batch: neither model sees them.
        with self.clock.phase("completions"):
            examples = self._examples(batch, step)

        # w̃_i / (B T_i) and its relatives, over all ranks and micro-batches, before the first backward.
        multipliers = token_weights(
            problem_weights=batch.weights,
            token_counts=[len(example.completion_ids) for example in examples],
            reduction=training.reduction,
            normaliser=training.normaliser,
            num_problems=batch.num_slots,
            num_averaged_ranks=self.team.size,
        )
        lengths = [length_of(example) for example in examples]
        rounds = split_batch(lengths, max_tokens=training.micro_batch_tokens, num_shares=self.team.num_shares)
        return Step(batch=batch, divergence=divergence, examples=examples, multipliers=multipliers, rounds=rounds)

    def record(self, step: int, plan: Step, tally: StepTally, *, learning_rate: float) -> None:
        """Write one computed step into the run's files."""
        metrics = {
            "step": step + 1,
            "loss": tally.loss,
            **divergence_facts(
                self.settings.divergence.name,
                plan.divergence,
                tally,
                loss_temperature=self.config.training.loss_temperature,
            ),
            "grad_norm": tally.grad_norm,
            **head_facts(tally),
            "learning_rate": learning_rate,
            **batch_facts(plan.batch, tally.num_tokens),
            **pass_rate_facts(self.ratings),
        }
        self.num_slots += plan.batch.num_slots
        self.num_skipped += plan.batch.num_slots - len(plan.batch.indices)
        self.log.write(metrics, self.clock.facts(tally.num_processed))

    def due(self, done: int) -> bool:
        """Whether a checkpoint is due after ``done`` steps; never after the last, which the exported student holds."""
        every = self.config.training.checkpoint_every
        return every > 0 and done % every == 0 and done < self.num_steps

    def stop_sentence(self, done: int) -> str:
        """What to say when a signal stopped the stage."""
        return f"stopped after step {done} of stage {self.number}; run the same command again to continue."

    def outcome(self) -> StageOutcome:
        """Save the trained student and say what the stage did."""
        skipped = self.num_skipped / self.num_slots if self.num_slots else 0.0
        if self.num_skipped:
            self.progress.note(
                f"stage {self.number}: {100 * skipped:.0f} % of the slots had weight 0; neither model computed them"
            )
        whole = self.student.for_export()
        if whole is not None:
            facts = {"stage": f"{self.number} of {len(self.config.stages)}", "steps": self.num_steps}
            facts["divergence"] = f"{self.settings.divergence} along {self.settings.along}"
            export_student(self.folder.student, whole, self.tokenizer, config=self.config, facts=facts)
        self.team.barrier()
        return StageOutcome(num_steps=self.num_steps, skipped_fraction=skipped)

    def _examples(self, batch: Batch, step: int) -> list[Example]:
        """The completions of a batch; fresh ones are sampled by all ranks, each its part, from the student as it is."""
        if not self.settings.fresh_rollouts:
            return self.source.examples(batch.indices, step=step, student=None)
        student = self.student.for_sampling()
        if not self.source.samples_on_every_rank:
            return self.team.from_first(lambda: self.source.examples(batch.indices, step=step, student=student))
        return self.team.divide(
            batch.indices, lambda indices: self.source.examples(indices, step=step, student=student)
        )

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


@contextlib.contextmanager
def open_log(inputs: StageInputs, team: Team) -> Iterator[StageLog]:
    """The files and trackers of a stage, closed in the end."""
    log = StageLog(inputs.run, inputs.config, stage_number=inputs.stage_number, team=team)
    try:
        yield log
    finally:
        log.close()
