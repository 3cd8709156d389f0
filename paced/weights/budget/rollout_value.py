"""What a rollout buys: the best K when a problem costs K rollouts and its training, and whether they pay (``x15``).

Fresh problems are taken as unlimited: a budget T buys T/(K + c) of them, c the cost of training on one in rollouts, and
the descent is proportional to T Eff_K/(K + c), with Eff_K of the posterior weights (``efficiency.py``). Left out: a
fixed set of problems, where more rollouts always help and only ``planner.py``'s budget limits them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from paced.errors import check_number
from paced.weights.budget.efficiency import (
    Law,
    Number,
    drop_zero_efficiency,
    exact_law,
    hard_filter_efficiency,
    plugin_efficiency,
    posterior_efficiency,
    uniform_efficiency,
)

ROUNDING = 1e-12
"""A relative gain below this is not told from rounding."""
SHOWN_COSTS = (10, 100, 1000)
"""Costs of training on one problem, in rollouts, for which ``paced fit --budget`` prints the best K."""


@dataclass(frozen=True)
class BreakEven:
    """The training cost from which rollouts pay, and the K that pays first."""

    training_cost: Number
    """c*: of one problem, in rollouts."""
    num_rollouts: int
    """K that attains it."""


def best_num_rollouts(law: Law, training_cost: float | Fraction) -> int:
    """The K >= 0 that makes Eff_K/(K + c) largest; 0 where rollouts do not pay. The smallest K of equal ones.

    Args:
        law: (a, b) of the pass rates, both > 0.
        training_cost: c > 0, what training on one problem costs, in rollouts.

    Example:
        >>> [best_num_rollouts((1, 1), cost) for cost in (50, 100, 1000)]
        [0, 6, 28]
    """
    cost = _cost("best_num_rollouts", training_cost)
    best, K = (uniform_efficiency(law) / cost, 0), 0
    while best[0] * (K + 1 + cost) < 1:  # Eff_K <= 1: no larger K can do better after this
        K += 1
        value = posterior_efficiency(K, law) / (K + cost)
        if value > best[0]:
            best = (value, K)
    return best[1]


def break_even(law: Law) -> BreakEven:
    """c* = min over K of K/(Eff_K/Eff_0 - 1): with fresh problems rollouts pay only if training costs more than this.

    Args:
        law: (a, b) of the pass rates, both > 0; with whole numbers or fractions the answer is exact.

    Returns: c* and the K that attains it.

    Edges: inf for a law so narrow that equal weights are best to rounding; the smallest K of equal ones (4 and 5 both
        give 70 for the uniform law).

    Example:
        >>> break_even((1, 1)), round(float(break_even((0.1, 0.1)).training_cost), 2)
        (BreakEven(training_cost=Fraction(70, 1), num_rollouts=4), 2.15)
    """
    start = uniform_efficiency(law)
    most = 1 / start - 1  # Eff_K/Eff_0 - 1 is never more
    best = BreakEven(math.inf, 0)
    K = 0
    while most > ROUNDING and best.training_cost * most > K + 1:
        K += 1
        gain = posterior_efficiency(K, law) / start - 1
        if gain > ROUNDING and K / gain < best.training_cost:
            best = BreakEven(K / gain, K)
    return best


def first_better(law: Law, *, largest: int = 64) -> int | None:
    """The K from which plug-in weights are more efficient than equal weights and than dropping s = 0.

    Args:
        law: (a, b) of the pass rates, both > 0.
        largest: up to which K is looked, >= 2.

    Returns: the smallest K that is better, as are all above it up to ``largest``; None where ``largest`` is not.

    Example:
        >>> [first_better(law) for law in ((1, 1), (Fraction(1, 2), Fraction(1, 2)), (2, 2))]
        [7, 5, 12]
    """
    equal, first = uniform_efficiency(law), None
    for K in range(largest, 1, -1):
        if plugin_efficiency(K, law) <= max(equal, drop_zero_efficiency(K, law)):
            break
        first = K
    return first


def rollout_value(law: tuple[float, float], num_rollouts: int) -> dict[str, Any]:
    """The numbers that ``paced fit --budget`` gives beside its policies, as plain data.

    Args:
        law: (a, b), such as ``fit(...).law``.
        num_rollouts: K >= 2 at which the weights are compared.

    Returns: ``num_rollouts``; ``efficiency`` of each weight; ``plugin_from``, the K from which the plug-in weight is
        ahead of equal weights and drop-zero, or None; ``break_even``, the training cost from which rollouts pay and
        its K, or None where they never do; ``best_num_rollouts`` by training cost.

    Example:
        >>> value = rollout_value((1.0, 1.0), 8)
        >>> value["plugin_from"], round(value["break_even"]["training_cost"], 9), value["best_num_rollouts"]["100"]
        (7, 70.0, 6)
    """
    exact = exact_law("rollout_value", law)
    K = num_rollouts
    shares = {
        "equal weights": uniform_efficiency(exact),
        "drop-zero": drop_zero_efficiency(K, exact),
        "p̂(1-p̂)": plugin_efficiency(K, exact),
        "posterior": posterior_efficiency(K, exact),
    }
    if K >= 3:  # with fewer rollouts no count is inside [0.2, 0.8] but 1 of 2
        shares["hard filter [0.2, 0.8]"] = hard_filter_efficiency(K, exact)
    even = break_even(exact)
    pays = {"training_cost": float(even.training_cost), "num_rollouts": even.num_rollouts}
    return {
        "num_rollouts": K,
        "efficiency": {name: float(value) for name, value in shares.items()},
        "plugin_from": first_better(exact),
        "break_even": None if math.isinf(even.training_cost) else pays,
        "best_num_rollouts": {str(cost): best_num_rollouts(exact, cost) for cost in SHOWN_COSTS},
    }


def rollout_value_text(law: tuple[float, float], num_rollouts: int) -> str:
    """The numbers of :func:`rollout_value` in sentences."""
    value = rollout_value(law, num_rollouts)
    first, even = value["plugin_from"], value["break_even"]
    known = ", ".join(f"{name} {share:.3f}" for name, share in value["efficiency"].items())
    costs = ", ".join(f"{int(cost):,}: {best}" for cost, best in value["best_num_rollouts"].items())
    what = "What a rollout buys: descent as a share of that with known pass rates"
    pays = "at no cost of training"
    if even is not None:
        cost = f"{even['training_cost']:.3g} rollouts (K = {even['num_rollouts']} then)"
        pays = f"only if training on one costs more than {cost}"
    return "\n".join(
        [
            f"{what}, K = {num_rollouts}, flat second moment:",
            f"  {known}.",
            f"  p̂(1-p̂) is ahead of equal weights and drop-zero {f'from K = {first}' if first else 'at no K up to 64'}.",
            f"With fresh problems rollouts pay {pays}.",
            f"  Best K by that cost: {costs}.",
        ]
    )


def _cost(place: str, training_cost: float | Fraction) -> Number:
    check_number(place, "training_cost", float(training_cost), low=0, low_open=True)
    return Fraction(training_cost) if isinstance(training_cost, int | Fraction) else float(training_cost)
