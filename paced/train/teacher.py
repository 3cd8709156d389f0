"""The frozen teacher: final hidden states along completions that it did not need to write itself.

Its prompt holds the expert solution, so it has another length than the student's; the states at the completion's tokens
are what both are compared on. The head stays whole on every rank, because the fused loss reads it in every micro-batch;
the trunk is sharded, or its states come from the cache (``teacher_cache.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from paced.config import RunConfig
from paced.train.data.examples import Example
from paced.train.loss import head_of, trunk_of
from paced.train.micro_batches import pack
from paced.train.parallel import Team, layers_of, shard_module
from paced.train.teacher_cache import TeacherCache


class Teacher:
    """A teacher that is asked for states."""

    def __init__(self, model: Any, config: RunConfig, team: Team, cache: TeacherCache | None = None) -> None:
        """Spread ``model``, a frozen causal language model, over the ranks of ``team``, in place."""
        self.team, self.cache = team, cache
        head = head_of(model)
        self.trunk = trunk_of(model.eval().requires_grad_(False))
        self.head = (
            replace(
                head,
                weight=head.weight.detach().clone(),
                bias=None if head.bias is None else head.bias.detach().clone(),
            )
            if team.mesh is not None
            else head
        )
        if team.degree > 1:
            from paced.train.sequence_parallel import share_sequences

            share_sequences(model, team, who="teacher")
        if team.mesh is not None:
            shard_module(self.trunk, layers_of(model), team, compute_dtype=None, offload=config.parallel.offload)

    def states(self, examples: Sequence[Example]) -> Tensor:
        """Final hidden states [tokens, d'] that predict the completions' tokens, example after example.

        Under sequence parallelism each rank of a group gets all of them. Every rank must ask equally often.
        """
        if self.cache is None:
            return self._compute(examples)
        held = [self.cache.read(example) for example in examples]
        found = [states for states in held if states is not None]
        if not self.team.any(len(found) < len(held)):  # a sharded teacher runs on all ranks or on none
            return torch.cat([*found, torch.empty(0, self.head.weight.shape[1], dtype=self.cache.dtype)]).to(
                self.team.device
            )
        computed = self._compute(examples)
        if self.team.part == 0:
            lengths = [len(example.completion_ids) for example in examples]
            for example, states in zip(examples, computed.split(lengths), strict=True):
                self.cache.write(example, states)
        return computed

    @torch.no_grad()
    def _compute(self, examples: Sequence[Example]) -> Tensor:
        packed = pack(
            [(example.teacher_prompt_ids, example.completion_ids) for example in examples],
            device=self.team.device,
            part=self.team.part,
            num_parts=self.team.degree,
        )
        hidden = self.trunk(use_cache=False, **packed.inputs).last_hidden_state
        mine = hidden.flatten(0, 1).index_select(0, packed.positions)
        if packed.tokens is None:
            return mine
        count = sum(len(example.completion_ids) for example in examples)
        every = torch.zeros(count, hidden.shape[-1], dtype=hidden.dtype, device=hidden.device)
        every[packed.tokens] = mine
        torch.distributed.all_reduce(every, group=self.team.sequence_group)  # one rank's value plus zeros: exact
        return every
