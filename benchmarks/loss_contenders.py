"""The losses that ``benchmarks/loss.py`` compares: ours, and each peer's own code called as its package gives it.

Every contender is a function (problem, divergence name) -> scalar loss Σ w_n ℓ_n ready for ``backward()``.
Liger's chunked loss knows no weights; it gets the mean over tokens, which equals ours when w_n = 1/N.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from paced.train.loss import fused_divergence, make_divergence
from paced.train.loss.blocks import BlockSizes
from paced.train.loss.rows import Scratch

warnings.filterwarnings("ignore")

BETA = {"forward_kl": 0.0, "reverse_kl": 1.0, "jsd": 0.5}
"""TRL's and Liger's number for the direction."""


@dataclass
class Problem:
    """Hidden states and heads; the teacher is a perturbed student, logits have a standard deviation near 3."""

    hidden: Tensor
    weight: Tensor
    teacher_hidden: Tensor
    teacher_weight: Tensor
    token_weights: Tensor
    rollout_index: Tensor | None = None
    scratch: Scratch | None = None

    @classmethod
    def make(
        cls, tokens: int, vocab: int, width: int, *, noise: float = 0.2, dtype: torch.dtype = torch.float32
    ) -> Problem:
        generator = torch.Generator().manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        weight, hidden = normal(vocab, width) * (3 / width**0.5), normal(tokens, width)
        teacher_hidden = hidden + noise * normal(tokens, width)
        return cls(
            hidden=hidden.to(dtype).requires_grad_(),
            weight=weight.to(dtype).requires_grad_(),
            teacher_hidden=teacher_hidden.to(dtype),
            teacher_weight=weight.to(dtype).clone(),
            token_weights=torch.full((tokens,), 1 / tokens),
        )

    def double(self, tokens: int) -> Problem:
        """The first tokens in float64, for the reference."""
        return Problem(
            hidden=self.hidden.detach()[:tokens].double().requires_grad_(),
            weight=self.weight.detach().double().requires_grad_(),
            teacher_hidden=self.teacher_hidden[:tokens].double(),
            teacher_weight=self.teacher_weight.double(),
            token_weights=torch.full((tokens,), 1 / tokens, dtype=torch.float64),
        )

    def head(self, tokens: int) -> Problem:
        """The first tokens, same dtype, mean weight."""
        return Problem(
            hidden=self.hidden.detach()[:tokens].clone().requires_grad_(),
            weight=self.weight,
            teacher_hidden=self.teacher_hidden[:tokens],
            teacher_weight=self.teacher_weight,
            token_weights=torch.full((tokens,), 1 / tokens),
        )

    def gradients(self, loss: Tensor) -> tuple[Tensor, Tensor]:
        self.hidden.grad = self.weight.grad = None
        loss.backward()
        dh, dw = self.hidden.grad, self.weight.grad
        self.hidden.grad = self.weight.grad = None
        assert dh is not None
        assert dw is not None
        return dh, dw


def ours(problem: Problem, name: str, **options: Any) -> Tensor:
    return fused_divergence(
        student_hidden=problem.hidden,
        teacher_hidden=problem.teacher_hidden,
        student_head=problem.weight,
        teacher_head=problem.teacher_weight,
        token_weights=problem.token_weights,
        divergence=make_divergence(name),
        rollout_index=problem.rollout_index,
        scratch=problem.scratch,
        **options,
    ).loss


def ours_small_chunk(problem: Problem, name: str) -> Tensor:
    return ours(problem, name, blocks=BlockSizes(tokens=64, columns=1024, rows=16))


def full_logits(problem: Problem) -> tuple[Tensor, Tensor]:
    student = problem.hidden @ problem.weight.T
    with torch.no_grad():
        teacher = problem.teacher_hidden @ problem.teacher_weight.T
    return student, teacher


def trl_full(problem: Problem, name: str) -> Tensor:
    """``GKDTrainer.generalized_jsd_loss`` on full logits; reduction none, then weights."""
    from trl.experimental.gkd.gkd_trainer import GKDTrainer

    student, teacher = full_logits(problem)
    tokens = GKDTrainer.generalized_jsd_loss(student, teacher, beta=BETA[name], reduction="none").sum(-1)
    return (problem.token_weights * tokens).sum()


def trl_chunked(problem: Problem, name: str) -> Tensor:
    """``ChunkedDivergenceFunction`` of TRL's DistillationTrainer; on a CPU its fallback, made for Triton."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    tokens, _ = ChunkedDivergenceFunction.apply(
        problem.hidden, problem.weight, None, problem.teacher_hidden, problem.teacher_weight, None, BETA[name]
    )
    return (problem.token_weights * tokens).sum()


def liger(problem: Problem, name: str, chunk: int = 256) -> Tensor:
    """``LigerFusedLinearJSDLoss`` without torch.compile and without its hard loss."""
    from liger_kernel.chunked_loss import LigerFusedLinearJSDLoss

    loss = LigerFusedLinearJSDLoss(
        weight_hard_loss=0.0, weight_soft_loss=1.0, beta=BETA[name], compiled=False, chunk_size=chunk
    )
    labels = torch.zeros(problem.hidden.shape[0], dtype=torch.long)
    return loss(problem.hidden, problem.weight, problem.teacher_hidden, problem.teacher_weight, labels)


def liger_1024(problem: Problem, name: str) -> Tensor:
    return liger(problem, name, 1024)


def akl_sorted(problem: Problem, name: str) -> Tensor:
    """Adaptive KL as its authors wrote it, full logits and a full sort, with autograd; their code made runnable."""
    student, teacher = full_logits(problem)
    q, p = torch.softmax(teacher, -1), torch.softmax(student, -1)
    with torch.no_grad():
        sorted_q, order = torch.sort(q, dim=-1, descending=True)
        gap = torch.gather((q - p).abs(), -1, order)
        mask = torch.cumsum(sorted_q, -1) <= 0.5
        mask[:, 0] = True
        head, tail = (gap * mask).sum(-1), (gap * ~mask).sum(-1)
        share = head / (head + tail)
    log_p, log_q = torch.log_softmax(student, -1), torch.log_softmax(teacher, -1)
    forward, reverse = (q * (log_q - log_p)).sum(-1), (p * (log_p - log_q)).sum(-1)
    return (problem.token_weights * (share * forward + (1 - share) * reverse)).sum()


CONTENDERS: dict[str, Callable[[Problem, str], Tensor]] = {
    "paced": ours,
    "paced, chunk 64": ours_small_chunk,
    "TRL full logits": trl_full,
    "TRL chunked": trl_chunked,
    "Liger, chunk 256": liger,
    "Liger, chunk 1024": liger_1024,
    "AKL sorted": akl_sorted,
}


def reference(problem: Problem, name: str) -> Tensor:
    """Definition with autograd on full logits, for the float64 gate."""
    if name == "akl":
        return akl_sorted(problem, name)
    student, teacher = full_logits(problem)
    log_p, log_q = torch.log_softmax(student, -1), torch.log_softmax(teacher, -1)
    if name == "jsd":
        log_m = torch.logaddexp(log_p, log_q) - torch.log(torch.tensor(2.0, dtype=log_p.dtype))
        tokens = 0.5 * (log_q.exp() * (log_q - log_m) + log_p.exp() * (log_p - log_m)).sum(-1)
    elif name == "forward_kl":
        tokens = (log_q.exp() * (log_q - log_p)).sum(-1)
    else:
        tokens = (log_p.exp() * (log_p - log_q)).sum(-1)
    return (problem.token_weights * tokens).sum()
