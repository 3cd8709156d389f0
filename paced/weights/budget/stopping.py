"""Where rollout policies stop: each asks, in every state (s, k), for further rollouts or for none.

The probabilities of the states in which it stops are summed exactly, no simulation. A policy with a scale of its own
spends the whole budget: some problems follow the last rule that the budget allows, the others the next dearer one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paced.arrays import Floats
from paced.weights.betabinomial import log_pmf
from paced.weights.budget import allocation
from paced.weights.rising import log_beta_ratio

State = tuple[int, int]
"""(s, k): passes and rollouts so far."""

LOOK_AHEAD = 4
"""Longest batch that the sequential policy considers; two at least, since one rollout at the peak is worth nothing."""


def walk(law: tuple[float, float], more: Callable[[int, int], int]) -> dict[State, float]:
    """Probability of each state in which a policy stops.

    Args:
        law: (a, b) of the pass rates.
        more: (s, k) -> further rollouts to make, 0 to stop.

    Example:
        >>> {state: round(mass, 4) for state, mass in walk((1.0, 1.0), lambda s, k: 2 if k == 0 else 0).items()}
        {(0, 2): 0.3333, (1, 2): 0.3333, (2, 2): 0.3333}
    """
    stops: dict[State, float] = {}
    ahead: dict[State, float] = {(0, 0): 1.0}
    while ahead:
        state = min(
            ahead, key=lambda state: state[1]
        )  # fewest rollouts first: every way into a state is counted before it
        mass = ahead.pop(state)
        s, k = state
        batch = more(s, k)
        if batch == 0:
            stops[state] = stops.get(state, 0.0) + mass
            continue
        for x, share in enumerate(np.exp(log_pmf(batch, law[0] + s, law[1] + k - s)).tolist()):
            reached = (s + x, k + batch)
            ahead[reached] = ahead.get(reached, 0.0) + mass * share
    return stops


def one_batch(size: int) -> Callable[[int, int], int]:
    """The same rollouts for every problem."""
    return lambda s, k: size if k == 0 else 0


def screening(first: int, second: int) -> Callable[[int, int], int]:
    """``first`` rollouts, and ``second`` more where they were neither all passed nor all failed."""

    def more(s: int, k: int) -> int:
        if k == 0:
            return first
        return second if k == first and 0 < s < first else 0

    return more


def pilot_then_neyman(
    law: tuple[float, float], kernel: tuple[float, float], pilot: int, share: float
) -> dict[State, float]:
    """After s of ``pilot`` passes K ∝ sqrt(E[v | s]) rollouts in all, rounded down; the whole budget is spent."""
    s = np.arange(pilot + 1)
    mass = np.exp(log_pmf(pilot, *law))
    a, b = (law[0] + s).astype(np.float64), (law[1] + pilot - s).astype(np.float64)
    spread = np.sqrt(np.maximum(_posterior_variance_rate(a, b, kernel), 0.0))
    if not spread.any():  # a constant weight: no rollout is better than another
        spread = np.ones_like(spread)

    def batches(scale: float) -> Floats:
        return np.floor(np.maximum(scale * spread - pilot, 0.0))

    def stops_at(scale: float) -> dict[State, float]:
        further = batches(scale).astype(int).tolist()
        return walk(law, lambda s, k: pilot if k == 0 else (further[s] if k == pilot else 0))

    low, high = 0.0, 1.0
    while pilot + mass @ batches(high) <= share:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if pilot + mass @ batches(middle) <= share else (low, middle)
    return _mixed(stops_at(low), stops_at(high), share)


def sequential(law: tuple[float, float], kernel: tuple[float, float], share: float) -> tuple[float, dict[State, float]]:
    """The lowest price whose stopping rule stays within the budget, and where it stops when the budget is spent."""
    limit = int(4 * share)
    ks, ss = np.array([(k, s) for k in range(limit) for s in range(k + 1)]).T
    a, b = law[0] + ss, law[1] + ks - ss
    longest = min(LOOK_AHEAD, max(2, int(share) // 2))
    worth = np.stack(
        [allocation.value_of_rollouts(a, b, m, alpha=kernel[0], beta=kernel[1]) / m for m in range(1, longest + 1)]
    )
    best, value = worth.argmax(axis=0) + 1, worth.max(axis=0)
    at = {(s, k): index for index, (s, k) in enumerate(zip(ss.tolist(), ks.tolist(), strict=True))}

    def stops_at(price: float) -> dict[State, float]:
        def more(s: int, k: int) -> int:
            if k >= limit or value[at[s, k]] <= price:
                return 0
            return int(min(best[at[s, k]], limit - k))

        return walk(law, more)

    low, high = float(value.min()) / 2, float(value.max())
    affordable, dearer = (high, stops_at(high)), None
    for _ in range(30):
        price = float(np.sqrt(low * high))
        stops = stops_at(price)
        if sum(mass * k for (_, k), mass in stops.items()) <= share:
            high, affordable = price, (price, stops)
        else:
            low, dearer = price, stops
    return affordable[0], _mixed(affordable[1], dearer or stops_at(low), share)


def _mixed(cheaper: dict[State, float], dearer: dict[State, float], share: float) -> dict[State, float]:
    """Some problems by one rule and the others by the next dearer one, so that the mean cost is the budget's share."""
    low, high = (sum(mass * k for (_, k), mass in stops.items()) for stops in (cheaper, dearer))
    part = min(1.0, (share - low) / (high - low)) if high > low else 0.0
    stops = {state: (1 - part) * mass for state, mass in cheaper.items()}
    for state, mass in dearer.items():
        stops[state] = stops.get(state, 0.0) + part * mass
    return {state: mass for state, mass in stops.items() if mass}


def _posterior_variance_rate(a: Floats, b: Floats, kernel: tuple[float, float]) -> Floats:
    """E[v(p)] under Beta(a, b), v = p^(2α-1) q^(2β-1) (α q - β p)²; v at the mean where that integral diverges."""
    alpha, beta = kernel
    first, second = 2 * alpha - 1, 2 * beta - 1
    finite = (a + first > 0) & (b + second > 0)
    x, y = np.where(finite, a + first, 1.0), np.where(finite, b + second, 1.0)
    terms = ((alpha**2, 0, 2), (-2 * alpha * beta, 1, 1), (beta**2, 2, 0))
    mean = sum(factor * np.exp(log_beta_ratio(a, b, x + i - a, y + j - b)) for factor, i, j in terms)
    return np.where(finite, mean, allocation.rollout_variance(a / (a + b), alpha=alpha, beta=beta))
