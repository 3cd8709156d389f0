"""What ``fit`` reports: whether it found a law, the likelihood of that law, where its intervals end."""

from __future__ import annotations

from math import comb

import mpmath
import numpy as np
import pytest
from scipy import stats
from tolerances import QUADRATURE

from paced.weights import FitResult, fit
from paced.weights.betabinomial import LARGEST_CONCENTRATION, SMALLEST_CONCENTRATION, STEEPEST_LOGIT

COUNTS = ([1, 2, 5, 7, 3, 3, 8, 0, 1, 4, 6, 2], 8)
"""Twelve problems with eight rollouts: a likelihood with a finite maximum and finite ends."""


@pytest.mark.parametrize(
    ("result", "success", "mean"),
    [
        pytest.param(fit([0, 0, 0], 4), False, 0.0, id="no rollout passed"),
        pytest.param(fit([4, 4], 4), False, 1.0, id="every rollout passed"),
        pytest.param(fit([0, 1, 1, 1], 1), False, 0.75, id="one rollout each"),
        pytest.param(fit([0, 4, 0], 4, zpd=0.25), False, np.nan, id="nothing in the zone"),
        pytest.param(fit([1, 2, 2, 1], 3, zpd=0.3), False, 0.5, id="two counts in the zone"),
        pytest.param(fit([2, 2, 2], 4, "paper", zpd=0.1), False, 0.5, id="rates alike"),
        pytest.param(fit([0, 4, 0, 4], 4, "moments"), False, 0.5, id="rates at 0 and 1 only"),
        pytest.param(fit([1, 2, 5, 7, 6, 3, 8, 0], 8), True, 0.5, id="spread"),
        pytest.param(fit([1, 2, 5, 1, 2, 3, 4, 0], 8, "moments"), True, 18 / 64, id="unequal means"),
    ],
)
def test_a_fit_says_whether_it_found_a_law_and_the_mean_of_the_rates_it_used(result, success, mean):
    assert result.success is success
    assert result.message
    assert result.mean == pytest.approx(mean, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("method", ["moments", "mle"])
def test_the_likelihood_is_that_of_the_law_named_by_gamma_functions(method):
    passed, K = [1, 2, 5, 7, 6, 3, 8, 0], 8
    result = fit(passed, K, method)
    a, b = mpmath.mpf(result.alpha) + 1, mpmath.mpf(result.beta) + 1
    terms = [mpmath.log(comb(K, s) * mpmath.beta(a + s, b + K - s) / mpmath.beta(a, b)) for s in passed]
    assert result.nllf == pytest.approx(float(-mpmath.fsum(terms)), rel=QUADRATURE)


@pytest.mark.parametrize(
    ("passed", "noted"),
    # Of the second v = 0.08, between m(1-m)/4 and m(1-m)/3.
    [([2, 4, 6, 4, 4], False), ([1, 3, 5, 7, 9], False), ([1, 5, 1, 9, 5, 9], True)],
)
def test_the_papers_condition_is_noted_exactly_where_the_spread_is_a_third_of_bernoullis(passed, noted):
    result = fit(passed, 10, "paper", zpd=0.05)
    assert result.success
    assert ("condition" in result.message) is noted


def test_wald_ends_come_from_the_covariance_and_that_from_the_curvature_of_the_likelihood():
    passed, K = COUNTS
    result = fit(passed, K)
    z = float(stats.norm.ppf(0.95))
    for i, (exponent, interval) in enumerate(
        zip((result.alpha, result.beta), result.conf_int(0.9, "wald"), strict=True)
    ):
        spread = z * np.sqrt(result.cov[i, i]) / (exponent + 1)
        assert [*interval] == pytest.approx([(exponent + 1) * np.exp(s * spread) - 1 for s in (-1, 1)], rel=QUADRATURE)
    assert np.diag(result.cov) == pytest.approx(np.diag(inverse_information(result)), rel=1e-4)


def inverse_information(result: FitResult) -> np.ndarray:
    """Inverse of minus the second differences of the log-likelihood."""
    passed, K = COUNTS
    point, step = np.array([result.alpha + 1, result.beta + 1]), 1e-3 * np.eye(2)

    def value(x: np.ndarray) -> float:
        return float(np.sum(stats.betabinom.logpmf(passed, K, *x)))

    hessian = [
        [
            sum(
                s * t * value(point + s * step[i] + t * step[j])  # one mixed difference
                for s in (-1, 1)
                for t in (-1, 1)
            )
            / 4e-6
            for j in range(2)
        ]
        for i in range(2)
    ]
    return np.linalg.inv(-np.array(hessian))


def test_counts_that_are_all_alike_have_no_upper_end():
    interval = fit([4, 4, 4, 4, 4, 4], 8).conf_int().alpha
    assert np.isinf(interval.high)
    assert 0 < interval.low < np.inf


def test_the_search_of_the_likelihood_ends_where_it_says():
    assert (LARGEST_CONCENTRATION, SMALLEST_CONCENTRATION, STEEPEST_LOGIT) == (1e7, 1e-6, 16.0)
