"""Our noise in an engine that is not ours: what a request must carry, and the token that it then gets.

An engine that can edit logits before it samples leaves one token, the one that ``hf.py`` would have taken, so that its
own sampling at temperature 0 has no choice. Completions then belong to their keys, whoever samples them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paced.rollouts.hf import choose_tokens, known_logits
from paced.run.seeds import uniforms

ARGUMENT = "paced"
"""Name of the extra argument of a request that carries a :class:`Draw`."""


@dataclass(frozen=True)
class Draw:
    """How the tokens of one completion are chosen."""

    key: int
    """Of the sample, from ``seeds.py``, below 2^64."""
    sampling_temperature: float
    """>= 0; 0 takes the most probable token."""
    top_p: float
    """Nucleus mass in (0, 1]."""
    vocab_size: int
    """Of the tokenizer; rows of the head from there on are never chosen."""
    absent_ids: tuple[int, ...] = ()
    """Ids below it that no token has."""

    def as_list(self) -> list[int | float]:
        """As a request carries it.

        Example:
            >>> Draw.parse(Draw(7, 1.0, 0.9, 100, (3,)).as_list())
            Draw(key=7, sampling_temperature=1.0, top_p=0.9, vocab_size=100, absent_ids=(3,))
        """
        return [self.key, self.sampling_temperature, self.top_p, self.vocab_size, *self.absent_ids]

    @classmethod
    def parse(cls, values: Any) -> Draw:
        """Read what a request carries.

        Raises:
            ValueError: it is not a list of a key, a temperature, a nucleus mass, a vocabulary size and absent ids.

        Example:
            >>> Draw.parse([1])
            Traceback (most recent call last):
            ValueError: paced: must be [key, temperature, top_p, vocab_size, absent ids ...], got [1].
        """
        numbers = isinstance(values, list | tuple) and all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in values
        )
        if numbers and len(values) >= 4:
            key, temperature, top_p, *ids = values
            whole = all(isinstance(value, int) or value.is_integer() for value in (key, *ids))
            in_range = whole and 0 <= key < 2**64 and ids[0] >= 1 and all(0 <= one < ids[0] for one in ids[1:])
            if in_range and math.isfinite(temperature) and temperature >= 0 and 0 < top_p <= 1:
                size, *absent = map(int, ids)
                return cls(int(key), float(temperature), float(top_p), size, tuple(absent))
        raise ValueError(
            f"{ARGUMENT}: must be [key, temperature, top_p, vocab_size, absent ids ...], got {str(values)[:200]}."
        )


def leave_chosen(logits: Tensor, rows: Sequence[int], draws: Sequence[Draw], positions: Sequence[int]) -> None:
    """Leave one token in each of these rows, in place: its logit is 0 and all others are -inf.

    Args:
        logits: [num_rows, rows of the head], any float type.
        rows: which rows.
        draws: how each of them chooses.
        positions: index of the token to be chosen in its completion, for each.
    """
    alike: dict[tuple[Any, ...], list[int]] = {}
    for place, draw in enumerate(draws):
        settings = (draw.sampling_temperature, draw.top_p, draw.vocab_size, draw.absent_ids)
        alike.setdefault(settings, []).append(place)
    for (temperature, top_p, size, absent), places in alike.items():
        chosen_rows = torch.tensor([rows[place] for place in places], device=logits.device)  # [n]
        known = known_logits(logits[chosen_rows], vocab_size=size, absent_ids=absent)  # [n, V]
        keys = np.array([draws[place].key for place in places], dtype=np.uint64)  # [n]
        noise = uniforms(keys, np.array([positions[place] for place in places])) if temperature > 0 else None  # [n]
        tokens = choose_tokens(known, noise, sampling_temperature=temperature, top_p=top_p)  # [n]
        logits[chosen_rows] = -torch.inf
        logits[chosen_rows, tokens] = 0.0
