"""The gradient SNR's two numbers and its Gram matrix on the device, against autograd in float64."""

from __future__ import annotations

from itertools import pairwise

import torch
from loss_contenders import reference

from gpu_check.gates import Gate, Measured
from gpu_check.heads import in_float64, leaves, make_heads
from paced.analysis.snr.gram import head_gram
from paced.analysis.snr.losses import make_head_loss
from paced.analysis.snr.tokens import RolloutTokens
from paced.train.loss import fused_divergence, make_divergence
from paced.train.loss.head import HeadSpec

NUM_ROLLOUTS = 8


def run(device: torch.device) -> Measured:
    """K rollouts of equal length: S and Q as a by-product of the loss, and the K x K Gram matrix."""
    problem = leaves(make_heads(device, ones=True))
    tokens = problem.hidden.shape[0]
    bounds = list(range(0, tokens + 1, tokens // NUM_ROLLOUTS))
    exact = in_float64(problem)
    gradients = []
    for start, stop in pairwise(bounds):
        chosen = torch.zeros_like(exact.token_weights)
        chosen[start:stop] = 1.0
        part = in_float64(problem)
        part.token_weights = chosen
        gradients.append(part.gradients(reference(part, "reverse_kl"))[1].flatten())
    stacked = torch.stack(gradients)  # [K, V d]
    gram = stacked @ stacked.T  # [K, K]
    total, squares = float(gram.sum()), float(gram.trace())
    index = torch.arange(tokens, device=device) // (tokens // NUM_ROLLOUTS)  # [N]
    result = fused_divergence(
        student_hidden=problem.hidden,
        teacher_hidden=problem.teacher_hidden,
        student_head=problem.weight,
        teacher_head=problem.teacher_weight,
        token_weights=torch.ones_like(problem.token_weights),
        divergence=make_divergence("reverse_kl"),
        rollout_index=index,
    )
    assert result.rollouts is not None
    norms = result.rollouts
    states = RolloutTokens(
        student_hidden=problem.hidden.detach(),
        targets=torch.zeros(tokens, dtype=torch.long, device=device),
        offsets=tuple(bounds),
        student_head=HeadSpec(weight=problem.weight.detach()),
        teacher_hidden=problem.teacher_hidden,
        teacher_head=HeadSpec(weight=problem.teacher_weight),
    )
    measured = head_gram(states, make_head_loss("reverse_kl")).matrix()
    difference = torch.from_numpy(measured).to(device) - gram
    return Measured(
        gates=[
            Gate("|S|² as a by-product of the loss", abs(norms.sum_square_norm / total - 1), 1e-4),
            Gate("Q as a by-product of the loss", abs(norms.total / squares - 1), 1e-4),
            Gate("Gram matrix", float(difference.norm() / gram.norm()), 1e-4),
        ]
    )
