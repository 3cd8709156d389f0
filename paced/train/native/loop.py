"""The paper's algorithm (§3.4) for one stage, from top to bottom.

A step is decided before it begins: which problems, their weights w̃ and every denominator come from the whole batch
over all ranks, so cutting it into micro-batches or dealing it out to ranks changes the memory and not the step.
The loop never learns how weights were made, where completions come from, how models are spread over devices, or what a
checkpoint looks like: ``stage.py``, ``pipeline/sources.py``, ``learner.py`` and ``teacher.py``, ``checkpoint.py``.
"""

from __future__ import annotations

from paced.run.progress import Progress
from paced.train.inputs import StageInputs
from paced.train.loss import LossTargets
from paced.train.metrics import StepTally
from paced.train.micro_batches import pack_for_student
from paced.train.native.stage import Models, open_stage
from paced.train.schedule import learning_rate
from paced.train.stage import StageOutcome


def train_stage(inputs: StageInputs, models: Models, progress: Progress) -> StageOutcome:
    """Train the student of one stage and save it to ``stage-<k>/student``, from the last checkpoint if there is one.

    Args:
        inputs: the stage: where it writes, its settings, its examples.
        models: student and teacher, loaded.
        progress: where to show it.

    Raises:
        StopRequested: a signal came; a checkpoint of the last whole step is on the disk.
        FloatingPointError: a loss or gradient is not finite; the student is as it was before that step.
        RunFolderError: no room for checkpoints, or checkpoints of another training.
    """
    training, settings = inputs.config.training, inputs.settings
    with open_stage(inputs, models, progress) as stage:
        team, learner = stage.team, stage.learner
        for step in stage.steps():
            # Which problems, their completions and w̃_i / (B T_i): over all ranks and micro-batches, before any of it.
            plan = stage.prepare(step)
            tally = StepTally(team)

            for part, multipliers in plan.parts(team.share):
                packed = pack_for_student(part, multipliers, team)
                with stage.clock.phase("teacher"):
                    teacher_hidden = stage.teacher.states(part)
                with stage.clock.phase("student"):
                    targets = LossTargets(
                        positions=packed.positions,
                        teacher_hidden=packed.select(teacher_hidden),
                        teacher_head=stage.teacher.head,
                        token_weights=packed.token_weights,
                        divergence=plan.divergence,
                        loss_temperature=training.loss_temperature,
                        vocab_size=stage.vocab_size,
                        absent_ids=stage.absent_ids,
                        rollout_index=packed.owners if training.track_snr else None,
                    )
                    result = learner.loss_of(targets, **packed.inputs)
                    result.loss.backward()
                tally.add(part, packed, result)

            with stage.clock.phase("update"):
                norm = learner.gradient_norm()
                tally.finish(norm, plan.examples, where=stage.place(step))
                rate = learning_rate(step, num_steps=stage.num_steps, training=training, stage=settings)
                if plan.examples:
                    learner.update(norm=norm, clip_norm=training.clip_norm, learning_rate=rate)

            stage.finish(step, plan, tally, learning_rate=rate)
        return stage.outcome()
