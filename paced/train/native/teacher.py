"""The native loop's teacher: its trunk sharded over the ranks, its head whole on each; or the student's own base."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from paced.run.config import RunConfig
from paced.train.layers import layers_of
from paced.train.lora import adapters_off
from paced.train.loss import head_of, trunk_of
from paced.train.native.learner import Learner
from paced.train.native.parallel import shard_module
from paced.train.teacher import Teacher, hidden_of
from paced.train.teacher_cache import TeacherCache
from paced.train.team import Team, whole_tensor


def spread_teacher(model: Any, config: RunConfig, team: Team, cache: TeacherCache | None = None) -> Teacher:
    """Spread ``model``, a frozen causal language model, over the ranks of ``team``, in place."""
    head = head_of(model.eval().requires_grad_(False))
    if team.degree > 1:
        from paced.train.native.sequence_parallel import share_sequences

        share_sequences(model, team, who="teacher")
    if team.mesh is not None:
        bias = None if head.bias is None else head.bias.clone()
        head = replace(head, weight=head.weight.clone(), bias=bias)  # a tied head is sharded next
        shard_module(trunk_of(model), layers_of(model), team, compute_dtype=None, offload=config.parallel.offload)
    return Teacher(hidden_of(model), head, team, cache=cache)


def base_as_teacher(learner: Learner, cache: TeacherCache | None = None) -> Teacher:
    """The base of a student with adapters, read with the adapters off: one copy of the weights serves both models.

    Only the head has a copy of its own, on ranks that share the student, because the loss reads it in every
    micro-batch.
    """
    model = learner.model
    trunk = hidden_of(model)

    def hidden(**inputs: Tensor) -> Tensor:
        with adapters_off(model):
            states: Tensor = learner.inside(trunk, **inputs)  # [sequences, length, d]
        return states

    with adapters_off(model):
        head = head_of(model)
    if learner.team.mesh is not None:
        weight, bias = (None if one is None else _whole(one, learner.dtype) for one in (head.weight, head.bias))
        assert weight is not None
        head = replace(head, weight=weight, bias=bias)
    return Teacher(hidden, head, learner.team, cache=cache)


@torch.no_grad()
def _whole(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A sharded tensor in full, in memory of its own."""
    return whole_tensor(tensor).to(dtype, copy=True)
