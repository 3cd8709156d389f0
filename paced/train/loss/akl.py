"""Adaptive KL (Wu et al. 2024): forward KL where the head of the teacher is off, reverse KL where the tail is.

Two incompatible rules for the head are in circulation; both are here under their own names. The published snippet
divides 0 by 0 when the two models agree; here the value is 0 and the gradient too.
The head is found by top-k, doubling k fourfold until the mass is covered: a full sort costs thirty times a softmax.
Left out: a gradient through the ratio. Both published codes detach it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from paced.errors import check_number
from paced.train.loss.kl import mean_difference, mix_kls, mix_kls_block, softmax_pair
from paced.train.loss.rows import Evaluated, PartSums, RowDivergence, Scratch, Statistics

_FIRST_K = 64


class _AdaptiveKL(RowDivergence):
    """α·KL(q‖p) + (1−α)·KL(p‖q), α = g_head/(g_head + g_tail) of each token, detached; g = Σ|q_v − p_v|.

    Shapes: N rows (token positions), V the vocabulary; R rows whose head is still open, k teacher tokens of each.
    """

    infinite_without_student_support: ClassVar[bool] = True
    infinite_without_teacher_support: ClassVar[bool] = True
    statistic_names: ClassVar[tuple[str, ...]] = (
        "student_lse",
        "teacher_lse",
        "mean_gap",
        "forward_share",
    )

    @abstractmethod
    def _covers(self) -> float:
        """Cumulative teacher mass after which every further token is tail."""

    @abstractmethod
    def _head(self, through: Tensor, mass: Tensor) -> Tensor:
        """Mask of the head among tokens by falling teacher probability; ``through`` is the mass up to and with each."""

    def _evaluate(self, student: Tensor, teacher: Tensor, scratch: Scratch, sums: PartSums) -> Evaluated:
        pair = softmax_pair(student, teacher, scratch)
        gaps = torch.sub(pair.p, pair.q, out=scratch.like("gaps", student)).abs_()  # [N, V]
        return mix_kls(student, pair, self._forward_share(pair.q, gaps), sums)

    def row_statistics(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """Both log-normalisers, the mean of the logits' difference under p, and α.

        The gradient is linear in α, α·forward + (1−α)·reverse, so α is solved for from the gradient of the full rows.
        """
        student_lse, mean_gap = mean_difference(student, teacher)  # [N] both
        teacher_lse = torch.logsumexp(teacher, -1)  # [N]
        p = (student - student_lse.unsqueeze(-1)).exp_()  # [N, V]
        reverse = (student - teacher).sub_(mean_gap.unsqueeze(-1)).mul_(p)  # [N, V]
        forward = p.sub_((teacher - teacher_lse.unsqueeze(-1)).exp_())  # [N, V]
        direction = forward.sub_(reverse)  # [N, V]
        self.overwrite(student_logits=student, teacher_logits=teacher, scratch=scratch)  # student: the gradient
        share = torch.linalg.vecdot(student.sub_(reverse), direction) / torch.linalg.vecdot(direction, direction)  # [N]
        return {
            "student_lse": student_lse,
            "teacher_lse": teacher_lse,
            "mean_gap": mean_gap,
            "forward_share": share.nan_to_num_(0.0).clamp_(0.0, 1.0),
        }

    def overwrite_block(self, student: Tensor, teacher: Tensor, statistics: Statistics) -> None:
        """α(p − q) + (1−α) p ∘ (d − Σ_u p_u d_u)."""
        mix_kls_block(student, teacher, statistics, statistics["forward_share"].unsqueeze(-1))

    def _forward_share(self, q: Tensor, gaps: Tensor) -> Tensor:
        """α of each row; 0 where no gap is left (both KLs are 0 there)."""
        total = gaps.sum(-1)  # [N]
        head = torch.empty_like(total)  # [N]
        open_rows = torch.arange(q.shape[0], device=q.device)  # [R]
        k = min(_FIRST_K, q.shape[1])
        while open_rows.numel():
            teacher = q if open_rows.numel() == q.shape[0] else q[open_rows]  # [R, V]
            mass, index = teacher.topk(k, dim=-1)  # [R, k] both
            through = mass.cumsum(-1, dtype=torch.float64)  # [R, k]
            gap = gaps[open_rows.unsqueeze(-1), index]  # [R, k]
            head[open_rows] = (gap * self._head(through, mass)).sum(-1)  # [R]
            if k == q.shape[1]:
                break
            open_rows = open_rows[through[:, -1] <= self._covers()]  # [R], fewer than before
            k = min(4 * k, q.shape[1])
        return torch.where(total > 0, head / total, 0.0).clamp_(0, 1)


@dataclass(frozen=True, slots=True)
class AKL(_AdaptiveKL):
    """Adaptive KL with the head rule of the official code: most probable teacher tokens while their mass is <= μ.

    Tokens sorted by falling q; C_k mass of the first k. Head = {rank 1} ∪ {rank k: C_k <= μ}: the token that crosses μ
    belongs to the tail. Value α·KL(q‖p) + (1−α)·KL(p‖q) in nats, α = Σ_head|q−p| / Σ_all|q−p|, no gradient through α.
    """

    head_mass: float = 0.5
    """μ in (0, 1)."""

    def __post_init__(self) -> None:
        check_number("akl", "head_mass", self.head_mass, low=0, high=1, low_open=True, high_open=True)

    def _covers(self) -> float:
        return self.head_mass

    def _head(self, through: Tensor, mass: Tensor) -> Tensor:
        head = through <= self.head_mass  # [R, k]
        head[:, 0] = True
        return head


@dataclass(frozen=True, slots=True)
class AscendingAKL(_AdaptiveKL):
    """Adaptive KL with the head rule of DSKD and KDFlow: the tail is the least probable teacher tokens of mass <= a.

    Tail = {rank k: 1 − C_{k−1} <= a}, with C as in :class:`AKL`: the token that crosses belongs to the head, and ``a``
    is the mass of the tail.
    """

    tail_mass: float = 0.5
    """a in (0, 1)."""

    def __post_init__(self) -> None:
        check_number("akl_ascending", "tail_mass", self.tail_mass, low=0, high=1, low_open=True, high_open=True)

    def _covers(self) -> float:
        return 1 - self.tail_mass

    def _head(self, through: Tensor, mass: Tensor) -> Tensor:
        return through - mass < 1 - self.tail_mass
