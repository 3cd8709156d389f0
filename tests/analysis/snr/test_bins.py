"""Bins and curves: pure noise comes out flat, a known kernel comes back, warnings are raised."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis.snr import bins
from paced.analysis.snr.rows import ProblemGram, summarise
from paced.records import PassRate

NATURAL = (117, 22, 19, 19, 20, 23, 17, 30, 51, 182)
"""Problems per bin of a real student (U-shaped), with which the raw cross-problem form draws a bell."""


def rates(p: np.ndarray, K: int = 1000) -> dict[str, PassRate]:
    return {str(i): PassRate(problem_id=str(i), num_passed=round(K * x), num_rollouts=K) for i, x in enumerate(p)}


def rows(p: np.ndarray, snr_squared, *, K: int = 8, d: int = 60, seed: int = 0):
    """Gradients with unit total noise and E g of the length that gives each problem its SNR²."""
    rng = np.random.default_rng(seed)
    measured = []
    for i, x in enumerate(p):
        direction = rng.normal(size=d)
        direction *= np.sqrt(snr_squared(x)) / np.linalg.norm(direction)
        g = rng.normal(size=(K, d)) / np.sqrt(d) + direction
        gram = tuple(map(tuple, (g @ g.T).tolist()))
        measured.append(ProblemGram(problem_id=str(i), num_tokens=K, rounding=1e-13, gram=gram))
    return summarise(measured)


def test_pure_noise_is_flat_and_its_intervals_cover_zero():
    p = np.linspace(0.02, 0.98, 600)
    curve = bins.snr_curve(rows(p, lambda x: 0.0), rates(p))
    assert len(curve) == 10
    values = np.array([one.debiased_snr_squared for one in curve])
    errors = np.sqrt([one.debiased_variance for one in curve])
    assert (np.abs(values) < 4 * errors).all()
    assert np.max(np.abs(values)) < 0.03
    paper = np.array([one.paper_snr for one in curve])
    assert paper == pytest.approx(np.full(10, curve[0].floor), rel=0.05)
    assert sum(one.debiased_snr_squared_low <= 0 <= one.debiased_snr_squared_high for one in curve) >= 8


def test_cross_problem_noise_is_flat_with_equal_bins_while_the_raw_form_draws_a_bell():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.uniform(k / 10, (k + 1) / 10, size=n) for k, n in enumerate(NATURAL)])
    gradients = rng.normal(size=(p.size, 200))
    edges = bins.bin_edges(p)
    groups = bins.equal_groups(p, edges)
    assert {len(group) for group in groups.values()} == {min(NATURAL)}

    def cross(inside):
        g = gradients[inside]
        return bins.cross_bin(g @ g.T, low=0, high=1, pass_rate=0.5)

    fair = [cross(group) for group in groups.values()]
    assert max(abs(one.debiased_snr_squared) for one in fair) < 0.03
    assert sum(one.debiased_snr_squared_low <= 0 <= one.debiased_snr_squared_high for one in fair) >= 8
    raw = [one.raw_snr for one in fair]
    assert max(raw) / min(raw) < 1.25
    index = bins.bin_index(p, edges)
    fake = np.array([cross(np.flatnonzero(index == k)).raw_snr for k in range(10)])
    assert fake == pytest.approx(1 / np.sqrt(np.array(NATURAL) - 1), rel=0.2)
    assert fake[4] > 2 * max(fake[0], fake[-1])  # the bell that is an artefact


def test_cross_problem_signal_is_recovered():
    rng = np.random.default_rng(1)
    g = rng.normal(size=(400, 50)) + 0.5
    one = bins.cross_bin(g @ g.T, low=0, high=1, pass_rate=0.5)
    assert one.debiased_snr_squared == pytest.approx(0.25, abs=0.02)
    assert one.debiased_snr_squared_low < 0.25 < one.debiased_snr_squared_high


def test_pooling_is_a_ratio_of_sums_and_degenerate_problems_are_counted():
    p = np.full(6, 0.5)
    measured = rows(p, lambda x: 0.3)
    alike = ProblemGram(problem_id="6", num_tokens=8, rounding=1e-6, gram=((1.0, 1.0), (1.0, 1.0)))
    every = [*measured, *summarise([alike])]
    curve = bins.snr_curve(every, rates(np.full(7, 0.5)))
    assert len(curve) == 1
    assert curve[0].num_degenerate == 1
    assert np.isfinite(curve[0].guarded_snr)
    assert curve[0].debiased_snr_squared == pytest.approx(
        sum(row.signal for row in every) / sum(row.noise for row in every)
    )
    assert curve[0].paper_snr == pytest.approx(np.mean([row.paper_snr for row in measured]))


def test_equal_count_bins_hold_equal_counts():
    p = np.random.default_rng(0).beta(0.4, 0.4, size=1000)
    index = bins.bin_index(p, bins.bin_edges(p, num_bins=8, binning="count"))
    assert np.ptp(np.bincount(index)) <= 1


def test_warnings_name_thin_bins_and_shared_rollouts():
    p = np.array([0.05, 0.05, 0.5, 0.5, 0.5, 0.5, 0.5])
    curve = bins.snr_curve(rows(p, lambda x: 0.1), rates(p))
    notes = bins.curve_warnings(curve, same_rollouts=True)
    assert "fewer than 5 problems, by pass rate: [0.00, 0.10): 2" in notes[0]
    assert "same rollouts" in notes[-1]
    assert bins.curve_warnings(curve[1:], same_rollouts=False) == []


def test_choosing_equally_takes_the_same_number_of_every_full_bin():
    p = np.concatenate([np.full(50, 0.05), np.full(7, 0.55), np.full(2, 0.95)])
    chosen = bins.choose_equally(p, edges=np.linspace(0, 1, 11), per_bin=5)
    assert [int((p[chosen] == value).sum()) for value in (0.05, 0.55, 0.95)] == [5, 5, 2]
