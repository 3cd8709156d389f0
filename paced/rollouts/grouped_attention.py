"""Attention of one new token on a CPU, over key-value heads that several query heads share, without repeating them.

transformers repeats keys and values for all query heads at every step where there is a padding mask: a third of the
sampler's time at d = 256. The kernel of torch takes shared heads itself and gives the same numbers.
torch also turns a boolean mask into numbers, in every layer; here that is done once a step.
Left out: GPUs, where a mask and shared heads together would leave the fused kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

NAME = "paced_grouped"
"""The attention's name in transformers' interface."""


@contextmanager
def grouped_attention(model: Any) -> Iterator[None]:
    """Let ``model`` use this attention inside the block, where it computes on a CPU with ``sdpa``.

    Parts of a composite model with a configuration and an attention of their own leave all of it as it is.
    """
    config: Any = getattr(model, "config", None)
    parts = [getattr(config, name, None) for name in getattr(config, "sub_configs", ())]
    chosen = {getattr(part, "_attn_implementation", None) for part in (config, *parts) if part is not None}
    takes_any = getattr(model, "_supports_attention_backend", False)  # other models ask for the name "sdpa" themselves
    if not takes_any or chosen != {"sdpa"} or model.device.type != "cpu":
        yield
        return
    _register()
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, _mask)


def _mask(**settings: Any) -> Tensor | None:
    """What ``sdpa`` would get, for a single token as numbers to be added: 0 where it may look, -inf elsewhere."""
    from transformers.masking_utils import sdpa_mask

    mask: Tensor | None = sdpa_mask(**settings)
    if mask is None or mask.dtype != torch.bool or settings["q_length"] != 1:
        return mask
    allowed = torch.zeros(mask.shape, dtype=settings["dtype"], device=mask.device)  # [num_rows, 1, 1, filled]
    return allowed.masked_fill_(~mask, -torch.inf)


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    position_bias: Tensor | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """[num_rows, heads, tokens, size] -> [num_rows, tokens, heads, size], as transformers' attention functions do."""
    if query.shape[2] > 1 or position_bias is not None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, position_bias=position_bias, **settings
        )
    mask = attention_mask  # [num_rows, 1, 1, filled]
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
    mixed = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )  # [num_rows, heads, 1, size]
    return mixed.transpose(1, 2).contiguous(), None
