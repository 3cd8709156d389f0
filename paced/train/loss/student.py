"""The student as one module: trunk and fused loss in one forward, so that a sharded head is gathered while it is used.

``fully_shard`` gathers a module's parameters for the time of its forward. The fused loss reads the lm_head's weight,
so it must run inside: shard the trunk's layers one by one and this module last; embedding, final norm and head belong
to it. Gradients leave through autograd as usual and are reduced by FSDP.
What the loss needs beside token ids comes in one :class:`LossTargets`: FSDP casts tensors among a forward's arguments
to the parameters' bfloat16, which would round the token weights; it does not look into a dataclass.
Left out: the teacher's forward. Its final hidden states [N, d'] are an input (computed, or read from the cache).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from paced.train.loss.fused import FusedLoss, fused_divergence
from paced.train.loss.head import HeadSpec, head_of, trunk_of
from paced.train.loss.rows import Divergence, Scratch


@dataclass(frozen=True, kw_only=True)
class LossTargets:
    """What the student is compared with, for the N tokens of one micro-batch that carry loss."""

    positions: Tensor
    """[N] int64: rows of the flattened [sequences · length] hidden states whose logits predict these tokens."""
    teacher_hidden: Tensor
    """[N, d']: the teacher's final hidden states for the same tokens, in the same order."""
    teacher_head: HeadSpec
    """The teacher's head."""
    token_weights: Tensor
    """[N]: multiplier of each token's loss, float32; never cast down."""
    divergence: Divergence
    """From ``make_divergence``."""
    loss_temperature: float = 1.0
    """T > 0."""
    vocab_size: int | None = None
    """One more than the tokenizer's largest id."""
    absent_ids: Tensor | None = None
    """[M] int64: ids below it that no token has; None without such gaps."""
    rollout_index: Tensor | None = None
    """[N]: which rollout a token belongs to, to get the SNR's two numbers."""


class DistillationStudent(nn.Module):
    """A causal language model whose forward returns the weighted distillation loss; ``model`` stays an ordinary one."""

    def __init__(self, model: Any, *, compute_dtype: torch.dtype | None = None) -> None:
        """Wrap a Hugging Face causal language model; parameters are shared, names get the prefix ``model.``.

        Args:
            model: plain or wrapped by PEFT.
            compute_dtype: type of matrix products of weights in another type (autocast); None computes in the weights'.
        """
        super().__init__()
        head_of(model)  # an unreadable head is refused here, not in the first step
        self.model, self.compute_dtype = model, compute_dtype
        self._scratch = Scratch()

    def forward(self, targets: LossTargets, **model_inputs: Any) -> FusedLoss:
        """Return the loss of one micro-batch.

        Args:
            targets: teacher's side, weights and positions.
            model_inputs: ``input_ids`` [sequences, length] and what else the trunk takes (attention_mask,
                position_ids).
        """
        hidden = self.hidden(**model_inputs)  # [sequences, length, d]
        return fused_divergence(
            student_hidden=hidden.flatten(0, 1).index_select(0, targets.positions),  # [N, d]
            teacher_hidden=targets.teacher_hidden,
            student_head=self.head(),
            teacher_head=targets.teacher_head,
            token_weights=targets.token_weights,
            divergence=targets.divergence,
            vocab_size=targets.vocab_size,
            absent_ids=targets.absent_ids,
            loss_temperature=targets.loss_temperature,
            rollout_index=targets.rollout_index,
            scratch=self._scratch,
        )

    def hidden(self, **model_inputs: Any) -> Tensor:
        """Final hidden states [sequences, length, d] in the type that is computed in."""
        trunk = trunk_of(self.model)
        if self.compute_dtype is None:
            states: Tensor = trunk(use_cache=False, **model_inputs).last_hidden_state
            return states
        with torch.autocast(next(trunk.parameters()).device.type, dtype=self.compute_dtype):
            states = trunk(use_cache=False, **model_inputs).last_hidden_state
        return states.to(self.compute_dtype)

    def head(self) -> HeadSpec:
        """The head in the type that is computed in; its gradient reaches the weights in theirs."""
        head = head_of(self.model)
        if self.compute_dtype is None:
            return head
        bias = None if head.bias is None else head.bias.to(self.compute_dtype)
        return replace(head, weight=head.weight.to(self.compute_dtype), bias=bias)
