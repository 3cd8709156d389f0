"""The page ``docs/what_weighting_buys.md``: what weighting, filters and rollouts are worth, in plain words.

Every number is computed here from the functions of the claims it names, or copied from the lab's page beside it, so
that the page cannot say what is no longer so: ``python -m paced.theory.pages.gains docs/what_weighting_buys.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np

from paced.theory.facts.batching import ess_of_slots
from paced.theory.facts.extensions import rollout_quality
from paced.theory.facts.misspecification import misspecification_floor
from paced.theory.facts.weight_noise import METHODS, weight_noise
from paced.theory.facts.weighting_gain import largest_gain
from paced.weights import BetaKernel, DropZero, WeightFunction
from paced.weights.betabinomial import log_pmf
from paced.weights.budget.efficiency import (
    Law,
    drop_zero_efficiency,
    hard_filter_efficiency,
    plugin_efficiency,
    posterior_efficiency,
    uniform_efficiency,
)
from paced.weights.budget.rollout_value import best_num_rollouts, break_even, first_better

LAWS: dict[str, Law] = {
    "uniform": (1, 1),
    "Beta(.5, .5)": (Fraction(1, 2), Fraction(1, 2)),
    "Beta(.3, .3)": (Fraction(3, 10), Fraction(3, 10)),
    "Beta(.1, .1)": (Fraction(1, 10), Fraction(1, 10)),
    "Beta(2, 2)": (2, 2),
}
"""Laws of the pass rates: from most problems at the ends (.1) to most in the middle (2)."""

PAGE = """\
# What weighting buys

Written by `python -m paced.theory.pages.gains docs/what_weighting_buys.md`. You have pass rates and ask: are weights
worth it, how many rollouts, and which way of using them? The answers below are theorems, each with its proof and its
negative control in [the ledger](theory/index.md); `paced fit FILE --budget N` prints them for the law of your own
pass rates. They are about one step at its best learning rate, for gradients whose second moment does not depend on
the pass rate unless something else is said. They are not measurements of a language model.

**Efficiency** is the share of the descent that the best weights would give, p(1-p) with known p. Twice the efficiency
is half the problems for the same descent.

## How much can any weighting gain?

Little, over a good filter. If the best weights of the problems that a filter keeps lie between m and M, equal weights
on them have at least 4mM/(m+M)² of the best efficiency, whatever the law ([x13](theory/x13.md)). For p(1-p):

{ceiling}

Which problems are in or out is what matters; the shape inside is worth a few per cent. Efficiencies with K = 8
rollouts ([x14](theory/x14.md)):

{efficiencies}

Dropping p̂ = 0 keeps the solved problems. With a flat second moment these cost slots and noise. If their gradients
vanish at mastery, M2 ∝ 1-p, they cost nearly nothing, and drop-zero comes within 8 % of the kernel (third column):
this fits the tie of the two in [the lab](lab.md), which does not prove it.

## What does a rollout buy?

Weights from K rollouts lose E Var(u|p)/E u² of the descent when they are plug-in, p̂(1-p̂), and E Var(w|s)/E w² when
they are posterior means (`estimator: posterior`). With few rollouts the plug-in is worse than no weights at all: it
throws away every problem that was solved never or always. From which K on it is ahead of equal weights and of
drop-zero:

{first}

For Beta(.5, .5) at K = 4 it is level with equal weights, to the last digit. Posterior means are never behind equal
weights, under their own law.

## Do rollouts pay at all?

If there are fresh problems to train on, rollouts compete with them. A problem with K rollouts costs K + c, c the cost
of training on it counted in rollouts. Rollouts made for the weight alone pay only if c is above c* = min over K of
K/(Eff_K/Eff_0 - 1); then the best K makes Eff_K/(K + c) largest ([x15](theory/x15.md)):

{price}

Training costs more than one rollout, but seldom 70: for uniform pass rates take more problems instead. Where most
problems are at the ends, rollouts pay from c of about 2. With a fixed set of problems nothing competes, and rollouts
that are needed anyway (reverse KL) are free.

## Refill, weight or draw?

A problem of weight zero need not take a slot of the batch. `training.batching: refill` gives its slot to another,
`sample` draws problems in proportion. All three have the same target ([x16](theory/x16.md)). A step of refill is
worth 1/P(h > 0) steps of weighting, for any gradients; over one pass of the problems they are worth the same, and
refill takes fewer steps. Drawing beats refill when the second moment of the gradients grows more slowly than 1/h
towards small weights, and loses when it grows faster. Effective share of the slots of a step, K = 8:

{slots}

Measured in the lab beside it, {lab_source}:

{lab}

Refill and drawing gain more than weighting, as the theorem says, by about a point, and as much as each other, which
it does not say. With the same number of steps the kept problems are seen more often, which it does not count either.

## How wrong may the kernel be?

Let the truth differ from the assumed SNR² by a factor within e^-δ and e^δ through its noise. A weight keeps at least
1/(cosh δ + t sinh δ)² of its nominal efficiency; t, between 0 and 1, is the total variation between what the weight
spends, ∝ w² M2, and what the best weight would, ∝ s2²/M2 ([x12](theory/x12.md)). The best weight has t = 0:

{wrong}

It does not hold for a misjudged signal, for which the claim's page has a weaker floor.

## Do hard filters amplify estimation noise?

Yes ([sec4.noise](theory/sec4-noise.md)). Mean squared error of the unit-mean weight, uniform pass rates:

{noise}

Halving K from 8 makes the kernel's error 2.6 times as large; the filter's is large at every K and falls slowly. If
the pass rates are all well inside the filter it is the other way round.

## Where does the bell come from?

For verifiable rewards from the baseline ([x17](theory/x17.md)). With equal score moments the score-function
gradient's signal over its second moment is p(1-p) with the pass rate as baseline, p(1-p)² without, and p²(1-p)² with
baseline 1/2. In the policy's own metric no policy has more signal than p(1-p), and a softmax over all answers has
exactly that ([x18](theory/x18.md)). Where one softmax writes all of an answer's L tokens and each must be right, the
bell is lower and leans towards solved problems, p² L (p^(-1/L) - 1), with its peak at p = 0.61 for long answers. For
distillation nothing follows: its gradient is not a score times a reward, and the paper's Assumption 3(b) stays an
assumption.
"""


def gains_page(lab: str) -> str:
    """The page, in Markdown.

    Args:
        lab: text of ``docs/lab.md``, for the measured rows.
    """
    return PAGE.format(
        ceiling=_ceiling(),
        efficiencies=_efficiencies(),
        first=_first(),
        price=_price(),
        slots=_slots(),
        lab=_lab_rows(lab),
        lab_source="gain in points and forgetting, with intervals, from [its page](lab.md)",
        wrong=_wrong(),
        noise=_noise(),
    )


def _ceiling() -> str:
    ranges = ((0.01, 0.99), (0.05, 0.95), (0.1, 0.9), (0.125, 0.875), (0.2, 0.8), (0.3, 0.7))
    rows = [(f"[{low:g}, {high:g}]", f"{largest_gain(low, high):.3f}") for low, high in ranges]
    return _table(("filter keeps p in", "any weighting is at most so many times as efficient"), rows)


def _efficiencies() -> str:
    rows = []
    for name, law in LAWS.items():
        values = (
            uniform_efficiency(law),
            drop_zero_efficiency(8, law),
            _drop_zero_at_mastery(law),
            hard_filter_efficiency(8, law),
            plugin_efficiency(8, law),
            posterior_efficiency(8, law),
        )
        rows.append((name, *(f"{float(value):.3f}" for value in values)))
    header = ("pass rates", "equal", "drop p̂ = 0", "the same, M2 ∝ 1-p", "keep [.2, .8]", "p̂(1-p̂)", "posterior")
    return _table(header, rows)


def _drop_zero_at_mastery(law: Law) -> float:
    """Eff of drop-zero at K = 8 where w* = p(1-p) still, and M2 ∝ 1-p."""
    weights = DropZero()(np.arange(9), 8)
    return rollout_quality(
        weights, signal_exponents=(0.5, 1.0), second_moment_exponents=(0, 1), law=(float(law[0]), float(law[1]))
    )


def _first() -> str:
    return _table(("pass rates", "K"), [(name, str(first_better(law))) for name, law in LAWS.items()])


def _price() -> str:
    rows = []
    for name, law in LAWS.items():
        even = break_even(law)
        best = [str(best_num_rollouts(law, cost)) for cost in (10, 100, 1000)]
        rows.append((name, f"{float(even.training_cost):.3g}", str(even.num_rollouts), *best))
    header = ("pass rates", "c*", "K there", "best K, c = 10", "c = 100", "c = 1,000")
    return _table(header, rows)


def _slots() -> str:
    rules: dict[str, WeightFunction] = {"p̂(1-p̂)": BetaKernel(), "drop p̂ = 0": DropZero()}
    rows = []
    for name, law in LAWS.items():
        masses = np.exp(log_pmf(8, float(law[0]), float(law[1])))
        for weight, rule in rules.items():
            h = rule(np.arange(9), 8)
            shares = (ess_of_slots(h, batching=way, masses=masses) for way in ("weight", "refill", "sample"))
            rows.append((name, weight, *(f"{share:.3f}" for share in shares)))
    return _table(("pass rates", "weight", "weight", "refill", "sample"), rows)


def _lab_rows(lab: str) -> str:
    lines = [line for line in lab.splitlines() if line.startswith("| `lab-batching`")]
    if not lines:
        raise ValueError("gains: docs/lab.md must have rows of lab-batching, got none. Run benchmarks/lab first.")
    cells = [[cell.strip() for cell in line.strip("|").split("|")][1:4] for line in lines]
    return _table(("method", "gain", "forgetting"), [tuple(row) for row in cells])


def _wrong() -> str:
    distances = (0.0, 0.1, 0.3, 1.0)
    rows = [
        (f"{delta:g}", *(f"{float(misspecification_floor(delta, t)):.3f}" for t in distances))
        for delta in (0.1, 0.3, 0.5, 1.0)
    ]
    return _table(("δ", *(f"t = {t:g}" for t in distances)), rows)


def _noise() -> str:
    rows = [(f"{K}", *(f"{float(weight_noise(method, K)):.3f}" for method in METHODS)) for K in (4, 8, 16)]
    return _table(("K", *METHODS), rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(gains_page((target.parent / "lab.md").read_text(encoding="utf-8")), encoding="utf-8")
