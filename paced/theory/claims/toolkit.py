"""Claims about the toolkit itself: where its functions end, what they take when nothing is said, what they report.

The paper says nothing of these; a changed default or an answer outside a function's domain is as wrong as a changed
formula, and no formula's check sees it.
"""

from __future__ import annotations

from fractions import Fraction as Fr
from math import factorial

import numpy as np

from paced.theory.facts.estimation import debiased_snr_variance, expected_weight, raw_cross_problem_floor
from paced.theory.facts.extensions import ess_fraction, kernel_quality, rollout_ess_fraction, rollout_quality
from paced.theory.facts.kernel import zeroed_share
from paced.theory.facts.tables import reachable
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, refuses
from paced.weights import fit
from paced.weights.betabinomial import LARGEST_CONCENTRATION, SMALLEST_CONCENTRATION, STEEPEST_LOGIT
from paced.weights.estimates import bayes_optimal, unbiased
from paced.weights.snr_exponents import RecursiveExponents, fit_exponents, regressors, regressors_from_counts

ONE = np.array([1])


def _limits(num_rollouts: int = 2) -> Outcome:
    """Both sides of every limit: an error outside, an answer on the edge."""
    half = {"signal_exponents": (0.5, 0.5)}
    p = np.array([0.25, 0.5, 0.75])
    optimal = {"signal_exponents": (0.5, 0.5), "prior": (1.0, 1.0)}
    zero, whole = np.array([0]), np.array([num_rollouts])
    return refuses(
        wrong={
            "rollout_quality of one weight": lambda: rollout_quality([1.0], **half),
            "rollout_quality of zeros": lambda: rollout_quality([0.0, 0.0], **half),
            "rollout_quality of a negative weight": lambda: rollout_quality([1.0, -1.0], **half),
            "expected_weight of one weight": lambda: expected_weight([1.0], 0.5),
            "debiased_snr_variance without spread": lambda: debiased_snr_variance([1.0], [[0.0]], 2),
            "debiased_snr_variance of one rollout": lambda: debiased_snr_variance([1.0], [[1.0]], 1),
            "raw_cross_problem_floor of an empty bin": lambda: raw_cross_problem_floor(0),
            "reachable, no problems": lambda: reachable("10.0", num_problems=0, num_samples=8),
            "reachable, no samples": lambda: reachable("10.0", num_problems=8, num_samples=0),
            "fit_exponents of two bins": lambda: fit_exponents(regressors(p[:2]), p[:2]),
            "fit_exponents of one rate thrice": lambda: fit_exponents(regressors([0.5, 0.5, 0.5]), p),
            "regressors at 0": lambda: regressors([0.0]),
            "regressors at 1": lambda: regressors([1.0]),
            "RecursiveExponents, forgetting 0": lambda: RecursiveExponents(forgetting=0.0),
            "RecursiveExponents, forgetting 1.5": lambda: RecursiveExponents(forgetting=1.5),
            "RecursiveExponents, no prior variance": lambda: RecursiveExponents(prior_variance=0.0),
            "fit, zone from 1/2": lambda: fit([1, 2], 4, zpd=0.5),
            "fit, zone below 0": lambda: fit([1, 2], 4, zpd=-0.1),
            "unbiased, K below alpha + beta": lambda: unbiased(ONE, whole, alpha=1, beta=2),
            "unbiased, K below beta alone": lambda: unbiased(ONE, whole, alpha=0, beta=3),
            "bayes_optimal, divergent at 0": lambda: bayes_optimal(
                zero, whole, second_moment_exponents=(-1.0, 0.0), **optimal
            ),
            "bayes_optimal, divergent at 1": lambda: bayes_optimal(
                whole, whole, second_moment_exponents=(0.0, -1.0), **optimal
            ),
        },
        right={
            "rollout_quality of K = 1": lambda: rollout_quality([1.0, 1.0], **half),
            "expected_weight of K = 1": lambda: expected_weight([1.0, 1.0], 0.5),
            "debiased_snr_variance of little spread": lambda: debiased_snr_variance([1.0], [[0.5]], 2),
            "raw_cross_problem_floor of one": lambda: raw_cross_problem_floor(1),
            "reachable, one problem and one sample": lambda: reachable("0.0", num_problems=1, num_samples=1),
            "fit_exponents of three bins": lambda: fit_exponents(regressors(p), p),
            "RecursiveExponents, nothing forgotten": lambda: RecursiveExponents(forgetting=1.0),
            "RecursiveExponents, small prior variance": lambda: RecursiveExponents(prior_variance=0.5),
            "fit, narrow zone": lambda: fit([1, 2], 4, zpd=0.49),
            "unbiased, K = alpha + beta": lambda: unbiased(ONE, np.array([2]), alpha=1, beta=1),
            "bayes_optimal near the end": lambda: bayes_optimal(
                zero, whole, second_moment_exponents=(-0.5, 0.0), **optimal
            ),
        },
    )


def _defaults(law: tuple[float, float] = (1.0, 1.0)) -> Outcome:
    """A call without an argument is the call with the documented one."""
    counts, signal, flat = [s**2 * (8 - s) for s in range(9)], (0.5, 1.0), (0.0, 0.0)
    tracker = RecursiveExponents()
    return all_of(
        agree(
            kernel_quality((1, 2), signal_exponents=signal),
            kernel_quality((1, 2), signal_exponents=signal, law=law, second_moment_exponents=flat),
        ),
        agree(
            rollout_quality(counts, signal_exponents=signal),
            rollout_quality(counts, signal_exponents=signal, law=law, second_moment_exponents=flat),
        ),
        agree(ess_fraction((1, 2)), ess_fraction((1, 2), law=law)),
        agree(rollout_ess_fraction(counts), rollout_ess_fraction(counts, law=law)),
        agree(regressors_from_counts([0, 3], 8), regressors_from_counts([0, 3], 8, prior=law)),
        agree(tracker.theta, [0.0, 1.0, 1.0]),
        agree(tracker.cov, 1e6 * np.eye(3)),
        agree([tracker.alpha, tracker.beta, tracker.forgetting], [1.0, 1.0, 0.9]),
        agree(zeroed_share([2, 8]), zeroed_share([2, 8], prior=law)),
        agree([LARGEST_CONCENTRATION, SMALLEST_CONCENTRATION, STEEPEST_LOGIT], [1e7, 1e-6, 16.0]),
    )  # fmt: skip


def _ess_in_rationals(shift: int = 0) -> Outcome:
    """e(x, y)²/e(2x, 2y) for whole exponents: factorials."""

    def e(x: int, y: int) -> Fr:
        return Fr(factorial(x) * factorial(y), factorial(x + y + 1))

    pairs = [(0, 1), (2, 1), (2, 3), (4, 0)]
    got = [ess_fraction(pair) for pair in pairs]
    return agree(got, [float(e(x, y) ** 2 / e(2 * x, 2 * y + shift)) for x, y in pairs], rtol=1e-12)


def _snr_variance_in_rationals(factor: int = 4) -> Outcome:
    """The delta-method variance of U/V for a mean and covariance of whole numbers."""
    m, cov = [1, 2], [[2, 1], [1, 3]]
    quadratic = sum(Fr(m[i] * cov[i][j] * m[j]) for i in range(2) for j in range(2))
    trace, square = Fr(5), Fr(4 + 1 + 1 + 9)
    outcomes = []
    for K in (2, 3, 8):
        want = (factor * quadratic / K + 2 * square / K**2) / trace**2
        want += (5 + trace / K) ** 2 * 2 * square / ((K - 1) * trace**4)
        outcomes.append(agree(debiased_snr_variance(m, cov, K), float(want), rtol=1e-12, K=K))
    return all_of(*outcomes)


def _reachable_by_enumeration(places: int = 0) -> Outcome:
    """Every count of passes, printed with 0 to 2 decimals by rounding and by cutting, against ``reachable``."""
    cases = []
    for problems, samples in ((3, 1), (30, 8), (7, 5)):
        total = problems * samples
        for decimals in (0, 1, 2):
            scale = 10 ** (decimals + places)
            values = [Fr(100 * count, total) for count in range(total + 1)]
            cut = {value * scale // 1 for value in values}
            rounded = {(value * scale + Fr(1, 2)) // 1 for value in values}  # halves up
            for n in range(0, 100 * 10**decimals + 1, 7):
                text = f"{n // 10**decimals}" + (f".{n % 10**decimals:0{decimals}d}" if decimals else "")
                want = tuple(name for name, group in (("rounded", rounded), ("cut", cut)) if n in group)
                got = reachable(text, num_problems=problems, num_samples=samples)
                cases.append(({"printed": text, "problems": problems}, got, want))
    return equal_exactly(cases)


def _batch_and_recursion(forgetting: float = 1.0) -> Outcome:
    """Weighted batch regression equals the recursion without forgetting, whatever the order and the variances."""
    p = np.array([0.1, 0.2, 0.45, 0.6, 0.85])
    snr = 0.4 * p**1.3 * (1 - p) ** 0.7 * np.array([1.1, 0.9, 1.05, 1.0, 0.95])
    variance = np.array([0.01, 0.002, 0.03, 0.005, 0.02]) * snr
    batch = fit_exponents(regressors(p), snr, variance=variance)
    tracker = RecursiveExponents(forgetting=forgetting, prior_variance=1e8)
    tracker.update(regressors(p)[:2], snr[:2], variance=variance[:2])
    tracker.update(regressors(p)[2:], snr[2:], variance=variance[2:])
    x = regressors(p)
    weight = np.diag(snr**2 / variance)
    pseudo = np.linalg.solve(x.T @ weight @ x, x.T @ weight)
    bound = np.abs(pseudo).sum(axis=1)
    with_empty = fit_exponents(regressors([*p, 0.5]), [*snr, -0.1], variance=[*variance, 1.0])
    return all_of(
        agree([tracker.alpha, tracker.beta], [batch.alpha, batch.beta], rtol=1e-5),
        agree(tracker.cov, batch.cov, rtol=1e-5),
        agree([batch.log_scale, batch.alpha, batch.beta], pseudo @ np.log(snr), rtol=1e-9),
        agree(batch.error_bound(0.5), 0.5 * bound[1:], rtol=1e-9),
        agree(batch.cov, np.linalg.inv(x.T @ weight @ x), rtol=1e-8),
        agree([with_empty.num_bins, with_empty.num_dropped, batch.num_bins, batch.num_dropped], [5, 1, 5, 0]),
        agree([with_empty.alpha, with_empty.beta], [batch.alpha, batch.beta], rtol=1e-12),
    )  # fmt: skip


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="toolkit.limits",
        where="paced: domains of the public functions",
        title="Outside its domain a function refuses, on the edge it answers",
        verdict=Verdict.TRUE,
        statement="Twenty-two calls outside a domain raise ValueError and eleven on its edge do not; a call without an argument is the call with the documented default.",
        latex=r"f(x)\ \text{is defined}\iff x\in\operatorname{dom} f",
        functions=(
            fit,
            fit_exponents,
            rollout_quality,
        ),
        proof="By calling.",
        checks=(
            Check(
                "numeric",
                "both sides of every limit",
                "33 calls",
                _limits,
                Result.SUPPORTED,
                fails={"with K = 3 where alpha + beta = 3": {"num_rollouts": 3}},
            ),
            Check(
                "numeric",
                "defaults",
                "9 functions",
                _defaults,
                Result.SUPPORTED,
                fails={"with another default law": {"law": (1.0, 2.0)}},
            ),
        ),
    ),
    Claim(
        id="toolkit.values",
        where="paced: values by an independent route",
        title="ESS, the variance of the SNR, printable percentages and the regression are what their formulas say",
        verdict=Verdict.TRUE,
        statement="Rational arithmetic, enumeration and plain linear algebra give the numbers that the functions give, at points where no factor is 1.",
        latex=r"\mathrm{ESS}/N=\frac{e(\alpha,\beta)^2}{e(2\alpha,2\beta)}",
        functions=(
            ess_fraction,
            debiased_snr_variance,
            reachable,
        ),
        depends_on=("x6", "x9"),
        proof="By computing each twice.",
        checks=(
            Check(
                "numeric",
                "ESS of whole exponents by factorials",
                "4 kernels",
                _ess_in_rationals,
                Result.SUPPORTED,
                fails={"with 2 beta + 1 for 2 beta": {"shift": 1}},
            ),
            Check(
                "numeric",
                "variance of the debiased SNR in rationals",
                "K = 2, 3, 8",
                _snr_variance_in_rationals,
                Result.SUPPORTED,
                fails={"with 5 for 4 in the signal's part": {"factor": 5}},
            ),
            Check(
                "exact",
                "what can be printed, by enumerating every count",
                "3 sizes, 0-2 decimals",
                _reachable_by_enumeration,
                fails={"with one decimal more": {"places": 1}},
            ),
            Check(
                "numeric",
                "regression, its bound and its recursion",
                "5 bins with variances",
                _batch_and_recursion,
                Result.SUPPORTED,
                fails={"with forgetting": {"forgetting": 0.5}},
            ),
        ),
    ),
)
