"""Bytes that are alive while code runs on tensors without memory: what autograd keeps, and the peaks in between.

On the meta device an operation gives shapes and no numbers, so the forward and backward passes of a model of any size
run in milliseconds and in no memory. Every storage that an operation makes is counted from its birth to its death.
Left out: scratch inside a kernel, which no operation returns; allocators' rounding and fragmentation.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts storages made while the mode is on; those from before it are not counted.

    Example:
        >>> with LiveBytes() as live:
        ...     a = torch.ones(10, device="meta") + 1
        >>> live.now, live.peak
        (40, 80)
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        """Bytes alive."""
        self.peak = 0
        """Most bytes alive at once since :meth:`restart`."""
        self._known: set[int] = set()

    def restart(self) -> int:
        """Forget the peak so far; returns the bytes alive."""
        self.peak = self.now
        return self.now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            return 1  # models ask in Python whether all positions are in order, or whether any is attended: yes
        result = func(*args, **(kwargs or {}))
        given = {
            tensor.untyped_storage()._cdata for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)
        }
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in given:
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
