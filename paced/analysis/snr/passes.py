"""Passes over the logits of both models: rows at a time, or blocks of vocabulary columns at a time.

Rows give δ directly. Columns give it once the row statistics are known; those come from the caller, from a pass of
rows, or, where every statistic is a sum over the vocabulary, from a pass of columns with a running maximum.
Shapes: N tokens, V the vocabulary, C rows of a chunk, B columns of a block, R rows worked on at a time, d wide (d' the
teacher).
Left out: what is done with δ, which is in ``contract.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from paced.analysis.snr.losses import ONLINE_STATISTICS, HeadLoss, Statistics
from paced.analysis.snr.plan import Plan, Shape, slice_rows
from paced.analysis.snr.tokens import RolloutTokens, head_width, logits_block_, softcap_slope
from paced.train.loss.rows import Scratch


class HeadPasses:
    """The tokens in the arithmetic's type, and the passes over them."""

    def __init__(self, tokens: RolloutTokens, loss: HeadLoss) -> None:
        """Args: ``tokens`` and ``loss``; states of another type are widened here, as a whole."""
        if loss.needs_teacher and tokens.teacher_hidden is None:
            raise ValueError(f"head_gram: tokens must have teacher_hidden for {loss}, got none.")
        self.tokens, self.loss, self.dtype = tokens, loss, tokens.dtype
        self.student = tokens.student_hidden.to(self.dtype)  # [N, d]
        self.teacher: Tensor | None = None
        heads = [tokens.student_head]
        if loss.needs_teacher and tokens.teacher_hidden is not None and tokens.teacher_head is not None:
            self.teacher = tokens.teacher_hidden.to(self.dtype)  # [N, d']
            heads.append(tokens.teacher_head)
        self.shape = Shape(
            num_tokens=len(self.student),
            num_groups=len(tokens.offsets) - 1,
            vocab_size=head_width(tokens.student_head),
            hidden_size=self.student.shape[1],
            teacher_hidden_size=0 if self.teacher is None else self.teacher.shape[1],
            element_bytes=self.dtype.itemsize,
            wide_weights=all(head.weight.dtype == self.dtype for head in heads),
            wide_hidden=tokens.student_hidden.dtype == self.dtype,
        )

    @property
    def online(self) -> bool:
        """Whether every row statistic can be accumulated over blocks of columns."""
        names = self.loss.statistic_names
        return names is not None and set(names) <= ONLINE_STATISTICS

    def delta_rows(self, plan: Plan, store: Tensor | None, values: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(first row, δ [C, V]) for each chunk of rows, written into ``store`` [N, V] when given; fills ``values`` [N].

        Without a store the same buffer is used for every chunk.
        """
        scratch = Scratch()
        for start, student, teacher in self._row_logits(plan, store):
            for rows in _slices(len(student), slice_rows(student.shape[1])):
                tokens = slice(start + rows.start, start + rows.stop)
                slope = softcap_slope(self.tokens.student_head, student[rows])  # [R, V]
                values[tokens] = self.loss.rows_(student[rows], teacher[rows], self.tokens.targets[tokens], scratch)
                if slope is not None:
                    student[rows].mul_(slope)
            yield start, student

    def delta_blocks(self, plan: Plan, statistics: Statistics, multipliers: Tensor | None) -> Iterator[Tensor]:
        """δ [N, B], times ``multipliers`` [N], for each block of columns; one buffer, used again."""
        for start, student, teacher in self._column_logits(plan, second=self.loss.block_needs_teacher):
            for rows in _slices(len(student), slice_rows(student.shape[1])):
                slope = softcap_slope(self.tokens.student_head, student[rows])  # [R, B]
                of_rows = {name: values[rows] for name, values in statistics.items()}  # [R] each
                self.loss.block_(student[rows], teacher[rows], of_rows, self.tokens.targets[rows] - start)
                if slope is not None:
                    student[rows].mul_(slope)
                if multipliers is not None:
                    student[rows].mul_(multipliers[rows].unsqueeze(-1))
            yield student

    def statistics(self, plan: Plan) -> dict[str, Tensor]:
        """The row statistics that the loss names, each [N]."""
        names = self.loss.statistic_names
        assert names is not None
        if self.online:
            return self._online_statistics(plan, names)
        statistics = {name: self.student.new_empty(len(self.student)) for name in names}  # [N] each
        scratch = Scratch()
        for start, student, teacher in self._row_logits(plan, None):
            for rows in _slices(len(student), slice_rows(student.shape[1])):
                tokens = slice(start + rows.start, start + rows.stop)
                of_rows = self.loss.statistics(student[rows], teacher[rows], self.tokens.targets[tokens], scratch)
                for name in names:
                    statistics[name][tokens] = of_rows[name]
        return statistics

    def multipliers(self, values: Tensor | None) -> Tensor | None:
        """w_n c_n s [N] of each token: token weight, the loss's coefficient, the head's scale; None when all are 1.

        Raises:
            ValueError: a token's loss is not finite.
        """
        if values is not None and not bool(torch.isfinite(values).all()):
            first = int((~torch.isfinite(values)).nonzero()[0])
            raise ValueError(
                f"head_gram: the loss must be finite, got {values[first].item()} at token {first} of {len(values)}. "
                "Look at the logits of the two models there."
            )
        product = None if values is None else self.loss.coefficients(values, self.tokens.offsets)  # [N]
        if self.tokens.token_weights is not None:
            weights = self.tokens.token_weights.to(self.dtype)  # [N]
            product = weights if product is None else product * weights
        scale = self.tokens.student_head.scale
        if scale != 1.0:
            product = self.student.new_full((len(self.student),), scale) if product is None else product * scale
        return product

    def scaled_hidden(self, values: Tensor | None) -> Tensor:
        """w_n c_n s h_n [N, d]: for a stored δ the multipliers go onto the short side of the product."""
        multipliers = self.multipliers(values)  # [N]
        return self.student if multipliers is None else self.student * multipliers.unsqueeze(-1)

    def _row_logits(self, plan: Plan, store: Tensor | None) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(first row, student logits [C, V], teacher logits [C, V] or [C, 0])."""
        V, tokens = self.shape.vocab_size, self.tokens
        own = self.student.new_empty(0 if store is not None else plan.row_chunk, V)  # [C, V], or [0, V]
        other = self.student.new_empty(plan.row_chunk, 0 if self.teacher is None else V)  # [C, V], or [C, 0]
        for chunk in _slices(len(self.student), plan.row_chunk):
            student = store[chunk] if store is not None else own[: chunk.stop - chunk.start]  # [C, V]
            teacher = other[: chunk.stop - chunk.start]  # [C, V], or [C, 0]
            logits_block_(tokens.student_head, self.student[chunk], 0, V, student)
            if self.teacher is not None and tokens.teacher_head is not None:
                logits_block_(tokens.teacher_head, self.teacher[chunk], 0, V, teacher)
            yield chunk.start, student, teacher

    def _column_logits(self, plan: Plan, *, second: bool) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(first column, student logits [N, B], teacher logits [N, B] or [N, 0])."""
        N, V, tokens = len(self.student), self.shape.vocab_size, self.tokens
        own = self.student.new_empty(N * plan.vocab_block)  # [N·B]
        other = self.student.new_empty(N * plan.vocab_block if second else 0)  # [N·B], or [0]
        for columns in _slices(V, plan.vocab_block):
            width = columns.stop - columns.start
            student = own[: N * width].view(N, width)  # [N, B]
            teacher = other[: N * width].view(N, width) if second else other.view(N, 0)  # [N, B], or [N, 0]
            logits_block_(tokens.student_head, self.student, columns.start, columns.stop, student)
            if second and self.teacher is not None and tokens.teacher_head is not None:
                logits_block_(tokens.teacher_head, self.teacher, columns.start, columns.stop, teacher)
            yield columns.start, student, teacher

    def _online_statistics(self, plan: Plan, names: tuple[str, ...]) -> dict[str, Tensor]:
        """The statistics [N] by name from one pass over blocks of columns, accumulated in float64."""
        wants_gap, wants_ratio = "mean_gap" in names, "log_ratio" in names
        wants_teacher = wants_ratio or "teacher_lse" in names
        student_sum, teacher_sum = _RunningLogSum(self.student), _RunningLogSum(self.student)
        gap_sum = torch.zeros_like(student_sum.total)  # [N]
        ratio = torch.zeros_like(student_sum.total)  # [N]
        for start, student, teacher in self._column_logits(plan, second=wants_gap or wants_teacher):
            for rows in _slices(len(student), slice_rows(student.shape[1])):
                z, other = student[rows], teacher[rows]  # [R, B] both
                if wants_ratio:
                    _add_chosen_(ratio[rows], z, other, self.tokens.targets[rows] - start)
                gap = z - other if wants_gap else None  # [R, B]
                factor = student_sum.add_(rows, z)  # [R]; z is now exp(z − max)
                if gap is not None:
                    gap_sum[rows] = gap_sum[rows] * factor + torch.linalg.vecdot(z, gap).double()
                if wants_teacher:
                    teacher_sum.add_(rows, other)
        statistics = {
            "student_lse": student_sum.result(),
            "teacher_lse": teacher_sum.result(),
            "mean_gap": gap_sum / student_sum.total,
            "log_ratio": ratio - student_sum.result() + teacher_sum.result(),
        }
        return {name: statistics[name].to(self.dtype) for name in names}


class _RunningLogSum:
    """log Σ_v exp(z_v) of each row over blocks of columns: a running maximum, and a float64 sum relative to it."""

    def __init__(self, like: Tensor) -> None:
        self.largest = like.new_full((len(like),), -torch.inf)  # [N]
        self.total = torch.zeros(len(like), dtype=torch.float64, device=like.device)  # [N]

    def add_(self, rows: slice, block: Tensor) -> Tensor:
        """Add a block [R, B], which becomes exp(z − max); return the factor [R] by which older sums shrink."""
        before = self.largest[rows]  # [R]
        largest = torch.maximum(before, block.amax(-1))  # [R]
        factor = (before - largest).double().exp()  # [R]
        block.sub_(largest.unsqueeze(-1)).exp_()
        self.total[rows] = self.total[rows] * factor + block.sum(-1).double()
        self.largest[rows] = largest
        return factor

    def result(self) -> Tensor:
        """[N], float64."""
        return self.largest.double() + self.total.log()


def _add_chosen_(ratio: Tensor, student: Tensor, teacher: Tensor, targets: Tensor) -> None:
    """Add z_student(y) − z_teacher(y) to ``ratio`` [R] in the rows whose target y is among these columns [R, B]."""
    rows = ((targets >= 0) & (targets < student.shape[1])).nonzero().squeeze(-1)  # [rows with their target here]
    columns = targets[rows]
    ratio[rows] += (student[rows, columns] - teacher[rows, columns]).double()


def _slices(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
