"""The kit for users: the strategies give what they say, and check_weighting finds what is wrong with a weight."""

from __future__ import annotations

import doctest
import subprocess
import sys
from itertools import product
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from tolerances import F64, QUADRATURE

from paced.theory import check_weighting, strategies
from paced.theory.facts.boundary import population_snr
from paced.theory.facts.representation import log_remainder, smallest_delta
from paced.theory.kit.weighting import worst_at_one_rate, worst_in_the_mean
from paced.weights import WEIGHTS, BetaKernel, HardFilter


@given(strategies.counts(), st.sampled_from(sorted(WEIGHTS)))
def test_every_weight_of_the_package_is_finite_and_non_negative(counts, name):
    weights = WEIGHTS[name]()(*counts)
    assert weights.shape == counts[0].shape
    assert np.all(np.isfinite(weights))
    assert np.all(weights >= 0)


@given(strategies.counts(same_rollouts=True))
def test_counts_of_one_k(counts):
    assert len(set(counts[1].tolist())) == 1
    assert np.all((counts[0] >= 0) & (counts[0] <= counts[1]))


@given(strategies.snr_profiles())
def test_profiles_have_their_exponents_and_delta(profile):
    p = np.linspace(0.001, 0.999, 4001)
    remainder = log_remainder(p, profile.at(p), exponents=profile.snr_exponents)
    assert smallest_delta(remainder) <= profile.delta * (1 + 1e-9) + 1e-12
    near = np.array([1e-9, 1e-12])
    slope = np.diff(np.log(profile.at(near)))[0] / np.log(1e-3)
    assert slope == pytest.approx(profile.snr_exponents[0], rel=1e-6)


@given(strategies.perturbations(delta=0.4, size=5), strategies.pass_rate_laws(), strategies.pass_rates(ends=False))
def test_perturbations_laws_and_rates_stay_inside(r, law, rates):
    assert np.all(np.abs(r) <= 0.4)
    assert min(law) > 0
    assert np.all((rates > 0) & (rates < 1))


REACHED = {
    "perturbations, all of them at an end": (
        strategies.perturbations(delta=0.4, size=6), lambda r: {*r} == {-0.4, 0.4},
    ),
    "pass rates 0 and 1": (strategies.pass_rates(), lambda p: {0.0, 1.0} & {*p}),
    "the smallest exponent": (strategies.kernels(smallest=0.3), lambda k: 0.3 in (k.alpha, k.beta)),
    "the largest exponent": (strategies.kernels(largest=7.5), lambda k: 7.5 in (k.alpha, k.beta)),
    "the smallest law": (strategies.pass_rate_laws(smallest=0.3), lambda law: 0.3 in law),
    "the largest law": (strategies.pass_rate_laws(largest=7.5), lambda law: 7.5 in law),
    "all failed": (strategies.counts(max_rollouts=5), lambda c: (c[0] == 0).any() and 5 in c[1]),
    "all passed": (strategies.counts(max_rollouts=5), lambda c: (c[0] == c[1]).any() and 1 in c[1]),
    "the largest ripple": (strategies.snr_profiles(largest_ripple=0.4), lambda s: abs(s.ripple) == 0.4),
    "four waves": (strategies.snr_profiles(), lambda s: s.num_waves == 4),
    "the largest gradient": (strategies.gradient_populations(), lambda g: abs(g).max() == 3),
    "the largest population": (strategies.gradient_populations(max_problems=4), lambda g: g.shape == (4, 4)),
}  # fmt: skip
SEARCH = settings(max_examples=2000, database=None, derandomize=True, deadline=None, phases=(Phase.generate,))


@pytest.mark.parametrize("end", REACHED)
def test_strategies_reach_the_ends_of_their_domains(end):
    strategy, reached = REACHED[end]
    find(strategy, reached, settings=SEARCH)


@pytest.mark.parametrize(
    ("strategy", "outside"),
    [
        (strategies.pass_rates(ends=False, max_size=3), lambda p: min(p) == 0 or max(p) == 1),
        (strategies.perturbations(delta=0.4, size=2), lambda r: max(abs(r)) > 0.4),
        (strategies.kernels(smallest=0.3, largest=7.5), lambda k: not 0.3 <= k.alpha <= 7.5),
        (strategies.snr_profiles(largest_ripple=0.4), lambda s: abs(s.ripple) > 0.4),
    ],
)
def test_strategies_stay_inside_their_domains(strategy, outside):
    with pytest.raises(NoSuchExample, match="No examples found"):
        find(strategy, outside, settings=settings(SEARCH, max_examples=200))


@pytest.mark.parametrize("amplitude", [0.1, 3.0])
def test_the_efficiency_under_a_profile_is_the_integral_of_lemma_5(amplitude):
    """F = E[w w*]²/(E[w²] E[w*²]) over the uniform law on [ε, 1-ε], w* = SNR²/(1 + SNR²), by mpmath's quadrature."""
    low, high = mpmath.mpf("0.125"), mpmath.mpf("0.875")

    def mean(function):
        return mpmath.quad(function, [low, high]) / (high - low)

    def best(p):
        return amplitude**2 * p**2 * (1 - p) / (1 + amplitude**2 * p**2 * (1 - p))

    expected = mean(lambda p: p * best(p)) ** 2 / (mean(lambda p: p**2) * mean(lambda p: best(p) ** 2))
    report = check_weighting(lambda p: p, snr=lambda p: amplitude * p * np.sqrt(1 - p), epsilon=0.125)
    assert report.efficiency == pytest.approx(float(expected), rel=QUADRATURE)
    assert report.guarantee == pytest.approx(float(mpmath.sech("0.3") ** 2), rel=F64)


@given(strategies.gradient_populations())
def test_populations_have_an_snr(gradients):
    assert population_snr(gradients) >= 0


@given(strategies.kernels(), st.floats(0, 1.5))
def test_a_kernel_reaches_the_guarantee_under_its_own_profile(kernel, delta):
    report = check_weighting(kernel.at, snr=lambda p: np.sqrt(kernel.at(p)), delta=delta, epsilon=0.2, grid_size=201)
    assert report.worst_at_one_rate == pytest.approx(np.cosh(delta) ** -2.0, rel=1e-9)
    assert report.worst_in_the_mean >= report.guarantee * (1 - F64)
    assert report.usable


@given(st.lists(st.floats(0.1, 3), min_size=2, max_size=6), st.floats(0.05, 1.5), st.randoms(use_true_random=False))
def test_worst_cases_match_a_search_over_all_extremes(weights, delta, random):
    w = np.array(weights)
    s = np.array([random.uniform(0.2, 2) for _ in weights])
    q = np.array([random.uniform(0.1, 1) for _ in weights])
    q /= q.sum()
    values = []
    for signs in product((-delta, delta), repeat=len(w)):
        r = np.array(signs)
        values.append(np.sum(q * w * s) ** 2 / (np.sum(q * w**2 * np.exp(-r)) * np.sum(q * s**2 * np.exp(r))))
    assert worst_in_the_mean(w, s, q, delta) == pytest.approx(min(values), rel=1e-12)
    # On many atoms the thresholds are tried instead; repeated atoms of split mass must not matter.
    many = np.tile(w, 5), np.tile(s, 5), np.tile(q, 5) / 5
    assert worst_in_the_mean(*many, delta) <= min(values) * (1 + 1e-12)
    scales = np.geomspace(0.02, 20, 4001)[:, None] * (w / s)[None, :]
    at_best_scale = np.max(np.min([1 - (1 - scales * np.exp(x)) ** 2 for x in (-delta, delta)], axis=(0, 2)))
    if at_best_scale > 0:
        assert worst_at_one_rate(w, s, delta) == pytest.approx(at_best_scale, abs=2e-3)


def test_faults_of_a_weight_are_found():
    filtered = HardFilter()
    hard = check_weighting(lambda p: filtered((np.round(p * 1000)).astype(int), 1000))
    assert hard.worst_at_one_rate == 0
    assert [law.name for law in check_weighting(lambda p: p * (1 - p) - 0.1).laws if not law.holds][:1] == [
        "non-negative"
    ]
    assert not check_weighting(lambda p: np.full_like(p, np.nan)).usable
    negative = check_weighting(lambda p: p * (1 - p) - 0.1)
    assert (negative.usable, negative.efficiency, negative.worst_in_the_mean) == (False, 0.0, 0.0)
    two = check_weighting(lambda p: p * (1 - p) * np.exp(40 * (p - 0.5) ** 2))
    assert (len(two.peaks), [law.name for law in two.laws if not law.holds]) == (2, ["unimodal"])
    broken = {law.name for law in check_weighting(np.ones_like).laws if not law.holds}
    assert broken == {"vanishes at p = 0", "vanishes at p = 1", "unimodal"}
    assert "NO  unimodal" in str(check_weighting(np.ones_like))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_fn": lambda p: 1.0}, "one value for each pass rate"),
        ({"weight_fn": BetaKernel().at, "snr": lambda p: 0 * p}, "snr must be finite"),
    ],
)  # fmt: skip
def test_wrong_functions_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_weighting(**arguments)


def test_the_examples_of_the_docs_page_run():
    page = Path(__file__).parents[3] / "docs" / "own_weighting.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert (failed, tried > 5) == (0, True)


def test_the_kit_loads_hypothesis_only_when_used():
    program = (
        "import sys; from paced.theory import strategies, check_weighting; "
        "print('hypothesis' in sys.modules, 'sympy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
