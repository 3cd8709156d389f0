"""The cost rule: which algorithm measures the Gram matrix, how large its blocks are, how many bytes it takes.

Two choices are independent. *Where the logit gradients δ are kept*:

- ``stored``    δ [N, V] is made once in row chunks and kept: 3u FLOP with the contraction, N·V numbers;
- ``bf16``      the same, kept as bfloat16: half the bytes, at the price of a rounding of 2⁻⁹ of each δ;
- ``streamed``  only row statistics are kept (log-normalisers and the like) and δ is remade for each vocabulary block:
  5u, or 3u when the statistics are handed over; 2·N·B numbers (jsd and akl need whole rows for theirs).

*How they are contracted*: ``gradient`` forms g_k[B, :] = δ_k[:, B]ᵀ H_k block by block (2·N·V·d FLOP), ``token`` forms
(δδᵀ)∘(HHᵀ) (2·N²·V FLOP) and is cheaper for N <= 1.3·d (measured crossover; the FLOP counts cross at N = d).
``running_sums`` accumulates each whole V x d gradient instead: two scalars, no Gram matrix; 3u and 2·V·d numbers.

Unit: u = 2·N·V·d FLOP, one head GEMM over N tokens. The rule, in this order:

1. statistics handed over -> streamed; 2. δ fits into ``max_bytes`` -> stored; 3. bf16 if it was allowed and fits;
4. only the sums are wanted and 2·V·d fits -> running_sums; 5. streamed with the largest blocks that fit.

bf16 is never chosen unasked: its error depends on how concentrated δ is, and no bound of 5e-5 can be promised.
Left out: anything that runs. This file imports no torch, so the rule can be read and tested alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from paced.errors import check_choice

Storage = Literal["stored", "bf16", "streamed", "running_sums"]
"""Where the logit gradients are kept; see above."""
Contraction = Literal["gradient", "token"]
"""How they become inner products of gradients; see above."""
Wanted = Literal["gram", "sums"]
"""The K x K matrix, or only S = ‖Σ_k g_k‖² and Q = Σ_k ‖g_k‖²."""

MAX_BYTES = 512 * 2**20
"""Default scratch: 512 MiB beside the models, the hidden states and the result."""
TOKEN_CROSSOVER = 1.3
"""Tokens per hidden dimension up to which the token contraction is faster (measured)."""
SLICE_ELEMENTS = 2**16
"""Logits whose element-wise work is done at a time: five tiles of float32 fit into 2 MiB of cache."""
CAST_COLUMNS = 1024
"""Vocabulary rows of the head multiplied (and, for bf16 weights, widened) at a time in a row pass."""

_CHUNKS = (256, 128, 64, 32, 16, 8, 4, 2, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The sizes that decide the cost."""

    num_tokens: int
    """N: completion tokens of all rollouts together."""
    num_groups: int
    """K: rollouts (or problems) whose gradients are compared."""
    vocab_size: int
    """V: columns of the logits."""
    hidden_size: int
    """d of the student."""
    teacher_hidden_size: int = 0
    """d' of the teacher; 0 for a loss without a teacher."""
    element_bytes: int = 4
    """4 for float32 arithmetic, 8 for float64."""
    wide_weights: bool = True
    """The heads' weights already have the arithmetic's type; otherwise blocks of them are widened."""
    wide_hidden: bool = True
    """The hidden states already have the arithmetic's type; otherwise they are widened as a whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will run, and its cost."""

    storage: Storage
    """Where the logit gradients are kept."""
    contraction: Contraction | Literal["none"]
    """How they are contracted; running_sums contracts nothing."""
    row_chunk: int
    """C: rows of full logits made at a time."""
    vocab_block: int
    """B: vocabulary columns contracted at a time."""
    scratch_bytes: int
    """Upper bound of the scratch memory."""
    gemm_units: float
    """FLOP of the matrix products, in units u = 2·N·V·d."""

    def __str__(self) -> str:
        return (
            f"{self.storage}/{self.contraction}: {self.gemm_units:.3g} u, {self.scratch_bytes / 2**20:.1f} MiB, "
            f"rows {self.row_chunk}, vocabulary block {self.vocab_block}"
        )


def choose_plan(
    shape: Shape,
    *,
    max_bytes: int = MAX_BYTES,
    wanted: Wanted = "gram",
    statistics_given: bool = False,
    blockwise: bool = True,
    online: bool = True,
    allow_bf16: bool = False,
    storage: Storage | None = None,
    contraction: Contraction | None = None,
) -> Plan:
    """The cheapest algorithm that fits into ``max_bytes``, by the rule in this module's docstring.

    Args:
        shape: sizes, see :class:`Shape`.
        max_bytes: scratch memory allowed, in bytes.
        wanted: ``gram`` for the K x K matrix (error bars, nulls), ``sums`` when the two scalars are enough.
        statistics_given: row statistics come from the loss or a scoring pass.
        blockwise: the loss has a closed form on a vocabulary block; without one it cannot be streamed.
        online: the row statistics can be added up over blocks of columns; otherwise they need whole rows of logits.
        allow_bf16: accept δ rounded to bfloat16.
        storage: force one storage, e.g. to compare algorithms.
        contraction: force one contraction.

    Raises:
        ValueError: nothing fits (the message gives the smallest number of bytes that would do), or a forced storage
            cannot give what is wanted.

    Example:
        >>> small = Shape(num_tokens=256, num_groups=8, vocab_size=32768, hidden_size=576, teacher_hidden_size=576)
        >>> print(choose_plan(small))
        stored/token: 2.45 u, 65.0 MiB, rows 256, vocabulary block 256
        >>> qwen = Shape(
        ...     num_tokens=65536, num_groups=8, vocab_size=151936, hidden_size=4096, teacher_hidden_size=4096
        ... )
        >>> choose_plan(qwen).storage
        'streamed'
    """
    check_choice("choose_plan", "wanted", wanted, get_args(Wanted))
    if storage is not None:
        _check_storage(storage, wanted=wanted, blockwise=blockwise)
    if contraction is not None:
        check_choice("choose_plan", "contraction", contraction, get_args(Contraction))
    else:
        contraction = "token" if shape.num_tokens <= TOKEN_CROSSOVER * shape.hidden_size else "gradient"
    if storage is not None:
        order: list[Storage] = [storage]
    else:
        order = ["streamed"] if statistics_given and blockwise else []
        order.append("stored")
        order += ["bf16"] if allow_bf16 else []
        order += ["running_sums"] if wanted == "sums" else []
        order += ["streamed"] if blockwise else []
    least = None
    for candidate in order:
        # The last resort of a token contraction is the gradient one: it needs no N x N matrices.
        for how in dict.fromkeys((contraction, "gradient" if storage is None else contraction)):
            plan = _fit(shape, candidate, how, max_bytes, statistics_given, online)
            if plan.scratch_bytes <= max_bytes:
                return plan
            least = plan.scratch_bytes if least is None else min(least, plan.scratch_bytes)
    raise ValueError(
        f"choose_plan: max_bytes must be at least {least} for this shape, got {max_bytes}. "
        "Allow more memory, or measure fewer rollouts at a time."
    )


def _check_storage(storage: Storage, *, wanted: Wanted, blockwise: bool) -> None:
    """Refuse a forced storage that does not exist, or that cannot give what is wanted of this loss."""
    check_choice("choose_plan", "storage", storage, get_args(Storage))
    if storage == "streamed" and not blockwise:
        raise ValueError(
            "choose_plan: storage must not be streamed for a loss without a block form, got streamed. Use stored."
        )
    if storage == "running_sums" and wanted == "gram":
        raise ValueError(
            "choose_plan: storage must not be running_sums where the Gram matrix is wanted, got running_sums. "
            "Use wanted='sums'."
        )


def _fit(shape: Shape, storage: Storage, contraction: Contraction, max_bytes: int, given: bool, online: bool) -> Plan:
    """The largest blocks of one algorithm that fit, or its smallest when none does."""
    first = 64 if storage == "streamed" else 256  # below 64 rows the GEMM slows down; above, only memory grows
    plan = None
    for size in (chunk for chunk in _CHUNKS if chunk <= first):
        plan = _plan(shape, storage, contraction, size, min(4 * size, 256), given, online)
        if plan.scratch_bytes <= max_bytes:
            break
    assert plan is not None
    return plan


def slice_rows(columns: int) -> int:
    """Rows of a block of that many columns whose element-wise work is done at a time.

    Example:
        >>> slice_rows(38), slice_rows(32_768), slice_rows(151_936)
        (1724, 2, 1)
    """
    return max(1, SLICE_ELEMENTS // columns)


def _plan(
    shape: Shape, storage: Storage, contraction: Contraction, rows: int, block: int, given: bool, online: bool
) -> Plan:
    N, K, V, d, e = shape.num_tokens, shape.num_groups, shape.vocab_size, shape.hidden_size, shape.element_bytes
    rows, block = min(rows, max(N, 1)), min(block, V)
    widest = max(d, shape.teacher_hidden_size)
    cast = 0 if shape.wide_weights else 2 * min(CAST_COLUMNS, V) * widest * e
    row_pass = (2 * rows + 4 * min(slice_rows(V), rows)) * V * e + cast
    block_cast = 0 if shape.wide_weights else 2 * block * widest * e
    always = 40 * N + (0 if shape.wide_hidden else N * (d + shape.teacher_hidden_size) * e)
    hidden_copy = N * d * e  # states times coefficients; streaming multiplies δ instead
    if contraction == "token":
        contract = 2 * N * N * (e + 8)
        product = (N * N * V) * 2 + N * N * d * 2
    else:
        contract = K * block * d * e
        product = 2 * N * V * d + 2 * K * K * V * d
    logits = 2 * N * V * (d + shape.teacher_hidden_size)
    if storage == "running_sums":
        block = V
        memory = always + 2 * V * d * e + row_pass + hidden_copy
        flop = logits + 2 * N * V * d
    elif storage == "streamed":
        second = 2 * N * block * e + contract + block_cast
        memory = always + (second if given or online else max(row_pass, second))
        flop = logits * (1 if given else 2) + product
    else:
        width = 2 if storage == "bf16" else e
        spare = row_pass - (rows * V * e if storage == "stored" else 0)  # student logits become δ in the store
        widened = N * block * e if storage == "bf16" else 0
        memory = always + N * V * width + max(spare, contract + hidden_copy + widened)
        flop = logits + product
    return Plan(
        storage=storage,
        contraction="none" if storage == "running_sums" else contraction,
        row_chunk=rows,
        vocab_block=block,
        scratch_bytes=int(memory),
        gemm_units=flop / max(2 * N * V * d, 1),
    )
