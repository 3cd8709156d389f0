"""How efficient weights from counts are, in closed form: equal weights, filters, plug-in and posterior (``x14``).

For pass rates p ~ Beta(a, b), s ~ Bin(K, p) and the default kernel w = p(1-p), the efficiency of a weight h(s) is

    Eff(h) = E[h w]² / (E[h²] E[w²]),

the share of the descent that known pass rates would give, at each weight's best learning rate, when the second moment
of the gradients is flat. Whole numbers and fractions in, a fraction out: all are rational functions of the law.
Left out: other kernels and second moments (``paced.theory.facts.extensions.rollout_quality``).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from numbers import Rational

from paced.errors import check_number, check_whole
from paced.zone import Zone

Number = Fraction | float
Law = tuple[Number, Number]
"""(a, b) of the pass rates; exact where both are whole numbers or fractions."""


def uniform_efficiency(law: Law) -> Number:
    """Eff of equal weights, which need no rollout: E[w]²/E[w²].

    Args:
        law: (a, b) of the pass rates, both > 0.

    Example:
        >>> uniform_efficiency((1, 1)), uniform_efficiency((Fraction(1, 2), Fraction(1, 2)))
        (Fraction(5, 6), Fraction(2, 3))
    """
    first, second = kernel_moments("uniform_efficiency", law)
    return first * first / second


def filter_efficiency(kept: Sequence[bool], law: Law) -> Number:
    """Eff of weight 1 for the counts that are kept and 0 for the others.

    Args:
        kept: whether s = 0, ..., K passes are kept, not all False, K >= 1.
        law: (a, b), both > 0.

    Raises:
        ValueError: nothing is kept, or the law is not one.

    Example:
        >>> filter_efficiency([False, *[True] * 8], (1, 1)), filter_efficiency([True] * 9, (1, 1))
        (Fraction(507, 605), Fraction(5, 6))
    """
    if len(kept) < 2 or not any(kept):
        raise ValueError("filter_efficiency: kept must be one bool for each s = 0..K, not all False. Keep some counts.")
    _, square = kernel_moments("filter_efficiency", law)
    masses, means = count_masses(len(kept) - 1, law), posterior_weights(len(kept) - 1, law)
    share = sum((mass for mass, keep in zip(masses, kept, strict=True) if keep), Fraction(0))
    gain = sum((mass * mean for mass, mean, keep in zip(masses, means, kept, strict=True) if keep), Fraction(0))
    return gain * gain / (share * square)


def drop_zero_efficiency(num_rollouts: int, law: Law) -> Number:
    """Eff of weight 1 unless no rollout passed.

    Example:
        >>> drop_zero_efficiency(8, (1, 1))
        Fraction(507, 605)
    """
    return filter_efficiency([False] + [True] * _rollouts("drop_zero_efficiency", num_rollouts, 1), law)


def hard_filter_efficiency(num_rollouts: int, law: Law, *, epsilon: float = 0.2) -> Number:
    """Eff of weight 1 where ε <= s/K <= 1-ε; ValueError where no count is in that zone.

    Example:
        >>> round(float(hard_filter_efficiency(8, (1, 1))), 4)
        0.7287
    """
    check_number("hard_filter_efficiency", "epsilon", epsilon, low=0, high=0.5, high_open=True)
    K, zone = _rollouts("hard_filter_efficiency", num_rollouts, 1), Zone.of(epsilon)
    return filter_efficiency([bool(zone.contains(s / K)) for s in range(K + 1)], law)


def plugin_efficiency(num_rollouts: int, law: Law) -> Number:
    """Eff of p̂(1-p̂), and of the unbiased s(K-s)/(K(K-1)), which is the same up to scale.

    E[w²]/E[u²] with E[u²] = (K-2)(K-3)/(K(K-1)) E[w²] + E[w]/K.

    Args:
        num_rollouts: K >= 2.
        law: (a, b), both > 0.

    Edges: rises with K for every law, to 1.

    Example:
        >>> plugin_efficiency(8, (1, 1))
        Fraction(56, 65)
    """
    K = _rollouts("plugin_efficiency", num_rollouts, 2)
    first, second = kernel_moments("plugin_efficiency", law)
    return second / (second * Fraction((K - 2) * (K - 3), K * (K - 1)) + first / K)


def posterior_efficiency(num_rollouts: int, law: Law) -> Number:
    """Eff of the posterior mean E[w | s] under the law itself: E[E[w|s]²]/E[w²], the most that K rollouts allow.

    Args:
        num_rollouts: K >= 0; without rollouts it is that of equal weights.
        law: (a, b), both > 0.

    Example:
        >>> posterior_efficiency(8, (1, 1)), posterior_efficiency(0, (1, 1))
        (Fraction(101, 110), Fraction(5, 6))
    """
    K = _rollouts("posterior_efficiency", num_rollouts, 0)
    first, second = kernel_moments("posterior_efficiency", law)
    a, b = exact_law("posterior_efficiency", law)
    n = a + b + K
    # P(s) E[w|s] is E[w] times the beta-binomial mass of (a+1, b+1), so E[E[w|s]²] is a mean of (a+s)(b+K-s) under it
    whole = a + b + 2
    mean = a * b + (a * K * (b + 1) + b * K * (a + 1)) / whole + K * (K - 1) * (a + 1) * (b + 1) / (whole * (whole + 1))
    return first * mean / (n * (n + 1)) / second


# --- moments of a law ------------------------------------------------------------------------------------------------
def kernel_moments(place: str, law: Law) -> tuple[Number, Number]:
    """E[w] and E[w²] of w = p(1-p).

    Example:
        >>> kernel_moments("example", (1, 1))
        (Fraction(1, 6), Fraction(1, 30))
    """
    a, b = exact_law(place, law)
    first = a * b / ((a + b) * (a + b + 1))
    return first, first * (a + 1) * (b + 1) / ((a + b + 2) * (a + b + 3))


def count_masses(num_rollouts: int, law: Law) -> list[Number]:
    """P(s) for s = 0..K: the beta-binomial law, by ratios of neighbours.

    Example:
        >>> count_masses(2, (1, 1))
        [Fraction(1, 3), Fraction(1, 3), Fraction(1, 3)]
    """
    K = _rollouts("count_masses", num_rollouts, 0)
    a, b = exact_law("count_masses", law)
    mass: Number = Fraction(1)
    for step in range(K):
        mass = mass * (b + step) / (a + b + step)
    masses = [mass]
    for s in range(K):
        mass = mass * (K - s) * (a + s) / ((s + 1) * (b + K - s - 1))
        masses.append(mass)
    return masses


def posterior_weights(num_rollouts: int, law: Law) -> list[Number]:
    """E[w | s] for s = 0..K: (a+s)(b+K-s)/((a+b+K)(a+b+K+1)).

    Example:
        >>> posterior_weights(1, (1, 1))
        [Fraction(1, 6), Fraction(1, 6)]
    """
    K = _rollouts("posterior_weights", num_rollouts, 0)
    a, b = exact_law("posterior_weights", law)
    n = a + b + K
    return [(a + s) * (b + K - s) / (n * (n + 1)) for s in range(K + 1)]


def exact_law(place: str, law: Law) -> Law:
    """The law with whole numbers as fractions; ValueError unless both parameters are finite and > 0."""
    for index, value in enumerate(law):
        check_number(place, f"law[{index}]", float(value), low=0, low_open=True)
    a, b = (Fraction(value) if isinstance(value, Rational) else float(value) for value in law)
    return a, b


def _rollouts(place: str, num_rollouts: int, least: int) -> int:
    return check_whole(place, "num_rollouts", num_rollouts, low=least)
