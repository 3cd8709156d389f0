"""Cut one optimiser step into micro-batches by token count, deal them out to ranks, and pack each into tensors.

The cut decides memory and speed only. Every weight and denominator is fixed before it (``batches.py``,
``loss/reductions.py``), so a step is the same for any cut; ranks run equally many rounds, because a sharded model
gathers its weights in every forward, and a rank without a part runs a single token of weight 0.
Left out: several sequences in one row. Padding is masked by causality and never reaches a loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from paced.train.examples import Example
from paced.train.team import Team

Sequences = Sequence[tuple[Sequence[int], Sequence[int]]]
"""(prompt, completion) of each sequence, in token ids."""


def split_batch(lengths: Sequence[int], *, max_tokens: int, num_shares: int = 1) -> list[list[list[int]]]:
    """Rounds of micro-batches: ``result[round][share]`` holds indices of sequences, longest first.

    Args:
        lengths: tokens of each sequence, >= 1.
        max_tokens: largest number of padded tokens of a micro-batch; a longer sequence has one of its own.
        num_shares: ranks that take one micro-batch each in a round.

    Edges: in the last round some shares may be empty. Neighbours in length meet in one round, so ranks wait little.

    Example:
        >>> split_batch([3, 9, 4, 8], max_tokens=18)
        [[[1, 3]], [[2, 0]]]
        >>> split_batch([3, 9, 4], max_tokens=18, num_shares=2)
        [[[1, 2], [0]]]
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    most = math.ceil(len(lengths) / num_shares)
    groups: list[list[int]] = []
    for index in order:
        full = not groups or len(groups[-1]) == most
        if full or (len(groups[-1]) + 1) * lengths[groups[-1][0]] > max_tokens:
            groups.append([])
        groups[-1].append(index)
    rounds = [groups[start : start + num_shares] for start in range(0, len(groups), num_shares)]
    return [shares + [[] for _ in range(num_shares - len(shares))] for shares in rounds]


def length_of(example: Example) -> int:
    """Tokens of the longer of an example's two sequences."""
    return max(len(example.student_prompt_ids), len(example.teacher_prompt_ids)) + len(example.completion_ids)


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One micro-batch of sequences for one model, or one rank's part of it under sequence parallelism."""

    inputs: dict[str, Tensor]
    """``input_ids`` [sequences, length], padded on the right; ``position_ids`` as well for a part."""
    positions: Tensor
    """[n]: rows of the flattened hidden states whose logits predict completion tokens."""
    tokens: Tensor | None
    """[n]: which of the micro-batch's completion tokens these are; None when they are all of them, in order."""
    owners: Tensor
    """[n]: which of the micro-batch's sequences each of these tokens belongs to."""
    token_weights: Tensor
    """[n] float32: multiplier of each of these tokens' loss; empty when not asked for."""

    def select(self, every: Tensor) -> Tensor:
        """The rows [n, ...] of these tokens from the rows [N, ...] of all the micro-batch's completion tokens."""
        return every if self.tokens is None else every[self.tokens]


def pack_for_student(examples: Sequence[Example], multipliers: Tensor, team: Team) -> Packed:
    """Student sequences with the multiplier of each completion's tokens, for this rank of ``team``.

    Args:
        examples: S of them, possibly none.
        multipliers: [S] float64, of every token of an example.
        team: the ranks.
    """
    packed = pack(
        [(example.student_prompt_ids, example.completion_ids) for example in examples],
        device=team.device,
        part=team.part,
        num_parts=team.degree,
    )
    counts = torch.tensor([len(example.completion_ids) for example in examples], dtype=torch.long)  # [S]
    every = torch.repeat_interleave(multipliers, counts).float().to(team.device)  # [N]
    return replace(packed, token_weights=packed.select(every))


def pack(sequences: Sequences, *, device: torch.device | str, part: int = 0, num_parts: int = 1) -> Packed:
    """Pad sequences to one length and mark where completions are predicted; keep the columns of ``part`` alone.

    Shapes: S sequences of L tokens, padding included, of which a part has W = L / ``num_parts``; N completion tokens of
        all sequences, n of them in this part.

    Args:
        sequences: (prompt, completion) pairs; prompts have at least one token.
        device: where the tensors go.
        part: which of ``num_parts`` equal pieces of every sequence this rank computes.
        num_parts: degree of sequence parallelism; the length is padded to a multiple of it.

    Edges: no sequences give one token of padding a part and no positions, so that the rank takes part in collectives.
    """
    longest = max((len(prompt) + len(completion) for prompt, completion in sequences), default=1)
    length = math.ceil(longest / num_parts) * num_parts
    width = length // num_parts
    start = part * width
    ids = torch.zeros(max(1, len(sequences)), length, dtype=torch.long)  # [S, L]
    # a tensor [its completion's tokens] for each sequence
    rows = [torch.zeros(0, dtype=torch.long)]
    columns = [torch.zeros(0, dtype=torch.long)]
    for row, (prompt, completion) in enumerate(sequences):
        ids[row, : len(prompt) + len(completion)] = torch.tensor([*prompt, *completion])
        columns.append(torch.arange(len(prompt) - 1, len(prompt) - 1 + len(completion)))
        rows.append(torch.full((len(completion),), row))
    owner = torch.cat(rows)  # [N]
    column = torch.cat(columns) - start  # [N], within the part from 0 to W - 1
    inputs = {"input_ids": ids[:, start : start + width].contiguous().to(device)}  # [S, W]
    mine = None
    if num_parts > 1:
        mine = ((column >= 0) & (column < width)).nonzero().squeeze(-1)  # [n]
        owner = owner[mine]  # [n]
        column = column[mine]  # [n]
        mine = mine.to(device)
        inputs["position_ids"] = torch.arange(start, start + width, device=device).expand(ids.shape[0], -1)  # [S, W]
    positions = (owner * width + column).to(device)  # [n]
    return Packed(
        inputs=inputs, positions=positions, tokens=mine, owners=owner.to(device), token_weights=torch.zeros(0)
    )
