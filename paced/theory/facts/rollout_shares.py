"""Where the next rollouts go: Neyman's shares of a budget, and how many rollouts are worth their price (``x7``).

Both rules are myopic, and no policy of ``paced.weights.plan_rollouts`` needs them: it computes what each policy gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Integers
from paced.errors import check_number
from paced.weights.budget.allocation import rollout_variance, value_of_rollouts


def neyman_allocation(
    pass_rate: ArrayLike, budget: int, *, alpha: float = 1.0, beta: float = 1.0, at_least: int = 1
) -> Integers:
    """Rollouts of each problem, K_i ∝ sqrt(v(p_i)), that make Σ v(p_i)/K_i smallest for a fixed budget.

    Args:
        pass_rate: pilot estimates, in [0, 1], shape [num_problems]; posterior means rather than 0 and 1.
        budget: Σ K_i, >= num_problems * at_least.
        alpha: kernel exponent.
        beta: kernel exponent.
        at_least: smallest K_i, >= 0. A problem at the peak has v = 0 and gets no more than this.

    Returns: whole numbers with exactly the budget as their sum, by largest remainders.

    Raises:
        ValueError: a budget below the minimum, or a variance that is infinite.

    Example:
        >>> neyman_allocation([0.5, 0.25, 0.1], 20, at_least=2).tolist()
        [2, 9, 9]
    """
    share = np.atleast_1d(np.sqrt(rollout_variance(pass_rate, alpha=alpha, beta=beta)))
    if not np.isfinite(share).all():
        raise ValueError(
            "neyman_allocation: pass_rate must be inside (0, 1) for exponents below 1/2, got 0 or 1. "
            "Use posterior means."
        )
    floor = at_least * share.size
    if at_least < 0 or budget < floor:
        raise ValueError(
            f"neyman_allocation: budget must be >= num_problems * at_least = {floor} with at_least >= 0, "
            f"got budget={budget}, at_least={at_least}."
        )
    if not share.any():
        share = np.ones_like(share)
    # Problems that deserve less than the minimum get it; the others share what is left, in proportion.
    free = np.ones(share.shape, dtype=bool)
    wanted = np.zeros(share.shape)
    while True:
        left = budget - at_least * np.count_nonzero(~free)
        total = float(share[free].sum())
        wanted = np.where(free, share * (left / total) if total else 0.0, at_least)
        short = free & (wanted < at_least)
        if not short.any():
            break
        free &= ~short
    whole = np.floor(wanted).astype(np.int64)
    rest = int(budget - whole.sum())
    order = np.lexsort((np.arange(share.size), whole - wanted))
    whole[order[:rest]] += 1
    return whole


def rollouts_worth_their_price(
    a: ArrayLike,
    b: ArrayLike,
    price: float,
    *,
    largest: int = 8,
    alpha: float = 1.0,
    beta: float = 1.0,
) -> Integers:
    """How many rollouts to buy next: the m <= ``largest`` of best value per rollout, or 0 when none is worth its price.

    Args:
        a: posterior law parameter.
        b: posterior law parameter.
        price: of one rollout, > 0, in units of variance of the weight.
        largest: longest look ahead, >= 1; with 1 the rule stops wrongly at a/b = α/β.
        alpha: kernel exponent.
        beta: kernel exponent.

    Example:
        >>> rollouts_worth_their_price([1.0, 1.0, 30.0], [1.0, 9.0, 30.0], 1e-4).tolist()
        [4, 1, 0]
    """
    check_number("rollouts_worth_their_price", "price", price, low=0, low_open=True)
    if largest < 1:
        raise ValueError(f"rollouts_worth_their_price: largest must be >= 1, got {largest}.")
    # [largest, ...]
    values = np.stack([value_of_rollouts(a, b, m, alpha=alpha, beta=beta) / m for m in range(1, largest + 1)])
    best = np.argmax(values, axis=0)
    return np.where(values.max(axis=0) > price, best + 1, 0)
