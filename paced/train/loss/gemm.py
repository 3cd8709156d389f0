"""Products with an lm_head in blocks of its rows: float32 logits from any weight dtype, and the two gradients.

On the CPU low-precision blocks are widened one at a time into one reused block: a full float32 copy of the head never
exists. On CUDA bfloat16 operands go to the tensor cores with float32 results (``out_dtype``); the gradient's float32
factor is split into two bfloat16 terms, so that its rounding is of second order. The CUDA branch has not been run.
Left out: float16 on CUDA, whose range the split would leave; it takes the widening path.
"""

from __future__ import annotations

import torch
from torch import Tensor

from paced.train.loss.blocks import BlockSizes
from paced.train.loss.head import HeadSpec
from paced.train.loss.rows import Scratch

_ALL = slice(None)
"""The only block of a small vocabulary: nothing is cut then, because a view costs as much as its arithmetic there."""


class Product:
    """One head, cut to the tokenizer's rows, at one loss temperature.

    The scale and the temperature are multiplied into the small hidden states, not into the large logits:
    without a softcap z/T = W·(h·scale/T); with one, z/T = (softcap/T)·tanh(W·(h·scale/softcap)).
    Shapes: N tokens, V vocabulary rows, B of them in a block, d wide.
    """

    def __init__(
        self, spec: HeadSpec, weight: Tensor, bias: Tensor | None, *, vocab: int, temperature: float, dtype: torch.dtype
    ) -> None:
        self.weight = first_rows(weight.detach(), vocab)  # [V, d]
        self.softcap = spec.softcap
        self.temperature = temperature
        self.factor = spec.scale / (temperature if spec.softcap is None else spec.softcap)
        """What the hidden states and the bias are multiplied by."""
        self.slope = 1.0 if spec.softcap is None else spec.softcap / temperature
        """d(z/T) / d(tanh): the constant part of the softcap's derivative."""
        self.dtype = dtype
        self.bias = None if bias is None else first_rows(bias.detach(), vocab).to(dtype) * self.factor  # [V]
        self.tensor_cores = weight.is_cuda and weight.dtype == torch.bfloat16 and dtype == torch.float32

    def scaled(self, hidden: Tensor) -> Tensor:
        """h·factor [N, d] in the working dtype."""
        hidden = hidden.detach().to(self.dtype)  # [N, d]
        return hidden if self.factor == 1 else hidden * self.factor

    def block(self, rows: slice, scratch: Scratch) -> Tensor:
        """Rows of the weight [B, d] in the working dtype; a view when they already are."""
        weight = self.weight if rows == _ALL else self.weight[rows]  # [B, d]
        if weight.dtype == self.dtype:
            return weight
        wide = scratch.tile("weight", weight.shape, self.dtype, weight.device)  # [B, d]
        return wide.copy_(weight)

    def logits(self, hidden: Tensor, out: Tensor, blocks: BlockSizes, scratch: Scratch) -> None:
        """Write hidden·Wᵀ [N, V] into ``out``, in the working dtype."""
        for rows in _blocks(self.weight.shape[0], blocks.columns):
            if self.tensor_cores:
                # a bfloat16 hidden state times a power of two is exact; other factors are applied to the result
                torch.mm(
                    (hidden / self.factor).bfloat16(), self.weight[rows].T, out_dtype=torch.float32, out=out[:, rows]
                )
                out[:, rows].mul_(self.factor)
            else:
                torch.mm(hidden, self.block(rows, scratch).T, out=_columns(out, rows))

    def finish(self, logits: Tensor, scratch: Scratch | None = None) -> Tensor | None:
        """Add the bias and bend by the softcap, in place.

        Returns: the softcap's slope 1 − tanh², in memory of ``scratch``; None without a softcap, or without ``scratch``
            (the teacher's side needs no slope, and must not write over the student's).
        """
        if self.bias is not None:
            logits.add_(self.bias)
        if self.softcap is None:
            return None
        logits.tanh_()
        bend = None
        if scratch is not None:
            bend = torch.mul(logits, logits, out=scratch.like("bend", logits)).neg_().add_(1)  # [N, V]
        logits.mul_(self.slope)
        return bend

    def hidden_grad(self, delta: Tensor, blocks: BlockSizes, scratch: Scratch) -> Tensor:
        """Return factor·delta·W [N, d]; ``delta`` [N, V]."""
        if self.weight.shape[0] <= blocks.columns and not self.tensor_cores:
            out = torch.mm(delta, self.block(_ALL, scratch))  # [N, d]
            return out if self.factor == 1 else out.mul_(self.factor)
        out = torch.zeros(delta.shape[0], self.weight.shape[1], dtype=self.dtype, device=delta.device)  # [N, d]
        for rows in _blocks(self.weight.shape[0], blocks.columns):
            if self.tensor_cores:
                for part in _split(delta[:, rows]):
                    out += torch.mm(part, self.weight[rows], out_dtype=torch.float32)  # [N, d]
            else:
                out.addmm_(delta[:, rows], self.block(rows, scratch))
        return out if self.factor == 1 else out.mul_(self.factor)

    def add_weight_grad(self, delta: Tensor, hidden: Tensor, out: Tensor, blocks: BlockSizes, *, first: bool) -> None:
        """Add deltaᵀ·hidden to ``out`` [V, d], or write it when ``first``; ``hidden`` is already scaled."""
        own = first_rows(out, self.weight.shape[0])  # [V, d]
        for rows in _blocks(self.weight.shape[0], blocks.columns):
            if self.tensor_cores:
                if first:
                    own[rows].zero_()
                small = hidden.bfloat16()  # [N, d]
                rest = (hidden - small).bfloat16()  # [N, d]
                for part in _split(delta[:, rows]):
                    own[rows] += torch.mm(part.T, small, out_dtype=torch.float32)  # [B, d]
                    own[rows] += torch.mm(part.T, rest, out_dtype=torch.float32)  # [B, d]
            else:
                block = own if rows == _ALL else own[rows]  # [B, d]
                block.addmm_(_columns(delta, rows).T, hidden, beta=0.0 if first else 1.0)


def first_rows(values: Tensor, count: int) -> Tensor:
    """The first rows; the tensor itself where that is all of it, because a view costs a small problem microseconds."""
    return values if values.shape[0] == count else values[:count]


def _columns(values: Tensor, columns: slice) -> Tensor:
    return values if columns == _ALL else values[:, columns]


def _blocks(total: int, size: int) -> list[slice]:
    if total <= size:
        return [_ALL]
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def _split(values: Tensor) -> tuple[Tensor, Tensor]:
    """Two bfloat16 terms whose sum is the float32 value to 16 bits, both of its shape [N, B]."""
    high = values.bfloat16()  # [N, B]
    return high, (values - high).bfloat16()
