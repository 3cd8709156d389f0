"""The K x K Gram matrix of per-rollout head gradients, exactly, without ever holding K gradients.

One function, :func:`head_gram`: it asks ``plan.py`` which algorithm is cheapest within ``max_bytes`` and runs it.
All algorithms compute the same numbers up to rounding: float64 agrees with plain autograd to 1e-10, float32 to 5e-5.
Left out: the gradient with respect to an embedding that shares the head's matrix. With a tied head the measured
gradient is the head's part, that is the derivative through the output product alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paced.analysis.snr.contract import GradientContraction, RunningSums, TokenContraction
from paced.analysis.snr.losses import HeadLoss, Statistics
from paced.analysis.snr.plan import MAX_BYTES, SLICE_ROWS, Contraction, Plan, Shape, Storage, Wanted, choose_plan
from paced.analysis.snr.tokens import RolloutTokens
from paced.train.loss.rows import Scratch


@dataclass(frozen=True, kw_only=True)
class HeadGram:
    """Inner products of K head gradients, float64."""

    gram: NDArray[np.float64] | None
    """<g_i, g_j> [K, K]; None when only the sums were asked for and the running sums were cheaper."""
    sum_square: float
    """S = ‖Σ_k g_k‖²."""
    square_sum: float
    """Q = Σ_k ‖g_k‖²."""
    plan: Plan
    """The algorithm that ran."""


@torch.no_grad()
def head_gram(
    tokens: RolloutTokens,
    loss: HeadLoss,
    *,
    max_bytes: int = MAX_BYTES,
    wanted: Wanted = "gram",
    statistics: Statistics | None = None,
    allow_bf16: bool = False,
    storage: Storage | None = None,
    contraction: Contraction | None = None,
) -> HeadGram:
    """Gram matrix <g_k, g_l> of the rollouts' loss gradients with respect to the student's head.

    ``g_k = Σ_{n in k} w_n c_n δ_n h_nᵀ`` with δ, c from the loss and w the token weights.

    Args:
        tokens: hidden states, heads, offsets.
        loss: from ``make_head_loss``.
        max_bytes: scratch memory allowed beside ``tokens``.
        wanted: ``gram``, or ``sums`` when S and Q are enough.
        statistics: row statistics [N] by name (``loss.statistic_names``) when a loss or scoring pass already has them;
            they save the first of the two logit passes.
        allow_bf16: accept δ kept as bfloat16 (see ``plan.py``).
        storage: force where δ lives.
        contraction: force how it is contracted.

    Raises:
        ValueError: nothing fits into ``max_bytes``, a teacher is missing, or the loss is not finite.

    Edges: no token at all gives zeros.
    """
    if loss.needs_teacher and tokens.teacher_hidden is None:
        raise ValueError(f"head_gram: tokens must have teacher_hidden for {loss}, got none.")
    work = _Work(tokens, loss)
    plan = choose_plan(
        work.shape,
        max_bytes=max_bytes,
        wanted=wanted,
        statistics_given=statistics is not None,
        blockwise=loss.statistic_names is not None,
        allow_bf16=allow_bf16,
        storage=storage,
        contraction=contraction,
    )
    if plan.storage == "running_sums":
        sum_square, square_sum = work.running_sums(plan)
        return HeadGram(gram=None, sum_square=sum_square, square_sum=square_sum, plan=plan)
    matrix = work.streamed(plan, statistics) if plan.storage == "streamed" else work.stored(plan)
    gram = matrix.cpu().numpy()
    gram = (gram + gram.T) / 2
    return HeadGram(gram=gram, sum_square=float(gram.sum()), square_sum=float(np.trace(gram)), plan=plan)


class _Work:
    """The tokens in the arithmetic's type, and the passes over them."""

    def __init__(self, tokens: RolloutTokens, loss: HeadLoss) -> None:
        self.tokens, self.loss, self.dtype = tokens, loss, tokens.dtype
        self.student = tokens.student_hidden.to(self.dtype)
        self.teacher = tokens.teacher_hidden.to(self.dtype) if loss.needs_teacher else None  # type: ignore[union-attr]
        weights = [tokens.student_head.weight] + ([tokens.teacher_head.weight] if loss.needs_teacher else [])  # type: ignore[union-attr]
        self.shape = Shape(
            num_tokens=len(self.student),
            num_groups=len(tokens.offsets) - 1,
            vocab_size=tokens.student_head.width,
            hidden_size=self.student.shape[1],
            teacher_hidden_size=0 if self.teacher is None else self.teacher.shape[1],
            element_bytes=self.dtype.itemsize,
            wide_weights=all(weight.dtype == self.dtype for weight in weights),
            wide_hidden=tokens.student_hidden.dtype == self.dtype,
        )

    # -- passes over full rows of logits ------------------------------------------------------------------------------

    def _row_logits(self, plan: Plan, store: Tensor | None) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(first row, student logits [C, V], teacher logits [C, V]) for each chunk; the buffers are used again."""
        V, head = self.shape.vocab_size, self.tokens.student_head
        own = None if store is not None else self.student.new_empty(plan.row_chunk, V)
        other = self.student.new_empty(plan.row_chunk if self.teacher is not None else 0, V)
        for start in range(0, len(self.student), plan.row_chunk):
            stop = min(start + plan.row_chunk, len(self.student))
            student = store[start:stop] if store is not None else own[: stop - start]  # type: ignore[index]
            head.logits_(self.student[start:stop], 0, V, student)
            teacher = other[: stop - start]
            if self.teacher is not None:
                self.tokens.teacher_head.logits_(self.teacher[start:stop], 0, V, teacher)  # type: ignore[union-attr]
            yield start, student, teacher

    def _delta_rows(self, plan: Plan, store: Tensor | None, values: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(first row, δ [C, V]) for each chunk; fills ``values`` [N]. Done in slices that stay in cache."""
        scratch = Scratch()
        for start, student, teacher in self._row_logits(plan, store):
            for first in range(0, len(student), SLICE_ROWS):
                rows = slice(first, min(first + SLICE_ROWS, len(student)))
                here = slice(start + rows.start, start + rows.stop)
                slope = self.tokens.student_head.slope(student[rows])
                values[here] = self.loss.rows_(student[rows], teacher[rows], self.tokens.targets[here], scratch)
                if slope is not None:
                    student[rows].mul_(slope)
            yield start, student

    def _statistics(self, plan: Plan) -> dict[str, Tensor]:
        names = self.loss.statistic_names
        assert names is not None
        found = {name: self.student.new_empty(len(self.student)) for name in names}
        scratch = Scratch()
        for start, student, teacher in self._row_logits(plan, None):
            for first in range(0, len(student), SLICE_ROWS):
                rows = slice(first, min(first + SLICE_ROWS, len(student)))
                here = slice(start + rows.start, start + rows.stop)
                part = self.loss.statistics(student[rows], teacher[rows], self.tokens.targets[here], scratch)
                for name in names:
                    found[name][here] = part[name]
        return found

    # -- the algorithms -----------------------------------------------------------------------------------------------

    def stored(self, plan: Plan) -> Tensor:
        """δ made once, kept as [N, V], then contracted block by block."""
        N, V = self.shape.num_tokens, self.shape.vocab_size
        rounded = plan.storage == "bf16"
        store = self.student.new_empty(N, V, dtype=torch.bfloat16 if rounded else self.dtype)
        values = self.student.new_zeros(N)
        for start, delta in self._delta_rows(plan, None if rounded else store, values):
            if rounded:
                store[start : start + len(delta)] = delta
        contraction = self._contraction(plan, self._scaled_hidden(values))
        if plan.contraction == "token" and not rounded:
            contraction.add(store)
        else:
            for start in range(0, V, plan.vocab_block):
                contraction.add(store[:, start : start + plan.vocab_block].to(self.dtype))
        return contraction.gram()

    def streamed(self, plan: Plan, given: Statistics | None) -> Tensor:
        """δ made again for each vocabulary block from row statistics; never more than N x B of it."""
        statistics = self._given(given) if given is not None else self._statistics(plan)
        multipliers = self._multipliers(self.loss.values_of(statistics))
        contraction = self._contraction(plan, self.student)
        tokens, V = self.tokens, self.shape.vocab_size
        second = self.loss.block_needs_teacher
        width = min(plan.vocab_block, V)
        student_buffer = self.student.new_empty(len(self.student) * width)
        teacher_buffer = self.student.new_empty(len(self.student) * width if second else 0)
        for start in range(0, V, width):
            stop = min(start + width, V)
            student = student_buffer[: len(self.student) * (stop - start)].view(-1, stop - start)
            teacher = teacher_buffer[: student.numel()].view(-1, stop - start) if second else teacher_buffer
            tokens.student_head.logits_(self.student, start, stop, student)
            if second:
                tokens.teacher_head.logits_(self.teacher, start, stop, teacher)  # type: ignore[union-attr,arg-type]
            self._block_slices(student, teacher, statistics, multipliers, start)
            contraction.add(student)
        return contraction.gram()

    def _block_slices(
        self, student: Tensor, teacher: Tensor, statistics: Statistics, multipliers: Tensor | None, first_column: int
    ) -> None:
        """Turn logits into multiplied δ, in row slices of about 100,000 elements."""
        size = max(SLICE_ROWS, 100_000 // student.shape[1])
        for first in range(0, len(student), size):
            rows = slice(first, first + size)
            slope = self.tokens.student_head.slope(student[rows])
            part = {name: values[rows] for name, values in statistics.items()}
            other = teacher[rows] if teacher.ndim == 2 else teacher
            self.loss.block_(student[rows], other, part, self.tokens.targets[rows] - first_column)
            if slope is not None:
                student[rows].mul_(slope)
            if multipliers is not None:
                student[rows].mul_(multipliers[rows].unsqueeze(-1))

    def running_sums(self, plan: Plan) -> tuple[float, float]:
        """Each rollout's whole gradient accumulated in turn; only S and Q are kept."""
        offsets = self.tokens.offsets
        values = self.student.new_zeros(len(self.student))
        # A coefficient that looks ahead (reward-to-go) is needed before the rows are contracted.
        if self.loss.values_of({name: values for name in self.loss.statistic_names or ()}) is not None:
            values = self.loss.values_of(self._statistics(plan))  # type: ignore[assignment]
        hidden = self._scaled_hidden(values)
        sums = RunningSums(offsets=offsets, hidden=hidden, vocab_size=self.shape.vocab_size)
        for start, delta in self._delta_rows(plan, None, self.student.new_zeros(len(self.student))):
            sums.add(delta, start)
        return sums.finish()

    # -- small parts --------------------------------------------------------------------------------------------------

    def _contraction(self, plan: Plan, hidden: Tensor) -> GradientContraction | TokenContraction:
        if plan.contraction == "token":
            return TokenContraction(offsets=self.tokens.offsets, hidden=hidden)
        block = min(plan.vocab_block, self.shape.vocab_size)
        return GradientContraction(offsets=self.tokens.offsets, hidden=hidden, vocab_block=block)

    def _scaled_hidden(self, values: Tensor | None) -> Tensor:
        """w_n c_n s h_n: for a stored δ the multipliers go onto the short side of the product."""
        multipliers = self._multipliers(values)
        return self.student if multipliers is None else self.student * multipliers.unsqueeze(-1)

    def _multipliers(self, values: Tensor | None) -> Tensor | None:
        """w_n c_n s [N] of each token, or None when all are 1."""
        if values is not None and not bool(torch.isfinite(values).all()):
            first = int((~torch.isfinite(values)).nonzero()[0])
            raise ValueError(
                f"head_gram: the loss must be finite, got {values[first].item()} at token {first} of {len(values)}. "
                "Look at the logits of the two models there."
            )
        multipliers = None if values is None else self.loss.coefficients(values, self.tokens.offsets)
        if self.tokens.token_weights is not None:
            weights = self.tokens.token_weights.to(self.dtype)
            multipliers = weights if multipliers is None else multipliers * weights
        scale = self.tokens.student_head.scale
        if scale != 1.0:
            multipliers = (
                self.student.new_full((len(self.student),), scale) if multipliers is None else multipliers * scale
            )
        return multipliers

    def _given(self, statistics: Statistics) -> dict[str, Tensor]:
        names = self.loss.statistic_names or ()
        missing = [name for name in names if name not in statistics]
        if missing:
            raise ValueError(f"head_gram: statistics must hold {', '.join(names)}, got no {', '.join(missing)}.")
        return {name: statistics[name].to(self.dtype) for name in names}
