"""One stage of a run inside ``WeightedDistillationTrainer``: what Trainer's loop does at each of the stage's steps.

Plan, completions, denominators, metrics and the exported student are the stage's (``stage.py``), as in the native loop;
the forward through the launcher's wrapper, clipping, the optimiser's step and what a checkpoint holds are Trainer's.
AdamW and its schedule are the recipe's, so that a run is the native one up to the rounding of sums.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from paced.run.progress import Advance, Progress
from paced.run.signals import StopRequested, stop_requested
from paced.train.examples import Example
from paced.train.export import public_name
from paced.train.hf_checkpoint import TrainerCheckpoints
from paced.train.hf_trainer import WeightedDistillationTrainer
from paced.train.inputs import StageInputs
from paced.train.lora import has_adapters, merged, save_adapters, trained
from paced.train.loss import FusedLoss
from paced.train.metrics import Clock, StageLog, StepTally
from paced.train.micro_batches import Packed
from paced.train.optimizer import make_adamw
from paced.train.schedule import learning_rate
from paced.train.stage import Stage, StageOutcome
from paced.train.teacher import open_cache
from paced.train.team import Team


class StageLoop(Trainer):
    """Over any Trainer whose ``compute_loss`` hands each micro-batch to :meth:`seen`; an item of its data is a step."""

    def _begin(self, inputs: StageInputs, model: Any, *, progress: Progress, team: Team) -> None:
        """What the loop needs once Trainer itself is there; ``stage`` and ``student_loss`` are set by the class."""
        self.remove_callback(PrinterCallback)  # the stage has its own progress and log
        self.team = team
        self.checkpoints = TrainerCheckpoints(
            inputs.folder.checkpoints,
            stage_number=inputs.stage_number,
            keep=inputs.config.training.keep_checkpoints,
            team=team,
            progress=progress,
        )
        self.checkpoints.check_room(sum(parameter.numel() for parameter in trained(model)))
        self.tally = StepTally(team)
        self.rate = 0.0
        self._advance: Advance = lambda done: None
        self._update = contextlib.ExitStack()

    def run(self) -> StageOutcome:
        """Train from the newest whole checkpoint to the end, and export the student.

        Raises:
            StopRequested: a signal came; a checkpoint of the last whole step is on the disk.
            FloatingPointError: a loss or gradient is not finite; the student is as it was before that step.
        """
        stage = self.stage
        newest = self.checkpoints.newest_whole(weights_hash=stage.weights_hash)
        done = int(newest[1]["step"]) if newest else 0
        stage.log.cut(done)
        for step in range(done):
            stage.renew_if_due(step, past=True)
        with stage.progress.track(f"training (stage {stage.number})", stage.num_steps) as self._advance:
            self._advance(done)
            self.train(resume_from_checkpoint=str(newest[0]) if newest else None)
        self.checkpoints.clear()
        return stage.outcome()

    def for_sampling(self) -> Any:
        """The student itself, its adapters on; every rank has it whole."""
        model = self.student_loss.model
        return model.get_base_model() if has_adapters(model) else model

    def for_export(self) -> Any:
        """A plain model on the first rank; adapters are written beside the student and merged."""
        model = self.student_loss.model
        if not self.team.is_first:
            return None
        if not has_adapters(model):
            return model
        save_adapters(self.stage.folder.adapter, model, base=public_name(self.stage.config.student))
        return merged(model)

    def get_train_dataloader(self) -> DataLoader:
        """One item a step; every rank goes through all of them."""
        return DataLoader(range(self.stage.num_steps), batch_size=None)  # type: ignore[arg-type]

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: Any) -> tuple[list, None]:
        """The plan of the next step, as a single batch."""
        next(epoch_iterator, None)
        step = self.state.global_step
        self.clock = self.stage.clock = Clock(self.team.device)
        try:
            self.stage.renew_if_due(step, past=False)
        except StopRequested:
            self._save_checkpoint(self.model_wrapped, None)
            self.seal()
            raise
        self.plan, self.tally = self.stage.prepare(step), StepTally(self.team)
        self.divergence = self.plan.divergence
        return [{}], None

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """The gradient of a whole step, micro-batch by micro-batch; ranks meet at the last one.

        Raises:
            FloatingPointError: the loss or the gradient is not finite; nothing was changed.
        """
        parts = list(self.plan.parts(self.team.share))
        for number, (examples, multipliers) in enumerate(parts, start=1):
            last = number == len(parts)
            with contextlib.nullcontext() if last else self.accelerator.no_sync(model):
                super().training_step(model, {"examples": examples, "multipliers": multipliers}, None)
        self._update.enter_context(self.clock.phase("update"))  # until the optimiser's step is done
        norm = torch.nn.utils.get_total_norm(
            [one.grad for one in trained(self.student_loss.model) if one.grad is not None]
        )
        self.tally.finish(norm, self.plan.examples, where=self._place())
        self.rate = self.optimizer.param_groups[0]["lr"]
        return torch.tensor(self.tally.loss, device=self.args.device)

    def seen(self, examples: list[Example], packed: Packed, result: FusedLoss) -> None:
        """Add a micro-batch to the step's sums."""
        self.tally.add(examples, packed, result)

    def after_step(self) -> bool:
        """Write the step down; whether a checkpoint is to be saved now."""
        self._update.close()
        done = self.state.global_step
        self.stopping = self.team.any(stop_requested()) and done < self.stage.num_steps
        self.stage.record(done - 1, self.plan, self.tally, learning_rate=self.rate)
        self._advance(1)
        return self.stage.due(done) or self.stopping

    def seal(self) -> None:
        """Make what Trainer has just saved a checkpoint of the stage, and stop when a rank was asked to."""
        done = self.state.global_step
        self.checkpoints.take(done, weights_hash=self.stage.weights_hash)
        if self.stopping:
            raise StopRequested(self.stage.stop_sentence(done))

    stopping = False
    """Whether a signal came during the step."""

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The recipe's AdamW over what is trained; its rate is the schedule's, in full."""
        if self.optimizer is None:
            self.optimizer: Any = make_adamw(trained(self.student_loss.model), self.stage.config.training, rate=1.0)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The recipe's schedule, which gives the rate itself."""
        training, settings = self.stage.config.training, self.stage.settings

        def rate(step: int) -> float:
            return learning_rate(step, num_steps=num_training_steps, training=training, stage=settings)

        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, rate)
        return self.lr_scheduler

    def _place(self) -> str:
        return (
            f"step {self.state.global_step + 1} of stage {self.stage.number}; continue from {self.checkpoints.newest}"
        )


class StageTrainer(StageLoop, WeightedDistillationTrainer):
    """Trains one stage with this package's loss."""

    def __init__(
        self,
        inputs: StageInputs,
        model: Any,
        teacher: Any,
        tokenizer: Any,
        *,
        progress: Progress,
        team: Team,
        log: StageLog,
        callbacks: Sequence[Any] = (),
    ) -> None:
        """Take the models, loaded; ``teacher`` is None when it is the student's base."""
        config = inputs.config
        self.stage = Stage(inputs, self, tokenizer, progress, team, log)
        super().__init__(
            model,
            teacher,
            args=stage_arguments(inputs, model, num_steps=self.stage.num_steps, device=team.device),
            train_dataset=range(self.stage.num_steps),
            processing_class=tokenizer,
            normaliser="self",  # weights come with the stage, of unit mean already
            loss_temperature=config.training.loss_temperature,
            teacher_cache=open_cache(inputs, model if teacher is None else teacher),
            callbacks=[*callbacks, AfterEachStep(self)],
        )
        self._begin(inputs, model, progress=progress, team=team)
        self.track_snr, self.teacher.team = config.training.track_snr, team


class AfterEachStep(TrainerCallback):
    """Trainer's loop tells the stage when a step is done and when a checkpoint is written."""

    def __init__(self, trainer: StageLoop) -> None:
        self.trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Write the step down; a checkpoint follows when one is due."""
        control.should_save = self.trainer.after_step()
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the checkpoint over."""
        self.trainer.seal()


def stage_arguments(
    inputs: StageInputs,
    model: Any,
    *,
    num_steps: int,
    device: torch.device,
    kind: Callable[..., Any] = TrainingArguments,
) -> Any:
    """Trainer's settings of a stage; what the stage does itself (logging, saving, data) is switched off there."""
    config = inputs.config
    return kind(
        output_dir=str(TrainerCheckpoints.outgoing(inputs.folder.checkpoints)),
        max_steps=num_steps,
        per_device_train_batch_size=1,
        max_grad_norm=config.training.clip_norm,
        bf16=config.student.dtype == "bfloat16",
        gradient_checkpointing=config.parallel.gradient_checkpointing,
        ignore_data_skip=True,
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
        use_cache=bool(model.config.use_cache),
        ddp_find_unused_parameters=False,
        seed=config.seed,
    )
