"""What two-phase screening costs and what it loses (``x7.screening``): K1 rollouts, and K - K1 more unless all agree.

The share that it sends away is :func:`paced.theory.facts.kernel.zeroed_probability` at K1; the weight without bias is
:func:`paced.weights.budget.allocation.screened_weight`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.errors import check_number
from paced.theory.facts.domains import whole_numbers
from paced.theory.facts.kernel import zeroed_probability
from paced.weights.betabinomial import log_pmf
from paced.weights.estimates import check_prior
from paced.weights.kernels import check_pass_rate


def screening_cost(pass_rate: ArrayLike, *, num_first: int, num_all: int) -> Floats:
    """Expected rollouts of a problem under screening, K1 + (K-K1)(1 - p^K1 - (1-p)^K1).

    Example:
        >>> screening_cost([0.5, 0.0], num_first=4, num_all=8).tolist()
        [7.5, 4.0]
    """
    check_design("screening_cost", num_first, num_all)
    return num_first + (num_all - num_first) * (1 - zeroed_probability(pass_rate, num_first))


def screening_cost_of_law(law: tuple[float, float], *, num_first: int, num_all: int) -> float:
    """Expected rollouts of a problem whose pass rate is drawn from Beta(a, b).

    Example:
        >>> [round(screening_cost_of_law((1, 1), num_first=k, num_all=8), 9) for k in (2, 3, 4)]
        [4.0, 5.5, 6.4]
    """
    a, b = check_prior("screening_cost_of_law", law)
    check_design("screening_cost_of_law", num_first, num_all)
    ends = np.exp(log_pmf(num_first, a, b))[[0, -1]].sum()
    return float(num_first + (num_all - num_first) * (1 - ends))


def exited_kernel_mass(law: tuple[float, float], num_first: int, *, alpha: float = 1.0, beta: float = 1.0) -> float:
    """Share of the total weight E[p^α (1-p)^β] that sits on problems which screening sends away.

    Example:
        >>> [round(exited_kernel_mass((1, 1), k), 6) for k in (2, 3, 4)]
        [0.6, 0.4, 0.285714]
    """
    a, b = check_prior("exited_kernel_mass", law)
    check_design("exited_kernel_mass", num_first)
    for name, value in (("alpha", alpha), ("beta", beta)):
        check_number("exited_kernel_mass", name, value, low=0)
    return float(np.exp(log_pmf(num_first, a + alpha, b + beta))[[0, -1]].sum())


def naive_screening_bias(pass_rate: ArrayLike, *, num_first: int, num_all: int) -> Floats:
    """Relative bias of the naive weight (0 on exit, else the U-statistic of all K) for α = β = 1, <= 0.

    Example:
        >>> naive_screening_bias([0.1, 0.5], num_first=4, num_all=8).round(6).tolist()
        [-0.349186, -0.098214]
    """
    check_design("naive_screening_bias", num_first, num_all)
    p = check_pass_rate("naive_screening_bias", pass_rate)
    if not ((p > 0) & (p < 1)).all():
        raise ValueError("naive_screening_bias: pass_rate must be inside (0, 1), got an end, where the weight is 0.")
    q, n = 1 - p, num_all - num_first
    lost = p**num_first * (num_first * n * q + n * (n - 1) * p * q)
    lost += q**num_first * (num_first * n * p + n * (n - 1) * p * q)
    return -lost / (num_all * (num_all - 1) * p * q)


def check_design(place: str, num_first: int, num_all: int | None = None) -> None:
    """Refuse rollout numbers that are not those of a screening: whole K1 >= 1, and whole K > K1.

    Example:
        >>> check_design("screening_cost", 8, 4)
        Traceback (most recent call last):
        ValueError: screening_cost: num_all must be > num_first, got num_first=8, num_all=4. Are the two swapped?
    """
    whole_numbers(place, "num_first", num_first, low=1)
    if num_all is not None and int(whole_numbers(place, "num_all", num_all, low=1)) <= num_first:
        raise ValueError(
            f"{place}: num_all must be > num_first, got num_first={num_first}, num_all={num_all}. Are the two swapped?"
        )
