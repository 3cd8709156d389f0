"""TRL's ``DistillationTrainer`` with a weight for each problem: its generation, divergence and loop, other multipliers.

TRL divides a step's loss by the tokens of the whole step, so a weight must multiply each token's divergence before
that sum and the denominator must know the weights. Here both come from ``token_weights``, over all ranks and
accumulation steps; TRL's own division is then by one. Without weights the step is TRL's.

Columns beside TRL's ``prompt``; see ``hf_rows.py`` for their forms:

=================== ================================================== ==========================
column              what                                               without it
=================== ================================================== ==========================
``weight``          w >= 0 of the problem, in any unit                 1
``completion``      what both models are compared on                   sampled from the student
``teacher_prompt``  what the teacher reads, such as a prompt with the  the student's prompt
                    expert solution
=================== ================================================== ==========================

Left out: weights in TRL's evaluation, whose loss stays its own, without weights.
"""

from __future__ import annotations

import contextlib
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from paced.train.hf_rows import COLUMNS, Rows, mean_weight, weight_of
from paced.train.loss import token_weights, trunk_of
from paced.train.loss.reductions import Normaliser, Reduction
from paced.train.team import Team
from paced.train.trl_version import require_trl

require_trl("WeightedTRLTrainer")
from trl import DistillationConfig, DistillationTrainer  # noqa: E402 - only once the version is known to be right
from trl.kernels.chunked_divergence import ChunkedDivergenceFunction  # noqa: E402
from trl.trainer.distillation_trainer import _chunked_divergence_loss  # noqa: E402
from trl.trainer.utils import pad  # noqa: E402

__all__ = ["DistillationConfig", "WeightedTRLTrainer"]


class WeightedTRLTrainer(DistillationTrainer):
    """``trl.DistillationTrainer`` that reads the columns ``weight``, ``completion`` and ``teacher_prompt`` as well."""

    def __init__(
        self,
        *given: Any,
        train_dataset: Any,
        reduction: Reduction = "token_mean",
        normaliser: Normaliser = "dataset",
        **named: Any,
    ) -> None:
        """Take what ``DistillationTrainer`` takes.

        Args:
            given: ``model``, ``teacher_model``, … in TRL's order.
            train_dataset: rows with ``prompt``. One without a length needs ``normaliser="self"``.
            reduction: mean over all tokens of the step, which is TRL's, or over a sequence's tokens first.
            normaliser: see ``token_weights``; ``dataset`` divides weights by their mean over ``train_dataset``.
            named: further arguments of ``DistillationTrainer``.

        Raises:
            ValueError: a weight that is negative or not finite, or weights without a mean over the data set.
        """
        if normaliser == "dataset" and not hasattr(train_dataset, "__len__"):
            raise ValueError(
                "WeightedTRLTrainer: a data set without a length has no mean weight. Set normaliser='self'."
            )
        self.reduction, self.normaliser = reduction, normaliser
        self.mean_weight = mean_weight(train_dataset) if normaliser == "dataset" else 1.0
        super().__init__(*given, train_dataset=train_dataset, **named)
        self.team = Team(rank=self.args.process_index, size=self.args.world_size, device=self.args.device)
        self._rows: Sequence[Mapping[str, Any]] = ()
        self._reading: tuple[Any, dict[str, Any]] = (None, {})

    known_tokens: slice | Tensor | None = None
    """Rows of both heads that the divergence is over; None for all of them, as in TRL, padding rows included."""

    _signature_columns: list[str] | None

    def multipliers(self, rows: Sequence[Mapping[str, Any]], token_counts: list[int]) -> Tensor:
        """What multiplies the loss of every token of each of this rank's rows [B]; all ranks ask together.

        Args:
            rows: the rank's rows of one optimiser step, over all accumulation steps.
            token_counts: tokens of each that carry loss.
        """
        weights = [weight_of(row) / self.mean_weight for row in rows]
        counts = [count if weight > 0 else 0 for weight, count in zip(weights, token_counts, strict=True)]
        facts = self.team.gather(list(zip(weights, counts, strict=True)))
        whole = [fact for of_rank in facts for fact in of_rank]
        multipliers = token_weights(
            problem_weights=[weight for weight, _ in whole],
            token_counts=[count for _, count in whole],
            reduction=self.reduction,
            normaliser=self.normaliser,
            num_problems=max(1, len(whole)),
            num_averaged_ranks=self.team.size,
        )
        start = sum(map(len, facts[: self.team.rank]))
        return multipliers[start : start + len(rows)]

    def computed(self, values: Tensor, owners: Tensor, loss: Tensor) -> None:
        """Called with every micro-batch: divergences [N] without weights, whose row each is of [N], and its loss."""

    # What TRL calls ---------------------------------------------------------------------------------------------------

    def _set_signature_columns_if_needed(self) -> None:
        """Columns of a data set that are kept: TRL's and those above."""
        super()._set_signature_columns_if_needed()
        self._signature_columns = list(dict.fromkeys([*(self._signature_columns or ()), *COLUMNS]))

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[Any, Any, dict[str, Any]]:
        """TRL's, and prompts that are token ids already."""
        if isinstance(prompts[0], list | tuple) and prompts[0] and isinstance(prompts[0][0], int):
            return [list(prompt) for prompt in prompts], None, {}
        ids, images, fields = super()._tokenize_prompts(prompts)
        return ids, images, fields

    def _generate_single_turn(self, prompt_ids: Any, *given: Any, **named: Any) -> list[list[int]]:
        """The rows' completions where they have some; otherwise the student's, as TRL samples them."""
        written = [row.get("completion") for row in self._rows]
        if not any(completion is not None for completion in written):
            sampled: list[list[int]] = super()._generate_single_turn(prompt_ids, *given, **named)
            return sampled
        rows = Rows(self._tokenizer)
        ids = [list(rows.completion(completion)) for completion in written]
        if not all(ids):
            raise ValueError("WeightedTRLTrainer: completion must have at least one token, got a row with none.")
        return ids

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's tensors of this rank's rows of a step, with the teacher's prompts and the step's multipliers."""
        self._rows = inputs
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if any(row.get("teacher_prompt") is not None for row in inputs):
            shown = [row["prompt"] if row.get("teacher_prompt") is None else row["teacher_prompt"] for row in inputs]
            batch |= self._teacher_prompts(shown)
        if self.model.training:
            counts = _loss_mask(batch).sum(1).tolist()
            batch["multipliers"] = self.multipliers(inputs, counts).float().to(batch["completion_ids"].device)  # [B]
        return batch

    def _teacher_prompts(self, prompts: list[Any]) -> dict[str, Tensor]:
        ids = [torch.tensor(one) for prompt in prompts for one in self._tokenize_prompts([prompt])[0]]
        masks = [torch.ones_like(one) for one in ids]
        padded = {"teacher_prompt_ids": (ids, self._tokenizer.pad_token_id), "teacher_prompt_mask": (masks, 0)}
        return {
            name: pad(tensors, padding_value=filler, padding_side="left").to(self.accelerator.device)  # [B, P]
            for name, (tensors, filler) in padded.items()
        }

    def _compute_loss(self, unwrapped_student: Any, inputs: dict[str, Any], num_items_in_batch: Any) -> Any:
        """TRL's loss of one micro-batch with each token's multiplier; in evaluation, which has none, TRL's own."""
        if "multipliers" not in inputs:
            self._reading = (unwrapped_student, inputs)
            return super()._compute_loss(unwrapped_student, inputs, num_items_in_batch)
        batch = _of_positive_weight(inputs)
        weights = _loss_mask(batch) * batch["multipliers"].unsqueeze(1)  # [B, C]
        # TRL multiplies the completion's mask by this one; what is 0 carries no loss.
        self._reading = (unwrapped_student, batch | {"tool_mask": weights})
        divergence = _WeightedDivergence(weights, self.known_tokens)
        loss_function = rebound(_chunked_divergence_loss, ChunkedDivergenceFunction=divergence)
        compute_loss = rebound(DistillationTrainer._compute_loss, _chunked_divergence_loss=loss_function)
        loss, entropy_sum, num_valid = compute_loss(self, *self._reading, 1)
        self.computed(divergence.values, weights.nonzero()[:, 0], loss.detach())
        return loss, entropy_sum, num_valid

    def _get_last_hidden_state(
        self, unwrapped_model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, **multimodal: Any
    ) -> Tensor:
        """TRL's states of the completion's tokens [B, C, d]; the teacher reads its own prompt before them."""
        student, batch = self._reading
        if unwrapped_model is not student and "teacher_prompt_ids" in batch:
            input_ids = torch.cat([batch["teacher_prompt_ids"], batch["completion_ids"]], dim=1)  # [B, P + C]
            attention_mask = torch.cat([batch["teacher_prompt_mask"], batch["completion_mask"]], dim=1)  # [B, P + C]
        counted = contextlib.nullcontext() if self._is_vlm else positions_from_mask(trunk_of(unwrapped_model))
        with counted:
            states: Tensor = super()._get_last_hidden_state(
                unwrapped_model, input_ids, attention_mask, logits_to_keep, **multimodal
            )
        return states


class _WeightedDivergence:
    """In the place of ``ChunkedDivergenceFunction``: the same values, each times its token's multiplier."""

    def __init__(self, weights: Tensor, known_tokens: slice | Tensor | None) -> None:
        self.weights, self.known = weights.flatten(), known_tokens  # [B·C]
        self.values = torch.zeros(0)  # [N]
        """Divergences of the tokens that carry loss, without weights."""

    def apply(
        self,
        student_hidden: Tensor,
        student_weight: Tensor,
        student_bias: Tensor | None,
        teacher_hidden: Tensor,
        teacher_weight: Tensor,
        teacher_bias: Tensor | None,
        *settings: Any,
    ) -> tuple[Tensor, Tensor]:
        values, entropies = ChunkedDivergenceFunction.apply(
            student_hidden,
            self._of_known(student_weight),  # [V, d]
            self._of_known(student_bias),
            teacher_hidden,
            self._of_known(teacher_weight),  # [V, d']
            self._of_known(teacher_bias),
            *settings,
        )
        counted = self.weights != 0
        everywhere = len(values) == len(counted)  # without Triton TRL computes padding as well and masks it afterwards
        self.values = (values[counted] if everywhere else values).detach()
        return values * (self.weights if everywhere else self.weights[counted]), entropies

    def _of_known(self, part: Tensor | None) -> Tensor | None:
        return part if part is None or self.known is None else part[self.known]


def rebound(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """The same function with some names of its module bound otherwise; the module itself is not changed.

    Example:
        >>> def area(side):
        ...     return product(side, side)
        >>> rebound(area, product=lambda one, other: one * other)(3)
        9
    """
    copy = types.FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


@contextlib.contextmanager
def positions_from_mask(trunk: nn.Module) -> Iterator[None]:
    """Within it ``trunk`` counts positions from each sequence's first token.

    TRL pads prompts on the left and gives no positions, so that a model counts the padding too: the same up to
    rounding for rotary embeddings, other states for learned positions.
    """
    if "position_ids" not in inspect.signature(trunk.forward).parameters:
        yield
        return

    def count(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        positions = (named["attention_mask"].cumsum(1) - 1).clamp(min=0)  # [B, length]
        return given, named | {"position_ids": positions}

    handle = trunk.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _loss_mask(batch: Mapping[str, Any]) -> Tensor:
    """[B, C]: 1 where a token carries loss; what a tool wrote does not."""
    mask: Tensor = batch["completion_mask"]
    return mask if "tool_mask" not in batch else mask * batch["tool_mask"]


def _of_positive_weight(batch: dict[str, Any]) -> dict[str, Any]:
    """The rows that neither model can leave out; one of them at least, because ranks meet in every forward."""
    if "pixel_values" in batch:  # images are not counted by rows
        return batch
    keep = batch["multipliers"] > 0  # [B]
    if not keep.any():
        keep[0] = True
    return {
        name: value[keep] if isinstance(value, Tensor) and value.ndim and len(value) == len(keep) else value
        for name, value in batch.items()
    }
