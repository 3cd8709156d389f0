"""Ulysses sequence parallelism: ranks share one sequence, and exchange tokens for heads around the attention.

Outside the attention every rank holds L/n neighbouring tokens of all heads; inside, all L tokens of 1/n of the heads.
Two all-to-all exchanges a layer each way, whose backward is the reverse exchange (Jacobs et al. 2023). The result is
that of one rank up to the rounding of matrix products over fewer rows.
Fewer key-value heads than ranks: each is repeated until every rank has the one that its query heads read.
Hooked in through transformers' attention interface, so any model that uses the interface takes part.
Left out: sliding windows, attention sinks and soft-capped scores, which are refused; ring attention.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from paced.errors import ConfigError
from paced.train.team import Team

NAME = "paced_ulysses"
"""The attention's name in transformers' interface."""

REFUSED = ("sliding_window", "softcap", "s_aux", "position_bias")
"""Keywords of attention variants that a plain causal attention would compute wrongly."""


def sharing_fault(config: Any, degree: int, *, who: str) -> str:
    """Why ``degree`` ranks cannot share the sequences of a model with this configuration; empty if they can."""
    config = config.get_text_config()
    heads = config.num_attention_heads
    if heads % degree:
        return f"parallel.sequence_parallel must divide the {who}'s {heads} attention heads, got {degree}."
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        return (
            f"parallel.sequence_parallel: the {who} must use full attention in every layer, got "
            f"{', '.join(sorted(kinds))}. Train it with sequence_parallel=1."
        )
    return ""


def share_sequences(model: Any, team: Team, *, who: str) -> None:
    """Make a model attend over sequences that are spread over the ranks of ``team.sequence_group``.

    Raises:
        ConfigError: the degree does not divide the query heads, or the model attends in another way than causally.
    """
    from transformers import AttentionInterface

    fault = sharing_fault(model.config, team.degree, who=who)
    if fault:
        raise ConfigError(fault)
    group = team.sequence_group

    def attention(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
    ) -> tuple[Tensor, None]:
        variants = [name for name in REFUSED if settings.get(name) is not None]
        if variants or attention_mask is not None:
            raise ConfigError(
                f"parallel.sequence_parallel: the {who}'s attention must be plain and causal, got "
                f"{', '.join(variants) or 'a mask'}. Train it with sequence_parallel=1."
            )
        return ulysses_attention(query, key, value, scaling=settings.get("scaling"), group=group), None

    AttentionInterface.register(NAME, attention)
    model.set_attn_implementation(NAME)
    if model.config._attn_implementation != NAME:
        raise ConfigError(
            f"parallel.sequence_parallel: {type(model).__name__} does not use transformers' attention interface. "
            "Train it with sequence_parallel=1."
        )


def ulysses_attention(
    query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None, group: dist.ProcessGroup | None
) -> Tensor:
    """Causal attention over a sequence whose tokens are on the ranks of ``group`` in order.

    Args:
        query: [batch, heads, L/n, head size] of this rank's tokens; n divides heads.
        key: [batch, key-value heads, L/n, head size].
        value: like ``key``.
        scaling: multiplier of the scores; None for 1/sqrt(head size).
        group: the n ranks.

    Returns:
        [batch, L/n, heads, head size] of this rank's tokens, as transformers' attention functions return it.
    """
    degree = dist.get_world_size(group)
    repeats = degree // math.gcd(key.shape[1], degree)
    key, value = (_heads_for_tokens(x.repeat_interleave(repeats, dim=1), group) for x in (key, value))
    query = _heads_for_tokens(query, group)
    grouped = query.shape[1] != key.shape[1]
    mixed = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped)
    return _tokens_for_heads(mixed, group).transpose(1, 2).contiguous()


def _heads_for_tokens(states: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    """[batch, heads, L/n, size] -> [batch, heads/n, L, size]: give heads away, take tokens."""
    batch, heads, tokens, size = states.shape
    degree = dist.get_world_size(group)
    outgoing = states.view(batch, degree, heads // degree, tokens, size).transpose(0, 1).contiguous()
    incoming = _Exchange.apply(outgoing, group)  # [from which tokens, batch, heads/n, L/n, size]
    return incoming.permute(1, 2, 0, 3, 4).reshape(batch, heads // degree, degree * tokens, size)


def _tokens_for_heads(states: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    """[batch, heads/n, L, size] -> [batch, heads, L/n, size]: the way back."""
    batch, heads, tokens, size = states.shape
    degree = dist.get_world_size(group)
    outgoing = states.reshape(batch, heads, degree, tokens // degree, size).permute(2, 0, 1, 3, 4).contiguous()
    incoming = _Exchange.apply(outgoing, group)  # [from which heads, batch, heads/n, L/n, size]
    return incoming.transpose(0, 1).reshape(batch, degree * heads, tokens // degree, size)


class _Exchange(torch.autograd.Function):
    """The i-th slice of every rank goes to rank i; the exchange is its own transpose, so backward is the same."""

    @staticmethod
    def forward(ctx: Any, outgoing: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        ctx.group = group
        return _exchange(outgoing, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _exchange(gradient.contiguous(), ctx.group), None


def _exchange(outgoing: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    incoming = torch.empty_like(outgoing)
    dist.all_to_all_single(incoming, outgoing, group=group)
    return incoming
