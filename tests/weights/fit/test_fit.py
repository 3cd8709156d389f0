"""Fits against exact laws, printed reference values and independent optimisers; recovery and coverage by simulation."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import numpy as np
import oracles_weights as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.stats import betabinom
from tolerances import F64

from paced.weights import BetaKernel, fit
from paced.weights.betabinomial import BetaBinomial, log_pmf
from paced.weights.counts import CountHistogram
from paced.weights.fit.fit import fit_cells
from paced.weights.table.figure import plot_fit
from paced.zone import Zone

COUNTS = np.array([20, 12, 10, 9, 9, 10, 11, 14, 25])
"""The example of ``x2``, K = 8."""
PASSED = np.repeat(np.arange(9), COUNTS)


def expected_cells(law: tuple[Fraction, Fraction], K: int, scale: int = 10**9) -> CountHistogram:
    """Counts in exact proportion to a beta-binomial law, up to rounding at 1e-9."""
    exact = [oracle.beta_binomial(s, K, *law) for s in range(K + 1)]
    return CountHistogram(np.arange(K + 1), np.full(K + 1, K), np.array([round(scale * share) for share in exact]))


def test_reference_values_of_extension_x2():
    full = fit(PASSED, 8)
    assert full.law == pytest.approx((0.566088, 0.504028), abs=5e-7)
    assert full.nllf == pytest.approx(255.4019, abs=5e-5)
    assert fit(PASSED, 8, "moments").law == pytest.approx((0.564296, 0.499996), abs=5e-7)
    inner = fit(PASSED, 8, zpd=0.1)
    assert inner.law == pytest.approx((0.532131, 0.445483), abs=5e-7)
    assert inner.nllf == pytest.approx(145.0792, abs=5e-5)
    assert inner.num_used == 75


def test_likelihood_is_scipys_beta_binomial():
    for a, b in [(0.3, 2.0), (5.0, 4.0), (300.0, 100.0)]:
        assert np.allclose(log_pmf(8, a, b), betabinom.logpmf(np.arange(9), 8, a, b), rtol=1e-9)
    full = fit(PASSED, 8)
    assert full.nllf == pytest.approx(-betabinom.logpmf(PASSED, 8, *full.law).sum(), rel=F64)


@given(
    st.integers(1, 12),
    st.fractions(min_value="1/5", max_value=8, max_denominator=10),
    st.fractions(min_value="1/5", max_value=8, max_denominator=10),
)
def test_pmf_is_the_rational_one(K, a, b):
    exact = [oracle.beta_binomial(s, K, a, b) for s in range(K + 1)]
    assert np.allclose(np.exp(log_pmf(K, float(a), float(b))), [float(share) for share in exact], rtol=1e-11)
    if K >= 2:
        inside = exact[1:-1]
        inner = np.exp(log_pmf(K, float(a), float(b), 1 / K))[1:-1]
        assert np.allclose(inner, [float(share / sum(inside)) for share in inside], rtol=1e-11)


@settings(max_examples=30)
@given(
    st.integers(4, 16),
    st.fractions(min_value="1/5", max_value=8, max_denominator=10),
    st.fractions(min_value="1/5", max_value=8, max_denominator=10),
)
def test_maximum_likelihood_and_moments_recover_the_truth_from_exact_counts(K, a, b):
    cells = expected_cells((a, b), K)
    truth = (float(a), float(b))
    assert fit_cells(cells, "mle", None).law == pytest.approx(truth, rel=1e-4)
    assert fit_cells(cells, "moments", None).law == pytest.approx(truth, rel=1e-4)
    if K >= 6:
        inner = fit_cells(cells, "mle", 1 / K)
        assert inner.law == pytest.approx(truth, rel=3e-3)


@pytest.mark.parametrize("zpd", [None, 0.2])
def test_an_independent_optimiser_finds_the_same_maximum(zpd):
    rng = np.random.default_rng(3)
    rollouts = rng.choice([4, 8, 10], size=400)
    passed = rng.binomial(rollouts, rng.beta(1.5, 2.5, size=400))
    keep = np.ones(400, bool) if zpd is None else (passed >= zpd * rollouts) & (passed <= (1 - zpd) * rollouts)

    def loss(log_law):
        a, b = np.exp(log_law)
        total = -betabinom.logpmf(passed[keep], rollouts[keep], a, b).sum()
        for K in (4, 8, 10):
            s = np.arange(K + 1)
            seen = s if zpd is None else s[(s >= zpd * K) & (s <= (1 - zpd) * K)]
            total += np.count_nonzero(keep & (rollouts == K)) * np.log(betabinom.pmf(seen, K, a, b).sum())
        return total

    best = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10})
    found = fit(passed, rollouts, zpd=zpd)
    assert found.law == pytest.approx(tuple(np.exp(best.x)), rel=1e-5)
    assert found.nllf == pytest.approx(best.fun, rel=1e-9)


@given(st.floats(0.05, 30), st.floats(0.05, 30), st.booleans())
def test_gradient_and_hessian_are_the_derivatives(a, b, truncated):
    cells = CountHistogram.of(PASSED, 8)
    likelihood = BetaBinomial(cells.inside(Zone.of(0.1)), 0.1) if truncated else BetaBinomial(cells)
    here = likelihood.derivatives(a, b)
    step = 1e-5
    for index, (da, db) in enumerate([(step * a, 0), (0, step * b)]):
        more, less = likelihood.derivatives(a + da, b + db), likelihood.derivatives(a - da, b - db)
        width = 2 * (da + db)
        assert (more.value - less.value) / width == pytest.approx(here.gradient[index], rel=1e-5, abs=1e-4)
        assert np.allclose((more.gradient - less.gradient) / width, here.hessian[index], rtol=1e-4, atol=1e-4)


def test_the_histogram_is_sufficient_and_order_does_not_matter():
    rng = np.random.default_rng(0)
    rollouts = rng.choice([2, 5, 8], size=300)
    passed = rng.binomial(rollouts, 0.4)
    order = rng.permutation(300)
    one, two = fit(passed, rollouts), fit(passed[order], rollouts[order])
    assert (one.alpha, one.beta, one.nllf) == (two.alpha, two.beta, two.nllf)


def test_counting_failures_instead_of_passes_swaps_the_exponents():
    for method in ("mle", "moments", "paper"):
        one, two = fit(PASSED, 8, method), fit(8 - PASSED, 8, method)
        assert (one.alpha, one.beta) == pytest.approx((two.beta, two.alpha), rel=1e-8)


# --- The paper's method -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("zpd", "alpha"), [(0.1, Fraction(5, 6)), (0.2, 2.759259)])
def test_the_papers_recipe_on_beta_two_two_is_as_wrong_as_claim_c44_says(zpd, alpha):
    cells = expected_cells((Fraction(2), Fraction(2)), 8)
    assert fit_cells(cells, "paper", zpd).alpha == pytest.approx(float(alpha), abs=5e-6)
    assert fit_cells(cells, "moments", None).alpha == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("zpd", "alpha"), [(0.1, 0.5), (0.2, 2.5)])
def test_the_papers_recipe_sees_structure_in_uniform_pass_rates(zpd, alpha):
    cells = expected_cells((Fraction(1), Fraction(1)), 8)
    assert fit_cells(cells, "paper", zpd).alpha == pytest.approx(alpha, abs=1e-6)
    assert fit_cells(cells, "mle", zpd).alpha == pytest.approx(0, abs=1e-3)


def test_the_papers_recipe_is_proposition_11_in_rationals():
    inside = [Fraction(s, 8) for s in range(1, 8) for _ in range(COUNTS[s])]
    m = sum(inside) / len(inside)
    v = sum((x - m) ** 2 for x in inside) / len(inside)
    a, b = oracle.moments_estimate(m, v)
    found = fit(PASSED, 8, "paper")
    assert (found.alpha, found.beta) == pytest.approx((float(a - 1), float(b - 1)), rel=1e-11)
    assert found.zpd == 0.1


def test_moments_are_unbiased_for_the_mean_square_when_k_varies():
    """E[s(s-1)/(K(K-1))] = p² exactly, for every K."""
    for K in range(2, 9):
        p = Fraction(3, 7)
        mean = oracle.mean_over_binomial(lambda s, K=K: Fraction(s * (s - 1), K * (K - 1)), K, p)
        assert mean == p * p


# --- The result ---------------------------------------------------------------------------------------------------


def test_kernel_exponents_and_law_parameters_are_two_pairs():
    result = fit(np.random.default_rng(1).binomial(8, np.random.default_rng(2).beta(3, 2, 3000)), 8)
    assert result.law == (result.alpha + 1, result.beta + 1)
    assert result.kernel == BetaKernel(result.alpha, result.beta)
    assert result.peak == result.alpha / (result.alpha + result.beta)
    assert result.aic == 2 * result.nllf + 4
    assert result.standard_errors == (result.cov[0, 0] ** 0.5, result.cov[1, 1] ** 0.5)


def test_covariance_is_the_spread_of_the_estimates():
    rng = np.random.default_rng(5)
    results = [fit(rng.binomial(8, rng.beta(2, 3, 800)), 8) for _ in range(400)]
    spread = np.cov([(one.alpha, one.beta) for one in results], rowvar=False)
    assert np.mean([one.cov for one in results], axis=0) == pytest.approx(spread, rel=0.25)
    moments = [fit(rng.binomial(8, rng.beta(2, 3, 800)), 8, "moments") for _ in range(400)]
    spread = np.cov([(one.alpha, one.beta) for one in moments], rowvar=False)
    assert np.mean([one.cov for one in moments], axis=0) == pytest.approx(spread, rel=0.25)


def test_result_is_frozen():
    with pytest.raises(AttributeError, match="cannot assign"):
        fit(PASSED, 8).alpha = 1.0


def test_summary_says_what_the_papers_method_would_give():
    result = fit(np.random.default_rng(7).binomial(8, np.random.default_rng(8).beta(5, 5, 2000)), 8)
    paper = fit_cells(result.cells, "paper", None)
    text = result.summary()
    assert f"gives alpha = {paper.alpha:.4f}, beta = {paper.beta:.4f}" in text
    assert f"{result.alpha:.4f}" in text
    assert f"{result.law[0]:.4f}" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_to_dict_is_plain_json_even_without_an_estimate():
    for result in (fit(PASSED, 8), fit([4, 4, 4], 8), fit([0, 0], 8)):
        data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert data["message"] == result.message
        assert data["success"] is result.success


def test_plot_draws_the_fit_in_counts(tmp_path):
    figure = plot_fit(fit(PASSED, 8), tmp_path / "fit.png")
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")
    line = figure.axes[0].get_lines()[0]
    assert sum(line.get_ydata()) == pytest.approx(len(PASSED), rel=1e-9)
    assert len((tmp_path / "fit.csv").read_text().splitlines()) == 10


# --- Edges --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passed", "rollouts", "method", "zpd", "message"),
    [
        ([0] * 9, 8, "mle", None, "No rollout passed"),
        ([8] * 9, 8, "moments", None, "Every rollout passed"),
        ([0, 8, 8], 8, "paper", None, "No problem is in the zone 0.1 <= p̂ <= 0.9"),
        ([0, 1, 1], 1, "mle", None, "One rollout each"),
        ([0, 1, 1], 1, "moments", None, "One rollout each"),
        ([1, 2, 2, 1], 3, "mle", 0.2, "fewer than three counts are in the zone"),
        ([0, 8, 0], 8, "moments", None, "not below m\\(1-m\\)"),
        ([0, 8, 0, 8], 8, "mle", None, "grows towards a law with pass rates 0 and 1 only"),
    ],
)
def test_counts_that_determine_no_law_give_a_reason_and_no_exception(passed, rollouts, method, zpd, message):
    result = fit(passed, rollouts, method, zpd=zpd)
    assert not result.success
    assert not result.has_kernel
    assert np.isnan(result.peak)
    with pytest.raises(ValueError, match="FitResult.kernel: exponents must be finite and >= 0"):
        _ = result.kernel
    assert re.search(message, result.message)
    assert re.search(message, result.summary())
    assert "nan" not in result.summary()


@pytest.mark.parametrize("method", ["mle", "moments", "paper"])
@pytest.mark.parametrize("passed", [[4], [4, 4, 4], [5] * 40])
def test_rates_that_do_not_spread_have_infinite_exponents(method, passed):
    result = fit(passed, 8, method)
    assert (result.alpha, result.beta, result.success) == (np.inf, np.inf, False)
    assert "spread no more than rollout noise" in result.message
    assert np.isfinite(result.nllf)


def test_the_interval_of_an_infinite_exponent_has_a_lower_end_only():
    result = fit([3, 4, 5] * 30, 8)
    (low, high), _ = result.conf_int()
    assert result.alpha == np.inf
    assert low > 5
    assert high == np.inf


def test_negative_exponents_are_a_law_but_no_kernel():
    """Claim ``prop11.condition``: v < m(1-m)/3 does not make both exponents positive."""
    result = fit(PASSED, 8)
    assert result.success
    assert result.alpha < 0
    assert not result.has_kernel
    assert "no kernel" in result.message
    with pytest.raises(ValueError, match="alpha=-0.4339.*Use BetaKernel\\(\\) or BetaKernel\\(estimator='posterior'"):
        _ = result.kernel


def test_the_papers_condition_is_named_when_it_fails():
    result = fit([1, 7] * 20, 8, "paper")
    assert result.success
    assert "The paper's condition v < m(1-m)/3 fails: 0.1406 >= 0.08333" in result.message


def test_problems_with_one_rollout_help_the_mean_only():
    rng = np.random.default_rng(0)
    passed = rng.binomial(8, rng.beta(2, 2, 500))
    single = rng.binomial(1, 0.5, 200)
    both = fit(np.concatenate([passed, single]), np.concatenate([np.full(500, 8), np.ones(200, int)]))
    assert both.success
    assert both.num_used == 700
    assert both.law[0] == pytest.approx(fit(passed, 8).law[0], rel=0.15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit([1], 8, "mom"), "fit: method must be one of mle, moments, paper, got 'mom'"),
        (lambda: fit([1], 8, zpd=0.5), "fit: zpd must be finite and >= 0 and < 0.5, got 0.5"),
        (lambda: fit([1], 8, "moments", zpd=0.1), "zpd must be None for method='moments', got 0.1"),
        (lambda: fit([], 8), "fit: num_passed must hold at least one problem"),
        (lambda: fit([9], 8), r"fit: num_passed must be in \[0, num_rollouts=8\], got 9"),
        (lambda: fit([0.5], 8), "Pass counts, not rates"),
        (lambda: fit(PASSED, 8).conf_int(1.0), "level must be finite and > 0 and < 1"),
        (
            lambda: fit(PASSED, 8).conf_int(method="exact"),
            "method must be one of profile, wald, bootstrap, got 'exact'",
        ),
        (lambda: fit(PASSED, 8, "paper").conf_int(method="profile"), "'profile' needs a likelihood, got .*'paper'"),
        (
            lambda: fit(PASSED, 8).conf_int(method="bootstrap", num_resamples=0),
            "num_resamples must be a whole number >= 1",
        ),
        (lambda: fit(PASSED, 8).gof(num_resamples=0), "num_resamples must be a whole number >= 1"),
    ],
)
def test_mistakes_of_the_caller_are_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@st.composite
def any_counts(draw):
    rollouts = draw(st.lists(st.sampled_from([1, 2, 3, 8, 64]), min_size=1, max_size=30))
    return [draw(st.integers(0, K)) for K in rollouts], rollouts


@settings(max_examples=150)
@given(any_counts(), st.sampled_from(["mle", "moments", "paper"]), st.sampled_from([None, 0.0, 0.1, 0.3]))
def test_any_counts_have_a_defined_outcome(counts, method, zpd):
    """No exception, no warning, a reason whenever there is no estimate, and an interval that holds the estimate."""
    result = fit(*counts, method, zpd=None if method == "moments" else zpd)
    assert result.message
    assert len(result.summary().splitlines()) > 10
    result.gof(num_resamples=2)
    if result.success:
        assert np.isfinite([result.alpha, result.beta]).all()
        for value, (low, high) in zip((result.alpha, result.beta), result.conf_int(), strict=True):
            assert low - 1e-6 <= value <= high + 1e-6


def test_counts_crowded_at_one_end_of_the_zone_have_no_truncated_maximum():
    result = fit([7] * 12 + [6], 8, zpd=0.1)
    assert not result.success
    assert "spread no more" in result.message or "without a maximum towards its high end" in result.message


@pytest.mark.parametrize("one_for_all", [True, False])
@pytest.mark.parametrize("rollouts", [100_001, 1_000_000, 1_735_689_600])
def test_numbers_of_rollouts_that_no_one_makes_are_refused_before_memory_is_asked_for(rollouts, one_for_all):
    with pytest.raises(ValueError, match=f"fit: num_rollouts must be <= 100,000, got {rollouts:,}. Check the number"):
        fit([3, 4], rollouts if one_for_all else [8, rollouts])


def test_more_pairs_than_fit_into_memory_are_refused():
    rollouts = np.arange(90_000, 90_020)
    with pytest.raises(ValueError, match="at most 1,000,000 pairs .*from 20 different values"):
        fit(rollouts // 2, rollouts)


def test_weights_of_any_number_of_rollouts_need_memory_for_the_problems_only():
    assert BetaKernel()([0, 500_000_000], 1_000_000_000).tolist() == [0.0, 0.25]
