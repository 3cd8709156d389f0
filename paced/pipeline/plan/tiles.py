"""Memory that the fused loss holds for logits: chunks of tokens by vocabulary, counted by running it small.

The sizes of the chunks are the loss's own (``BlockSizes.fitting``). How many such tiles a divergence holds at once is
read off a run over a few tokens and a vocabulary of a thousand, so a divergence that takes one more is seen.
"""

from __future__ import annotations

from functools import lru_cache

from paced.pipeline.plan.shapes import FOUR
from paced.run.config import RunConfig

SPLIT_BYTES = 8
"""Bytes a logit on CUDA's tensor cores: a gradient's float32 factor becomes two bfloat16 terms and a difference."""


def tile_bytes(config: RunConfig, *, vocab: int, num_tokens: int, device_kind: str) -> float:
    """Bytes of all tiles, for the stage whose divergence holds most.

    Args:
        config: the recipe; the divergences of its stages are read.
        vocab: rows of the head.
        num_tokens: tokens with a loss of one micro-batch on one device.
        device_kind: ``cuda`` or ``cpu``, by which the loss chooses its chunks.
    """
    import torch

    from paced.train.loss.blocks import BlockSizes

    blocks = BlockSizes.fitting(vocab, torch.device(device_kind))
    chunk = min(blocks.tokens, num_tokens)
    rows = min(blocks.rows, chunk)
    most = max(
        tiles_of(stage.divergence.name, tuple(sorted(stage.divergence.parameters.items()))) for stage in config.stages
    )
    split = SPLIT_BYTES * chunk * vocab if device_kind == "cuda" and config.student.dtype == "bfloat16" else 0
    return FOUR * vocab * (2 * chunk + (most - 2) * rows) + split


@lru_cache(maxsize=64)
def tiles_of(divergence: str, parameters: tuple[tuple[str, object], ...] = ()) -> float:
    """Tiles [tokens, vocabulary] of float32 that the loss holds at once, both logits included.

    Example:
        >>> tiles_of("forward_kl") >= 2
        True
    """
    import torch

    from paced.models.livebytes import LiveBytes
    from paced.train.loss import fused_divergence, make_divergence
    from paced.train.loss.blocks import BlockSizes

    tokens, vocab, width = 16, 1024, 1
    hidden, head = torch.zeros(tokens, width), torch.zeros(vocab, width)
    chosen = make_divergence(divergence, **dict(parameters))
    with LiveBytes() as live:
        fused_divergence(
            student_hidden=hidden,
            teacher_hidden=hidden,
            student_head=head,
            teacher_head=head,
            token_weights=torch.ones(tokens),
            divergence=chosen,
            blocks=BlockSizes(tokens=tokens, columns=vocab, rows=tokens),
        )
    return live.peak / (FOUR * tokens * vocab)
