"""Values of the extensions' closed forms by rational arithmetic, and what they take when nothing is said."""

from __future__ import annotations

from fractions import Fraction
from math import factorial

import pytest
from tolerances import F64

from paced.theory.facts.extensions import ess_fraction, kernel_quality, rollout_ess_fraction, rollout_quality
from paced.theory.facts.kernel import zeroed_share

COUNTED = [s**2 * (8 - s) for s in range(9)]


def beta_function(x: int, y: int) -> Fraction:
    """E[p^x (1-p)^y] for uniform p and whole exponents."""
    return Fraction(factorial(x) * factorial(y), factorial(x + y + 1))


@pytest.mark.parametrize("exponents", [(0, 1), (2, 1), (2, 3), (4, 0)])
def test_ess_fraction_is_the_quotient_of_factorials(exponents):
    x, y = exponents
    want = beta_function(x, y) ** 2 / beta_function(2 * x, 2 * y)
    assert ess_fraction(exponents) == pytest.approx(float(want), rel=F64)


@pytest.mark.parametrize(
    ("short", "documented"),
    [
        (
            kernel_quality((1, 2), signal_exponents=(0.5, 1.0)),
            kernel_quality((1, 2), signal_exponents=(0.5, 1.0), law=(1.0, 1.0), second_moment_exponents=(0.0, 0.0)),
        ),
        (
            rollout_quality(COUNTED, signal_exponents=(0.5, 1.0)),
            rollout_quality(COUNTED, signal_exponents=(0.5, 1.0), law=(1.0, 1.0), second_moment_exponents=(0.0, 0.0)),
        ),
        (ess_fraction((1, 2)), ess_fraction((1, 2), law=(1.0, 1.0))),
        (rollout_ess_fraction(COUNTED), rollout_ess_fraction(COUNTED, law=(1.0, 1.0))),
        (float(zeroed_share(8)), float(zeroed_share(8, prior=(1.0, 1.0)))),
    ],
)
def test_pass_rates_are_uniform_and_noise_flat_unless_told_otherwise(short, documented):
    assert short == documented
