"""Which problems make up which optimiser step: a pure function of the weights, the settings and a seed.

====== ========================================================= =======================================
name   which problems take a slot                                what multiplies their loss
====== ========================================================= =======================================
weight every problem, in a new order each epoch                  w̃, unit mean over the training set
refill every problem of positive weight, the others move up      w̃, unit mean over these problems
sample drawn with replacement in proportion to w                 1
====== ========================================================= =======================================

``weight`` is the paper's: a problem of weight zero keeps its slot and does nothing, so a batch may hold few problems
that count. ``refill`` spends the same number of steps on problems that do. ``sample`` has the same expected gradient as
``weight``, with another variance (``x11``).
Left out: the method that made the weights. Nothing here knows it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paced.arrays import Floats, Integers
from paced.run.choices import Batching
from paced.run.seeds import text_key


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One optimiser step over all ranks and accumulation steps."""

    indices: tuple[int, ...]
    """Problems that count, by place in the stage; those of weight zero are not here."""
    weights: tuple[float, ...]
    """Multiplier > 0 of each of their losses."""
    num_slots: int
    """Problems that took a slot, those of weight zero included: the denominator of the dataset normaliser."""


def number_of_steps(num_problems: int, *, batch_size: int, num_epochs: float, num_steps: int) -> int:
    """Optimiser steps of a stage: ``num_steps``, or as many as ``num_epochs`` take when it is 0; at least one.

    Example:
        >>> number_of_steps(2400, batch_size=32, num_epochs=1.0, num_steps=0)
        75
    """
    return num_steps or max(1, math.ceil(num_epochs * num_problems / batch_size - 1e-9))


def plan_batches(
    unit_mean_weights: Sequence[float],
    *,
    batching: Batching,
    batch_size: int,
    first_step: int,
    num_steps: int,
    seed: int,
    stage_number: int = 1,
) -> list[Batch]:
    """The batches of steps ``first_step`` to ``first_step + num_steps - 1``.

    Args:
        unit_mean_weights: w̃ >= 0 of every problem of the stage.
        batching: see the table above.
        batch_size: slots of one step.
        first_step: where these weights come into force; 0 unless pass rates are renewed within the stage.
        num_steps: steps planned.
        seed: the run's seed.
        stage_number: the stage, so that stages take their problems in different orders.

    Edges: the last batch of an epoch continues with the first problems of the next one, so every batch has
        ``batch_size`` slots. All weights zero: batches without problems for ``weight``, an error for the other two.

    Raises:
        ValueError: no weight is positive and ``batching`` needs one, or a weight is negative or not finite.

    Example:
        >>> plan_batches([2.0, 0.0], batching="weight", batch_size=2, first_step=0, num_steps=1, seed=1)
        [Batch(indices=(0,), weights=(2.0,), num_slots=2)]
        >>> plan_batches([2.0, 0.0], batching="refill", batch_size=2, first_step=0, num_steps=1, seed=1)
        [Batch(indices=(0, 0), weights=(1.0, 1.0), num_slots=2)]
    """
    weights = np.asarray(unit_mean_weights, dtype=np.float64)  # [problems]
    if weights.ndim != 1 or not weights.size or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("plan_batches: unit_mean_weights must be finite and >= 0, at least one of them.")
    eligible = np.flatnonzero(weights > 0)  # [problems of positive weight]
    if batching != "weight" and not eligible.size:
        raise ValueError(
            f"plan_batches: batching '{batching}' needs a problem of positive weight, got {weights.size} zeros. "
            "Use another weight function, or more rollouts a problem."
        )
    # slots [num_steps · batch_size]: the problem of each; multipliers [problems]
    if batching == "sample":
        slots = _draws(weights, first_step, num_steps, batch_size, seed, stage_number)
        multipliers = np.ones_like(weights)
    elif batching == "refill":
        slots = eligible[_stream(eligible.size, first_step * batch_size, num_steps * batch_size, seed, stage_number)]
        multipliers = weights / weights[eligible].mean()
    elif batching == "weight":
        slots = _stream(weights.size, first_step * batch_size, num_steps * batch_size, seed, stage_number)
        multipliers = weights
    else:
        raise ValueError(f"plan_batches: batching must be weight, refill or sample, got {batching!r}.")
    batches = []
    for row in slots.reshape(num_steps, batch_size):  # [slots of one step]
        counted = row[multipliers[row] > 0]
        batches.append(
            Batch(indices=tuple(counted.tolist()), weights=tuple(multipliers[counted].tolist()), num_slots=batch_size)
        )
    return batches


def _stream(size: int, start: int, count: int, seed: int, stage_number: int) -> Integers:
    """Positions ``start`` to ``start + count`` [count] of an endless stream: a new permutation every epoch."""
    first, last = start // size, (start + count - 1) // size
    epochs = [
        np.random.default_rng([seed, text_key("order"), stage_number, epoch]).permutation(size)
        for epoch in range(first, last + 1)
    ]
    return np.concatenate(epochs)[start - first * size :][:count]


def _draws(weights: Floats, first_step: int, num_steps: int, batch_size: int, seed: int, stage_number: int) -> Integers:
    """Problems [num_steps · batch_size] drawn in proportion to their weight, each step with a generator of its own."""
    shares = weights / weights.sum()
    return np.concatenate(
        [
            np.random.default_rng([seed, text_key("draw"), stage_number, step]).choice(
                weights.size, size=batch_size, p=shares
            )
            for step in range(first_step, first_step + num_steps)
        ]
    )
