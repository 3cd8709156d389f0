"""Populations of counts in exact proportion to a beta-binomial law, and what Eq. (47) reads from them, in rationals.

A fit of such counts sees the population: what is left of the truth is bias, not chance.
"""

from __future__ import annotations

from fractions import Fraction as Fr
from math import comb, factorial, lcm

import numpy as np

from paced.weights.counts import CountHistogram
from paced.zone import Zone

Law = tuple[int, int]


def whole_beta(x: int, y: int) -> Fr:
    """The Beta function B(x, y) of whole numbers >= 1, in rationals.

    Example:
        >>> whole_beta(2, 3)
        Fraction(1, 12)
    """
    return Fr(factorial(x - 1) * factorial(y - 1), factorial(x + y - 1))


def count_masses(num_rollouts: int, law: Law) -> list[Fr]:
    """P(s) of K rollouts under Beta(a, b), a and b whole: rational."""
    a, b = law
    return [
        comb(num_rollouts, s) * whole_beta(a + s, b + num_rollouts - s) / whole_beta(a, b)
        for s in range(num_rollouts + 1)
    ]


def population(num_rollouts: int, law: Law) -> CountHistogram:
    """Counts in exact proportion to the law: as many problems as the common denominator asks for."""
    masses = count_masses(num_rollouts, law)
    whole = lcm(*(mass.denominator for mass in masses))
    problems = np.array([int(mass * whole) for mass in masses])
    return CountHistogram(np.arange(num_rollouts + 1), np.full(num_rollouts + 1, num_rollouts), problems)


def moments_in_zone(law: Law, epsilon: Fr, num_rollouts: int | None = None) -> tuple[Fr, Fr]:
    """Mean and variance of p (of s/K when K is given) inside [epsilon, 1-epsilon], in rationals."""
    if num_rollouts is None:
        a, b = law

        def moment(n: int) -> Fr:
            """Integral of p^(a-1+n) (1-p)^(b-1), term by term."""
            terms = [(Fr((-1) ** j * comb(b - 1, j)), a + n + j) for j in range(b)]
            return sum((c * ((1 - epsilon) ** e - epsilon**e) / e for c, e in terms), Fr(0))

        total, first, second = (moment(n) for n in (0, 1, 2))
    else:
        rates = [(Fr(s, num_rollouts), mass) for s, mass in enumerate(count_masses(num_rollouts, law))]
        zone = Zone.of(float(epsilon))
        kept = [(p, mass) for p, mass in rates if zone.contains(float(p))]
        total, first, second = (sum((mass * p**n for p, mass in kept), Fr(0)) for n in (0, 1, 2))
    return first / total, second / total - (first / total) ** 2


def exponents(moments: tuple[Fr, Fr]) -> tuple[Fr, Fr]:
    """Eq. (47)."""
    m, v = moments
    k = m * (1 - m) / v - 1
    return m * k - 1, (1 - m) * k - 1
