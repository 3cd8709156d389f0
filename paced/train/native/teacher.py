"""The native loop's teacher: its trunk sharded over the ranks, its head whole on each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from paced.run.config import RunConfig
from paced.train.layers import layers_of
from paced.train.loss import head_of, trunk_of
from paced.train.native.parallel import shard_module
from paced.train.teacher import Teacher, hidden_of
from paced.train.teacher_cache import TeacherCache
from paced.train.team import Team


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
