"""Named losses as the head sees them: a logit gradient δ for each token, and a coefficient for each token.

The gradient of a rollout's loss with respect to the head is Σ_n c_n δ_n h_nᵀ. Each named loss is another gradient:

- ``reverse_kl_sampled``  score-function estimator of KL(student‖teacher) of the whole completion: δ = onehot(y) − p,
  c_n = Σ_{m>=n} log(p(y_m)/q(y_m)), the reward-to-go, no baseline. On-policy only: y must come from the student;
- ``reverse_kl``, ``forward_kl``, ``jsd``, ``akl`` … every name in ``DIVERGENCES``: the full-vocabulary divergence of
  each position along the completion, student's or teacher's, the completion itself a constant; c_n = 1;
- ``cross_entropy``       −log p(y): the gradient towards given answers (a useful direction, a prior skill); no teacher.

p student, q teacher. A loss works on whole rows of logits, or on a block of vocabulary columns when it is given the row
statistics that a block cannot know (log-normalisers, means); the second form is what makes streaming possible.
Shapes: N tokens, V the vocabulary, B columns of it in a block, K rollouts, T tokens of one rollout.
Both forms of a divergence are the trainer's own (``paced/train/loss``); the losses that are not divergences are here.
Left out: a loss temperature other than 1, and baselines: they are other estimators, with other noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from paced.errors import ArgumentTypeError, check_choice
from paced.train.loss.divergences import DIVERGENCES, make_divergence
from paced.train.loss.rows import RowDivergence, Scratch, Statistics

ONLINE_STATISTICS = frozenset({"student_lse", "teacher_lse", "mean_gap", "log_ratio"})
"""Row statistics that are sums over the vocabulary, so that blocks of columns can be added up."""


class HeadLoss(ABC):
    """One loss as seen by the head; works in the type of the logits it is given (float32 or float64)."""

    statistic_names: tuple[str, ...] | None = None
    """Row statistics that :meth:`block_` needs; None when the loss has no block form and cannot be streamed."""
    needs_teacher: bool = True
    """Whether any step looks at the teacher's logits."""
    block_needs_teacher: bool = True
    """Whether :meth:`block_` looks at the teacher's logits once the statistics are known."""
    coefficients_look_ahead: bool = False
    """Whether c_n depends on later tokens, so that no row can be contracted before its rollout was seen."""

    @abstractmethod
    def rows_(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> Tensor:
        """Overwrite ``student`` [N, V] with δ and return the value of each token [N]; ``teacher`` is lost."""

    @abstractmethod
    def statistics(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """The row statistics of [N, V] logits, each [N]; both tensors may be lost."""

    @abstractmethod
    def block_(self, student: Tensor, teacher: Tensor, statistics: Statistics, targets: Tensor) -> None:
        """Overwrite ``student`` [N, B] with δ's columns; ``targets`` [N] count from the block's first column."""

    def coefficients(self, values: Tensor, offsets: Sequence[int]) -> Tensor | None:
        """c_n [N] from the tokens' values, rollout k being rows offsets[k] : offsets[k+1]; None for all ones."""
        return None

    def values_of(self, statistics: Statistics) -> Tensor | None:
        """The values that :meth:`coefficients` needs, from the statistics; None when it needs none."""
        return None


@dataclass(frozen=True)
class DivergenceLoss(HeadLoss):
    """A full-vocabulary divergence of each position along given completions."""

    divergence: RowDivergence
    """From ``make_divergence``."""

    @property
    def statistic_names(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """Those of the divergence's block form; None when it has none."""
        return self.divergence.statistic_names

    def rows_(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> Tensor:
        """δ and the divergence of each token in nats."""
        return self.divergence.overwrite(student_logits=student, teacher_logits=teacher, scratch=scratch)

    def statistics(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """Log-normalisers, and the student's mean of what δ is centred by."""
        return self.divergence.row_statistics(student, teacher, scratch)

    def block_(self, student: Tensor, teacher: Tensor, statistics: Statistics, targets: Tensor) -> None:
        """δ's columns in place."""
        self.divergence.overwrite_block(student, teacher, statistics)


@dataclass(frozen=True)
class SampledReverseKL(HeadLoss):
    """Score-function estimator of the completion's KL(student‖teacher): δ = onehot(y) − p, c_n = reward-to-go.

    E[Σ_n c_n δ_n] is the exact gradient of Σ_n KL over completions drawn from the student at temperature 1.
    Values are log p(y)/q(y) of each sampled token, in nats.
    """

    statistic_names: ClassVar[tuple[str, ...]] = ("student_lse", "log_ratio")  # type: ignore[misc]
    block_needs_teacher: ClassVar[bool] = False  # type: ignore[misc]
    coefficients_look_ahead: ClassVar[bool] = True  # type: ignore[misc]

    def rows_(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> Tensor:
        """δ and log p(y)/q(y)."""
        chosen = targets.unsqueeze(-1)  # [N, 1]
        values = student.gather(-1, chosen).sub_(teacher.gather(-1, chosen))  # [N, 1]
        p = torch.softmax(student, -1, out=scratch.like("p", student))  # [N, V]
        values.sub_(_log_normaliser(student, p))
        q = torch.softmax(teacher, -1, out=scratch.like("q", teacher))  # [N, V]
        values.add_(_log_normaliser(teacher, q))
        torch.neg(p, out=student)
        student.scatter_add_(-1, chosen, torch.ones_like(values))
        return values.squeeze(-1)

    def statistics(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """log-normaliser of the student, and log p(y)/q(y)."""
        student_lse = torch.logsumexp(student, -1)  # [N]
        teacher_lse = torch.logsumexp(teacher, -1)  # [N]
        chosen = targets.unsqueeze(-1)  # [N, 1]
        gap = (student.gather(-1, chosen) - teacher.gather(-1, chosen)).squeeze(-1)  # [N]
        return {"student_lse": student_lse, "log_ratio": gap - student_lse + teacher_lse}

    def block_(self, student: Tensor, teacher: Tensor, statistics: Statistics, targets: Tensor) -> None:
        """onehot − p; the teacher is not looked at."""
        student.sub_(statistics["student_lse"].unsqueeze(-1)).exp_().neg_()
        _add_at_targets_(student, targets, 1.0)

    def coefficients(self, values: Tensor, offsets: Sequence[int]) -> Tensor:
        """Reward-to-go: the sum of the values from each token to the end of its rollout, added in float64."""
        result = values.new_empty(len(values))  # [N]
        for start, stop in pairwise(offsets):
            rewards = values[start:stop].double()  # [T]
            result[start:stop] = rewards.flip(0).cumsum(0).flip(0).to(values.dtype)
        return result

    def values_of(self, statistics: Statistics) -> Tensor:
        """log p(y)/q(y)."""
        return statistics["log_ratio"]


@dataclass(frozen=True)
class CrossEntropy(HeadLoss):
    """−log p(y) of given completions, in nats: δ = p − onehot(y). Not a divergence: no teacher."""

    statistic_names: ClassVar[tuple[str, ...]] = ("student_lse",)  # type: ignore[misc]
    needs_teacher: ClassVar[bool] = False  # type: ignore[misc]
    block_needs_teacher: ClassVar[bool] = False  # type: ignore[misc]

    def rows_(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> Tensor:
        """δ and −log p(y)."""
        chosen = targets.unsqueeze(-1)  # [N, 1]
        p = torch.softmax(student, -1, out=scratch.like("p", student))  # [N, V]
        values = _log_normaliser(student, p).sub_(student.gather(-1, chosen))  # [N, 1]
        student.copy_(p).scatter_add_(-1, chosen, -torch.ones_like(values))
        return values.squeeze(-1)

    def statistics(self, student: Tensor, teacher: Tensor, targets: Tensor, scratch: Scratch) -> dict[str, Tensor]:
        """log-normaliser of the student."""
        return {"student_lse": torch.logsumexp(student, -1)}

    def block_(self, student: Tensor, teacher: Tensor, statistics: Statistics, targets: Tensor) -> None:
        """p − onehot."""
        student.sub_(statistics["student_lse"].unsqueeze(-1)).exp_()
        _add_at_targets_(student, targets, -1.0)


SPECIAL_LOSSES: dict[str, type[HeadLoss]] = {"reverse_kl_sampled": SampledReverseKL, "cross_entropy": CrossEntropy}
"""Losses that are not divergences of a position; the others are the names of ``DIVERGENCES``."""


def make_head_loss(name: str, **parameters: Any) -> HeadLoss:
    """The loss of that name: ``reverse_kl_sampled``, ``cross_entropy``, or any divergence with its parameters.

    Raises:
        ValueError: an unknown name, or a parameter out of range.
        ArgumentTypeError: a parameter that this loss does not have.

    Example:
        >>> make_head_loss("jsd", beta=0.9)
        DivergenceLoss(divergence=JSD(beta=0.9))
    """
    if name in SPECIAL_LOSSES:
        if parameters:
            raise ArgumentTypeError(f"make_head_loss: {name} takes no parameters, got {', '.join(sorted(parameters))}.")
        return SPECIAL_LOSSES[name]()
    check_choice("make_head_loss", "name", name, [*SPECIAL_LOSSES, *DIVERGENCES])
    return DivergenceLoss(make_divergence(name, **parameters))


def _log_normaliser(logits: Tensor, probabilities: Tensor) -> Tensor:
    """log Σ_v exp(z_v) [N, 1] of logits [N, V] from their softmax [N, V]: z_max − log p_max."""
    return logits.amax(-1, keepdim=True) - probabilities.amax(-1, keepdim=True).log()


def _add_at_targets_(block: Tensor, targets: Tensor, amount: float) -> None:
    """Add ``amount`` to each row's target [N], where the block [N, B] has its column."""
    rows = ((targets >= 0) & (targets < block.shape[1])).nonzero().squeeze(-1)  # [rows with their target here]
    block[rows, targets[rows]] += amount
