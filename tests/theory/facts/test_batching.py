"""What a slot is worth: against means over the problems written out, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import F64

from paced.theory.facts.batching import ess_of_slots, refill_gain, sampling_margin, slot_second_moment


def test_the_three_second_moments_are_means_over_what_fills_a_slot():
    h, m2 = [0.0, 0.5, 2.0, 0.25], [9.0, 1.0, 0.5, 4.0]
    rows = list(zip(h, m2, strict=True))
    whole = sum(w * w * m for w, m in rows) / 4 / (sum(h) / 4) ** 2
    kept = [(w, m) for w, m in rows if w]
    inside = sum(w * w * m for w, m in kept) / 3 / (sum(h) / 3) ** 2
    drawn = sum(w * m for w, m in rows) / sum(h)
    assert slot_second_moment(h, m2, batching="weight") == pytest.approx(whole, rel=F64)
    assert slot_second_moment(h, m2, batching="refill") == pytest.approx(inside, rel=F64)
    assert slot_second_moment(h, m2, batching="sample") == pytest.approx(drawn, rel=F64)
    assert refill_gain(h) == pytest.approx(whole / inside, rel=F64)


def test_the_margin_is_the_covariance_among_the_problems_kept_and_ignores_the_others():
    h, m2, mass = np.array([0.0, 1.0, 3.0]), np.array([5.0, 2.0, 1.0]), np.array([0.5, 0.1, 0.4])
    x, y, m = h[1:], (h * m2)[1:], mass[1:] / 0.5
    expected = m @ (x * y) - (m @ x) * (m @ y)
    assert sampling_margin(h, m2, masses=mass) == pytest.approx(expected, rel=F64)
    assert sampling_margin(h, [1e9, 2, 1], masses=mass) == pytest.approx(expected, rel=F64)


def test_equal_weights_on_those_kept_waste_no_slot_of_refill():
    assert ess_of_slots([0, 1, 1, 0], batching="refill") == pytest.approx(1.0, rel=F64)
    assert ess_of_slots([0, 1, 1, 0], batching="weight") == pytest.approx(0.5, rel=F64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: refill_gain([0, 0]), "weights must not all be 0"),
        (lambda: ess_of_slots([1, -1], batching="weight"), "weights must be finite and >= 0"),
        (lambda: slot_second_moment([1, 1], 0.0, batching="weight"), "second_moment must be finite and > 0"),
        (lambda: ess_of_slots([1, 1], batching="drop"), "batching must be one of"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
