"""Forward KL, reverse KL, and their fixed mixture.

Notation of this package: q = teacher, p = student distribution of one token position, both over the whole vocabulary;
d = log p − log q; lse is the log of a row's sum of exponentials. The name says the direction: forward is
KL(teacher‖student), reverse is KL(student‖teacher).
Left out: skewed KLs (KL(q‖λq+(1−λ)p)), which are scaled pieces of ``jsd.py`` under inconsistent conventions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from paced.errors import check_number
from paced.train.loss.rows import Evaluated, PartSums, RowDivergence, Scratch, Statistics


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
    statistic_names: ClassVar[tuple[str, ...]] = ("student_lse", "teacher_lse")

    def _evaluate(self, student: Tensor, teacher: Tensor, scratch: Scratch, sums: PartSums) -> Evaluated:
        pair = softmax_pair(student, teacher, scratch)
        return _forward_values(pair), lambda: torch.sub(pair.p, pair.q, out=student)

    def row_statistics(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """Both log-normalisers."""
        return {"student_lse": torch.logsumexp(student, -1), "teacher_lse": torch.logsumexp(teacher, -1)}

    def overwrite_block(self, student: Tensor, teacher: Tensor, statistics: Statistics) -> None:
        """p − q."""
        q = teacher.sub_(statistics["teacher_lse"].unsqueeze(-1)).exp_()  # [N, B]
        student.sub_(statistics["student_lse"].unsqueeze(-1)).exp_().sub_(q)


@dataclass(frozen=True, slots=True)
class ReverseKL(RowDivergence):
    """KL(student‖teacher) = Σ_v p_v d_v, in nats; gradient p ∘ (d − Σ_u p_u d_u) (Eq. 5, rollout track).

    The teacher's normaliser cancels from the gradient.
    """

    infinite_without_teacher_support: ClassVar[bool] = True
    statistic_names: ClassVar[tuple[str, ...]] = ("student_lse", "mean_gap")

    def _evaluate(self, student: Tensor, teacher: Tensor, scratch: Scratch, sums: PartSums) -> Evaluated:
        pair = softmax_pair(student, teacher, scratch)
        mean = torch.linalg.vecdot(pair.p, pair.difference)  # [N]

        def write() -> None:
            torch.mul(pair.p, pair.difference.sub_(mean.unsqueeze(-1)), out=student)

        return _reverse_values(pair, mean), write

    def row_statistics(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """The student's log-normaliser, and the mean of the logits' difference under p."""
        student_lse, mean_gap = mean_difference(student, teacher)  # [N] both
        return {"student_lse": student_lse, "mean_gap": mean_gap}

    def overwrite_block(self, student: Tensor, teacher: Tensor, statistics: Statistics) -> None:
        """p ∘ (d − Σ_u p_u d_u)."""
        centred = torch.sub(student, teacher, out=teacher).sub_(statistics["mean_gap"].unsqueeze(-1))  # [N, B]
        student.sub_(statistics["student_lse"].unsqueeze(-1)).exp_().mul_(centred)


@dataclass(frozen=True, slots=True)
class MixedKL(RowDivergence):
    """λ·KL(teacher‖student) + (1−λ)·KL(student‖teacher), in nats; λ constant over tokens."""

    forward_share: float = 0.5
    """λ in [0, 1]: 1 is forward KL, 0 is reverse KL."""

    statistic_names: ClassVar[tuple[str, ...]] = ("student_lse", "teacher_lse", "mean_gap")

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

    def _evaluate(self, student: Tensor, teacher: Tensor, scratch: Scratch, sums: PartSums) -> Evaluated:
        pair = softmax_pair(student, teacher, scratch)
        return mix_kls(student, pair, torch.full_like(pair.shift, self.forward_share), sums)

    def row_statistics(self, student: Tensor, teacher: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """Both log-normalisers, and the mean of the logits' difference under p."""
        student_lse, mean_gap = mean_difference(student, teacher)  # [N] both
        return {"student_lse": student_lse, "teacher_lse": torch.logsumexp(teacher, -1), "mean_gap": mean_gap}

    def overwrite_block(self, student: Tensor, teacher: Tensor, statistics: Statistics) -> None:
        """λ(p − q) + (1−λ) p ∘ (d − Σ_u p_u d_u)."""
        mix_kls_block(student, teacher, statistics, self.forward_share)


@dataclass(frozen=True, slots=True)
class SoftmaxPair:
    """Both distributions of a tile of rows, and log p − log q = difference + shift."""

    p: Tensor
    """The student's [N, V]."""
    q: Tensor
    """The teacher's [N, V]."""
    difference: Tensor
    """z_student − z_teacher [N, V], the raw logits."""
    shift: Tensor
    """lse(z_teacher) − lse(z_student) [N]: the normalisers enter as one number a row."""
    excess: Tensor
    """Σp − Σq [N]: 0 but for the rounding of the fast softmax, whose first-order effect on a KL it cancels.

    Where the two agree closely a KL is of second order in d, so an error of 4e-7 in Σp is visible: with
    KL(q‖p) = Σ (q log(q/p) + p − q) a uniform relative error of p moves the log and the sum by opposite amounts.
    """


def softmax_pair(student: Tensor, teacher: Tensor, scratch: Scratch) -> SoftmaxPair:
    """Evaluate both softmaxes of logits [N, V], which stay as they are; the tiles are memory of ``scratch``.

    At the largest logit log softmax = z − lse, so lse(z) = max z − log max softmax: two reductions, no second pass
    of exp; maxima are subtracted before the logs are added, which keeps the digits of close logits. One side's
    reductions come before the other's softmax, while its tile is in the cache.
    """
    p = torch.softmax(student, -1, out=scratch.like("p", student))  # [N, V]
    student_max, p_max, p_sum = student.amax(-1), p.amax(-1), p.sum(-1)  # [N] each
    q = torch.softmax(teacher, -1, out=scratch.like("q", teacher))  # [N, V]
    teacher_max, q_max, q_sum = teacher.amax(-1), q.amax(-1), q.sum(-1)  # [N] each
    return SoftmaxPair(
        p=p,
        q=q,
        difference=torch.sub(student, teacher, out=scratch.like("difference", teacher)),
        shift=(teacher_max - student_max) - torch.log(q_max / p_max),
        excess=p_sum - q_sum,
    )


def mean_difference(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return the student's log-normaliser and Σ_v p_v (z_student − z_teacher)_v of each row, [N] both."""
    student_lse = torch.logsumexp(student, -1)  # [N]
    p = (student - student_lse.unsqueeze(-1)).exp_()  # [N, V]
    return student_lse, torch.linalg.vecdot(p, student - teacher)


def _forward_values(pair: SoftmaxPair) -> Tensor:
    """KL(teacher‖student) = −Σ q (difference + shift) of each row, [N]."""
    return (pair.excess - torch.linalg.vecdot(pair.q, pair.difference) - pair.shift).clamp_(min=0)


def _reverse_values(pair: SoftmaxPair, mean: Tensor) -> Tensor:
    """KL(student‖teacher) = mean + shift of each row, [N]; ``mean`` [N] is Σ p difference."""
    return (mean + pair.shift - pair.excess).clamp_(min=0)


def mix_kls(student: Tensor, pair: SoftmaxPair, share: Tensor, sums: PartSums) -> Evaluated:
    """Return λ·FKL + (1−λ)·RKL of each row, λ = ``share`` [N], and what writes its gradient over ``student``.

    With the gradient the sums of both parts over the rows are added to ``sums``.

    Gradient: λ(p − q) + (1−λ) p∘(d − E_p d) = p∘(λ + (1−λ)(d − E_p d)) − λ q.
    """
    mean = torch.linalg.vecdot(pair.p, pair.difference)  # [N]
    forward = _forward_values(pair)  # [N]
    reverse = _reverse_values(pair, mean)  # [N]
    rest = 1 - share  # [N]

    def write() -> None:
        sums.add("forward_kl", forward)
        sums.add("reverse_kl", reverse)
        factor = pair.difference.mul_(rest.unsqueeze(-1)).add_((share - rest * mean).unsqueeze(-1))  # [N, V]
        torch.mul(pair.p, factor, out=student).sub_(pair.q.mul_(share.unsqueeze(-1)))

    return share * forward + rest * reverse, write


def mix_kls_block(student: Tensor, teacher: Tensor, statistics: Statistics, share: Tensor | float) -> None:
    """Write columns of the gradient of :func:`mix_kls` over ``student`` [N, B]; ``share`` is λ, a number or [N, 1]."""
    q = (teacher - statistics["teacher_lse"].unsqueeze(-1)).exp_().mul_(share)  # [N, B] λq
    centred = torch.sub(student, teacher, out=teacher).sub_(statistics["mean_gap"].unsqueeze(-1))  # [N, B]
    factor = centred.mul_(1 - share).add_(share)  # [N, B]
    student.sub_(statistics["student_lse"].unsqueeze(-1)).exp_().mul_(factor).sub_(q)
