"""The fused loss and both its gradients against their definition in float64, for float32 and bfloat16 weights."""

from __future__ import annotations

import torch
from loss_contenders import ours, reference

from gpu_check.gates import Gate, Measured, relative_error
from gpu_check.heads import NAMES, in_float64, leaves, make_heads

LIMIT = {torch.float32: 5e-5, torch.bfloat16: 1e-4}
"""Relative error of a gradient; bfloat16 weights need logits that were never rounded, or it is 0.3 at a KL of 0.003."""


def run(device: torch.device) -> Measured:
    """Random weights, a quarter of them zero; a close teacher for bfloat16, where rounding shows."""
    measured = Measured()
    for dtype, noise in ((torch.float32, 0.2), (torch.bfloat16, 0.025)):
        for name in NAMES:
            problem = leaves(make_heads(device, dtype=dtype, noise=noise))
            exact = in_float64(problem)
            true_loss = reference(exact, name)
            true = exact.gradients(true_loss)
            loss = ours(problem, name)
            gradients = problem.gradients(loss)
            where = f"{name}, {str(dtype).removeprefix('torch.')}"
            error = abs(float(loss.detach()) / float(true_loss.detach()) - 1)
            measured.gates.append(Gate(f"loss, {where}", error, 1e-4))
            measured.gates.append(Gate(f"dW, {where}", relative_error(gradients[1], true[1]), LIMIT[dtype]))
            # hidden states of bfloat16 get gradients of bfloat16, which have 8 bits
            limit = LIMIT[dtype] if dtype == torch.float32 else 5e-3
            measured.gates.append(Gate(f"dh, {where}", relative_error(gradients[0], true[0]), limit))
    return measured
