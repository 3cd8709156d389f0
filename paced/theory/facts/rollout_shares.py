"""Where the next rollouts go: the best shares of a budget, and how many rollouts are worth their price (``x7``).

No policy of ``paced.weights.plan_rollouts`` needs them: it computes what each policy gives. Left out: shares for
kernels whose exponents are not whole numbers. No weight from counts is unbiased there, and the error of a biased one
need not be convex in K, so that no greedy rule is known to be optimal.
"""

from __future__ import annotations

from heapq import heapify, heapreplace
from math import comb

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import binom

from paced.arrays import Floats, Integers
from paced.errors import check_number
from paced.theory.facts.domains import reals, whole_numbers
from paced.weights.budget.allocation import value_of_rollouts


def unbiased_weight_variance(pass_rate: ArrayLike, num_rollouts: ArrayLike, *, alpha: int = 1, beta: int = 1) -> Floats:
    """Exact variance of the unbiased weight of w = p^α (1-p)^β from K rollouts (``x7.neyman``).

    Var(u_K) = Σ_c (pq)^c (w⁽ᶜ⁾(p)/c!)² / C(K, c), c = 1..α+β. The first term is v(p)/K, the variance to first order.

    Args:
        pass_rate: p in [0, 1].
        num_rollouts: whole K >= α + β; below there is no unbiased weight. Shapes broadcast.
        alpha: whole number >= 0.
        beta: whole number >= 0.

    Example:
        >>> unbiased_weight_variance([0.5, 0.25], 8).round(8).tolist()
        [0.00223214, 0.00711496]
    """
    place = "unbiased_weight_variance"
    terms = _variance_terms(place, pass_rate, alpha, beta)
    rollouts = whole_numbers(place, "num_rollouts", num_rollouts, low=max(1, alpha + beta))
    orders = np.arange(1, len(terms) + 1).reshape(-1, *(1,) * np.broadcast(terms[0], rollouts).ndim)
    return np.sum(terms / binom(rollouts, orders), axis=0)


def neyman_allocation(
    pass_rate: ArrayLike, budget: int, *, alpha: int = 1, beta: int = 1, at_least: int | None = None
) -> Integers:
    """Rollouts of each problem that make Σ Var(u_K), the variance of the unbiased weights, smallest for a fixed budget.

    Var(u_K) is convex in K, so that giving one rollout after the other to the problem that gains most is optimal among
    all whole numbers. For large K the shares tend to Neyman's, K_i ∝ sqrt(v(p_i)); for small K those are wrong: v is 0
    at the kernel's peak, where at K = 2 and 3 the next rollout is worth most.

    Args:
        pass_rate: pilot estimates, in [0, 1], shape [num_problems]; posterior means rather than 0 and 1.
        budget: Σ K_i, a whole number >= num_problems * at_least.
        alpha: whole number >= 0.
        beta: whole number >= 0.
        at_least: smallest K_i, >= α + β and >= 1, which is the default.

    Returns: whole numbers with exactly the budget as their sum; of equal gains the first problem's is taken.

    Raises:
        ValueError: a budget below the minimum, or exponents that are not whole: no weight is unbiased then.

    Example:
        >>> neyman_allocation([0.5, 0.146], 12).tolist(), neyman_allocation([0.5, 0.146], 100).tolist()
        ([6, 6], [28, 72])
    """
    place = "neyman_allocation"
    terms = _variance_terms(place, np.atleast_1d(np.asarray(pass_rate, dtype=np.float64)), alpha, beta)
    if terms.ndim != 2 or not terms.size:
        raise ValueError(f"{place}: pass_rate must be one-dimensional with at least one problem.")
    smallest = max(1, alpha + beta)
    least = int(whole_numbers(place, "at_least", smallest if at_least is None else at_least, low=smallest))
    orders, num_problems = terms.shape
    total = int(whole_numbers(place, "budget", budget, low=0))
    if total < least * num_problems:
        raise ValueError(
            f"{place}: budget must be >= num_problems * at_least = {least * num_problems}, got {budget}. "
            "Take fewer problems."
        )

    def gain(problem: int, rollouts: int) -> float:
        """Fall of the variance from one more rollout: 1/C(K, c) - 1/C(K+1, c) = c / ((K+1) C(K, c))."""
        falls = (terms[c - 1, problem] * c / comb(rollouts, c) for c in range(1, orders + 1))
        return float(sum(falls)) / (rollouts + 1)

    rollouts = [least] * num_problems
    queue = [(-gain(problem, least), problem) for problem in range(num_problems)]
    heapify(queue)
    for _ in range(total - least * num_problems):
        problem = queue[0][1]
        rollouts[problem] += 1
        heapreplace(queue, (-gain(problem, rollouts[problem]), problem))
    return np.array(rollouts, dtype=np.int64)


def most_valuable_rate(num_rollouts: int) -> float:
    """The pass rate p <= 1/2 at which rollout K + 1 lowers the default weight's variance most (``x7.neyman``).

    p(1-p) = min(1/4, (K-1)/(8(K-2))): 1/2 at K = 2 and 3, 1/4 at K = 4, towards (1 - 1/√2)/2 = 0.146 for large K. The
    other such rate is 1 - p.

    Example:
        >>> most_valuable_rate(3), most_valuable_rate(4), round(most_valuable_rate(10**6), 4)
        (0.5, 0.25, 0.1464)
    """
    rollouts = int(whole_numbers("most_valuable_rate", "num_rollouts", num_rollouts, low=2))
    if rollouts <= 3:
        return 0.5
    return float((1 - np.sqrt(1 - (rollouts - 1) / (2 * (rollouts - 2)))) / 2)


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


def _variance_terms(place: str, pass_rate: ArrayLike, alpha: int, beta: int) -> Floats:
    """(pq)^c (w⁽ᶜ⁾(p)/c!)² for c = 1..α+β: w⁽ᶜ⁾/c! is the coefficient of h^c in (p+h)^α (q-h)^β."""
    p = reals(place, "pass_rate", pass_rate, low=0, high=1)
    for name, value in (("alpha", alpha), ("beta", beta)):
        whole_numbers(place, name, value, low=0)
    a, b, q = int(alpha), int(beta), 1 - p
    coefficients = [
        sum(
            (-1) ** (c - j) * comb(a, j) * comb(b, c - j) * p ** (a - j) * q ** (b - c + j)
            for j in range(max(0, c - b), min(a, c) + 1)
        )
        for c in range(1, a + b + 1)
    ]
    # [alpha + beta, ...]; a constant weight has no variance
    return np.array([(p * q) ** c * np.square(x) for c, x in enumerate(coefficients, 1)] or [np.zeros_like(p)])
