"""The gradient of one problem's loss with respect to every parameter: what an optimiser steps on.

The head's Gram matrices of ``snr/`` are not used here: the head's gradient is only one part of the step.
Shapes: N tokens of all completions together, V the vocabulary, T tokens of one completion, P parameters.
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
        completions: at least one; constants.
        loss: from ``make_head_loss``; its logit gradient is sent backwards through the student.
        token_reduction: ``sum`` or ``mean`` of a completion's token losses.
        teacher_prompt: what the teacher reads; None for ``prompt``.
        vocab_size: tokens that count when the heads have padding rows.
    """
    targets = torch.tensor([token for tokens in completions for token in tokens], device=student.device)  # [N]
    logits = _completion_logits(student, prompt, completions)[:, :vocab_size]  # [N, V]
    with torch.no_grad():
        delta = logits.detach().clone()  # [N, V], overwritten with the gradient for the logits
        teacher_logits = delta.clone()  # [N, V]
        if teacher is not None:
            read = prompt if teacher_prompt is None else teacher_prompt
            teacher_logits = _completion_logits(teacher, read, completions)[:, :vocab_size].to(delta)  # [N, V]
        values = loss.rows_(delta, teacher_logits, targets, Scratch())  # [N]
        offsets = np.cumsum([0, *map(len, completions)]).tolist()
        coefficients = loss.coefficients(values, offsets)  # [N]
        lengths = [len(tokens) if token_reduction == "mean" else 1 for tokens in completions]
        scales = [
            delta.new_full((len(tokens),), 1.0 / length) for tokens, length in zip(completions, lengths, strict=True)
        ]
        scale = torch.cat(scales) / len(completions)  # [N]
        delta *= (scale if coefficients is None else scale * coefficients).unsqueeze(-1)
    parameters = list(student.parameters())
    derivatives = torch.autograd.grad(logits, parameters, grad_outputs=delta, allow_unused=True)
    parts = [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, derivatives, strict=True)
    ]
    return torch.cat([part.detach().float().flatten() for part in parts]).cpu().numpy()  # [P]


def _completion_logits(model: Any, prompt: TokenIds, completions: Sequence[TokenIds]) -> Tensor:
    """Logits [N, V] that predict the completions' tokens, laid end to end, in float32 or wider."""
    packed = pack([(prompt, tokens) for tokens in completions], device=model.device)
    logits = model(**packed.inputs, use_cache=False).logits.flatten(0, 1)[packed.positions]  # [N, V]
    return logits if logits.dtype == torch.float64 else logits.float()
