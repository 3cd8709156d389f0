"""Models, prompts and completions -> hidden states -> Gram matrices -> one row per problem.

Works on any Hugging Face causal language model whose head is one linear layer. With a tied head the measured gradient
is the head's part: the derivative through the output product alone, without the embedding's.
Shapes: P problems with K completions each, N tokens of all completions together, T of one, d wide (d' the teacher).
Left out: sampling and grading (``command.py`` takes those from the run's own samplers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from paced.analysis.snr.estimators import GUARD
from paced.analysis.snr.gram import head_gram
from paced.analysis.snr.losses import HeadLoss, make_head_loss
from paced.analysis.snr.plan import MAX_BYTES
from paced.analysis.snr.rows import FLOAT32_ROUNDING, FLOAT64_ROUNDING, ProblemGram, ProblemSnr, summarise
from paced.analysis.snr.tokens import RolloutTokens, mean_weights
from paced.arrays import Floats
from paced.errors import check_choice
from paced.train.loss.head import head_of, trunk_of
from paced.train.micro_batches import pack, split_batch

TokenReduction = Literal["sum", "mean"]
"""How the token losses of one completion become its loss."""
MAX_TOKENS = 16_384
"""Padded tokens of one forward pass through a model."""

TokenIds = Sequence[int]


def lm_head_snr(
    student: Any,
    teacher: Any,
    *,
    student_prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
    loss: str,
    token_reduction: TokenReduction,
    teacher_prompts: Sequence[TokenIds] | None = None,
    parameters: Mapping[str, Any] | None = None,
    problem_ids: Sequence[str] | None = None,
    vocab_size: int | None = None,
    guard: float = GUARD,
    max_bytes: int = MAX_BYTES,
    max_tokens: int = MAX_TOKENS,
    on_problem: Callable[[ProblemGram], None] | None = None,
) -> list[ProblemSnr]:
    """Gradient SNR of the student's lm_head, problem by problem, over K completions each.

    Args:
        student: Hugging Face causal LM; the gradient is that of its head (of a tied head: the head's part).
        teacher: Hugging Face causal LM over the same tokens, may be the student itself; None for ``cross_entropy``.
        student_prompts: token ids that the student reads, one prompt per problem.
        completions: K >= 2 completions of each problem in token ids, K may differ between problems. For
            ``reverse_kl_sampled`` they must have been sampled from the student at temperature 1; for ``forward_kl``
            they may be the student's or the teacher's.
        loss: ``reverse_kl_sampled``, ``reverse_kl``, ``forward_kl``, ``jsd``, ``akl`` … see ``make_head_loss``.
        token_reduction: ``sum`` or ``mean`` of each completion's token losses.
        teacher_prompts: what the teacher reads, e.g. with the expert solution; None for the student's prompts.
        parameters: of the loss, e.g. ``{"beta": 0.5}`` of jsd.
        problem_ids: names of the problems; None numbers them.
        vocab_size: ``vocabulary_size(tokenizer)`` when the heads have padding rows, or different numbers of them.
        guard: share of the mean noise in the guarded form, in [0, 1].
        max_bytes: scratch of one problem's Gram matrix, beside models and hidden states.
        max_tokens: padded tokens of a forward pass; sets memory and speed, not results beyond rounding (with 16-bit
            weights nothing is padded, which is slower: one batch for each length).
        on_problem: called with each problem's Gram matrix as soon as it is there.

    Returns: one row per problem, in order. Arithmetic is float32 (bfloat16 weights are widened before each product),
        float64 when both models are float64.

    Raises:
        ValueError: lengths that differ, fewer than two completions, an empty prompt, a loss that is not finite.
    """
    head_loss = make_head_loss(loss, **(parameters or {}))
    shown = student_prompts if teacher_prompts is None else teacher_prompts
    names = [str(index) for index in range(len(student_prompts))] if problem_ids is None else list(problem_ids)
    _check(student_prompts, shown, completions, names, token_reduction, vocab_size)
    measured = []
    for name, prompt, teacher_prompt, sampled in zip(names, student_prompts, shown, completions, strict=True):
        tokens = rollout_tokens(
            student,
            teacher if head_loss.needs_teacher else None,
            sequences=[(prompt, completion) for completion in sampled],
            teacher_sequences=[(teacher_prompt, completion) for completion in sampled],
            token_reduction=token_reduction,
            vocab_size=vocab_size,
            max_tokens=max_tokens,
        )
        gram = head_gram(tokens, head_loss, max_bytes=max_bytes).matrix()  # [K, K]
        problem = ProblemGram(
            problem_id=name,
            num_tokens=len(tokens.targets),
            rounding=FLOAT64_ROUNDING if tokens.dtype == torch.float64 else FLOAT32_ROUNDING,
            gram=tuple(tuple(row) for row in gram.tolist()),
        )
        measured.append(problem)
        if on_problem is not None:
            on_problem(problem)
    return summarise(measured, guard=guard)


def problem_gram(
    student: Any,
    teacher: Any,
    *,
    student_prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
    loss: HeadLoss,
    token_reduction: TokenReduction,
    teacher_prompts: Sequence[TokenIds] | None = None,
    vocab_size: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_tokens: int = MAX_TOKENS,
) -> Floats:
    """Inner products of the problems' *mean* gradients ḡ_x = (1/K) Σ_k g_xk, [P, P].

    The spread of ḡ_x over x is the noise of the theory's Definition 2. Arguments as for :func:`lm_head_snr`. Hidden
    states of all these problems are in memory at once, so call it for the problems of one bin.
    """
    shown = student_prompts if teacher_prompts is None else teacher_prompts
    _check(
        student_prompts, shown, completions, list(map(str, range(len(student_prompts)))), token_reduction, vocab_size
    )
    tokens = rollout_tokens(
        student,
        teacher if loss.needs_teacher else None,
        sequences=[(prompt, one) for prompt, many in zip(student_prompts, completions, strict=True) for one in many],
        teacher_sequences=[(prompt, one) for prompt, many in zip(shown, completions, strict=True) for one in many],
        token_reduction=token_reduction,
        vocab_size=vocab_size,
        max_tokens=max_tokens,
    )
    counts = [len(many) for many in completions]
    return grouped_mean_gram(head_gram(tokens, loss, max_bytes=max_bytes).matrix(), counts)


def grouped_mean_gram(gram: Floats, counts: Sequence[int]) -> Floats:
    """Inner products of group means [P, P] from those of the members [ΣK, ΣK], group after group.

    Args:
        gram: inner products of all members.
        counts: members of each group, K >= 1.

    Example:
        >>> grouped_mean_gram(np.eye(4), [2, 2]).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    average = np.zeros((len(counts), len(gram)))  # [P, ΣK]
    start = 0
    for row, count in enumerate(counts):
        average[row, start : start + count] = 1.0 / count
        start += count
    return np.asarray(average @ gram @ average.T, dtype=np.float64)


def rollout_tokens(
    student: Any,
    teacher: Any,
    *,
    sequences: Sequence[tuple[TokenIds, TokenIds]],
    teacher_sequences: Sequence[tuple[TokenIds, TokenIds]],
    token_reduction: TokenReduction,
    vocab_size: int | None = None,
    max_tokens: int = MAX_TOKENS,
) -> RolloutTokens:
    """Hidden states of both models on the same completions, with their heads: what ``head_gram`` takes.

    Args:
        student: causal LM whose head is measured.
        teacher: causal LM over the same tokens, or None for a loss without a teacher.
        sequences: (prompt, completion) as the student reads them, one pair a rollout.
        teacher_sequences: the same completions after the teacher's prompts.
        token_reduction: ``mean`` gives each token the weight 1/T.
        vocab_size: tokens of the tokenizer, when the heads have padding rows.
        max_tokens: padded tokens of a forward pass.
    """
    offsets = [0]
    for _, completion in sequences:
        offsets.append(offsets[-1] + len(completion))
    hidden = completion_states(student, sequences, max_tokens=max_tokens)  # [N, d]
    teacher_hidden = teacher_head = None
    if teacher is not None:
        teacher_hidden = completion_states(teacher, teacher_sequences, max_tokens=max_tokens).to(
            hidden.device
        )  # [N, d']
        teacher_head = head_of(teacher, vocab_size=vocab_size)
    targets = [token for _, completion in sequences for token in completion]
    return RolloutTokens(
        student_hidden=hidden,
        targets=torch.tensor(targets, dtype=torch.long, device=hidden.device),
        offsets=tuple(offsets),
        student_head=head_of(student, vocab_size=vocab_size),
        token_weights=mean_weights(offsets, hidden) if token_reduction == "mean" else None,
        teacher_hidden=teacher_hidden,
        teacher_head=teacher_head,
    )


@torch.no_grad()
def completion_states(
    model: Any, sequences: Sequence[tuple[TokenIds, TokenIds]], *, max_tokens: int = MAX_TOKENS
) -> Tensor:
    """Final hidden states [N, d] from which each completion token is predicted, sequences laid end to end.

    With 16-bit weights only sequences of one length share a batch: padding moved Gram matrices by 3e-3 and more.
    """
    trunk, weight = trunk_of(model), model.get_output_embeddings().weight
    was_training = model.training
    model.eval()
    states: list[Tensor | None] = [None] * len(sequences)
    try:
        for group in _batches([len(p) + len(c) for p, c in sequences], max_tokens, padded=weight.dtype.itemsize > 2):
            packed = pack([sequences[index] for index in group], device=weight.device)
            hidden = trunk(**packed.inputs, use_cache=False).last_hidden_state  # [sequences, length, d]
            completions = hidden.flatten(0, 1)[packed.positions]  # [tokens of the batch's completions, d]
            parts = completions.split([len(sequences[index][1]) for index in group])
            for index, part in zip(group, parts, strict=True):
                states[index] = part  # [T, d]
    finally:
        model.train(was_training)
    return torch.cat([state for state in states if state is not None])


def _batches(lengths: Sequence[int], max_tokens: int, *, padded: bool) -> Iterator[list[int]]:
    """Indices of sequences that run together; only equally long ones unless ``padded``."""
    groups = [range(len(lengths))] if padded else [
        [index for index, length in enumerate(lengths) if length == one] for one in sorted(set(lengths), reverse=True)
    ]  # fmt: skip
    for members in groups:
        for (batch,) in split_batch([lengths[index] for index in members], max_tokens=max_tokens):
            yield [members[index] for index in batch]


def _check(
    student_prompts: Sequence[TokenIds],
    teacher_prompts: Sequence[TokenIds],
    completions: Sequence[Sequence[TokenIds]],
    names: Sequence[str],
    token_reduction: str,
    vocab_size: int | None,
) -> None:
    """Refuse prompts and completions of which no SNR can be measured.

    Raises:
        ValueError: lengths that differ, fewer than two completions, an empty prompt, a token outside the vocabulary.
    """
    sizes = (len(student_prompts), len(teacher_prompts), len(completions), len(names))
    if len(set(sizes)) != 1:
        raise ValueError(
            "lm_head_snr: student_prompts, teacher_prompts, completions and problem_ids must be equal in number, got "
            f"{', '.join(map(str, sizes))}."
        )
    check_choice("lm_head_snr", "token_reduction", token_reduction, get_args(TokenReduction))
    for name, prompt, shown, sampled in zip(names, student_prompts, teacher_prompts, completions, strict=True):
        if len(sampled) < 2:
            raise ValueError(f"lm_head_snr: problem {name} must have at least 2 completions, got {len(sampled)}.")
        if not len(prompt) or not len(shown):
            raise ValueError(f"lm_head_snr: problem {name} has an empty prompt. Begin it with a token, e.g. BOS.")
        largest = max((token for completion in sampled for token in completion), default=0)
        if vocab_size is not None and largest >= vocab_size:
            raise ValueError(
                f"lm_head_snr: completions must have tokens below vocab_size = {vocab_size}, got {largest} in problem "
                f"{name}. Sample without the head's padding rows."
            )
