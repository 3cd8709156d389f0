"""The K x K Gram matrix of per-rollout head gradients, exactly, without K gradients in memory.

One function, :func:`head_gram`: it asks ``plan.py`` which algorithm is cheapest within ``max_bytes`` and runs it.
All algorithms compute the same numbers up to rounding: float64 agrees with plain autograd to 1e-10, float32 to 5e-5.
Left out: the gradient with respect to an embedding that shares the head's matrix. With a tied head the measured
gradient is the head's part, that is the derivative through the output product alone.
Shapes: N tokens of K rollouts, V the vocabulary, B columns of it in a block, C rows in a chunk, d wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paced.analysis.snr.contract import GradientContraction, RunningSums, TokenContraction
from paced.analysis.snr.losses import HeadLoss, Statistics
from paced.analysis.snr.passes import HeadPasses
from paced.analysis.snr.plan import MAX_BYTES, Contraction, Plan, Storage, Wanted, choose_plan
from paced.analysis.snr.tokens import RolloutTokens
from paced.arrays import Floats


@dataclass(frozen=True, kw_only=True)
class HeadGram:
    """Inner products of K head gradients, float64."""

    gram: Floats | None
    """<g_i, g_j> [K, K]; None when only the sums were asked for and the running sums were cheaper."""
    sum_square: float
    """S = ‖Σ_k g_k‖²."""
    square_sum: float
    """Q = Σ_k ‖g_k‖²."""
    plan: Plan
    """The algorithm that ran."""

    def matrix(self) -> Floats:
        """The Gram matrix [K, K], which is there unless only the sums were wanted."""
        assert self.gram is not None, "asked for sums only"
        return self.gram


@torch.no_grad()
def head_gram(
    tokens: RolloutTokens,
    loss: HeadLoss,
    *,
    max_bytes: int = MAX_BYTES,
    wanted: Wanted = "gram",
    statistics: Statistics | None = None,
    allow_bf16: bool = False,
    storage: Storage | None = None,
    contraction: Contraction | None = None,
) -> HeadGram:
    """Gram matrix <g_k, g_l> of the rollouts' loss gradients with respect to the student's head.

    ``g_k = Σ_{n in k} w_n c_n δ_n h_nᵀ`` with δ, c from the loss and w the token weights.

    Args:
        tokens: hidden states, heads, offsets.
        loss: from ``make_head_loss``.
        max_bytes: scratch memory allowed beside ``tokens``.
        wanted: ``gram``, or ``sums`` when S and Q are enough.
        statistics: row statistics [N] by name (``loss.statistic_names``) when a loss or scoring pass already has them;
            they save the first of the two logit passes.
        allow_bf16: accept δ kept as bfloat16 (see ``plan.py``).
        storage: force where δ lives.
        contraction: force how it is contracted.

    Raises:
        ValueError: nothing fits into ``max_bytes``, a teacher is missing, or the loss is not finite.

    Edges: no token at all gives zeros.
    """
    passes = HeadPasses(tokens, loss)
    plan = choose_plan(
        passes.shape,
        max_bytes=max_bytes,
        wanted=wanted,
        statistics_given=statistics is not None,
        blockwise=loss.statistic_names is not None,
        online=passes.online,
        allow_bf16=allow_bf16,
        storage=storage,
        contraction=contraction,
    )
    if plan.storage == "running_sums":
        sum_square, square_sum = _running_sums(passes, plan)
        return HeadGram(gram=None, sum_square=sum_square, square_sum=square_sum, plan=plan)
    if plan.storage == "streamed":
        known = passes.statistics(plan) if statistics is None else _checked(statistics, passes)
        matrix = _streamed(passes, plan, known)
    else:
        matrix = _stored(passes, plan)
    gram = matrix.cpu().numpy()  # [K, K]
    gram = (gram + gram.T) / 2
    return HeadGram(gram=gram, sum_square=float(gram.sum()), square_sum=float(np.trace(gram)), plan=plan)


def _stored(passes: HeadPasses, plan: Plan) -> Tensor:
    """δ made once, kept as [N, V], then contracted."""
    N, V = passes.shape.num_tokens, passes.shape.vocab_size
    rounded = plan.storage == "bf16"
    store = passes.student.new_empty(N, V, dtype=torch.bfloat16 if rounded else passes.dtype)  # [N, V]
    values = passes.student.new_zeros(N)  # [N]
    for start, delta in passes.delta_rows(plan, None if rounded else store, values):  # δ [C, V]
        if rounded:
            store[start : start + len(delta)] = delta
    contraction = _contraction(passes, plan, passes.scaled_hidden(values))
    if plan.contraction == "token" and not rounded:
        contraction.add(store)
    else:
        for start in range(0, V, plan.vocab_block):
            contraction.add(store[:, start : start + plan.vocab_block].to(passes.dtype))  # [N, B]
    return contraction.gram()


def _streamed(passes: HeadPasses, plan: Plan, statistics: Statistics) -> Tensor:
    """δ made again for each block of columns from row statistics; never more than N x B of it."""
    multipliers = passes.multipliers(passes.loss.values_of(statistics))  # [N]
    contraction = _contraction(passes, plan, passes.student)
    for delta in passes.delta_blocks(plan, statistics, multipliers):  # [N, B]
        contraction.add(delta)
    return contraction.gram()


def _running_sums(passes: HeadPasses, plan: Plan) -> tuple[float, float]:
    """Each rollout's whole gradient accumulated in turn; only S and Q are kept."""
    values: Tensor | None = None
    if passes.loss.coefficients_look_ahead:  # a reward-to-go is needed before its rows are contracted
        values = passes.loss.values_of(passes.statistics(plan))  # [N]
    sums = RunningSums(
        offsets=passes.tokens.offsets, hidden=passes.scaled_hidden(values), vocab_size=passes.shape.vocab_size
    )
    row_values = passes.student.new_zeros(len(passes.student))  # [N]
    for start, delta in passes.delta_rows(plan, None, row_values):  # δ [C, V]
        sums.add(delta, start)
    passes.multipliers(row_values)  # refuses a loss that is not finite
    return sums.finish()


def _contraction(passes: HeadPasses, plan: Plan, hidden: Tensor) -> GradientContraction | TokenContraction:
    """The contraction that the plan names, with hidden states [N, d]."""
    if plan.contraction == "token":
        return TokenContraction(offsets=passes.tokens.offsets, hidden=hidden)
    return GradientContraction(offsets=passes.tokens.offsets, hidden=hidden, vocab_block=plan.vocab_block)


def _checked(statistics: Statistics, passes: HeadPasses) -> dict[str, Tensor]:
    """The named statistics [N] in the arithmetic's type, or an error that names what is absent."""
    names = passes.loss.statistic_names or ()
    missing = [name for name in names if name not in statistics]
    if missing:
        raise ValueError(f"head_gram: statistics must have {', '.join(names)}, got none for {', '.join(missing)}.")
    wrong = [name for name in names if statistics[name].shape != passes.student.shape[:1]]
    if wrong:
        raise ValueError(
            f"head_gram: each statistic must be [{len(passes.student)}], one value per token, got "
            f"{tuple(statistics[wrong[0]].shape)} for {wrong[0]}."
        )
    return {name: statistics[name].to(passes.dtype) for name in names}
