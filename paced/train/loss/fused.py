"""lm_head + divergence + weights in one pass: hidden states of both models in, weighted loss out.

The gradient with respect to the student's hidden states and head is computed in the forward pass, chunk by chunk of
tokens, so no [N, V] tensor exists beyond two reused buffers of one chunk; backward only scales.
Four GEMMs a token (both logits, both gradients) are the least that an exact gradient needs; this file does four.
Logits are float32 results of the GEMM even for bfloat16 weights: rounding them to bfloat16 first puts an error of 0.3
into the head's gradient when the KL is 0.003, and casting up afterwards does not undo it.
Tokens of weight 0 are dropped before any GEMM.
Left out: second derivatives, tensor-parallel heads, top-k truncation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from paced.errors import ArgumentTypeError, check_number
from paced.train.loss.blocks import BlockSizes
from paced.train.loss.gemm import Product, first_rows
from paced.train.loss.head import HeadSpec
from paced.train.loss.rollout_norms import RolloutNorms, RolloutSquareNorms
from paced.train.loss.rows import FAR, Divergence, PartSums, Scratch, working_dtype


class FusedLoss(NamedTuple):
    """What one call gives back; a NamedTuple, so that FSDP finds the tensors in it."""

    loss: Tensor
    """Σ_n token_weights[n]·ℓ_n, a scalar, differentiable for the student's hidden states, head weight and head bias."""
    token_losses: Tensor
    """ℓ_n [N] in nats times T², detached; 0 where the weight is 0, because nothing was computed there."""
    computed: Tensor
    """[N] bool: which token losses were computed."""
    rollouts: RolloutNorms | None
    """|Σ_k g_k|² and |g_k|² of the head's gradient, when ``rollout_index`` was given."""
    sums: PartSums
    """Σ_n of each part of a mixed divergence over the computed tokens, without weights, at loss temperature T."""


def fused_divergence(
    *,
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    student_head: Tensor | HeadSpec,
    teacher_head: Tensor | HeadSpec,
    token_weights: Tensor,
    divergence: Divergence,
    vocab_size: int | None = None,
    absent_ids: Tensor | None = None,
    loss_temperature: float = 1.0,
    rollout_index: Tensor | None = None,
    scratch: Scratch | None = None,
    blocks: BlockSizes | None = None,
) -> FusedLoss:
    """Return Σ_n w_n T² D(softmax(z_teacher,n/T), softmax(z_student,n/T)) with its gradient already computed.

    Args:
        student_hidden: final hidden states [N, d] (after the last norm), float32, bfloat16 or float64.
        teacher_hidden: [N, d'], constant; d' may differ from d.
        student_head: W [V, d] or a :class:`HeadSpec` with bias, softcap and scale.
        teacher_head: W [V', d'] or a :class:`HeadSpec`.
        token_weights: w_n >= 0 [N], from ``reductions.token_weights``; 0 for prompt, padding and skipped problems.
        divergence: from ``make_divergence``.
        vocab_size: tokens that the tokenizer has; rows beyond it get no probability and no gradient. Default: what the
            heads say; needed when V and V' differ.
        absent_ids: [M] int64, rows below ``vocab_size`` that no token has; they get no probability and no gradient
            either. Such a tokenizer makes each tile pass through the guard for −inf; None costs nothing.
        loss_temperature: T > 0, see ``divergences``.
        rollout_index: [N] integers >= 0, which rollout a token belongs to; asks for the squared norms of each rollout's
            head gradient, the two numbers behind the SNR.
        scratch: memory of a former call to use again, worth passing when calls follow each other (a training loop).
        blocks: sizes of chunks, for tests and benchmarks.

    Edges: no token of positive weight gives a loss of 0 with zero gradients, still connected to the graph, so that
        every rank of a sharded run does its collectives.

    Raises:
        ValueError: shapes that do not fit, heads of different sizes without ``vocab_size``, weights that are negative
            or not finite.
        ArgumentTypeError: a sharded student head (call through the FSDP wrapper, see ``student.py``).

    Example:
        >>> h, w = torch.randn(3, 4), torch.randn(7, 4)
        >>> from paced.train.loss.divergences import make_divergence
        >>> out = fused_divergence(student_hidden=h, teacher_hidden=h, student_head=w, teacher_head=w,
        ...                        token_weights=torch.tensor([0.5, 0.5, 0.0]), divergence=make_divergence("jsd"))
        >>> float(out.loss), out.computed.tolist()
        (0.0, [True, True, False])
    """
    student = student_head if isinstance(student_head, HeadSpec) else HeadSpec(weight=student_head)
    teacher = _gathered(teacher_head if isinstance(teacher_head, HeadSpec) else HeadSpec(weight=teacher_head))
    vocab = _vocabulary(student, teacher, vocab_size)
    check_number("fused_divergence", "loss_temperature", loss_temperature, low=0, low_open=True)
    _check_shapes(student_hidden, teacher_hidden, student, teacher, token_weights, rollout_index)
    tracked = torch.is_grad_enabled()
    work = _Work(
        teacher_hidden=teacher_hidden.detach(),
        student=student,
        teacher=teacher,
        token_weights=token_weights.detach(),
        divergence=divergence,
        vocab=vocab,
        absent=absent_ids,
        temperature=loss_temperature,
        rollout_index=rollout_index,
        scratch=scratch or Scratch(),
        blocks=blocks or BlockSizes.fitting(vocab, student_hidden.device),
        needs_hidden=tracked and student_hidden.requires_grad,
        needs_weight=tracked and student.weight.requires_grad,
        needs_bias=tracked and student.bias is not None and student.bias.requires_grad,
    )
    loss, token_losses, computed = _FusedDivergence.apply(student_hidden, student.weight, student.bias, work)
    return FusedLoss(loss, token_losses, computed, work.norms, work.sums)


@dataclass
class _Work:
    """Everything that is not differentiated, and the by-products on the way back."""

    teacher_hidden: Tensor
    student: HeadSpec
    teacher: HeadSpec
    token_weights: Tensor
    divergence: Divergence
    vocab: int
    absent: Tensor | None
    temperature: float
    rollout_index: Tensor | None
    scratch: Scratch
    blocks: BlockSizes
    needs_hidden: bool
    needs_weight: bool
    needs_bias: bool
    norms: RolloutNorms | None = None
    sums: PartSums = field(default_factory=PartSums)


class _FusedDivergence(torch.autograd.Function):
    """Forward computes the gradients; backward scales them once and lets them go."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, work: _Work
    ) -> tuple[Tensor, Tensor, Tensor]:
        with torch.autocast(hidden.device.type, enabled=False):
            loss, token_losses, computed, ctx.gradients = _forward(hidden, weight, bias, work)
        ctx.mark_non_differentiable(token_losses, computed)
        return loss, token_losses, computed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_loss: Tensor, _losses: Any, _computed: Any
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        if ctx.gradients is None:
            raise RuntimeError(
                "fused_divergence: backward must run once, got a second call. The gradients were handed over in the "
                "first; call fused_divergence again instead of retain_graph=True."
            )
        hidden, weight, bias = ctx.gradients
        ctx.gradients = None
        if grad_loss.is_cuda or float(grad_loss) != 1.0:
            for gradient in (hidden, weight, bias):
                if gradient is not None:
                    gradient.mul_(grad_loss)
        return hidden, weight, bias, None


Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]


def _forward(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, work: _Work
) -> tuple[Tensor, Tensor, Tensor, Gradients]:
    """Loss, token losses, which were computed, and gradients, in chunks of tokens of positive weight.

    Shapes: N tokens, M of them of positive weight, C in a full chunk and c in this one; V tokens of the tokenizer,
        W >= V rows of the student's head, d wide.
    """
    dtype = working_dtype(hidden, work.teacher_hidden)
    device = hidden.device
    scratch = work.scratch
    student = Product(work.student, weight, bias, vocab=work.vocab, temperature=work.temperature, dtype=dtype)
    teacher = Product(
        work.teacher,
        work.teacher.weight.detach(),
        None if work.teacher.bias is None else work.teacher.bias.detach(),
        vocab=work.vocab,
        temperature=work.temperature,
        dtype=dtype,
    )
    computed = work.token_weights != 0  # [N]
    kept = computed.nonzero().squeeze(-1)  # [M]
    norms = None
    if work.rollout_index is not None:
        norms = RolloutSquareNorms(work.rollout_index, kept, weight.shape, work.vocab, dtype)
        kept = norms.kept  # [M], rollout after rollout
    all_kept = kept.numel() == hidden.shape[0] and norms is None
    weights = (work.token_weights if all_kept else work.token_weights[kept]).to(dtype)  # [M]
    scale = work.temperature**2 * student.slope
    factors = weights if scale == 1 else weights * scale  # [M]
    values = torch.empty(kept.numel(), dtype=dtype, device=device)  # [M]
    one_chunk = all_kept and 0 < kept.numel() <= work.blocks.tokens
    hidden_grad = torch.zeros_like(hidden) if work.needs_hidden and not one_chunk else None  # [N, d]
    # [W, d]
    weight_grad = torch.empty(weight.shape, dtype=dtype, device=device) if work.needs_weight or norms else None
    if weight_grad is not None:
        _zero_rows_from(weight_grad, work.vocab if kept.numel() and norms is None else 0)
    bias_grad = torch.zeros(weight.shape[0], dtype=dtype, device=device) if work.needs_bias else None  # [W]

    chunk = min(work.blocks.tokens, max(kept.numel(), 1))
    student_logits = scratch.tile("student logits", (chunk, work.vocab), dtype, device)  # [C, V]
    teacher_logits = scratch.tile("teacher logits", (chunk, work.vocab), dtype, device)  # [C, V]
    bounds = norms.bounds(chunk) if norms else range(0, kept.numel(), chunk)
    for start in bounds:
        stop = min(start + chunk, kept.numel()) if norms is None else norms.stop(start)
        rows = slice(start, stop) if all_kept else kept[start:stop]
        h = student.scaled(hidden if one_chunk else hidden[rows])  # [c, d]
        h_teacher = teacher.scaled(work.teacher_hidden if one_chunk else work.teacher_hidden[rows])  # [c, d']
        z, z_teacher = first_rows(student_logits, stop - start), first_rows(teacher_logits, stop - start)  # [c, V] both
        student.logits(h, z, work.blocks, scratch)
        teacher.logits(h_teacher, z_teacher, work.blocks, scratch)
        if one_chunk and stop <= work.blocks.rows:
            _tile(z, z_teacher, student, teacher, work, factors, values)
        else:
            for first in range(0, stop - start, work.blocks.rows):
                tile = slice(first, min(first + work.blocks.rows, stop - start))
                token = slice(start + tile.start, start + tile.stop)
                _tile(z[tile], z_teacher[tile], student, teacher, work, factors[token], values[token])
        if one_chunk and work.needs_hidden:
            hidden_grad = student.hidden_grad(z, work.blocks, scratch).to(hidden.dtype)
        elif hidden_grad is not None:
            hidden_grad[rows] = student.hidden_grad(z, work.blocks, scratch).to(hidden.dtype)
        if norms is not None:
            norms.add(start, z, h, weight_grad, work.blocks, scratch)
        elif weight_grad is not None:
            student.add_weight_grad(z, h, weight_grad, work.blocks, first=start == 0)
        if bias_grad is not None:
            bias_grad[: work.vocab].add_(z.sum(0), alpha=student.factor)
    if norms is not None and weight_grad is not None:
        work.norms = norms.result(weight_grad)
    losses = values if work.temperature == 1 else values * work.temperature**2  # [M]
    loss = torch.dot(weights.double(), losses.double()).to(dtype)  # []
    token_losses = losses if all_kept else torch.zeros(hidden.shape[0], dtype=dtype, device=device)  # [N]
    if not all_kept:
        token_losses[kept] = losses
    return loss, token_losses, computed, (hidden_grad, weight_grad if work.needs_weight else None, bias_grad)


def _zero_rows_from(values: Tensor, first: int) -> None:
    if first < values.shape[0]:
        values[first:].zero_()


def _tile(
    z: Tensor,
    z_teacher: Tensor,
    student: Product,
    teacher: Product,
    work: _Work,
    factors: Tensor,
    values: Tensor,
) -> None:
    """One cache-sized tile: finish the logits, take values, write the weighted gradient over the student's logits.

    Shapes: ``z`` and ``z_teacher`` [R, V], ``factors`` and ``values`` [R].
    """
    bend = student.finish(z, work.scratch)  # [R, V]
    teacher.finish(z_teacher)
    if work.absent is not None:
        z.index_fill_(-1, work.absent, -FAR)  # as −inf, without the second pass that −inf takes
        z_teacher.index_fill_(-1, work.absent, -FAR)
    values.copy_(
        work.divergence.overwrite(student_logits=z, teacher_logits=z_teacher, scratch=work.scratch, sums=work.sums)
    )
    z.mul_(factors.unsqueeze(-1))
    if bend is not None:
        z.mul_(bend)


def _gathered(head: HeadSpec) -> HeadSpec:
    """The teacher's head in full, when it is sharded: a collective, so every rank must call the loss equally often."""
    if not hasattr(head.weight, "full_tensor"):
        return head
    with torch.no_grad():
        bias = head.bias.full_tensor() if head.bias is not None and hasattr(head.bias, "full_tensor") else head.bias
        return HeadSpec(
            weight=head.weight.full_tensor(),
            bias=bias,
            softcap=head.softcap,
            scale=head.scale,
            vocab_size=head.vocab_size,
        )


def _vocabulary(student: HeadSpec, teacher: HeadSpec, vocab_size: int | None) -> int:
    rows, teacher_rows = student.weight.shape[0], teacher.weight.shape[0]
    if vocab_size is not None:
        if not 1 <= vocab_size <= min(rows, teacher_rows):
            raise ValueError(
                f"fused_divergence: vocab_size must be in [1, {min(rows, teacher_rows)}], got {vocab_size}. "
                "Both heads need a row for every token of the tokenizer."
            )
        return vocab_size
    stated = {head.vocab_size or head.weight.shape[0] for head in (student, teacher)}
    if len(stated) > 1:
        raise ValueError(
            f"fused_divergence: both heads must have the same number of rows or vocab_size= must be given, got {rows} "
            f"and {teacher_rows} rows. Pass vocabulary_size(tokenizer); padding rows must get no probability."
        )
    return stated.pop()


def _check_shapes(
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    student: HeadSpec,
    teacher: HeadSpec,
    token_weights: Tensor,
    rollout_index: Tensor | None,
) -> None:
    place = "fused_divergence"
    if hasattr(student.weight, "full_tensor"):
        raise ArgumentTypeError(
            f"{place}: student_head must be a whole tensor, got a sharded DTensor. Compute the loss inside the forward "
            "of the module that fully_shard wraps (paced.train.loss.student), where the head is gathered."
        )
    for name, hidden, head in (("student", student_hidden, student), ("teacher", teacher_hidden, teacher)):
        if hidden.ndim != 2 or hidden.shape[1] != head.weight.shape[1]:
            raise ValueError(
                f"{place}: {name}_hidden must be [tokens, {head.weight.shape[1]}] as {name}_head says, "
                f"got {tuple(hidden.shape)}."
            )
    num_tokens = student_hidden.shape[0]
    if teacher_hidden.shape[0] != num_tokens:
        raise ValueError(
            f"{place}: student_hidden and teacher_hidden must hold the same tokens, got {num_tokens} and "
            f"{teacher_hidden.shape[0]} rows. Select the completion's positions of both before the loss."
        )
    if token_weights.shape != (num_tokens,):
        raise ValueError(f"{place}: token_weights must be [{num_tokens}], got {tuple(token_weights.shape)}.")
    if not bool(((token_weights >= 0) & (token_weights < torch.inf)).all()):
        raise ValueError(f"{place}: token_weights must be finite and >= 0, got {float(token_weights.min())} as least.")
    if rollout_index is not None and rollout_index.shape != (num_tokens,):
        raise ValueError(f"{place}: rollout_index must be [{num_tokens}], got {tuple(rollout_index.shape)}.")
