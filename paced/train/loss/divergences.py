"""The divergences by name, and a differentiable per-token function for each.

``DIVERGENCES`` is the one list; a recipe names an entry and its parameters, :func:`make_divergence` checks both.
Temperature: a loss at ``loss_temperature`` T is T²·D(softmax(z_teacher/T), softmax(z_student/T)), Hinton's convention,
so the gradient keeps its size when T changes and T → ∞ is half the variance of the logit differences. TRL's GKD and
KDFlow leave T² out: divide by T² to compare. At T = 1, the paper's setting, there is no difference.
Left out: truncation to the teacher's top-k tokens; every divergence here is over the whole vocabulary.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from paced.errors import ArgumentTypeError, check_choice, check_number
from paced.train.loss.adakd import AdaKD
from paced.train.loss.akl import AKL, AscendingAKL
from paced.train.loss.jsd import JSD
from paced.train.loss.kl import ForwardKL, MixedKL, ReverseKL
from paced.train.loss.rows import Divergence, RowDivergence, check_same_shape

DIVERGENCES: dict[str, type[RowDivergence]] = {
    "forward_kl": ForwardKL,
    "reverse_kl": ReverseKL,
    "mixed_kl": MixedKL,
    "jsd": JSD,
    "akl": AKL,
    "akl_ascending": AscendingAKL,
    "adakd": AdaKD,
}
"""Name in a recipe -> frozen dataclass whose fields are the parameters. All have defaults."""


def make_divergence(name: str, **parameters: Any) -> RowDivergence:
    """Return the divergence of that name with its parameters.

    Raises:
        ValueError: an unknown name, or a parameter out of range.
        ArgumentTypeError: a parameter that this divergence does not have.

    Example:
        >>> make_divergence("jsd", beta=0.9)
        JSD(beta=0.9)
        >>> make_divergence("kl")
        Traceback (most recent call last):
        ValueError: make_divergence: name must be one of forward_kl, reverse_kl, mixed_kl, jsd, akl, akl_ascending, \
adakd, got 'kl'. Did you mean 'akl'?
    """
    check_choice("make_divergence", "name", name, DIVERGENCES)
    cls = DIVERGENCES[name]
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        takes = f"takes {', '.join(known)}" if known else "takes no parameters"
        raise ArgumentTypeError(f"make_divergence: {name} {takes}, got {', '.join(unknown)}.")
    return cls(**parameters)


def token_divergence(
    divergence: Divergence,
    *,
    teacher_logits: Tensor,
    student_logits: Tensor,
    loss_temperature: float = 1.0,
    vocab_size: int | None = None,
) -> Tensor:
    """T²·D between softmax(teacher/T) and softmax(student/T) of each token [...], differentiable for the student.

    Args:
        divergence: from :func:`make_divergence`.
        teacher_logits: [..., V']; constant.
        student_logits: [..., V].
        loss_temperature: T > 0.
        vocab_size: number of tokens that the tokenizer has; logits beyond it get no probability and no gradient.
            Needed when V and V' differ (151,936 against 152,064 rows in one model family).

    Returns:
        float32 nats, or float64 when both logits are float64.
    """
    check_number("token_divergence", "loss_temperature", loss_temperature, low=0, low_open=True)
    if vocab_size is not None:
        rows = min(student_logits.shape[-1], teacher_logits.shape[-1])
        if not 1 <= vocab_size <= rows:
            raise ValueError(f"token_divergence: vocab_size must be in [1, {rows}], got {vocab_size}.")
        student_logits, teacher_logits = student_logits[..., :vocab_size], teacher_logits[..., :vocab_size]
    check_same_shape("token_divergence", student_logits, teacher_logits)
    return _TokenDivergence.apply(student_logits, teacher_logits, divergence, loss_temperature)


class _TokenDivergence(torch.autograd.Function):
    """The closed-form gradient, handed to autograd."""

    @staticmethod
    def forward(
        ctx: Any, student_logits: Tensor, teacher_logits: Tensor, divergence: Divergence, temperature: float
    ) -> Tensor:
        # [...], [..., V]
        values, gradient = divergence.value_and_grad(
            student_logits=student_logits / temperature, teacher_logits=teacher_logits / temperature
        )
        ctx.save_for_backward(gradient)
        ctx.temperature = temperature
        return values * temperature**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (grad_output.unsqueeze(-1) * ctx.temperature), None, None, None  # [..., V]


def forward_kl(*, teacher_logits: Tensor, student_logits: Tensor, **options: Any) -> Tensor:
    """KL(teacher‖student) of each token in nats, see :func:`token_divergence` for the options.

    Example:
        >>> forward_kl(teacher_logits=torch.tensor([0.0, 0.0]), student_logits=torch.tensor([0.0, 0.0]))
        tensor(0.)
    """
    return token_divergence(ForwardKL(), teacher_logits=teacher_logits, student_logits=student_logits, **options)


def reverse_kl(*, teacher_logits: Tensor, student_logits: Tensor, **options: Any) -> Tensor:
    """KL(student‖teacher) of each token in nats, see :func:`token_divergence` for the options."""
    return token_divergence(ReverseKL(), teacher_logits=teacher_logits, student_logits=student_logits, **options)


def jsd(*, teacher_logits: Tensor, student_logits: Tensor, beta: float = 0.5, **options: Any) -> Tensor:
    """Generalised Jensen-Shannon divergence of each token in nats; β is the teacher's share, see :class:`.JSD`."""
    return token_divergence(JSD(beta), teacher_logits=teacher_logits, student_logits=student_logits, **options)


def akl(*, teacher_logits: Tensor, student_logits: Tensor, head_mass: float = 0.5, **options: Any) -> Tensor:
    """Adaptive KL of each token in nats with the official head rule, see :class:`.AKL`."""
    return token_divergence(AKL(head_mass), teacher_logits=teacher_logits, student_logits=student_logits, **options)
