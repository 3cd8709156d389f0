"""AdaKD's token-adaptive temperature (inverse difficulty temperature scaling) around a KL.

The published code takes the median of the scores inside each micro-batch, so its loss depends on how a batch is cut.
Here the reference score is a number of the recipe, known before the first backward.
Left out: the choice of the hardest tokens (LATF). It is a 0/1 weight on tokens, so it belongs to ``token_weights``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from paced.errors import check_choice, check_number
from paced.train.loss.kl import ForwardKL, ReverseKL
from paced.train.loss.rows import Evaluated, PartSums, RowDivergence, Scratch

INNER: dict[str, RowDivergence] = {"forward_kl": ForwardKL(), "reverse_kl": ReverseKL()}
"""What ``inner`` names."""


@dataclass(frozen=True, slots=True)
class AdaKD(RowDivergence):
    """τ²·KL between softmax(z/τ) of both, in nats, τ of each token; gradient τ·(KL's gradient at z/τ).

    τ = τ_base · exp(−c · tanh(log(s/s_ref))), with s the Hellinger distance (1/√2)‖√p − √q‖ at temperature 1:
    tokens on which the two disagree more than ``reference_score`` get a lower temperature. τ is detached.
    tanh(log x) = (x²−1)/(x²+1), so s = 0 gives τ_base·exp(c), not 0/0.
    Shapes: N rows (token positions), V the vocabulary.
    """

    inner: Literal["forward_kl", "reverse_kl"] = "forward_kl"
    """The divergence at temperature τ."""
    strength: float = 0.5
    """c >= 0; 0 leaves the constant temperature τ_base."""
    base_temperature: float = 1.0
    """τ_base > 0."""
    reference_score: float = 0.1
    """s_ref in (0, 1]: the score that keeps τ = τ_base; AdaKD takes the median over the selected tokens."""

    def __post_init__(self) -> None:
        check_choice("adakd", "inner", self.inner, INNER)
        check_number("adakd", "strength", self.strength, low=0)
        check_number("adakd", "base_temperature", self.base_temperature, low=0, low_open=True)
        check_number(
            "adakd",
            "reference_score",
            self.reference_score,
            low=0,
            high=1,
            low_open=True,
            fix="Pass the median Hellinger score of some tokens of the training set.",
        )

    @property
    def infinite_without_student_support(self) -> bool:  # type: ignore[override]
        """As the inner divergence."""
        return INNER[self.inner].infinite_without_student_support

    @property
    def infinite_without_teacher_support(self) -> bool:  # type: ignore[override]
        """As the inner divergence."""
        return INNER[self.inner].infinite_without_teacher_support

    def temperature(self, scores: Tensor) -> Tensor:
        """τ of each token from its Hellinger score."""
        ratio_squared = (scores / self.reference_score).square()  # [N]
        return self.base_temperature * torch.exp(-self.strength * (ratio_squared - 1) / (ratio_squared + 1))

    def _evaluate(self, student: Tensor, teacher: Tensor, scratch: Scratch, sums: PartSums) -> Evaluated:
        temperature = self.temperature(_hellinger(student, teacher, scratch)).unsqueeze(-1)  # [N, 1]
        scaled = torch.div(student, temperature, out=scratch.like("scaled student", student))  # [N, V]
        scaled_teacher = torch.div(teacher, temperature, out=scratch.like("scaled teacher", teacher))  # [N, V]
        values, write_scaled = INNER[self.inner]._evaluate(scaled, scaled_teacher, scratch, sums)  # [N]

        def write() -> None:
            write_scaled()
            torch.mul(scaled, temperature, out=student)

        return values.mul_(temperature.squeeze(-1).square()), write


def _hellinger(student: Tensor, teacher: Tensor, scratch: Scratch) -> Tensor:
    """s [N] of logits [N, V]."""
    root_p = torch.softmax(student, -1, out=scratch.like("p", student)).sqrt_()  # [N, V]
    root_q = torch.softmax(teacher, -1, out=scratch.like("q", teacher)).sqrt_()  # [N, V]
    difference = root_p.sub_(root_q)  # [N, V]
    return (torch.linalg.vecdot(difference, difference) / 2).sqrt_()
