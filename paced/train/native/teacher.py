"""The frozen teacher: final hidden states along completions that it did not need to write itself.

Its prompt holds the expert solution, so it has another length than the student's; the states at the completion's tokens
are what both are compared on. The head stays whole on every rank, because the fused loss reads it in every micro-batch;
the trunk is sharded, or its states come from the cache (``teacher_cache.py``).
With a cache the teacher reads one sequence at a time: neighbours in a batch move the last bits, and a state that
depended on them would make a resumed run differ from an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from paced.run.config import RunConfig
from paced.train.examples import Example
from paced.train.loss import head_of, trunk_of
from paced.train.native.micro_batches import pack
from paced.train.native.parallel import Team, layers_of, shard_module
from paced.train.native.teacher_cache import TeacherCache


class Teacher:
    """A teacher that is asked for states."""

    def __init__(self, model: Any, config: RunConfig, team: Team, cache: TeacherCache | None = None) -> None:
        """Spread ``model``, a frozen causal language model, over the ranks of ``team``, in place."""
        self.team, self.cache = team, cache
        self.head = head_of(model.eval().requires_grad_(False))
        self.trunk = trunk_of(model)
        if team.degree > 1:
            from paced.train.native.sequence_parallel import share_sequences

            share_sequences(model, team, who="teacher")
        if team.mesh is not None:
            bias = None if self.head.bias is None else self.head.bias.clone()
            self.head = replace(self.head, weight=self.head.weight.clone(), bias=bias)  # a tied head is sharded next
            shard_module(self.trunk, layers_of(model), team, compute_dtype=None, offload=config.parallel.offload)

    def states(self, examples: Sequence[Example]) -> Tensor:
        """Final hidden states [tokens, d'] that predict the completions' tokens, example after example.

        Under sequence parallelism each rank of a group gets all of them. All ranks must ask equally often.
        """
        if self.cache is None:
            return self._compute(examples)
        read = [self.cache.read(example) for example in examples]
        held = {index: states for index, states in enumerate(read) if states is not None}
        absent = [index for index in range(len(examples)) if index not in held]
        for turn in range(max(self.team.gather(len(absent)))):  # a sharded teacher runs on all ranks or on none
            index = absent[turn] if turn < len(absent) else None
            states = self._compute([] if index is None else [examples[index]])
            if index is not None:
                held[index] = states
                if self.team.part == 0:
                    self.cache.write(examples[index], states)
        none = torch.zeros(0, self.head.weight.shape[1], dtype=self.cache.dtype)
        ordered = (held[index] for index in range(len(examples)))
        return torch.cat([states.to(self.team.device) for states in (none, *ordered)])

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
