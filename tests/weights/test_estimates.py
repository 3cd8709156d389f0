"""Estimates from counts against rational arithmetic, and the reference table of ``x1``."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.special import betaln
from tolerances import F64

from paced.weights import BetaKernel, normalise
from paced.weights.counts import CountHistogram
from paced.weights.estimates import empirical_prior

rational = st.fractions(min_value=0, max_value=1, max_denominator=50)


@given(st.integers(1, 20), st.integers(0, 4), st.integers(0, 4), rational)
def test_unbiased_weight_has_the_kernel_as_its_exact_mean(K, alpha, beta, p):
    assume(alpha + beta <= K)
    mean = oracle.mean_over_binomial(lambda s: oracle.u_statistic(s, K, alpha, beta), K, p)
    assert mean == oracle.kernel(p, alpha, beta)
    ours = BetaKernel(alpha, beta, estimator="unbiased")(np.arange(K + 1), K)
    exact = [float(oracle.u_statistic(s, K, alpha, beta)) for s in range(K + 1)]
    assert np.allclose(ours, exact, rtol=F64, atol=0)


def test_plugin_is_biased_in_shape_where_the_unbiased_weight_is_not():
    """The negative control: for (1, 2) the plug-in's mean is not a multiple of the kernel."""
    ratios = {
        oracle.mean_over_binomial(lambda s: oracle.kernel(Fraction(s, 8), 1, 2), 8, p) / oracle.kernel(p, 1, 2)
        for p in (Fraction(1, 10), Fraction(1, 2))
    }
    assert len(ratios) == 2


@given(st.integers(2, 30), st.data())
def test_plugin_and_unbiased_agree_after_normalisation_for_the_default(K, data):
    passed = data.draw(st.lists(st.integers(0, K), min_size=1, max_size=30))
    assume(any(0 < s < K for s in passed))
    plug = normalise(BetaKernel()(passed, K)).unit_mean_weights
    unbiased = normalise(BetaKernel(estimator="unbiased")(passed, K)).unit_mean_weights
    assert np.allclose(plug, unbiased, rtol=1e-11, atol=0)


@given(
    st.integers(1, 20),
    st.integers(0, 4),
    st.integers(0, 4),
    st.fractions(min_value="1/20", max_value=20, max_denominator=20),
    st.fractions(min_value="1/20", max_value=20, max_denominator=20),
)
def test_posterior_weight_is_the_posterior_mean(K, alpha, beta, a0, b0):
    kernel = BetaKernel(alpha, beta, estimator="posterior", prior=(float(a0), float(b0)))
    exact = [float(oracle.posterior_weight(s, K, alpha, beta, a0, b0)) for s in range(K + 1)]
    assert np.allclose(kernel(np.arange(K + 1), K), exact, rtol=1e-11)
    assert (kernel(np.arange(K + 1), K) > 0).all()


@given(st.floats(0.05, 20), st.floats(0.05, 20), st.integers(1, 64), st.floats(0, 5), st.floats(0, 5))
def test_posterior_weights_have_a_known_mean(a0, b0, K, alpha, beta):
    weights = BetaKernel(alpha, beta, estimator="posterior", prior=(a0, b0))(np.arange(K + 1), K)
    s = np.arange(K + 1)
    chance = np.exp(betaln(a0 + s, b0 + K - s) - betaln(a0, b0) - betaln(s + 1, K - s + 1)) / (K + 1)
    assert chance @ weights == pytest.approx(np.exp(betaln(a0 + alpha, b0 + beta) - betaln(a0, b0)), rel=1e-10)


@pytest.mark.parametrize(
    ("prior", "exponents", "passed", "value"),
    [
        ((1, 1), (1, 1), 0, 9 / 110),
        ((1, 1), (1, 1), 4, 0.2272727),
        ((0.5, 0.5), (1, 1), 0, 0.0472222),
        ((0.5, 0.5), (1, 1), 4, 0.225),
        ((0.3, 0.3), (1, 1), 0, 0.0301599),
        ((0.3, 0.3), (1, 1), 4, 0.223958),
        ((1, 1), (1, 2), 2, 0.1272727),
    ],
)
def test_posterior_weights_of_extension_x1(prior, exponents, passed, value):
    kernel = BetaKernel(*exponents, estimator="posterior", prior=prior)
    assert kernel([passed], 8)[0] == pytest.approx(value, abs=5e-7)


@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (0.5, 2), (2, 1)])
def test_posterior_tends_to_the_plugin_as_rollouts_grow(alpha, beta):
    gaps = []
    for K in (10, 100, 1000, 10_000):
        passed = np.array([K // 5, K // 2, 9 * K // 10])
        plug = BetaKernel(alpha, beta)(passed, K)
        gaps.append(np.abs(BetaKernel(alpha, beta, estimator="posterior")(passed, K) - plug).max())
    assert gaps[-1] < 1e-3
    assert all(later < earlier / 5 for earlier, later in pairwise(gaps))


EFFICIENCY = {2: ("17/20", "2/5"), 4: ("37/42", "12/17"), 8: ("101/110", "56/65"), 16: ("325/342", "240/257")}
"""K -> posterior mean, plug-in: the two columns of the table of ``x1``."""


@pytest.mark.parametrize("K", EFFICIENCY)
def test_efficiencies_of_posterior_and_plugin_are_those_of_the_reference_table(K):
    one = Fraction(1)
    posterior = oracle.efficiency(lambda s: oracle.posterior_weight(s, K, 1, 1, one, one), K)
    plug = oracle.efficiency(lambda s: oracle.kernel(Fraction(s, K), 1, 1), K)
    assert (posterior, plug) == tuple(Fraction(text) for text in EFFICIENCY[K])


def _efficiency(weights, prior, signal, second, K):
    """Eff(h) for s2 = p^2a q^2b and M2 = p^τ0 q^τ1, by Beta functions."""
    s = np.arange(K + 1)
    chance = np.exp(betaln(prior[0] + s, prior[1] + K - s) - betaln(*prior) - betaln(s + 1, K - s + 1)) / (K + 1)

    def given_s(x, y):
        return np.exp(betaln(prior[0] + s + x, prior[1] + K - s + y) - betaln(prior[0] + s, prior[1] + K - s))

    cross = chance @ (weights * given_s(2 * signal[0], 2 * signal[1]))
    ideal = chance @ given_s(4 * signal[0] - second[0], 4 * signal[1] - second[1])
    return cross**2 / (chance @ (weights**2 * given_s(*second)) * ideal)


def test_bayes_optimal_beats_both_where_the_posterior_loses():
    """``x1``'s counterexample to shrinking: prior Beta(.6, .6), s2 = (pq)^.6, M2 = (pq)^-.4, K = 8."""
    prior, tau = (0.6, 0.6), (-0.4, -0.4)
    s = np.arange(9)
    found = {
        name: _efficiency(
            BetaKernel(estimator=name, prior=prior, second_moment_exponents=tau)(s, 8), prior, (0.3, 0.3), tau, 8
        )
        for name in ("plugin", "posterior", "bayes_optimal")
    }
    assert found == pytest.approx({"plugin": 0.803828, "posterior": 0.782241, "bayes_optimal": 0.826917}, abs=5e-7)


@given(st.lists(st.floats(0.01, 10), min_size=9, max_size=9), st.floats(0.5, 3), st.floats(0.5, 3))
def test_no_rollout_weight_beats_the_bayes_optimal_one(weights, a0, b0):
    tau = (-0.3, 0.4)
    best = BetaKernel(1, 2, estimator="bayes_optimal", prior=(a0, b0), second_moment_exponents=tau)(np.arange(9), 8)
    arguments = ((a0, b0), ((1 + tau[0]) / 2, (2 + tau[1]) / 2), tau, 8)
    assert _efficiency(np.array(weights), *arguments) <= _efficiency(best, *arguments) * (1 + F64)


def test_bayes_optimal_is_the_posterior_mean_when_the_second_moment_is_flat():
    s = np.arange(9)
    flat = BetaKernel(1, 2, estimator="bayes_optimal", prior=(0.7, 2))(s, 8)
    assert np.allclose(flat, BetaKernel(1, 2, estimator="posterior", prior=(0.7, 2))(s, 8), rtol=F64)


def test_bayes_optimal_refuses_a_second_moment_that_diverges():
    kernel = BetaKernel(estimator="bayes_optimal", prior=(0.5, 0.5), second_moment_exponents=(-0.5, 0))
    with pytest.raises(ValueError, match="second moment diverges at an end"):
        kernel([0], 8)


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (1, 1.5)])
def test_no_unbiased_weight_for_broken_exponents(alpha, beta):
    with pytest.raises(ValueError, match="alpha and beta must be whole numbers"):
        BetaKernel(alpha, beta, estimator="unbiased")([1], 8)


def test_no_unbiased_weight_with_fewer_rollouts_than_exponents():
    with pytest.raises(ValueError, match="num_rollouts must be >= alpha \\+ beta = 3, got 2"):
        BetaKernel(1, 2, estimator="unbiased")([1, 1], [8, 2])


def test_empirical_prior_is_the_law_of_the_maximum_likelihood_fit():
    passed = np.repeat(np.arange(9), [20, 12, 10, 9, 9, 10, 11, 14, 25])
    a, b = empirical_prior(CountHistogram.of(passed, 8))
    assert (a, b) == pytest.approx((0.566088, 0.504028), abs=1e-6)
    weights = BetaKernel(estimator="posterior", prior="empirical")(passed, 8)
    assert np.array_equal(weights, BetaKernel(estimator="posterior", prior=(a, b))(passed, 8))


def test_empirical_prior_has_the_largest_likelihood_of_scipys_beta_binomial():
    passed, rollouts = np.array([0, 1, 3, 5, 6, 2, 2, 8, 1, 2, 4, 0, 3]), np.array([8] * 8 + [4] * 5)
    a, b = empirical_prior(CountHistogram.of(passed, rollouts))
    found = optimize.minimize(
        lambda law: -stats.betabinom.logpmf(passed, rollouts, *np.exp(law)).sum(), [0, 0], method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-10},
    )  # fmt: skip
    assert (a, b) == pytest.approx(tuple(np.exp(found.x)), rel=1e-5)


def test_empirical_prior_says_why_there_is_none():
    with pytest.raises(ValueError, match="counts must determine a Beta law. No rollout passed"):
        BetaKernel(estimator="posterior", prior="empirical")([0, 0], 8)


def test_default_plugin_zeroes_the_stated_share_of_problems():
    """Claim ``eq3.smooth``: p = 0.1, K = 8 is zeroed with probability 0.9^8; under uniform p the share is 2/(K+1)."""
    p = Fraction(1, 10)
    share = oracle.mean_over_binomial(lambda s: Fraction(int(BetaKernel()([s], 8)[0] == 0)), 8, p)
    assert float(share) == pytest.approx(0.430467, abs=5e-7)
