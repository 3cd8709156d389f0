"""Random numbers that belong to a token, not to a batch: one uniform for each (sample, position).

A sample's key is a hash of (run seed, stage, problem id, sample index); the uniform of its n-th token is a hash of the
key and n. So a completion does not depend on which other problems share its batch, on the order of the problems, on K,
or on an interruption; asking for more samples adds new ones and leaves the old ones as they were.
The mixer is splitmix64 (Steele, Lea and Flood 2014), exact in uint64 on every platform.
Left out: generator objects. Their state depends on what was drawn before, which is what must not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats, Keys

_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_POSITION = np.uint64(0xD1342543DE82EF95)
"""Odd, so position -> position * _POSITION is a bijection: no two positions of a sample share a state."""


def splitmix64(state: ArrayLike) -> Keys:
    """The splitmix64 output for each 64-bit ``state``: a bijection whose bits pass for random.

    Example:
        >>> hex(int(splitmix64(0)))  # first output of the published generator with seed 0
        '0xe220a8397b1dcdaf'
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the definition
        mixed = np.asarray(state, dtype=np.uint64) + _INCREMENT
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def text_key(text: str) -> int:
    """A 64-bit integer that is the same for ``text`` in every process and on every platform (BLAKE2b, 8 bytes)."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest(), "little")


def sample_keys(
    *, run_seed: int, stage: int | str, problem_ids: Sequence[str], num_samples: int, first_sample: int = 0
) -> Keys:
    """The 64-bit keys of ``num_samples`` samples on each problem.

    key = mix(mix(mix(mix(run_seed) ^ h(stage)) ^ h(problem_id)) ^ sample_index)

    Args:
        run_seed: the run's one seed; taken modulo 2^64.
        stage: which draw of the run this is: a stage's number, or a name such as ``"base-graded"``.
        problem_ids: the problems, in any order; a problem's keys depend on its id alone.
        num_samples: K >= 1.
        first_sample: index of the first sample, so that topping up K draws new ones only.

    Returns:
        uint64 [num_problems, num_samples].

    Example:
        >>> both = sample_keys(run_seed=1, stage=1, problem_ids=["a", "b"], num_samples=4)
        >>> alone = sample_keys(run_seed=1, stage=1, problem_ids=["b"], num_samples=2, first_sample=2)
        >>> bool((both[1, 2:] == alone[0]).all())
        True
    """
    if num_samples < 1 or first_sample < 0:
        raise ValueError(
            f"sample_keys: num_samples must be >= 1 and first_sample >= 0, got {num_samples} and {first_sample}."
        )
    run = splitmix64(run_seed % 2**64)
    draw = splitmix64(run ^ np.uint64(text_key(str(stage))))
    problems = np.array([text_key(problem_id) for problem_id in problem_ids], dtype=np.uint64)
    samples = np.arange(first_sample, first_sample + num_samples, dtype=np.uint64)
    return splitmix64(splitmix64(draw ^ problems)[:, None] ^ samples[None, :])


def sample_key(run_seed: int, stage: int | str, problem_id: str, sample_index: int) -> int:
    """The key of one sample, as :func:`sample_keys` gives it: the ``seed`` of a Rollout record."""
    keys = sample_keys(
        run_seed=run_seed, stage=stage, problem_ids=[problem_id], num_samples=1, first_sample=sample_index
    )
    return int(keys[0, 0])


def uniforms(keys: ArrayLike, position: ArrayLike) -> Floats:
    """The uniform in the open interval (0, 1) that decides token ``position`` of each sample.

    u = (⌊mix(key ^ (position + 1)·c) / 2^12⌋ + ½) / 2^52

    Args:
        keys: 64-bit keys, any shape.
        position: index >= 0 of the token in its completion; broadcast against ``keys``.

    Edges: never 0 or 1: with 52 bits the ½ is exact, so inverse-CDF sampling cannot pick a token of probability 0.

    Example:
        >>> bool(0 < uniforms(7, 0) < 1)
        True
    """
    with np.errstate(over="ignore"):
        offset = (np.asarray(position, dtype=np.uint64) + np.uint64(1)) * _POSITION
    bits = splitmix64(np.asarray(keys, dtype=np.uint64) ^ offset) >> np.uint64(12)
    return np.asarray((bits.astype(np.float64) + 0.5) / 2.0**52)
