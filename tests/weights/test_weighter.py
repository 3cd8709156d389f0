"""The scikit-learn habits, checked by scikit-learn itself; and the histogram behind everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from paced.weights import BetaKernel, BetaKernelWeighter, fit
from paced.weights.counts import LARGEST_TABLE, CountHistogram

PASSED = np.random.default_rng(0).binomial(8, np.random.default_rng(1).beta(3, 2, 2000))


def test_scikit_learn_can_clone_it_fitted_or_not():
    weighter = BetaKernelWeighter(method="moments", estimator="posterior", unit_mean=False)
    fitted = weighter.fit(PASSED, 8)
    copy = clone(fitted)
    assert copy is not weighter
    assert copy.get_params() == weighter.get_params()
    assert not hasattr(copy, "alpha_")


def test_fit_then_transform_is_the_fitted_kernel():
    weighter = BetaKernelWeighter()
    weights = weighter.fit(PASSED, 8).transform(PASSED, 8)
    result = fit(PASSED, 8)
    assert (weighter.alpha_, weighter.beta_) == (result.alpha, result.beta)
    raw = BetaKernel(result.alpha, result.beta)(PASSED, 8)
    assert np.allclose(weights, raw / raw.mean(), rtol=1e-12)
    assert np.array_equal(weights, BetaKernelWeighter().fit_transform(PASSED, 8))
    assert np.array_equal(BetaKernelWeighter(unit_mean=False).fit_transform(PASSED, 8), raw)


def test_posterior_takes_the_fitted_law_as_its_prior():
    weighter = BetaKernelWeighter(estimator="posterior").fit(PASSED, 8)
    assert weighter.kernel_.prior == fit(PASSED, 8).law


def test_parameters_can_be_read_and_set():
    weighter = BetaKernelWeighter().set_params(method="paper", zpd=0.2)
    assert weighter.get_params() == {"method": "paper", "zpd": 0.2, "estimator": "plugin", "unit_mean": True}
    assert repr(weighter) == "BetaKernelWeighter(method='paper', zpd=0.2, estimator='plugin', unit_mean=True)"
    with pytest.raises(ValueError, match="name must be one of method, zpd, estimator, unit_mean, got 'alpha'"):
        weighter.set_params(alpha=1)


def test_transform_before_fit_and_fits_without_a_kernel_are_explained():
    with pytest.raises(ValueError, match="fit must come first"):
        BetaKernelWeighter().transform(PASSED, 8)
    with pytest.raises(ValueError, match="exponents must be finite and >= 0"):
        BetaKernelWeighter().fit([0, 8, 0, 8, 4, 1], 8)


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


def test_zone_bounds_belong_to_the_zone_whatever_their_rounding():
    cells = CountHistogram.of(np.arange(11), 10)
    assert np.flatnonzero(cells.in_zpd(0.3)).tolist() == [3, 4, 5, 6, 7]
    assert np.flatnonzero(cells.in_zpd(0.1)).tolist() == list(range(1, 10))
