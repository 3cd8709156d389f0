"""Contractions of logit gradients with hidden states: K x K Gram matrices and sums of squares, in float64.

The gradient of rollout k with respect to the head is g_k = Σ_n c_n δ_n h_nᵀ (V x d). Given blocks of columns of δ:

- :class:`GradientContraction` forms K blocks of g_k and adds their inner products;
- :class:`TokenContraction` adds δδᵀ and multiplies by HHᵀ at the end: no V x d array at all;
- :class:`RunningSums` accumulates whole gradients one after the other and keeps only ‖Σg_k‖² and Σ‖g_k‖².

Products run in the type of their operands; long reductions are cut into pieces of 4,096 (inner products of gradients)
or 16,384 elements (squares) that are added in float64. One float32 product over 131,072 elements was off by 4e-5, and
float32 ``norm`` over 19 million elements by 1e-3; the pieces cost no time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SQUARE_PIECE = 16_384
"""Elements of one float32 sum of squares."""
INNER_PIECE = 4_096
"""Elements of one float32 inner product of gradients."""


def square_sum(values: Tensor) -> float:
    """Σ x² of a contiguous tensor of any shape, added in float64 over pieces of at most 16,384 elements."""
    flat = values.reshape(-1)  # [elements]
    parts = [torch.dot(piece, piece) for piece in flat.split(SQUARE_PIECE)]
    return float(torch.stack(parts).double().sum()) if parts else 0.0


def inner_products(rows: Tensor) -> Tensor:
    """rows · rowsᵀ [K, K] of a contiguous [K, n] tensor, added in float64 over pieces of at most 4,096 columns."""
    whole = rows.shape[1] // INNER_PIECE * INNER_PIECE
    rest = rows[:, whole:]  # [K, n − whole]
    total = (rest @ rest.T).double()  # [K, K]
    if whole:
        pieces = rows[:, :whole].unflatten(1, (-1, INNER_PIECE)).transpose(0, 1)  # [pieces, K, INNER_PIECE]
        total += torch.bmm(pieces, pieces.transpose(1, 2)).double().sum(dim=0)
    return total


class GradientContraction:
    """Adds <g_k[B, :], g_l[B, :]> over vocabulary blocks B; scratch K·B·d."""

    def __init__(self, *, offsets: Sequence[int], hidden: Tensor, vocab_block: int) -> None:
        """Args: ``offsets`` [K+1], ``hidden`` [N, d] (times c_n unless δ carries it), ``vocab_block`` B."""
        self._offsets, self._hidden = offsets, hidden
        groups = len(offsets) - 1
        self._scratch = hidden.new_empty(groups * vocab_block * hidden.shape[1])  # [K·B·d]
        self._gram = torch.zeros(groups, groups, dtype=torch.float64, device=hidden.device)  # [K, K]

    def add(self, delta: Tensor) -> None:
        """Add one block of columns, δ [N, b] with b <= B."""
        groups, block, width = len(self._offsets) - 1, delta.shape[1], self._hidden.shape[1]
        gradients = self._scratch[: groups * block * width].view(groups, block, width)  # [K, b, d]
        for group in range(groups):
            rows = slice(self._offsets[group], self._offsets[group + 1])
            torch.mm(delta[rows].T, self._hidden[rows], out=gradients[group])
        self._gram += inner_products(gradients.view(groups, block * width))

    def gram(self) -> Tensor:
        """The K x K matrix, float64."""
        return self._gram


class TokenContraction:
    """Adds δδᵀ over vocabulary blocks; the Gram matrix is the sum of (δδᵀ)∘(HHᵀ) over token pairs; scratch N²."""

    def __init__(self, *, offsets: Sequence[int], hidden: Tensor) -> None:
        """Args: ``offsets`` [K+1], ``hidden`` [N, d] (times c_n unless δ carries it)."""
        self._offsets, self._hidden = offsets, hidden
        self._inner = hidden.new_zeros(len(hidden), len(hidden))  # [N, N]

    def add(self, delta: Tensor) -> None:
        """Add one block of columns, δ [N, b]."""
        self._inner.addmm_(delta, delta.T)

    def gram(self) -> Tensor:
        """The K x K matrix, float64."""
        pairs = self._inner.double()  # [N, N]
        pairs *= (self._hidden @ self._hidden.T).double()
        member = pairs.new_zeros(len(self._offsets) - 1, len(pairs))  # [K, N], 1 for the tokens of a rollout
        for group in range(len(member)):
            member[group, self._offsets[group] : self._offsets[group + 1]] = 1.0
        return member @ pairs @ member.T


class RunningSums:
    """‖Σ_k g_k‖² and Σ_k ‖g_k‖² from gradients accumulated one after the other; scratch 2·V·d."""

    def __init__(self, *, offsets: Sequence[int], hidden: Tensor, vocab_size: int) -> None:
        """Args: ``offsets`` [K+1], ``hidden`` [N, d], ``vocab_size`` V."""
        self._offsets, self._hidden = offsets, hidden
        self._gradient = hidden.new_zeros(vocab_size, hidden.shape[1])  # [V, d] of the current rollout
        self._total = torch.zeros_like(self._gradient)  # [V, d]
        self._group, self._fresh = 0, True
        self.square_sum = 0.0

    def add(self, delta: Tensor, start: int) -> None:
        """Add the rows of δ [C, V] from ``start`` on; rows must come in order."""
        stop = start + len(delta)
        while start < stop:
            while start >= self._offsets[self._group + 1]:
                self._close()
            end = min(stop, self._offsets[self._group + 1])
            piece = delta[: end - start]  # [rows of this rollout, V]
            # β = 0 overwrites the previous rollout's gradient without a pass over V·d zeros.
            self._gradient.addmm_(piece.T, self._hidden[start:end], beta=0.0 if self._fresh else 1.0)
            self._fresh, delta, start = False, delta[end - start :], end

    def _close(self) -> None:
        if not self._fresh:
            self.square_sum += square_sum(self._gradient)
            self._total += self._gradient
        self._group, self._fresh = self._group + 1, True

    def finish(self) -> tuple[float, float]:
        """(‖Σ_k g_k‖², Σ_k ‖g_k‖²)."""
        self._close()
        return square_sum(self._total), self.square_sum
