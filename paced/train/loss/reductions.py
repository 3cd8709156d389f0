"""The four named reductions: which number multiplies each token's loss.

Every denominator is a sum over the WHOLE optimiser step: all ranks and all accumulation micro-batches, known before
the first backward. A micro-batch then only sums, so cutting the batch differently cannot change the step.
Normalising inside a micro-batch is the fault this file prevents: with one sequence each, Σ wℓ/Σ w = ℓ.
Left out: verl's token-sum and length-normalised forms; they are ``token_mean`` times a constant.
"""

from __future__ import annotations

from typing import get_args

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from paced.errors import check_choice
from paced.run.choices import Normaliser, Reduction


def token_weights(
    *,
    problem_weights: ArrayLike | Tensor,
    token_counts: ArrayLike | Tensor,
    reduction: Reduction = "sequence_mean",
    normaliser: Normaliser = "dataset",
    num_problems: int | None = None,
    num_averaged_ranks: int = 1,
) -> Tensor:
    """Return the multiplier of every token's loss in each sequence [B], float64: L = Σ_i m_i Σ_t ℓ_it.

    With w_i the weight of sequence i, T_i its number of tokens and B = ``num_problems``:

    ================ ======================== ===========================
    reduction        normaliser "dataset"     normaliser "self"
    ================ ======================== ===========================
    sequence_mean    w_i / (B T_i)            w_i / (T_i Σ_j w_j)
    token_mean       w_i / Σ_j T_j            w_i / Σ_j w_j T_j
    ================ ======================== ===========================

    "dataset" is the paper's (Algorithm of §3.4): weights w̃ have mean 1 over the training set, the batch is divided by
    its size, so a batch of low-weight problems makes a small step and the gradient of the weighted objective (Eq. 4) is
    unbiased. "self" divides by the batch's own weight, so every batch trains at full strength.

    Args:
        problem_weights: w_i >= 0 of every sequence of the step over all ranks and accumulation steps, [B].
        token_counts: T_i >= 0, tokens of each that carry loss, [B].
        reduction: mean over a sequence's tokens first, or over all tokens of the step.
        normaliser: see above.
        num_problems: slots of the batch, when some of them were skipped before this call; default len(problem_weights).
        num_averaged_ranks: ranks over which the gradients will be averaged (FSDP and DDP divide by it); the multipliers
            are scaled up by it so that the average is the sum.

    Edges: a sequence without tokens gets 0; it keeps its slot in ``num_problems`` and leaves Σ_j w_j. When every weight
        is 0 all multipliers are 0: the step does nothing.

    Raises:
        ValueError: negative or non-finite weights, negative counts, shapes that differ, an unknown name.

    Example:
        >>> token_weights(problem_weights=[0.5, 1.5], token_counts=[10, 5]).tolist()
        [0.025, 0.15]
        >>> token_weights(problem_weights=[0.5, 1.5], token_counts=[10, 5], normaliser="self").tolist()
        [0.025, 0.15]
        >>> token_weights(problem_weights=[2, 0], token_counts=[10, 5], reduction="token_mean").tolist()
        [0.13333333333333333, 0.0]
    """
    weights = torch.as_tensor(problem_weights, dtype=torch.float64)  # [B]
    counts = torch.as_tensor(token_counts, dtype=torch.float64)  # [B]
    slots = weights.numel() if num_problems is None else num_problems
    check_choice("token_weights", "reduction", reduction, get_args(Reduction))
    check_choice("token_weights", "normaliser", normaliser, get_args(Normaliser))
    _check(weights, counts, slots, num_averaged_ranks)
    used = torch.where(counts > 0, weights, 0.0)  # [B]
    if reduction == "sequence_mean":
        numerator = used / counts.clamp(min=1)  # [B]
        denominator = float(slots) if normaliser == "dataset" else float(used.sum())
    else:
        numerator = used
        denominator = float(counts.sum()) if normaliser == "dataset" else float((used * counts).sum())
    if denominator == 0:
        return torch.zeros_like(weights)
    return numerator * (num_averaged_ranks / denominator)


def _check(weights: Tensor, counts: Tensor, slots: int, ranks: int) -> None:
    if weights.ndim != 1 or weights.shape != counts.shape:
        raise ValueError(
            "token_weights: problem_weights and token_counts must be one-dimensional and of one length, "
            f"got shapes {tuple(weights.shape)} and {tuple(counts.shape)}."
        )
    if not bool((torch.isfinite(weights) & (weights >= 0)).all()):
        bad = int((~(torch.isfinite(weights) & (weights >= 0))).nonzero()[0])
        raise ValueError(
            f"token_weights: problem_weights must be finite and >= 0, got {float(weights[bad])} at index {bad}."
        )
    if bool((counts < 0).any()):
        raise ValueError(f"token_weights: token_counts must be >= 0, got {int(counts.min())}.")
    if slots < 1 or slots < int((weights > 0).sum()):
        raise ValueError(
            f"token_weights: num_problems must be at least the number of sequences of positive weight, got {slots}. "
            "Count the slots of the whole step, over all ranks and accumulation steps."
        )
    if ranks < 1:
        raise ValueError(f"token_weights: num_averaged_ranks must be >= 1, got {ranks}.")
