"""Weight and gradient from the same rollouts: by enumeration of the counts, down to a single rollout."""

from __future__ import annotations

from fractions import Fraction as Fr
from math import comb

import pytest
from tolerances import F64

from paced.theory.facts.shared_rollouts import default_pass_share, shared_pass_share


def enumerated(weights, p: Fr) -> Fr:
    """E[h(s) s/K]/E[h(s)] in rationals."""
    K = len(weights) - 1
    mass = [comb(K, s) * p**s * (1 - p) ** (K - s) * weights[s] for s in range(K + 1)]
    return sum(m * Fr(s, K) for s, m in enumerate(mass)) / sum(mass)


@pytest.mark.parametrize("weights", [(1, 1), (0, 1), (0, 1, 0), (1, 0, 2, 5), (0, 7, 12, 15, 16, 15, 12, 7, 0)])
@pytest.mark.parametrize("p", [Fr(1, 9), Fr(1, 2), Fr(6, 7)])
def test_the_share_is_that_of_all_counts(weights, p):
    assert float(shared_pass_share(weights, float(p))) == pytest.approx(float(enumerated(weights, p)), rel=F64)


@pytest.mark.parametrize("K", [2, 3, 8])
def test_the_defaults_closed_form_is_that_of_its_weights(K):
    weights = [s * (K - s) for s in range(K + 1)]
    for p in (0.1, 0.5, 0.93):
        assert float(default_pass_share(p, K)) == pytest.approx(float(shared_pass_share(weights, p)), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shared_pass_share([1.0], 0.5), "weights must be"),
        (lambda: shared_pass_share([0, 0], 0.5), "weights must be"),
        (lambda: shared_pass_share([0, 0, 1], 0.0), "pass_rate must give some weight"),
        (lambda: default_pass_share(0.5, 1), "num_rollouts must be a whole number >= 2"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
