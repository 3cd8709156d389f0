"""What decides a lab model, as data: its size, its data and the pre-training; the cache is keyed by all of it.

Left out: torch. A recipe can be read, compared and hashed without loading it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from paced.run.choices import Phrasing
from paced.run.storage import text_hash

RECIPE_VERSION = 2
"""Raise it when the task, the tokenizer or the pre-training changes: models cached before are then unused."""


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Sizes of a Qwen3 model; 144,960 parameters with the student's."""

    hidden: int
    """Width of the residual stream."""
    intermediate: int
    """Width of the feed-forward layers."""
    layers: int
    """Number of layers."""
    heads: int
    """Attention heads, each with its own keys and values."""
    head_dim: int = 32
    """Width of a head; 16 is a third faster and was not tuned."""
    max_positions: int = 64
    """Longest sequence; the task needs 30 tokens."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights; 0.1 learnt the prior skill and copying more slowly."""


STUDENT_SIZE = ModelSize(hidden=64, intermediate=192, layers=2, heads=4)
BIG_SIZE = ModelSize(hidden=96, intermediate=288, layers=3, heads=4)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What pre-training shows: shares of rows, adding up to 1."""

    prior: float = 0.27
    """Reverse and sort."""
    hinted: float = 0.28
    """Chains with an expert hint, over all twenty operators; the hint is random and the answer repeats it."""
    plain: float = 0.45
    """Chains alone."""
    sort_share: float = 0.65
    """Sort among the prior rows: it is learnt later than reverse."""
    plain_operators: int = 12
    """Plain chains use the first so many operators."""
    operator_decay: float = 0.72
    """The i-th operator of plain chains has odds ∝ operator_decay^i; 1 for equal odds."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Pass rates, at temperature 1, that end pre-training when all of them hold at once: what the designs assume."""

    graded: tuple[float, float] = (0.53, 0.57)
    """Band of the mean over graded chains: broad pass rates, with mass at both ends and between."""
    prior: float = 0.975
    """Least on reverse and sort, the skill whose loss is forgetting."""
    hinted: float = 0.975
    """Least on copying an expert hint, over operators that cannot be computed."""
    out_of_reach: float = 0.02
    """Most on chains of hash operators, and of unseen ones where pre-training does not show them."""


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe:
    """One lab model from nothing: everything its weights depend on."""

    seed: int
    """Seed of the initial weights and of the data."""
    size: ModelSize = STUDENT_SIZE
    """The model."""
    mixture: Mixture = Mixture()
    """The data; shares move with what is still missing (``pretrain.shares``)."""
    phrasing: Phrasing = "plain"
    """stochastic: a free style letter before every digit of a chain's completion."""
    targets: Targets = Targets()
    """When to stop."""
    batch_size: int = 64
    """Rows in one step; with 128 a slow seed needed about a quarter more rows in all (AdamW)."""
    matrix_learning_rate: float = 1e-2
    """Peak step size of Muon, on the matrices of the layers."""
    learning_rate: float = 3e-3
    """Peak step size of AdamW, on embedding, head and norms."""
    warmup_steps: int = 100
    """Linear warm-up."""
    averaging: float = 0.98
    """Share of the running average of the weights that each step keeps; the average is what is probed and kept."""
    finish_from: float = 0.3
    """Pass rate on graded chains from which on steps are small."""
    finish_share: float = 0.15
    """The small steps, as a share of the peak."""
    first_probe: int = 200
    """Step of the first probe."""
    probe_every: int = 20
    """Steps between probes while steps are small; twice as many before."""
    probe_problems: int = 500
    """Graded problems in a whole probe, the same for every seed; other kinds in proportion."""
    max_steps: int = 4000
    """A model that has not reached its targets by then is an error."""


def student_recipe(seed: int, phrasing: Phrasing = "plain") -> PretrainRecipe:
    """The recipe of the student with this seed."""
    return PretrainRecipe(seed=seed, phrasing=phrasing)


def big_teacher_recipe(seed: int, phrasing: Phrasing = "plain") -> PretrainRecipe:
    """The recipe of the bigger teacher: three layers of width 96, all sixteen learnable operators in equal odds."""
    return PretrainRecipe(
        seed=seed,
        size=BIG_SIZE,
        mixture=Mixture(plain_operators=16, operator_decay=1.0),
        phrasing=phrasing,
        targets=Targets(graded=(0.9, 1.0)),
        finish_from=0.7,
    )


def describe(recipe: PretrainRecipe) -> dict[str, Any]:
    """The recipe with the versions that its bits depend on, ready for JSON."""
    versions = {package: metadata.version(package) for package in ("torch", "transformers")}
    return {"recipe": dataclasses.asdict(recipe), "recipe_version": RECIPE_VERSION, "versions": versions}


def recipe_key(recipe: PretrainRecipe) -> str:
    """A hash of everything in :func:`describe`: the name of the model in the cache.

    Example:
        >>> recipe_key(student_recipe(1)) == recipe_key(student_recipe(2))
        False
    """
    return text_hash(json.dumps(describe(recipe), sort_keys=True))[:24]
