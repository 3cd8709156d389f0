"""What every divergence does with logits: the protocol, the guard for −inf, the block form, and reused scratch memory.

A divergence works on a tile of rows that fits the cache. It overwrites the student's logits with the gradient, because
the fused loss (``fused.py``) has no room for a third [N, V] tensor. Everything is computed in the
dtype of the logits it is given: float32, or float64 when the caller works in float64 (:func:`working_dtype`).
Most divergences also have a *block form*: given a few statistics of each row (log-normalisers, means), the gradient of
some vocabulary columns needs the logits of those columns alone. The gradient SNR streams a large vocabulary with it.
Shapes in comments: N rows (token positions), V the vocabulary, B columns of it in a block.
Left out: reductions over tokens (``reductions.py``) and cross-entropy, which is not a divergence.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor

FAR = 1e30
"""Stands for an infinite logit while a tile is computed: exp(-FAR) is 0 and 0·FAR is 0, where 0·inf would be NaN."""


class Divergence(Protocol):
    """A divergence between the next-token distributions of a teacher and a student, per token, in nats."""

    def value_and_grad(self, *, student_logits: Tensor, teacher_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return values [...] and their gradient with respect to the student's logits [..., V]."""
        ...

    def overwrite(
        self, *, student_logits: Tensor, teacher_logits: Tensor, scratch: Scratch, sums: PartSums | None = None
    ) -> Tensor:
        """Return values [N]; ``student_logits`` [N, V] becomes the gradient, ``teacher_logits`` [N, V] are lost."""
        ...


Statistics = Mapping[str, Tensor]
"""Row statistics by name, each [N]: what a block form must know of the columns that it does not see."""


Evaluated = tuple[Tensor, Callable[[], object]]
"""Values [N], and what writes the gradient over the student's logits and adds a mixture's sums."""


class Scratch:
    """Tiles of memory by name, allocated once and handed out again: fresh pages cost more than the arithmetic.

    Example:
        >>> scratch = Scratch()
        >>> a = scratch.like("p", torch.zeros(4, 8))
        >>> scratch.like("p", torch.zeros(3, 8)).data_ptr() == a.data_ptr()
        True
    """

    def __init__(self) -> None:
        self._tiles: dict[str, Tensor] = {}
        self._views: dict[str, Tensor] = {}

    def like(self, name: str, tensor: Tensor) -> Tensor:
        """Return uninitialised memory with the shape, dtype and device of a contiguous tile."""
        return self.tile(name, tensor.shape, tensor.dtype, tensor.device)

    def tile(self, name: str, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return uninitialised contiguous memory of that shape; the next call with this name overwrites it."""
        view = self._views.get(name)
        if view is not None and view.shape == shape and view.dtype == dtype and view.device == device:
            return view  # small problems ask again and again for the same
        size = math.prod(shape)
        tile = self._tiles.get(name)
        if tile is None or tile.numel() < size or tile.dtype != dtype or tile.device != device:
            tile = torch.empty(size, dtype=dtype, device=device)
            self._tiles[name] = tile
        self._views[name] = tile[:size].view(shape)
        return self._views[name]


class PartSums(dict[str, Tensor]):
    """Sums over rows of the parts that a mixed divergence adds up, float64 scalars by name; empty for a plain one.

    Example:
        >>> sums = PartSums()
        >>> sums.add("forward_kl", torch.ones(3))
        >>> sums.add("forward_kl", torch.ones(2))
        >>> sums
        {'forward_kl': tensor(5., dtype=torch.float64)}
    """

    def add(self, name: str, values: Tensor) -> None:
        """Add the values [N] of one part to its sum."""
        total = values.sum(dtype=torch.float64)
        self[name] = self[name] + total if name in self else total


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 when every tensor is float64, else float32: a loss is never computed in half precision."""
    return torch.float64 if all(t.dtype == torch.float64 for t in tensors) else torch.float32


class RowDivergence(ABC):
    """Base of the divergences in this package: the guard for −inf around :meth:`_evaluate`, and the block form."""

    infinite_without_student_support: ClassVar[bool] = False
    """+inf where the student gives probability 0 to a token that the teacher may choose."""
    infinite_without_teacher_support: ClassVar[bool] = False
    """+inf where the teacher gives probability 0 to a token that the student may choose."""
    statistic_names: ClassVar[tuple[str, ...] | None] = None
    """Row statistics that the block form needs; None for a divergence without a block form."""

    @abstractmethod
    def _evaluate(self, student: Tensor, teacher: Tensor, scratch: Scratch, sums: PartSums) -> Evaluated:
        """Return values [N] of logits [N, V], both unchanged as yet, and what writes the gradient over ``student``.

        A row in which an infinite logit matters has a value that is not finite.
        """

    def row_statistics(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """Return the statistics [N] that ``statistic_names`` lists, of finite logits [N, V]; both may be lost."""
        raise NotImplementedError(f"{type(self).__name__} has no block form.")

    def overwrite_block(self, student: Tensor, teacher: Tensor, statistics: Statistics) -> None:
        """Write the gradient's columns over ``student`` [N, B]; ``teacher`` [N, B] is lost."""
        raise NotImplementedError(f"{type(self).__name__} has no block form.")

    def value_and_grad(self, *, student_logits: Tensor, teacher_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return values [...] in nats and the gradient [..., V] with respect to the student's logits.

        Args:
            student_logits: [..., V], any floating dtype; −inf marks a token that cannot be chosen.
            teacher_logits: the same shape.

        Returns:
            float32, or float64 when both are float64.

        Raises:
            ValueError: shapes differ or the vocabulary is empty.
        """
        check_same_shape(type(self).__name__, student_logits, teacher_logits)
        dtype = working_dtype(student_logits, teacher_logits)
        shape = student_logits.shape
        gradient = student_logits.detach().to(dtype, copy=True).reshape(-1, shape[-1])  # [N, V]
        teacher = teacher_logits.detach().to(dtype, copy=True).reshape(-1, shape[-1])  # [N, V]
        values = self.overwrite(student_logits=gradient, teacher_logits=teacher, scratch=Scratch())  # [N]
        return values.view(shape[:-1]), gradient.view(shape)

    def overwrite(
        self, *, student_logits: Tensor, teacher_logits: Tensor, scratch: Scratch, sums: PartSums | None = None
    ) -> Tensor:
        """Return values [N]; ``student_logits`` [N, V] becomes the gradient, ``teacher_logits`` [N, V] are lost.

        Args:
            student_logits: contiguous, in the working dtype.
            teacher_logits: the same.
            scratch: memory to work in.
            sums: receives the sums of a mixture's parts.

        Edges: equal rows give 0 and a zero gradient. A token that neither can choose (both −inf) counts as absent.
        Where the definition is +inf (one side's support is not covered) the value is +inf and, as no derivative
        exists, the row's gradient is 0: the loss of the step is then +inf, at which the loop stops.
        A row with NaN, +inf or without any finite logit gives NaN.
        """
        if student_logits.numel() == 0:
            return student_logits.new_zeros(student_logits.shape[0])
        sums = PartSums() if sums is None else sums
        values, write = self._evaluate(student_logits, teacher_logits, scratch, sums)  # [N]
        # −inf shows in the values, so that logits without one are not read once more to look for it: 2 % of a step
        if math.isfinite(values.sum()):
            write()
            return values
        student_absent = student_logits == -torch.inf  # [N, V]
        teacher_absent = teacher_logits == -torch.inf  # [N, V]
        empty = student_absent.all(-1) | teacher_absent.all(-1)  # [N]
        infinite = torch.zeros_like(empty)  # [N]
        if self.infinite_without_student_support:
            infinite |= (student_absent & ~teacher_absent).any(-1)
        if self.infinite_without_teacher_support:
            infinite |= (teacher_absent & ~student_absent).any(-1)
        student_logits.masked_fill_(student_absent, -FAR)
        teacher_logits.masked_fill_(teacher_absent, -FAR)
        values, write = self._evaluate(student_logits, teacher_logits, scratch, sums)  # [N]
        write()
        student_logits.masked_fill_(infinite.unsqueeze(-1), 0.0).masked_fill_(empty.unsqueeze(-1), torch.nan)
        return values.masked_fill_(infinite, torch.inf).masked_fill_(empty, torch.nan)


def check_same_shape(place: str, student_logits: Tensor, teacher_logits: Tensor) -> None:
    """Refuse logits whose shapes differ, with the cure for padded vocabularies in the message."""
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"{place}: student_logits and teacher_logits must have the same shape, got {tuple(student_logits.shape)} "
            f"and {tuple(teacher_logits.shape)}. For heads padded to different sizes pass vocab_size=, the number of "
            "tokens that the tokenizer has."
        )
    if student_logits.ndim == 0 or student_logits.shape[-1] == 0:
        raise ValueError(f"{place}: logits must have a last axis of at least one token, got {student_logits.shape}.")
