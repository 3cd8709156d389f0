"""The floor under a misjudged noise, at laws of no special form and at its ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64

from paced.theory.facts.misspecification import (
    misspecification_floor,
    nominal_efficiency,
    signal_floor,
    total_variation,
    weighted_laws,
    worst_efficiency_of,
)

LAW = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda x: np.array(x) / sum(x))


@settings(max_examples=60, deadline=None)
@given(LAW, LAW, st.floats(0, 3), st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_no_misjudgement_inside_or_at_the_ends_leaves_less_than_the_floor(alpha, beta, delta, inside):
    floor = nominal_efficiency(alpha, beta) * misspecification_floor(delta, total_variation(alpha, beta))
    r = delta * np.array(inside)
    value = nominal_efficiency(alpha, beta) / ((np.exp(-r) @ alpha) * (np.exp(r) @ beta))
    assert value >= worst_efficiency_of(alpha, beta, delta) * (1 - 1e-12) >= floor * (1 - 1e-10)


def test_the_best_weight_has_one_law_and_the_known_floor():
    s2, m2 = np.array([0.2, 1.0, 3.0]), np.array([1.0, 1.5, 20.0])
    alpha, beta = weighted_laws(7 * s2 / m2, s2, m2, masses=[1, 2, 3])
    np.testing.assert_allclose(alpha, beta, rtol=F64)
    assert misspecification_floor(0.7, 0.0) == pytest.approx(1 / np.cosh(0.7) ** 2, rel=F64)
    assert misspecification_floor(0.7, 1.0) == pytest.approx(np.exp(-1.4), rel=F64)


def test_large_deltas_give_small_floors_and_never_nan():
    np.testing.assert_allclose(misspecification_floor([30.0, 800.0], [1.0, 0.5]), [np.exp(-60), 0.0], rtol=1e-10)
    assert signal_floor([0.0, 800.0], [0.5, 0.5]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: misspecification_floor(-0.1, 0), "delta must be finite and >= 0"),
        (lambda: misspecification_floor(0.1, 1.5), "distance must be"),
        (lambda: signal_floor(0.1, -1), "distance must be"),
        (lambda: weighted_laws([1, 2], [1], [1, 1]), "one number for each problem"),
        (lambda: weighted_laws([0, 2], [1, 1], [1, 1]), "weight must be finite and > 0"),
        (lambda: worst_efficiency_of([0.5, 0.5], [1.0], 0.1), "two laws on the same"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
