"""The gradient of one problem's loss with respect to every parameter: what an optimiser steps on.

The head's Gram machinery of ``snr/`` is not used here: a head's gradient is cheap to compare and not the whole step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paced.analysis.snr.losses import HeadLoss
from paced.analysis.snr.measure import TokenIds, TokenReduction
from paced.train.loss.rows import Scratch
from paced.train.micro_batches import pack

Gradient = NDArray[np.float32]


def problem_gradient(
    student: Any,
    teacher: Any,
    *,
    prompt: TokenIds,
    completions: Sequence[TokenIds],
    loss: HeadLoss,
    token_reduction: TokenReduction,
    teacher_prompt: TokenIds | None = None,
    vocab_size: int | None = None,
) -> Gradient:
    """Gradient of one problem's loss, averaged over its completions, with respect to all parameters, [P] in float32.

    Args:
        student: causal LM; every parameter counts, tied ones once.
        teacher: causal LM over the same tokens; None for ``cross_entropy``.
        prompt: what the student reads.
        completions: at least one; held fixed.
        loss: from ``make_head_loss``; its logit gradient is sent backwards through the student.
        token_reduction: ``sum`` or ``mean`` of a completion's token losses.
        teacher_prompt: what the teacher reads; None for ``prompt``.
        vocab_size: tokens that count when the heads have padding rows.
    """
    targets = torch.tensor([token for one in completions for token in one], device=student.device)
    logits = _completion_logits(student, prompt, completions)[:, :vocab_size]
    rows = logits.detach().clone()
    with torch.no_grad():
        other = rows.clone()
        if teacher is not None:
            other = _completion_logits(teacher, teacher_prompt or prompt, completions)[:, :vocab_size].to(rows)
        values = loss.rows_(rows, other, targets, Scratch())
        offsets = np.cumsum([0, *map(len, completions)]).tolist()
        coefficients = loss.coefficients(values, offsets)
        scale = torch.cat(
            [rows.new_full((len(one),), 1.0 / (len(one) if token_reduction == "mean" else 1)) for one in completions]
        )
        scale /= len(completions)
        rows *= (scale if coefficients is None else scale * coefficients).unsqueeze(-1)
    parameters = list(student.parameters())
    derivatives = torch.autograd.grad(logits, parameters, grad_outputs=rows, allow_unused=True)
    parts = [
        torch.zeros_like(one) if gradient is None else gradient
        for one, gradient in zip(parameters, derivatives, strict=True)
    ]
    return torch.cat([part.detach().float().flatten() for part in parts]).cpu().numpy()


def _completion_logits(model: Any, prompt: TokenIds, completions: Sequence[TokenIds]) -> Tensor:
    """Logits [N, V] that predict the completions' tokens, laid end to end, in float32 or wider."""
    packed = pack([(prompt, one) for one in completions], device=model.device)
    logits = model(**packed.inputs, use_cache=False).logits.flatten(0, 1)[packed.positions]
    return logits if logits.dtype == torch.float64 else logits.float()
