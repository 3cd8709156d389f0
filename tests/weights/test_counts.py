"""The histogram of counts behind every fit and every weight."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paced.weights import BetaKernel
from paced.weights.counts import LARGEST_TABLE, CountHistogram
from paced.zone import Zone


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), min_size=1, max_size=40))
def test_the_histogram_counts_every_problem_once(pairs):
    passed = np.array([min(s, k) for s, k in pairs])
    rollouts = np.array([k for _, k in pairs])
    cells = CountHistogram.of(passed, rollouts)
    assert cells.total == len(pairs)
    assert sorted(zip(cells.num_passed, cells.num_rollouts, strict=True)) == sorted(
        set(zip(passed.tolist(), rollouts.tolist(), strict=True))
    )
    back = np.repeat(cells.num_passed, cells.num_problems)
    assert sorted(back.tolist()) == sorted(passed.tolist())


def test_counts_too_large_for_a_table_give_the_same_weights():
    K = int(LARGEST_TABLE**0.5) + 10
    passed = np.array([0, 5, K // 2, K, 5])
    rollouts = np.full(5, K)
    rollouts[1] = 10
    rollouts[4] = 10
    assert np.allclose(BetaKernel()(passed, rollouts), passed / rollouts * (1 - passed / rollouts), rtol=1e-12)
    cells = CountHistogram.of(passed, rollouts)
    assert cells.num_problems.tolist() == [2, 1, 1, 1]


def test_only_cells_inside_a_zone_are_kept_with_their_problems():
    inside = CountHistogram.of([3, 3, 7, 8, 2, 1], [10, 10, 10, 10, 10, 2]).inside(Zone.of(0.3))
    assert (inside.num_passed.tolist(), inside.num_problems.tolist()) == ([1, 3, 7], [1, 2, 1])
