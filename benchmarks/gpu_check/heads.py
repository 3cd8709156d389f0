"""Hidden states and heads on a device, and the same numbers in float64: the input of every check of the loss."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from loss_contenders import Problem
from torch import Tensor

SIZES = {"cuda": (4096, 32_768, 1024), "cpu": (192, 1500, 64)}
"""Device -> tokens N, vocabulary V, width d."""
NAMES = ("forward_kl", "reverse_kl", "jsd")


def make_heads(
    device: torch.device, *, dtype: torch.dtype = torch.float32, noise: float = 0.2, ones: bool = False
) -> Problem:
    """A student and a teacher near it at the sizes of the device.

    Args:
        device: where the tensors go.
        dtype: of states and heads.
        noise: distance of the teacher; 0.025 gives a KL near 0.003, 0.4 one near 0.7.
        ones: the weight 1/N for every token; else random weights, a quarter of them 0.
    """
    tokens, vocab, width = SIZES[device.type]
    problem = Problem.make(tokens, vocab, width, noise=noise, dtype=dtype)
    if not ones:
        generator = torch.Generator().manual_seed(1)
        weights = torch.rand(tokens, generator=generator)  # [N]
        weights[::4] = 0.0
        problem = replace(problem, token_weights=weights / weights.sum())
    return _converted(problem, lambda tensor: tensor.to(device))


def in_float64(problem: Problem) -> Problem:
    """The same numbers, in float64."""
    return _converted(problem, lambda tensor: tensor.double())


def leaves(problem: Problem) -> Problem:
    """A copy whose student gets float32 gradients, also for bfloat16 weights, as master weights do."""
    copy = _converted(problem, lambda tensor: tensor)
    if copy.weight.dtype == torch.bfloat16:
        copy.weight.grad_dtype = torch.float32
    return copy


def _converted(problem: Problem, convert: object) -> Problem:
    values = {item.name: getattr(problem, item.name) for item in fields(problem)}
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    moved = {name: convert(tensor.detach()) for name, tensor in tensors.items()}  # type: ignore[operator]
    for name in ("hidden", "weight"):
        moved[name] = moved[name].clone().requires_grad_()
    return replace(problem, **moved)
