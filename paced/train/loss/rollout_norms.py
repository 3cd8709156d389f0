"""Squared norms of each rollout's head gradient, as a by-product of the loss: what the gradient SNR is made of.

With g_k the gradient that the tokens of rollout k send into the lm_head, S = Σ_k g_k and Q = Σ_k |g_k|²:
SNR² = |S/K|² / (Q/K − |S/K|²), and its unbiased forms, need only |S|², Q and K (Eq. 8). The K gradients are never
stored: one rollout's gradient is finished before the next begins.
Left out: the Gram matrix of the g_k (leave-one-out, bootstrap); ``paced.analysis.snr`` computes it from hidden states.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from paced.train.loss.blocks import BlockSizes
from paced.train.loss.rows import Scratch


class RolloutNorms(NamedTuple):
    """Squared Frobenius norms in float64; the gradients carry the token weights of the loss."""

    sum_square_norm: float
    """|Σ_k g_k|² over the rollouts of this call."""
    square_norms: Tensor
    """|g_k|² of rollout k = 0 … max(rollout_index) [K], float64; 0 for a rollout without tokens of positive weight."""

    @property
    def total(self) -> float:
        """Q = Σ_k |g_k|²."""
        return float(self.square_norms.sum())


def square_norm(matrix: Tensor) -> float:
    """Sum of squares of a [rows, columns] matrix: float32 within a row, float64 across rows.

    A float32 norm over 19 million elements was measured wrong by 9e-4.
    """
    return float(torch.linalg.vecdot(matrix, matrix).sum(dtype=torch.float64))


class _Piece(NamedTuple):
    """The tokens of one rollout inside one chunk."""

    rollout: int
    """k."""
    first: int
    """Its first token, counted from the chunk's."""
    last: int
    """One after its last token."""
    begins: bool
    """Whether the rollout begins with this piece."""
    ends: bool
    """Whether it ends with it."""


class RolloutSquareNorms:
    """Accumulates the norms chunk by chunk; whole rollouts share a chunk, a longer one takes several of its own.

    Shapes: M kept tokens in L of the K rollouts; t tokens of one piece, V vocabulary rows, B in a block, d wide.
    """

    def __init__(self, rollout_index: Tensor, kept: Tensor, shape: torch.Size, vocab: int, dtype: torch.dtype) -> None:
        index = rollout_index[kept]  # [M]
        order = torch.argsort(index, stable=True)  # [M]
        self.kept = kept[order]  # [M]
        rollouts, lengths = torch.unique_consecutive(index[order], return_counts=True)  # [L] both
        self._segments = list(zip(rollouts.tolist(), lengths.tolist(), strict=True))
        count = int(rollout_index.max()) + 1 if rollout_index.numel() else 0
        self._square_norms = torch.zeros(count, dtype=torch.float64)  # [K]
        self._vocab = vocab
        self._dtype = dtype
        self._shape = shape
        self._current: Tensor | None = None
        self._chunks: dict[int, list[_Piece]] = {}
        self._stops: dict[int, int] = {}

    def bounds(self, chunk: int) -> list[int]:
        """Starts of the chunks; a chunk holds whole rollouts, or one piece of a rollout longer than ``chunk``."""
        position = 0
        start = 0
        pieces: list[_Piece] = []
        for rollout, length in self._segments:
            if pieces and position + length - start > chunk:
                self._close(start, position, pieces)
                start, pieces = position, []
            left = length
            while left > chunk:
                pieces = [_Piece(rollout, 0, chunk, begins=left == length, ends=False)]
                self._close(start, start + chunk, pieces)
                start, position, left, pieces = start + chunk, position + chunk, left - chunk, []
            first = position - start
            pieces.append(_Piece(rollout, first, first + left, begins=left == length, ends=True))
            position += left
            if left < length:
                self._close(start, position, pieces)
                start, pieces = position, []
        if pieces:
            self._close(start, position, pieces)
        return list(self._chunks)

    def _close(self, start: int, stop: int, pieces: list[_Piece]) -> None:
        self._chunks[start], self._stops[start] = pieces, stop

    def stop(self, start: int) -> int:
        """End of the chunk that begins at ``start``."""
        return self._stops[start]

    def add(
        self, start: int, delta: Tensor, hidden: Tensor, total: Tensor | None, blocks: BlockSizes, scratch: Scratch
    ) -> None:
        """Add the chunk's gradient to ``total`` [V, d] and what is finished to the norms."""
        assert total is not None
        for rollout, first, last, begins, ends in self._chunks[start]:
            whole = begins and ends
            if not whole and self._current is None:
                # [V, d]
                self._current = torch.zeros(self._vocab, self._shape[1], dtype=self._dtype, device=total.device)
            for low in range(0, self._vocab, blocks.columns):
                rows = slice(low, min(low + blocks.columns, self._vocab))
                left, right = delta[first:last, rows].T, hidden[first:last]  # [B, t], [t, d]
                if whole:
                    size = (rows.stop - rows.start, self._shape[1])
                    part = scratch.tile("rollout", size, self._dtype, total.device)  # [B, d]
                    torch.mm(left, right, out=part)
                else:
                    assert self._current is not None
                    part = self._current[rows]  # [B, d]
                    part.addmm_(left, right, beta=0.0 if begins else 1.0)
                if ends:
                    self._square_norms[rollout] += square_norm(part)
                    total[rows] += part

    def result(self, total: Tensor) -> RolloutNorms:
        """The norms, once every chunk was added."""
        return RolloutNorms(square_norm(total), self._square_norms)
