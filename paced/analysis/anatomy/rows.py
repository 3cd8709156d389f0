"""Gradient anatomy: how large, how coherent and how useful the gradients of each pass-rate group are.

A row says, for the problems of one group under one loss: the mean norm ‖g_x‖, the mean cosine of two problems, and the
cosine of the group's mean gradient with a useful direction and with a prior-skill direction. All come from inner
products, so that the bootstrap over problems never touches a gradient again; the problems behind a direction are
resampled together with the group's. A positive cosine: a small step down the group's loss is a step down the other.
Shapes: n problems of the group, m of a direction, R resamples and the sample itself.
Left out: the gradients themselves (``gradients.py``); this file loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paced.analysis.results.intervals import LEVEL
from paced.arrays import Floats
from paced.records import PassRate, Problem
from paced.zone import TABLE_9

RESAMPLES = 1000
MIN_SOURCE = 5
"""Problems that a source needs to get a group of its own at p̂ = 0."""

Gradients = NDArray[np.floating[Any]]
"""One gradient a problem, [num_problems, num_parameters], float32 or float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnatomyRow:
    """One group of problems under one loss; each value with the ends of its bootstrap interval over problems."""

    loss: str
    """The loss whose gradient it is and the completions it is taken along, e.g. ``forward_kl, references``."""
    group: str
    """The pass-rate group, e.g. ``p̂ = 0, hash``."""
    num_problems: int
    """Problems in the group."""
    norm: float
    """Mean over problems of ‖g_x‖, g_x the mean over a problem's completions."""
    norm_low: float
    """Lower end."""
    norm_high: float
    """Upper end."""
    pair_cosine: float
    """Mean cosine of two different problems' gradients; NaN for fewer than two."""
    pair_cosine_low: float
    """Lower end."""
    pair_cosine_high: float
    """Upper end."""
    useful_cosine: float
    """Cosine of the group's mean gradient with the useful direction; NaN where there is none."""
    useful_cosine_low: float
    """Lower end."""
    useful_cosine_high: float
    """Upper end."""
    prior_cosine: float
    """Cosine of the group's mean gradient with the prior-skill direction; NaN where there is none."""
    prior_cosine_low: float
    """Lower end."""
    prior_cosine_high: float
    """Upper end."""


def group_problems(problems: Sequence[Problem], rates: Mapping[str, PassRate]) -> dict[str, list[Problem]]:
    """Problems by pass-rate group, hardest first; p̂ = 0 is split by source when several sources have enough there.

    Problems without a graded rollout are left out.
    """
    groups: dict[str, list[Problem]] = {}
    unsolved: dict[str, list[Problem]] = {}
    low, high = f"{TABLE_9.low:g}", f"{TABLE_9.high:g}"
    inside = {"low": f"0 < p̂ < {low}", "zpd": f"{low} ≤ p̂ ≤ {high}", "high": f"{high} < p̂ < 1"}
    names = (*inside.values(), "p̂ = 1")
    for problem in problems:
        rate = rates[problem.problem_id]
        if not rate.num_rollouts:
            continue
        p = rate.pass_rate_estimate
        if p == 0:
            unsolved.setdefault(problem.source, []).append(problem)
        else:
            name = names[-1] if p == 1 else inside[TABLE_9.region(p)]
            groups.setdefault(name, []).append(problem)
    large = sorted(source for source, members in unsolved.items() if len(members) >= MIN_SOURCE)
    hardest: dict[str, list[Problem]] = {}
    for source in sorted(unsolved):
        own = source in large and len(large) > 1 and source
        hardest.setdefault(f"p̂ = 0, {source}" if own else "p̂ = 0", []).extend(unsolved[source])
    return hardest | {name: groups[name] for name in names if name in groups}


def anatomy_row(
    gradients: Gradients,
    *,
    loss: str,
    group: str,
    useful: Gradients | None = None,
    prior: Gradients | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> AnatomyRow:
    """The anatomy of one group.

    Args:
        gradients: one gradient a problem, [num_problems, num_parameters], any floating type.
        loss: name of the loss.
        group: name of the group.
        useful: gradients of the held-out problems, [m, num_parameters]; their mean is the useful direction.
        prior: the same of the prior skill.
        resamples: bootstrap resamples of problems (group and directions together).
        level: coverage in (0, 1) of the percentile intervals.
        seed: of the resampling.

    Edges: a problem without gradient has no direction and leaves the pairwise cosine; a zero mean has cosine NaN.

    Example:
        >>> row = anatomy_row(np.array([[3.0, 0.0], [0.0, 1.0]]), loss="forward_kl", group="all")
        >>> row.norm, row.pair_cosine
        (2.0, 0.0)
    """
    if not len(gradients):
        raise ValueError("anatomy_row: gradients must hold at least one problem, got none.")
    rng = np.random.default_rng(seed)
    count = len(gradients)
    # [R + 1, n] multiplicities of every problem; row 0 is the sample itself, all ones.
    counts = np.vstack([np.ones(count), rng.multinomial(count, np.full(count, 1 / count), resamples)]).astype(float)
    gram = _products(gradients, gradients)  # [n, n]
    norms = np.sqrt(np.diagonal(gram))  # [n]
    samples = {"norm": counts @ norms / count, "pair_cosine": _pair_cosine(gram, norms, counts)}
    means = np.sqrt(np.maximum(np.einsum("rx,xy,ry->r", counts, gram, counts), 0.0))
    for name, direction in (("useful", useful), ("prior", prior)):
        if direction is None or not len(direction):
            samples[f"{name}_cosine"] = np.full(len(counts), np.nan)
            continue
        size = len(direction)
        draws = np.vstack([np.ones(size), rng.multinomial(size, np.full(size, 1 / size), resamples)]).astype(float)
        products = np.einsum("rx,xy,ry->r", counts, _products(gradients, direction), draws)
        lengths = np.sqrt(np.maximum(np.einsum("rx,xy,ry->r", draws, _products(direction, direction), draws), 0.0))
        samples[f"{name}_cosine"] = _ratio(products, means * lengths)
    values: dict[str, float] = {}
    for name, sample in samples.items():
        values[name] = float(sample[0])
        finite = sample[1:][np.isfinite(sample[1:])]
        tails = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2]) if len(finite) else (np.nan, np.nan)
        values[f"{name}_low"], values[f"{name}_high"] = float(tails[0]), float(tails[1])
    return AnatomyRow(loss=loss, group=group, num_problems=count, **values)


def anatomy_columns(rows: Sequence[AnatomyRow]) -> dict[str, list[object]]:
    """Rows as columns: what the figure draws and its CSV contains."""
    return {name: [getattr(row, name) for row in rows] for name in AnatomyRow.__slots__}


def _products(left: Gradients, right: Gradients) -> Floats:
    """Inner products in float64, in blocks of parameters so that float32 gradients are not copied whole."""
    total = np.zeros((len(left), len(right)))
    for start in range(0, left.shape[1], 65_536):
        block = slice(start, start + 65_536)
        total += left[:, block].astype(np.float64) @ right[:, block].astype(np.float64).T
    return total


def _pair_cosine(gram: Floats, norms: Floats, counts: Floats) -> Floats:
    """Mean over pairs of different problems, a pair weighted by the product of its multiplicities."""
    nonzero = norms > 0  # [n]
    cosines = gram[np.ix_(nonzero, nonzero)] / np.outer(norms[nonzero], norms[nonzero])
    np.fill_diagonal(cosines, 0.0)
    kept = counts[:, nonzero]
    pairs = kept.sum(axis=1) ** 2 - (kept**2).sum(axis=1)
    return _ratio(np.einsum("rx,xy,ry->r", kept, cosines, kept), pairs)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Their quotient; NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
