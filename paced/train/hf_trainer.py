"""Weighted distillation as a ``transformers.Trainer``: its loop, callbacks and launchers, this package's loss.

A row's weight multiplies its loss, and every denominator is that of the whole optimiser step, over all ranks and
accumulation steps; so a step does not depend on how it is cut, which a mean over each micro-batch would break.
The teacher is another model, or, with PEFT, the student's base with its adapters off. Both models stay in evaluation
mode: dropout noise would be part of the divergence.
Left out: generation. Completions come with the rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from paced.errors import ArgumentTypeError
from paced.models.tokens import absent_ids, vocabulary_size
from paced.train.examples import Example
from paced.train.hf_rows import COLUMNS, Rows, mean_weight
from paced.train.layers import layers_of, recompute_activations
from paced.train.lora import adapters_off, has_adapters
from paced.train.loss import (
    DistillationStudent,
    Divergence,
    FusedLoss,
    LossTargets,
    head_of,
    make_divergence,
    token_weights,
)
from paced.train.loss.head import check_loaded_head
from paced.train.loss.reductions import Normaliser, Reduction
from paced.train.metrics import Clock
from paced.train.micro_batches import Packed, pack_for_student
from paced.train.redirect import call_inside
from paced.train.teacher import Teacher, hidden_of
from paced.train.teacher_cache import TeacherCache
from paced.train.team import Team


class WeightedDistillationTrainer(Trainer):
    """Trains a student towards a teacher along the completions of a data set, each problem with its weight.

    Rows have ``prompt``, ``completion`` and, if wanted, ``weight`` and ``teacher_prompt``; see ``hf_rows.py``.
    """

    def __init__(
        self,
        model: Any,
        teacher: Any = None,
        *,
        args: TrainingArguments,
        train_dataset: Any,
        processing_class: Any,
        divergence: str | Divergence = "forward_kl",
        reduction: Reduction = "sequence_mean",
        normaliser: Normaliser = "dataset",
        loss_temperature: float = 1.0,
        teacher_cache: TeacherCache | None = None,
        **trainer: Any,
    ) -> None:
        """Take the two models and the rows; everything else is as in ``transformers.Trainer``.

        Args:
            model: the student, a causal language model with float32 weights, plain or wrapped by PEFT.
            teacher: a frozen causal language model with the same tokenizer; None for the base of a PEFT student.
            args: ``bf16`` computes the student's products in bfloat16; ``gradient_checkpointing`` recomputes layers.
            train_dataset: rows, or examples. One without a length needs ``normaliser="self"``.
            processing_class: the tokenizer of both models.
            divergence: a name of ``DIVERGENCES`` with its defaults, or one from ``make_divergence``.
            reduction: mean over a sequence's tokens first, or over all tokens of the step.
            normaliser: see ``token_weights``; ``dataset`` divides weights by their mean over ``train_dataset``.
            loss_temperature: T > 0 of both distributions.
            teacher_cache: where the teacher's states are kept.
            trainer: further arguments of ``Trainer``: ``eval_dataset``, ``callbacks``, ``optimizers``, …

        Raises:
            TypeError: no teacher and no adapters.
            ConfigError: a head that the loss would read wrongly.
            ValueError: weights without a mean over the data set.
        """
        if teacher is None and not has_adapters(model):
            raise ArgumentTypeError(
                "WeightedDistillationTrainer: teacher must be a model, got None for a student without PEFT adapters."
            )
        if normaliser == "dataset" and not hasattr(train_dataset, "__len__"):
            raise ValueError(
                "WeightedDistillationTrainer: a data set without a length has no mean weight. Set normaliser='self'."
            )
        for who, one in {"student": model, "teacher": teacher}.items():
            if one is not None:
                check_loaded_head(one, who=who)
        self.divergence = make_divergence(divergence) if isinstance(divergence, str) else divergence
        self.reduction, self.normaliser, self.loss_temperature = reduction, normaliser, loss_temperature
        self.vocab_size = vocabulary_size(processing_class)
        self.track_snr = False
        self._divergence_name = divergence if isinstance(divergence, str) else "divergence"
        self._sums: list[Tensor] = []
        self._evaluated: list[tuple[float, int, float]] = []
        if args.gradient_checkpointing:
            recompute_activations(layers_of(model))  # transformers' own works in training mode only
        mean = mean_weight(train_dataset) if normaliser == "dataset" else 1.0
        rows = Rows(processing_class, mean_weight=mean)
        trainer.setdefault("data_collator", rows)
        super().__init__(
            model=model, args=args, train_dataset=train_dataset, processing_class=processing_class, **trainer
        )
        device = self.args.device
        self.team = Team(rank=args.process_index, size=args.world_size, device=device)
        self.clock = Clock(device)
        gaps = absent_ids(processing_class)
        self.absent_ids = torch.tensor(gaps, device=device) if gaps else None  # [M]
        self.student_loss = DistillationStudent(model, compute_dtype=torch.bfloat16 if args.bf16 else None)
        self.teacher = self._base_as_teacher(teacher_cache) if teacher is None else self._placed(teacher, teacher_cache)

    def train(self, *given: Any, **named: Any) -> Any:
        """As ``Trainer.train``, also after :meth:`evaluate`.

        transformers takes a model that it has prepared for an evaluation for one that is wrapped for training already:
        ranks would then train without exchanging gradients, and no message would say so.
        """
        if self.model_wrapped is self.model and getattr(self.model, "_is_accelerate_prepared", False):
            self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)  # the evaluation's autocast
            del self.model._is_accelerate_prepared
            self.accelerator._models = [one for one in self.accelerator._models if one is not self.model]
        return super().train(*given, **named)

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: Any) -> tuple[list, None]:
        """The micro-batches of one optimiser step, with the multipliers that the whole step gives them."""
        samples: list[dict[str, Any]] = []
        for _ in range(num_batches):
            with contextlib.suppress(StopIteration):
                samples.append(next(epoch_iterator))
        own = [example for sample in samples for example in sample["examples"]]
        facts = self.team.gather([(example.unit_mean_weight, len(example.completion_ids)) for example in own])
        multipliers = self._multipliers([fact for of_rank in facts for fact in of_rank], num_ranks=self.team.size)
        start = sum(map(len, facts[: self.team.rank]))
        for sample in samples:
            sample["multipliers"] = multipliers[start : start + len(sample["examples"])]
            start += len(sample["examples"])
        return samples, None

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Forward and backward of one micro-batch; its loss is already divided by what the whole step divides by."""
        model.eval()
        loss: Tensor = self.compute_loss(model, inputs)
        plain = self.accelerator.distributed_type != "DEEPSPEED"
        self.accelerator.backward(loss, **({} if plain else {"scale_wrt_gas": False}))
        return loss.detach()

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The weighted loss of one micro-batch; without multipliers (evaluation) the micro-batch is the whole step."""
        examples: list[Example] = inputs["examples"]
        multipliers = inputs.get("multipliers")
        if multipliers is None:
            facts = [(example.unit_mean_weight, len(example.completion_ids)) for example in examples]
            multipliers = self._multipliers(facts, num_ranks=1)
        counted = (multipliers > 0).nonzero().flatten()  # [C]; neither model sees a problem of weight zero
        num_rows, examples = len(examples), [examples[index] for index in counted.tolist()]
        packed = pack_for_student(examples, multipliers[counted], self.team)
        with self.clock.phase("teacher"):
            teacher_hidden = self.teacher.states(examples)
        with self.clock.phase("student"):
            targets = LossTargets(
                positions=packed.positions,
                teacher_hidden=teacher_hidden,
                teacher_head=self.teacher.head,
                token_weights=packed.token_weights,
                divergence=self.divergence,
                loss_temperature=self.loss_temperature,
                vocab_size=self.vocab_size,
                absent_ids=self.absent_ids,
                rollout_index=packed.owners if self.track_snr else None,
            )
            result = self._inside(model, self.student_loss, targets, **packed.inputs)
        self.seen(examples, packed, result)
        if not return_outputs:
            return result.loss
        rows = counted.to(packed.owners.device)[packed.owners]  # [n]
        totals = torch.zeros(num_rows, dtype=torch.float64, device=rows.device)  # [rows]
        totals.index_add_(0, rows, result.token_losses.detach().double())
        return result.loss, {"token_losses": result.token_losses, "row_losses": totals}

    def seen(self, examples: list[Example], packed: Packed, result: FusedLoss) -> None:
        """Called with every micro-batch that was computed; adds up what :meth:`log` shows."""
        if torch.is_grad_enabled():
            losses = result.token_losses.detach()
            self._sums.append(torch.stack([losses.sum(dtype=torch.float64), result.computed.sum().double()]))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the mean divergence of the tokens since the last time, without weights, in nats."""
        if "loss" in logs:
            own = torch.stack(self._sums).sum(0).tolist() if self._sums else [0.0, 0.0]
            self._sums = []
            total, count = (sum(values) for values in zip(*self.team.gather(own), strict=True))
            logs[self._divergence_name] = total / max(1.0, count)
        super().log(logs, start_time)

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], *_: Any, **__: Any
    ) -> tuple[Tensor, None, None]:
        """The loss of a micro-batch of the evaluation set; its rows are kept for the loss of the whole set."""
        with torch.no_grad():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        rows = [
            (example.unit_mean_weight, len(example.completion_ids), total)
            for example, total in zip(inputs["examples"], outputs["row_losses"].tolist(), strict=True)
        ]
        # Ranks get equally many rows by seeing some of them twice; accelerate takes these out again.
        self._evaluated += self.accelerator.gather_for_metrics(rows, use_gather_object=True)
        return loss.detach(), None, None

    def evaluation_loop(self, *given: Any, metric_key_prefix: str = "eval", **named: Any) -> Any:
        """Evaluation as ``Trainer`` does it, with the loss of the set as one step, for any batch size and ranks."""
        self._evaluated = []
        output = super().evaluation_loop(*given, metric_key_prefix=metric_key_prefix, **named)
        multipliers = self._multipliers([(weight, count) for weight, count, _ in self._evaluated], num_ranks=1)
        totals = torch.tensor([total for *_, total in self._evaluated], dtype=torch.float64)  # [rows]
        output.metrics[f"{metric_key_prefix}_loss"] = float(multipliers @ totals)
        return output

    def _set_signature_columns_if_needed(self) -> None:
        """Columns of a data set that Trainer keeps."""
        self._signature_columns = [*COLUMNS, "problem_id"]

    def _multipliers(self, facts: list[tuple[float, int]], *, num_ranks: int) -> Tensor:
        return token_weights(
            problem_weights=[weight for weight, _ in facts],
            token_counts=[count if weight > 0 else 0 for weight, count in facts],  # as nobody computes them
            reduction=self.reduction,
            normaliser=self.normaliser,
            num_problems=max(1, len(facts)),
            num_averaged_ranks=num_ranks,
        )

    def _inside(self, wrapper: nn.Module, function: Any, *given: Any, **named: Any) -> Any:
        inner = self.accelerator.unwrap_model(wrapper, keep_fp32_wrapper=True)
        return call_inside(wrapper, inner, function, *given, **named)

    def _placed(self, teacher: Any, cache: TeacherCache | None) -> Teacher:
        """A teacher of its own, frozen, whole on every rank."""
        teacher = teacher.to(self.args.device).eval().requires_grad_(False)
        return Teacher(hidden_of(teacher), head_of(teacher), self.team, cache=cache)

    def _base_as_teacher(self, cache: TeacherCache | None) -> Teacher:
        """The student's base: the same weights, read with the adapters off."""

        def hidden(**inputs: Tensor) -> Tensor:
            with adapters_off(self.student_loss.model):
                states: Tensor = self._inside(self.model_wrapped, self.student_loss.hidden, **inputs)
            return states

        with adapters_off(self.student_loss.model):
            head = self.student_loss.head()
        return Teacher(hidden, head, self.team, cache=cache)
