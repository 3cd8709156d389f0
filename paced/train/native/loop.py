"""The paper's algorithm (§3.4) for one stage, from top to bottom.

A step is decided before it begins: which problems, their weights w̃ and every denominator come from the whole batch
over all ranks, so cutting it into micro-batches or dealing it out to ranks changes the memory and not the step.
The loop never learns how weights were made, where completions come from, how models are spread over devices, or what a
checkpoint looks like: ``batches.py``, ``pipeline/sources.py``, ``learner.py`` and ``teacher.py``, ``checkpoint.py``.
"""

from __future__ import annotations

from paced.run.progress import Progress
from paced.train.inputs import StageInputs
from paced.train.loss import LossTargets, token_weights
from paced.train.native.metrics import StepTally
from paced.train.native.micro_batches import length_of, pack_for_student, split_batch
from paced.train.native.schedule import divergence_at, learning_rate
from paced.train.native.stage import Models, StageOutcome, open_stage


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
            # Pass rates and weights stand still between renewals (Assumption 4); the batch follows from them.
            batch = stage.batch(step)
            divergence = divergence_at(settings, training, first=stage.first_ratings, now=stage.ratings)
            tally = StepTally(team)

            # The teacher's reference (forward track) or the student's own rollout (reverse track), Eq. (5).
            # Problems of weight zero are not in the batch: neither model sees them.
            with stage.clock.phase("completions"):
                examples = stage.examples(batch, step)

            # w̃_i / (B T_i) and its relatives, over all ranks and micro-batches, before the first backward.
            multipliers = token_weights(
                problem_weights=batch.weights,
                token_counts=[len(example.completion_ids) for example in examples],
                reduction=training.reduction,
                normaliser=training.normaliser,
                num_problems=batch.num_slots,
                num_averaged_ranks=team.size,
            )

            lengths = [length_of(example) for example in examples]
            for shares in split_batch(lengths, max_tokens=training.micro_batch_tokens, num_shares=team.num_shares):
                part = [examples[index] for index in shares[team.share]]
                packed = pack_for_student(part, multipliers[shares[team.share]], team)
                with stage.clock.phase("teacher"):
                    teacher_hidden = stage.teacher.states(part)
                with stage.clock.phase("student"):
                    targets = LossTargets(
                        positions=packed.positions,
                        teacher_hidden=packed.select(teacher_hidden),
                        teacher_head=stage.teacher.head,
                        token_weights=packed.token_weights,
                        divergence=divergence,
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
                tally.finish(learner, norm, examples, where=stage.place(step))
                rate = learning_rate(step, num_steps=stage.num_steps, training=training, stage=settings)
                if examples:
                    learner.update(norm=norm, clip_norm=training.clip_norm, learning_rate=rate)

            stage.finish(step, batch, tally, divergence=divergence, learning_rate=rate)
        return stage.outcome()
