"""The Wilson interval against its definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from paced.weights.wilson import wilson_interval


@given(st.integers(1, 64).flatmap(lambda k: st.tuples(st.integers(0, k), st.just(k))))
def test_the_interval_is_wilsons(counts):
    """Wilson (1927): the pass rates p with |s/K - p| <= z sqrt(p(1-p)/K), the roots of a quadratic."""
    s, k = counts
    z = norm.ppf(0.975)
    centre, spread = (s + z * z / 2) / (k + z * z), z * math.sqrt(s * (k - s) / k + z * z / 4) / (k + z * z)
    ends = wilson_interval(s, k)
    assert ends.low == pytest.approx(centre - spread, abs=1e-12)
    assert ends.high == pytest.approx(centre + spread, abs=1e-12)


def test_nothing_counted_has_no_interval():
    assert all(math.isnan(end) for end in wilson_interval(0, 0))
