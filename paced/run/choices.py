"""Choices that a recipe makes in one word and that other rooms take as arguments: each list of names, once.

Left out: choices with parameters of their own (weights, divergences, engines, backends), which are dicts beside the
code that they name, and choices that only the configuration speaks of, which are written at their field.
"""

from __future__ import annotations

from typing import Literal

Reduction = Literal["sequence_mean", "token_mean"]
"""Mean over each sequence's tokens first, or over all tokens of the step."""
Normaliser = Literal["dataset", "self"]
"""Divide a step by its number of problems (weights have mean 1 over the training set), or by its own weights."""
Batching = Literal["weight", "refill", "sample"]
"""How weights decide which problems make a step; see ``paced.train.batches``."""
Phrasing = Literal["plain", "stochastic"]
"""Whether the lab's completions carry a free style letter before every digit."""
