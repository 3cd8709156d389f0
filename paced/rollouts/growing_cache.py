"""The keys and values of one layer in a buffer with room ahead, so that a step writes one position and copies nothing.

``DynamicLayer`` of transformers makes both tensors anew at every token: a fifth of the sampler's time at d = 256.
Left out: ``StaticLayer``, whose attention reads all of its length at every step; sliding windows, which are short.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Fewest positions that a full buffer grows by; a long one grows by an eighth of its length."""


class GrowingLayer(DynamicLayer):
    """A layer of a cache whose keys and values are views into buffers with room at the end."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        """Begin with these, [num_rows, heads, filled, size]; they are copied at the first new token."""
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._key_buffer, self._value_buffer = keys, values

    def update(self, key_states: Tensor, value_states: Tensor, *arguments: Any, **named: Any) -> tuple[Tensor, Tensor]:
        """Append [num_rows, heads, new, size]; all keys and values, [num_rows, heads, filled + new, size]."""
        filled = self.keys.shape[-2]
        length = filled + key_states.shape[-2]
        moved = (
            self.keys.data_ptr() != self._key_buffer.data_ptr()
        )  # rows were chosen or repeated, in memory of their own
        if moved or length > self._key_buffer.shape[-2]:
            room = length + max(ROOM, filled // 8)
            self._key_buffer = _roomier(self.keys, room)
            self._value_buffer = _roomier(self.values, room)
        self._key_buffer[:, :, filled:length] = key_states
        self._value_buffer[:, :, filled:length] = value_states
        self.keys = self._key_buffer[:, :, :length]
        self.values = self._value_buffer[:, :, :length]
        return self.keys, self.values


def with_room(cache: Any) -> None:
    """Let layers of a filled cache that grow by concatenation grow in place; layers of other kinds are not touched."""
    layers = getattr(cache, "layers", [])
    for place, layer in enumerate(layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            layers[place] = GrowingLayer(layer.keys, layer.values)


def _roomier(states: Tensor, room: int) -> Tensor:
    """A buffer [num_rows, heads, room, size] that begins with ``states``."""
    rows, heads, filled, size = states.shape
    buffer = torch.empty(rows, heads, room, size, dtype=states.dtype, device=states.device)
    buffer[:, :, :filled] = states
    return buffer
