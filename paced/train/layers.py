"""The decoder layers of a causal language model, and how they save memory (gradient checkpointing)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from paced.errors import ConfigError
from paced.train.loss import trunk_of


def layers_of(model: Any) -> list[nn.Module]:
    """The decoder layers of a causal language model: the longest list of modules in its trunk."""
    lists = [list(module) for module in trunk_of(model).modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise ConfigError(
            f"parallel: {type(model).__name__} has no list of layers to shard or checkpoint. "
            "Train it in one process without gradient checkpointing."
        )
    return max(lists, key=len)


def recompute_activations(layers: Sequence[nn.Module]) -> None:
    """Let each layer keep its input alone and run again in the backward pass (gradient checkpointing).

    transformers' own switch works in training mode only; a run stays in evaluation mode, where dropout is off.
    """
    for layer in layers:
        layer.forward = _recomputed(layer.forward)


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs, **named)
        return checkpoint(forward, *inputs, use_reentrant=False, **named)

    return run
