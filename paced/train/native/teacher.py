"""The native loop's teacher: its trunk sharded over the ranks, its head whole on each; or the student's own base."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from paced.models.in_parts import WeightFiles
from paced.run.config import RunConfig
from paced.train.layers import layers_of
from paced.train.lora import adapters_off
from paced.train.loss import HeadSpec, head_of, trunk_of
from paced.train.loss.head import check_loaded_head
from paced.train.native.learner import Learner
from paced.train.native.parallel import give_memory, read_weights, shard_module
from paced.train.teacher import Teacher, hidden_of
from paced.train.teacher_cache import TeacherCache
from paced.train.team import Team, whole_tensor


def spread_teacher(
    model: Any,
    config: RunConfig,
    team: Team,
    cache: TeacherCache | None = None,
    *,
    files: WeightFiles | None = None,
) -> Teacher:
    """Spread ``model``, a frozen causal language model, over the ranks of ``team``, in place.

    Args:
        model: on a device with its weights, or on the meta device.
        config: the run's.
        team: the ranks.
        cache: where its states are kept, if anywhere.
        files: where the weights of a model on the meta device are.
    """
    head = head_of(model.eval().requires_grad_(False))
    if team.degree > 1:
        from paced.train.native.sequence_parallel import share_sequences

        share_sequences(model, team, who="teacher")
    if files is not None:
        head = _read_in_parts(model, files, config, team)
    elif team.mesh is not None:
        bias = None if head.bias is None else head.bias.clone()
        head = replace(head, weight=head.weight.clone(), bias=bias)  # a tied head is sharded next
        shard_module(trunk_of(model), layers_of(model), team, compute_dtype=None, offload=config.parallel.offload)
    return Teacher(hidden_of(model), head, team, cache=cache)


def _read_in_parts(model: Any, files: WeightFiles, config: RunConfig, team: Team) -> HeadSpec:
    """Spread the trunk, read this rank's part of it, and the head whole: a tied one is read twice, once as its own."""
    layer = model.get_output_embeddings()
    names = {id(one): name for name, one in model.named_parameters()}
    stored = {names[id(one)]: key for key, one in layer.named_parameters(recurse=False)}
    for key in stored.values():
        own = torch.empty_like(getattr(layer, key), device=team.device)
        setattr(layer, key, nn.Parameter(own, requires_grad=False))
    shard_module(trunk_of(model), layers_of(model), team, compute_dtype=None, offload=config.parallel.offload)
    give_memory(trunk_of(model), team, offload=config.parallel.offload)
    read_weights(model, files)
    files.fill({name: getattr(layer, key) for name, key in stored.items()})
    check_loaded_head(model, who="teacher")
    return head_of(model)


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
