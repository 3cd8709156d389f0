"""Kantorovich's floor against populations, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import F64

from paced.theory.facts.weighting_gain import (
    equal_weight_efficiency,
    kantorovich_floor,
    kernel_range,
    largest_gain,
)


def test_the_floor_is_attained_by_two_weights_and_by_no_other_pair_of_masses():
    m, top = 0.03, 1.7
    share = m / (m + top)
    values = [equal_weight_efficiency([top, m], masses=[t, 1 - t]) for t in (share, share / 2, share * 2)]
    floor = float(kantorovich_floor(m, top))
    assert values[0] == pytest.approx(floor, rel=F64)
    assert min(values[1:]) > floor


def test_the_range_of_a_kernel_is_that_of_a_grid_with_the_peak_inside_or_outside():
    for low, high, alpha, beta in ((0.1, 0.9, 1, 1), (0.0, 0.2, 1, 2), (0.7, 1.0, 2, 0.5), (0.2, 0.6, 3, 1)):
        p = np.linspace(low, high, 20_001)
        w = p**alpha * (1 - p) ** beta
        assert kernel_range(low, high, alpha=alpha, beta=beta) == pytest.approx((w.min(), w.max()), abs=1e-8)


def test_scale_does_not_matter_down_to_the_smallest_floats():
    assert kantorovich_floor(1e-300, 4e-300) == pytest.approx(0.64, rel=F64)
    assert equal_weight_efficiency([1e-300, 4e-300], masses=[4, 1]) == pytest.approx(0.64, rel=F64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kantorovich_floor(0, 1), "smallest must be finite and > 0"),
        (lambda: kantorovich_floor(2, 1), "largest must be >= smallest"),
        (lambda: largest_gain(0, 0.5), "smallest must be finite and > 0"),
        (lambda: kernel_range(0.5, 0.5), "low must be < high"),
        (lambda: equal_weight_efficiency([1, np.nan]), "weights must be finite and > 0"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
