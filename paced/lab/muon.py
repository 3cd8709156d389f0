"""Muon in float32: momentum whose matrices are made orthogonal before each step (Jordan et al. 2024).

``torch.optim.Muon`` orthogonalises in bfloat16, matrix by matrix. On the student's layers its step took twice the time
of this one with AVX-512 and eight times with the libraries restricted to AVX2, which has no such instructions
(docs/log.md). Matrices of one shape are taken together here: two layers are few, small products.
Left out: everything that the lab does not need, weight decay and closures among it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic p(x) = ax + bx³ + cx⁵, whose iterates take singular values in (0, 1] to about 1."""
NUM_ITERATIONS = 5


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrix of each, roughly: singular values end between about 0.7 and 1.2.

    Args:
        matrices: [n, rows, columns], float32; not all zero.

    Returns:
        [n, rows, columns].

    Example:
        >>> numbers = torch.Generator().manual_seed(0)
        >>> values = torch.linalg.svdvals(orthogonalise(torch.randn(2, 8, 5, generator=numbers)))
        >>> bool(((values > 0.6) & (values < 1.3)).all())
        True
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT  # [n, short, short]
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum; a step has the root mean square 0.2 · lr, as AdamW's have."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        """Take the matrices [rows, columns] of a model; ``lr`` > 0, ``momentum`` in [0, 1)."""
        super().__init__(list(matrices), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; every matrix must have a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                self._step_together(matrices, shape, group["lr"], group["momentum"])

    def _step_together(self, matrices: list[Tensor], shape: torch.Size, lr: float, momentum: float) -> None:
        gradients = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])  # [n, rows, columns]
        state = self.state[matrices[0]]
        average = state.setdefault("momentum", torch.zeros_like(gradients))
        average.lerp_(gradients, 1 - momentum)
        direction = orthogonalise(gradients.lerp(average, momentum))  # [n, rows, columns]
        size = 0.2 * max(shape) ** 0.5
        for matrix, change in zip(matrices, direction, strict=True):
            matrix.sub_(change, alpha=lr * size)
