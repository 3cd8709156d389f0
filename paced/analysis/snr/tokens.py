"""What the head gradient is made of: final hidden states of two models on the same completion tokens, and two heads.

Logits are always made in the arithmetic's own type: for bfloat16 weights, blocks of the head are widened to float32
before the product (a bfloat16 product widened afterwards put errors of 0.3 into the gradient of a close teacher).
Shapes: N tokens of K rollouts, T tokens of one rollout, V the vocabulary, d wide (d' the teacher).
Left out: how the hidden states come about, which is in ``measure.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from paced.analysis.snr.plan import CAST_COLUMNS
from paced.train.loss.head import HeadSpec


def head_width(head: HeadSpec) -> int:
    """V: tokens that get a probability, padding rows of the weight left out."""
    return head.weight.shape[0] if head.vocab_size is None else head.vocab_size


def logits_block_(head: HeadSpec, hidden: Tensor, start: int, stop: int, out: Tensor) -> None:
    """Write the logits of vocabulary columns ``start:stop`` into ``out`` [N, stop − start], in the type of ``hidden``.

    softcap·tanh(scale·(W h + b)/softcap), or scale·(W h + b) without a softcap.
    """
    for first in range(start, stop, CAST_COLUMNS):
        last = min(first + CAST_COLUMNS, stop)
        block = out[:, first - start : last - start]  # [N, last − first]
        torch.mm(hidden, head.weight[first:last].to(hidden.dtype).T, out=block)
        if head.bias is not None:
            block.add_(head.bias[first:last].to(hidden.dtype))
        if head.scale != 1.0:
            block.mul_(head.scale)
        if head.softcap is not None:
            block.div_(head.softcap).tanh_().mul_(head.softcap)


def softcap_slope(head: HeadSpec, logits: Tensor) -> Tensor | None:
    """1 − (z/softcap)² in the shape of the logits, by which the softcap multiplies δ; None without a softcap."""
    if head.softcap is None:
        return None
    return (logits / head.softcap).square_().neg_().add_(1.0)


@dataclass(frozen=True, kw_only=True)
class RolloutTokens:
    """The completion tokens of K rollouts (or of several problems), laid end to end."""

    student_hidden: Tensor
    """[N, d]: the state from which the student predicts each completion token."""
    targets: Tensor
    """[N] int64: the completion tokens themselves."""
    offsets: tuple[int, ...]
    """[K+1]: rollout k is rows offsets[k] : offsets[k+1]; an empty rollout has a zero gradient."""
    student_head: HeadSpec
    """The head whose gradient is measured."""
    teacher_hidden: Tensor | None = None
    """[N, d'], the teacher's states on the same tokens; None for a loss without a teacher."""
    teacher_head: HeadSpec | None = None
    """The teacher's head over the same vocabulary."""
    token_weights: Tensor | None = None
    """[N]: multiplier of each token's loss, e.g. 1/T of its rollout for a token mean; None for a token sum."""

    def __post_init__(self) -> None:
        count = len(self.student_hidden)
        if self.offsets[0] != 0 or self.offsets[-1] != count or any(b < a for a, b in pairwise(self.offsets)):
            raise ValueError(
                f"RolloutTokens: offsets must rise from 0 to the {count} rows of student_hidden, got {self.offsets}."
            )
        if self.teacher_hidden is not None and (self.teacher_head is None or len(self.teacher_hidden) != count):
            raise ValueError("RolloutTokens: teacher_hidden must have one row per token and come with teacher_head.")
        if self.teacher_head is not None and head_width(self.teacher_head) != head_width(self.student_head):
            raise ValueError(
                f"RolloutTokens: both heads must have the same vocabulary, got {head_width(self.student_head)} and "
                f"{head_width(self.teacher_head)} tokens. "
                "Pass vocab_size=, the number of tokens that the tokenizer has."
            )

    @property
    def dtype(self) -> torch.dtype:
        """The arithmetic's type: float64 when every state and head is float64, else float32."""
        parts = [self.student_hidden, self.student_head.weight]
        if self.teacher_hidden is not None and self.teacher_head is not None:
            parts += [self.teacher_hidden, self.teacher_head.weight]
        return torch.float64 if all(part.dtype == torch.float64 for part in parts) else torch.float32


def mean_weights(offsets: Sequence[int], like: Tensor) -> Tensor:
    """1/T of each token's rollout [N], which turns token sums into token means."""
    weights = torch.empty(offsets[-1], dtype=torch.float64)  # [N]
    for start, stop in pairwise(offsets):
        weights[start:stop] = 1.0 / max(stop - start, 1)
    return weights.to(like.device)
