"""What a rollout policy costs and how good its weights are, before a single rollout is made.

For a law of pass rates Beta(a, b) and a budget: where each policy stops (``stopping.py``), and how good the weights are
that its counts allow. Quality is the scale-free efficiency of the weights h against the true kernel w = p^α (1-p)^β,
second moment flat (``x1``),

    Eff(h) = E[h w]² / (E[h²] E[w²]),

1 for known pass rates. Left out: wall-clock cost. A policy in two phases waits for its slowest rollout twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from paced.arrays import Floats
from paced.errors import check_number, check_whole
from paced.weights import estimates
from paced.weights.betabinomial import log_pmf
from paced.weights.budget import allocation
from paced.weights.budget.stopping import State, one_batch, pilot_then_neyman, screening, sequential, walk
from paced.weights.normalise import effective_sample_size
from paced.weights.rising import log_beta_ratio


@dataclass(frozen=True, kw_only=True)
class PolicyPlan:
    """One policy with one weight, under one law and budget."""

    policy: str
    """What is done, with its numbers."""
    weight: str
    """How counts become a weight: plugin, posterior, screened or naive."""
    rollouts_per_problem: float
    """Expected rollouts of a problem, at most the budget's share."""
    total_rollouts: float
    """The same for all problems."""
    efficiency: float
    """Eff(h) in [0, 1]."""
    ess_fraction: float
    """E[h]²/E[h²]: effective share of the problems."""
    share_zero: float
    """Expected share of problems with weight exactly 0."""


def plan_rollouts(
    law: tuple[float, float], *, num_problems: int, budget: int, alpha: float = 1.0, beta: float = 1.0
) -> tuple[PolicyPlan, ...]:
    """Compare rollout policies that spend at most ``budget`` rollouts in expectation.

    Args:
        law: (a, b) of the pass rates, such as ``fit(...).law``.
        num_problems: N >= 1.
        budget: rollouts in all, >= 2 N.
        alpha: kernel exponent.
        beta: kernel exponent.

    Returns: the policies, the most efficient first: one K for all (plug-in and posterior weights), two-phase screening
        (naive, unbiased where it exists, and posterior weights), a pilot with Neyman's allocation, and stopping when
        the next rollouts are not worth the price at which the budget is spent.

    Example:
        >>> plans = plan_rollouts((1.0, 1.0), num_problems=1000, budget=8000)
        >>> for plan in plans:
        ...     if plan.policy == "K = 8 for all":
        ...         print(plan.weight, round(plan.efficiency, 6))
        posterior 0.918182
        plugin 0.861538
    """
    law = estimates.check_prior("plan_rollouts", law)
    check_number("plan_rollouts", "alpha", alpha, low=0)
    check_number("plan_rollouts", "beta", beta, low=0)
    num_problems = check_whole("plan_rollouts", "num_problems", num_problems, low=1)
    budget = check_whole("plan_rollouts", "budget", budget, low=1)
    if budget < 2 * num_problems:
        raise ValueError(
            f"plan_rollouts: budget must be >= 2 * num_problems, got budget={budget}, num_problems={num_problems}. "
            "Take fewer problems."
        )
    share = budget / num_problems
    kernel = (float(alpha), float(beta))
    plans: list[PolicyPlan] = []

    def add(policy: str, weight: str, stops: Mapping[State, float], rule: Callable[[int, int], float]) -> None:
        plans.append(_judge(policy, weight, stops, rule, law, kernel, num_problems))

    posterior, plugin = _posterior_rule(law, kernel), _plugin_rule(kernel)
    size = int(share)
    stops = walk(law, one_batch(size))
    add(f"K = {size} for all", "plugin", stops, plugin)
    add(f"K = {size} for all", "posterior", stops, posterior)

    for first in (2, 3, 4):
        stay = 1 - float(np.exp(log_pmf(first, *law))[[0, -1]].sum())
        second = int((share - first) / stay + 1e-9) if share > first and stay > 0 else 0
        if second < 1:
            continue
        stops = walk(law, screening(first, second))
        name = f"screen {first}, then {second} more"
        add(name, "posterior", stops, posterior)
        add(name, "naive", stops, _zero_on_exit(first, plugin))
        if alpha == int(alpha) >= 1 and beta == int(beta) >= 1 and alpha + beta <= first:
            add(name, "screened", stops, _unbiased(first, first + second, int(alpha), int(beta)))

    pilot = max(2, size // 2)
    if share > pilot:
        stops = pilot_then_neyman(law, kernel, pilot, share)
        add(f"pilot {pilot}, then Neyman", "posterior", stops, posterior)

    price, stops = sequential(law, kernel, share)
    if set(stops) != {(0, 0)}:  # with a small budget even the first batch may cost more than it is worth
        add(f"stop below price {price:.1e}", "posterior", stops, posterior)
    return tuple(sorted(plans, key=lambda plan: -plan.efficiency))


def plan_screening(
    law: tuple[float, float],
    *,
    num_problems: int,
    num_first: int,
    num_all: int,
    alpha: float = 1.0,
    beta: float = 1.0,
) -> tuple[PolicyPlan, ...]:
    """One two-phase screening beside one K for all at the same expected cost (the whole numbers around it).

    Args:
        law: (a, b) of the pass rates.
        num_problems: N >= 1.
        num_first: K1 >= 2, the rollouts after which all passed or all failed ends a problem.
        num_all: K > K1, the rollouts of the others.
        alpha: kernel exponent.
        beta: kernel exponent.

    Returns: the most efficient first.

    Example:
        >>> for plan in plan_screening((1.0, 1.0), num_problems=100, num_first=2, num_all=8):
        ...     print(f"{plan.policy:23}{plan.weight:10}{plan.rollouts_per_problem:5.1f}{plan.efficiency:7.3f}")
        K = 4 for all          posterior   4.0  0.881
        screen 2, then 6 more  posterior   4.0  0.858
        K = 4 for all          plugin      4.0  0.706
        screen 2, then 6 more  naive       4.0  0.404
        screen 2, then 6 more  screened    4.0  0.400
    """
    law = estimates.check_prior("plan_screening", law)
    check_number("plan_screening", "alpha", alpha, low=0)
    check_number("plan_screening", "beta", beta, low=0)
    num_problems = check_whole("plan_screening", "num_problems", num_problems, low=1)
    num_first = check_whole("plan_screening", "num_first", num_first, low=2)
    num_all = check_whole("plan_screening", "num_all", num_all, low=num_first + 1)
    kernel = (float(alpha), float(beta))
    posterior, plugin = _posterior_rule(law, kernel), _plugin_rule(kernel)
    stops = walk(law, screening(num_first, num_all - num_first))
    name = f"screen {num_first}, then {num_all - num_first} more"
    rules = {"posterior": posterior, "naive": _zero_on_exit(num_first, plugin)}
    if alpha == int(alpha) >= 1 and beta == int(beta) >= 1 and alpha + beta <= num_first:
        rules["screened"] = _unbiased(num_first, num_all, int(alpha), int(beta))
    plans = [_judge(name, weight, stops, rule, law, kernel, num_problems) for weight, rule in rules.items()]
    cost = plans[0].rollouts_per_problem
    for size in sorted({int(cost + 1e-9), int(np.ceil(cost - 1e-9))}):
        stops = walk(law, one_batch(size))
        for weight, rule in {"posterior": posterior, "plugin": plugin}.items():
            plans.append(_judge(f"K = {size} for all", weight, stops, rule, law, kernel, num_problems))
    return tuple(sorted(plans, key=lambda plan: -plan.efficiency))


def plan_text(plans: tuple[PolicyPlan, ...]) -> str:
    """The plans as a text table."""
    lines = [f"{'policy':<26}{'weight':<11}{'rollouts':>12}{'a problem':>11}{'efficiency':>12}{'ESS/N':>8}{'zero':>8}"]
    for plan in plans:
        lines.append(
            f"{plan.policy:<26}{plan.weight:<11}{plan.total_rollouts:>12,.0f}{plan.rollouts_per_problem:>11.2f}"
            f"{plan.efficiency:>12.4f}{plan.ess_fraction:>8.3f}{plan.share_zero:>8.3f}"
        )
    return "\n".join(lines)


def _judge(
    policy: str,
    weight: str,
    stops: Mapping[State, float],
    rule: Callable[[int, int], float],
    law: tuple[float, float],
    kernel: tuple[float, float],
    num_problems: int,
) -> PolicyPlan:
    s, k = np.array(list(stops), dtype=np.int64).T
    mass = np.array(list(stops.values()))
    weights = np.array([rule(int(x), int(y)) for x, y in zip(s, k, strict=True)])
    truth = _posterior_weight(law[0] + s, law[1] + k - s, kernel)
    square = float(_posterior_weight(law[0], law[1], (2 * kernel[0], 2 * kernel[1])))
    mean_square = float(mass @ weights**2)
    cost = float(mass @ k)
    return PolicyPlan(
        policy=policy, weight=weight, rollouts_per_problem=cost, total_rollouts=cost * num_problems,
        efficiency=float(mass @ (weights * truth)) ** 2 / (mean_square * square) if mean_square else 0.0,
        ess_fraction=effective_sample_size(weights, mass),
        share_zero=float(mass[weights == 0].sum()),
    )  # fmt: skip


def _posterior_weight(a: Floats | float, b: Floats | float, kernel: tuple[float, float]) -> Floats:
    return np.exp(log_beta_ratio(a, b, kernel[0], kernel[1]))


def _posterior_rule(law: tuple[float, float], kernel: tuple[float, float]) -> Callable[[int, int], float]:
    return lambda s, k: float(_posterior_weight(law[0] + s, law[1] + k - s, kernel))


def _plugin_rule(kernel: tuple[float, float]) -> Callable[[int, int], float]:
    return lambda s, k: float((s / k) ** kernel[0] * (1 - s / k) ** kernel[1])


def _zero_on_exit(first: int, rule: Callable[[int, int], float]) -> Callable[[int, int], float]:
    def naive(s: int, k: int) -> float:
        return 0.0 if k == first and s in (0, first) else rule(s, k)

    return naive


def _unbiased(first: int, whole: int, alpha: int, beta: int) -> Callable[[int, int], float]:
    def screened(s: int, k: int) -> float:
        design = {"num_first": first, "num_all": whole}
        return float(allocation.screened_weight([s], k, alpha=alpha, beta=beta, **design)[0])

    return screened
