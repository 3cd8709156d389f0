"""How the fused loss is cut: chunks of tokens, blocks of vocabulary rows, tiles that fit the processor's cache.

The sizes follow from the shapes and one fact of the machine, the size of its second-level cache, never from a timing:
the same machine cuts alike every time. They change a result by rounding only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from paced.errors import ConfigError

_LIVE = 8
"""Tiles of float32 that a quarter to a half of the cache may hold: both logits, p, q, their difference, and room."""
_SMALLEST = 2**15
"""Elements below which starting an operation costs more than running it."""
_FEWEST = 256
"""Tokens of a chunk at least: every chunk moves the whole [V, d] gradient and three heads of that size through memory,
which outlasts the products of few tokens (V = 151,936: 82 % of the large-GEMM rate with 128, 93 % with 256)."""
_UNKNOWN = 2**20
"""Bytes of cache where the machine does not say."""


@dataclass(frozen=True, kw_only=True)
class BlockSizes:
    """How much is in flight: chunk of tokens, block of vocabulary rows, tile of tokens."""

    tokens: int
    """Tokens whose logits exist at once, twice (student and teacher)."""
    columns: int
    """Vocabulary rows of one GEMM."""
    rows: int
    """Tokens of one element-wise tile, small enough for the cache."""

    @classmethod
    def fitting(cls, vocab: int, device: torch.device) -> BlockSizes:
        """Sizes for a vocabulary: a small one takes one tile, on a CPU a large one tiles that fit the cache.

        Args:
            vocab: tokens of the vocabulary, >= 1.
            device: where the logits are.

        Example:
            >>> sizes = BlockSizes.fitting(32_768, torch.device("cpu"))
            >>> sizes.tokens, sizes.columns, 1 <= sizes.rows < sizes.tokens
            (256, 1024, True)
        """
        if device.type == "cpu":
            tokens = min(max(_FEWEST, 2**23 // vocab), 2**16)
            elements = max(second_level_cache() // (4 * _LIVE), _SMALLEST)
            return cls(tokens=tokens, columns=1024, rows=max(1, elements // vocab))
        tokens = min(max(512, 2**27 // vocab), 2**16)
        return cls(tokens=tokens, columns=vocab, rows=max(1, tokens // 4))


@cache
def second_level_cache() -> int:
    """Bytes of one core's second-level cache, as Linux says; 1 MiB where nothing does.

    The environment variable ``PACED_L2_BYTES`` overrides it, for trials and for machines that report it wrongly.

    Raises:
        ConfigError: a ``PACED_L2_BYTES`` that is not a whole number of bytes.

    Example:
        >>> second_level_cache() >= 2**14
        True
    """
    stated = os.environ.get("PACED_L2_BYTES")
    if stated:
        if not stated.isdecimal():
            raise ConfigError(f"PACED_L2_BYTES must be a whole number of bytes, got {stated!r}. For 2 MiB set 2097152.")
        return int(stated)
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()  # "2048K"
        return int(size.removesuffix("K")) * 2**10
    except (OSError, ValueError):
        return _UNKNOWN
