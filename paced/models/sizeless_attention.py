"""What a fused attention keeps for its backward pass, as an attention that computes nothing.

On the meta device torch takes apart ``scaled_dot_product_attention`` into products of all scores [tokens, tokens],
which no run on a CPU or GPU would hold. This one keeps what the fused kernels keep: queries, keys, values, the result,
and a float32 number for each token and head. Key-value heads are not repeated.
Left out: the [tokens, tokens] mask that a sliding window or an attention sink makes the kernels take.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NAME = "paced_plan"
"""The attention's name in transformers' interface."""


def register() -> str:
    """Make the attention known to transformers; returns its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attention)
    return NAME


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """[batch, heads, tokens, size] -> [batch, tokens, heads, size], as transformers' attention functions return it."""
    return _Fused.apply(query, key, value), None


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        batch, heads, tokens, _ = query.shape
        mixed = query.new_empty(batch, tokens, heads, value.shape[-1])
        log_sums = query.new_empty(batch, heads, tokens, dtype=torch.float32)
        ctx.save_for_backward(query, key, value, mixed, log_sums)
        return mixed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, _, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
