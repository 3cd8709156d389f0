"""Forward KL, reverse KL, and their fixed mixture.

Notation of this package: q = teacher, p = student distribution of one token position, both over the whole vocabulary;
d = log p − log q. Direction stands in the name: forward is KL(teacher‖student), reverse is KL(student‖teacher).
Left out: skewed KLs (KL(q‖λq+(1−λ)p)), which are scaled pieces of ``jsd.py`` under inconsistent conventions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from paced.errors import check_number
from paced.train.loss.rows import RowDivergence, Scratch


@dataclass(frozen=True, slots=True)
class ForwardKL(RowDivergence):
    """KL(teacher‖student) = Σ_v q_v (log q_v − log p_v), in nats; gradient p − q (Eq. 5, reference track).

    Example:
        >>> z = torch.tensor([[0.0, 1.0, 2.0]])
        >>> value, gradient = ForwardKL().value_and_grad(student_logits=z, teacher_logits=z)
        >>> value.tolist(), gradient.tolist()
        ([0.0], [[0.0, 0.0, 0.0]])
    """

    infinite_without_student_support: ClassVar[bool] = True

    def _overwrite(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> Tensor:
        p, q, difference, shift = softmax_pair(student, teacher, scratch)
        values = _forward_values(p, q, difference, shift)  # [rows]
        torch.sub(p, q, out=student)
        return values


@dataclass(frozen=True, slots=True)
class ReverseKL(RowDivergence):
    """KL(student‖teacher) = Σ_v p_v d_v, in nats; gradient p ∘ (d − Σ_u p_u d_u) (Eq. 5, rollout track).

    The teacher's normaliser cancels from the gradient.
    """

    infinite_without_teacher_support: ClassVar[bool] = True

    def _overwrite(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> Tensor:
        p, q, difference, shift = softmax_pair(student, teacher, scratch)
        mean = torch.linalg.vecdot(p, difference)  # [rows]
        torch.mul(p, difference.sub_(mean.unsqueeze(-1)), out=student)
        return _reverse_values(p, q, mean, shift)


@dataclass(frozen=True, slots=True)
class MixedKL(RowDivergence):
    """λ·KL(teacher‖student) + (1−λ)·KL(student‖teacher), in nats; λ constant over tokens."""

    forward_share: float = 0.5
    """λ in [0, 1]: 1 is forward KL, 0 is reverse KL."""

    def __post_init__(self) -> None:
        check_number("mixed_kl", "forward_share", self.forward_share, low=0, high=1)

    @property
    def infinite_without_student_support(self) -> bool:  # type: ignore[override]
        """+inf like the forward part, unless its share is 0."""
        return self.forward_share > 0

    @property
    def infinite_without_teacher_support(self) -> bool:  # type: ignore[override]
        """+inf like the reverse part, unless its share is 0."""
        return self.forward_share < 1

    def _overwrite(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> Tensor:
        p, q, difference, shift = softmax_pair(student, teacher, scratch)
        share = torch.full_like(shift, self.forward_share)
        return mix_kls(student, p, q, difference, shift, share, scratch)


def softmax_pair(student: Tensor, teacher: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return p, q, the raw difference z_student − z_teacher (over ``teacher``), and shift [rows].

    log p − log q = difference + shift, shift = lse(z_teacher) − lse(z_student): the normalisers enter as one number a
    row. At the largest logit log softmax = z − lse, so lse(z) = max z − log max softmax: two reductions, no second pass
    of exp; maxima are subtracted before the logs are added, which keeps the digits of close logits.
    """
    p = torch.softmax(student, -1, out=scratch.like("p", student))
    q = torch.softmax(teacher, -1, out=scratch.like("q", teacher))
    shift = (teacher.amax(-1) - student.amax(-1)) - torch.log(q.amax(-1) / p.amax(-1))
    difference = torch.sub(student, teacher, out=teacher)
    return p, q, difference, shift


def _sum_error(p: Tensor, q: Tensor) -> Tensor:
    """Σp − Σq of each row: 0 but for the rounding of the fast softmax, whose first-order effect on a KL it cancels.

    Where the two agree closely a KL is of second order in d, so an error of 4e-7 in Σp is visible: with
    KL(q‖p) = Σ (q log(q/p) + p − q) a uniform relative error of p moves the log and the sum by opposite amounts.
    """
    return p.sum(-1) - q.sum(-1)


def _forward_values(p: Tensor, q: Tensor, difference: Tensor, shift: Tensor) -> Tensor:
    """KL(teacher‖student) = −Σ q (difference + shift) of each row, [rows]."""
    return (_sum_error(p, q) - torch.linalg.vecdot(q, difference) - shift).clamp_(min=0)


def _reverse_values(p: Tensor, q: Tensor, mean: Tensor, shift: Tensor) -> Tensor:
    """KL(student‖teacher) = mean + shift of each row, [rows]; ``mean`` is Σ p difference [rows]."""
    return (mean + shift - _sum_error(p, q)).clamp_(min=0)


def mix_kls(
    student: Tensor, p: Tensor, q: Tensor, difference: Tensor, shift: Tensor, share: Tensor, scratch: Scratch
) -> Tensor:
    """Return λ·FKL + (1−λ)·RKL of each row, λ = ``share`` [rows], and write its gradient over ``student``.

    The sums of both parts over the rows go to ``scratch``, for whoever reports them.

    Gradient: λ(p − q) + (1−λ) p∘(d − E_p d) = p∘(λ + (1−λ)(d − E_p d)) − λ q.
    """
    mean = torch.linalg.vecdot(p, difference)  # [rows]
    forward = _forward_values(p, q, difference, shift)  # [rows]
    reverse = _reverse_values(p, q, mean, shift)  # [rows]
    scratch.add_sum("forward_kl", forward)
    scratch.add_sum("reverse_kl", reverse)
    rest = 1 - share
    difference.mul_(rest.unsqueeze(-1)).add_((share - rest * mean).unsqueeze(-1))
    torch.mul(p, difference, out=student)
    student.sub_(q.mul_(share.unsqueeze(-1)))
    return (share * forward).add_(rest * reverse)
