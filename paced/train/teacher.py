"""The frozen teacher: final hidden states along completions that it did not need to write itself.

Its prompt holds the expert solution, so it has another length than the student's; both are compared at the completion's
tokens. The head is whole on every rank, because the fused loss reads it in every micro-batch;
the trunk may be sharded, or be the student's own with its adapters off, or its states come from the cache
(``teacher_cache.py``).
With a cache the teacher reads one sequence at a time: neighbours in a batch move the last bits, and a state that
depended on them would make a resumed run differ from an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from paced.models.loading import DTYPES
from paced.train.examples import Example
from paced.train.inputs import StageInputs
from paced.train.loss import HeadSpec, trunk_of
from paced.train.micro_batches import pack
from paced.train.teacher_cache import TeacherCache, teacher_revision
from paced.train.team import Team


class Teacher:
    """A teacher that is asked for states."""

    def __init__(
        self, hidden: Callable[..., Tensor], head: HeadSpec, team: Team, *, cache: TeacherCache | None = None
    ) -> None:
        """Ask ``hidden``, most often :func:`hidden_of` a model.

        Args:
            hidden: ``input_ids`` [sequences, length] in, final hidden states [sequences, length, d'] out.
            head: the teacher's own, constant.
            team: the ranks; all of them ask together.
            cache: where states are kept, if anywhere.
        """
        self.hidden, self.head, self.team, self.cache = hidden, head, team, cache

    def states(self, examples: Sequence[Example]) -> Tensor:
        """Final hidden states [N, d'] that predict the N tokens of the completions, example after example.

        Under sequence parallelism each rank of a group gets all of them. All ranks must ask equally often.
        """
        if self.cache is None:
            return self._compute(examples)
        read = [self.cache.read(example) for example in examples]
        states_of = {
            index: states for index, states in enumerate(read) if states is not None
        }  # [tokens of one, d'] each
        absent = [index for index in range(len(examples)) if index not in states_of]
        for turn in range(max(self.team.gather(len(absent)))):  # a sharded teacher runs on all ranks or on none
            index = absent[turn] if turn < len(absent) else None
            states = self._compute([] if index is None else [examples[index]])
            if index is not None:
                states_of[index] = states
                if self.team.part == 0:
                    self.cache.write(examples[index], states)
        none = torch.zeros(0, self.head.weight.shape[1], dtype=self.cache.dtype)  # [0, d']
        ordered = (states_of[index] for index in range(len(examples)))
        return torch.cat([states.to(self.team.device) for states in (none, *ordered)])  # [N, d']

    @torch.no_grad()
    def _compute(self, examples: Sequence[Example]) -> Tensor:
        packed = pack(
            [(example.teacher_prompt_ids, example.completion_ids) for example in examples],
            device=self.team.device,
            part=self.team.part,
            num_parts=self.team.degree,
        )
        hidden = self.hidden(**packed.inputs)  # [sequences, length, d']
        mine = hidden.flatten(0, 1).index_select(0, packed.positions)  # [n, d']
        if packed.tokens is None:
            return mine
        count = sum(len(example.completion_ids) for example in examples)
        every = torch.zeros(count, hidden.shape[-1], dtype=hidden.dtype, device=hidden.device)  # [N, d']
        every[packed.tokens] = mine
        torch.distributed.all_reduce(every, group=self.team.sequence_group)  # one rank's value plus zeros: exact
        return every


def hidden_of(model: Any) -> Callable[..., Tensor]:
    """The final hidden states of a causal language model, as a function of token ids."""
    trunk = trunk_of(model)

    def hidden(**inputs: Tensor) -> Tensor:
        states: Tensor = trunk(use_cache=False, **inputs).last_hidden_state
        return states

    return hidden


def open_cache(inputs: StageInputs, teacher: Any) -> TeacherCache | None:
    """The cache of the teacher's states, which compared methods share; None when the recipe asks for none.

    Its type is the one that the teacher computes in, which the weights of a student's base need not have.
    """
    if not inputs.config.parallel.cache_teacher:
        return None
    revision = teacher_revision(inputs.teacher, teacher)
    return TeacherCache(inputs.run.whole.root / "teacher-cache", revision=revision, dtype=DTYPES[inputs.teacher.dtype])
