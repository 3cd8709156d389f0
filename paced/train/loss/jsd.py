"""Generalised Jensen-Shannon divergence in the convention of GKD (Agarwal et al. 2023, Eq. 1), TRL and Liger.

Left out: other conventions. KDFlow puts β on the student, AdaKD's ``js`` uses 0.9 on the student; here β is always the
teacher's share of the mixture. β = 0 and β = 1 are refused instead of being redefined as KLs (GKD's special cases):
the limits of the formula are 0, so β = 0.01 trains like forward KL at one hundredth of its gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from paced.errors import check_number
from paced.train.loss.kl import softmax_pair
from paced.train.loss.rows import Evaluated, PartSums, RowDivergence, Scratch, Statistics

_CAP = 80.0
"""exp(80) is finite in float32; where log q − log p exceeds it, p < 2e-35 and no term is visible."""


@dataclass(frozen=True, slots=True)
class JSD(RowDivergence):
    """JSD_β = β·KL(q‖m) + (1−β)·KL(p‖m), m = βq + (1−β)p, in nats; q teacher, p student.

    Gradient (1−β) p ∘ (log(p/m) − Σ_u p_u log(p_u/m_u)). Bounded by the entropy of (β, 1−β), so always finite.
    Coded with e = log q − log p: log(p/m) = −log(1−β + β exp e), log(q/m) = e + log(p/m).
    Shapes: N rows (token positions), V the vocabulary, B columns of it in a block.
    """

    statistic_names: ClassVar[tuple[str, ...]] = (
        "student_lse",
        "teacher_lse",
        "mean_log_ratio",
    )

    beta: float = 0.5
    """β in (0, 1): the teacher's share of the mixture."""

    def __post_init__(self) -> None:
        check_number(
            "jsd",
            "beta",
            self.beta,
            low=0,
            high=1,
            low_open=True,
            high_open=True,
            fix="For the ends use forward_kl or reverse_kl: JSD tends to 0 there.",
        )

    def _evaluate(self, student: Tensor, teacher: Tensor, scratch: Scratch, sums: PartSums) -> Evaluated:
        pair = softmax_pair(student, teacher, scratch)
        log_ratio = pair.difference.add_(pair.shift.unsqueeze(-1)).neg_()  # [N, V] e
        student_part = self._student_part(log_ratio, out=scratch.like("student part", student))  # [N, V] log(p/m)
        mean = torch.linalg.vecdot(pair.p, student_part)  # [N]
        teacher_part = torch.linalg.vecdot(pair.q, log_ratio.add_(student_part))  # [N]
        values = teacher_part.mul_(self.beta).add_(mean, alpha=1 - self.beta).clamp_(min=0, max=self._largest())  # [N]

        def write() -> None:
            torch.sub(student_part, mean.unsqueeze(-1), out=student).mul_(pair.p).mul_(1 - self.beta)

        return values, write

    def row_statistics(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """Both log-normalisers, and the mean of log(p/m) under p."""
        student_lse = torch.logsumexp(student, -1)  # [N]
        teacher_lse = torch.logsumexp(teacher, -1)  # [N]
        p = (student - student_lse.unsqueeze(-1)).exp_()  # [N, V]
        log_ratio = (teacher - teacher_lse.unsqueeze(-1)).sub_(student).add_(student_lse.unsqueeze(-1))  # [N, V] e
        mean = torch.linalg.vecdot(p, self._student_part(log_ratio, out=log_ratio))  # [N]
        return {"student_lse": student_lse, "teacher_lse": teacher_lse, "mean_log_ratio": mean}

    def overwrite_block(self, student: Tensor, teacher: Tensor, statistics: Statistics) -> None:
        """(1−β) p ∘ (log(p/m) − Σ_u p_u log(p_u/m_u))."""
        log_p = student.sub_(statistics["student_lse"].unsqueeze(-1))  # [N, B]
        log_ratio = teacher.sub_(statistics["teacher_lse"].unsqueeze(-1)).sub_(log_p)  # [N, B] e
        student_part = self._student_part(log_ratio, out=log_ratio)  # [N, B]
        centred = student_part.sub_(statistics["mean_log_ratio"].unsqueeze(-1))  # [N, B]
        log_p.exp_().mul_(centred).mul_(1 - self.beta)

    def _student_part(self, log_ratio: Tensor, *, out: Tensor) -> Tensor:
        """log(p/m) from e = ``log_ratio``, written into ``out``; e is capped in place.

        log1p and expm1 keep the digits where the two agree: the value is of second order in e.
        """
        return torch.expm1(log_ratio.clamp_(max=_CAP), out=out).mul_(self.beta).log1p_().neg_()

    def _largest(self) -> float:
        """Entropy of (β, 1−β), reached where the supports are disjoint."""
        return -(self.beta * math.log(self.beta) + (1 - self.beta) * math.log1p(-self.beta))
