"""Claims about what the moment fit makes of real pass rates: cut at the zone's ends (``prop11.cut``), blurred by K rollouts (``prop11.noise``)."""

from __future__ import annotations

from fractions import Fraction as Fr

import mpmath
import numpy as np

from paced.theory.facts.populations import Law, count_masses, exponents, moments_in_zone, population
from paced.theory.facts.variance_ratios import log_truncated_beta
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, refuted, supported, symbolic_zero
from paced.weights import fit
from paced.weights.counts import CountHistogram
from paced.weights.fit.fit import Method, fit_cells
from paced.weights.fit.moments import Moments, beta_from_moments, corrected_moments


def paper_fit_of_rates(law: Law, epsilon: float) -> float:
    """alpha of Eq. (47) for exactly known pass rates in the zone, by the toolkit's functions."""
    a, b = law
    total, first, second = (np.exp(log_truncated_beta(a - 1 + n, b - 1, epsilon)) for n in (0, 1, 2))
    return beta_from_moments(Moments(first / total, second / total, np.zeros((2, 2)))).a - 1


# --- prop11.cut -------------------------------------------------------------------------------------------------------
def _derive_uniform(power: int = 2) -> Outcome:
    """Uniform rates in the zone have v = (1-2e)^2/12, so alpha = beta = 3/(2 (1-2e)^2) - 3/2."""
    import sympy

    p, e = sympy.symbols("p e", positive=True)
    width = 1 - 2 * e
    half = sympy.Rational(1, 2)
    v = sympy.integrate((p - half) ** 2, (p, e, 1 - e)) / width
    k = half * half / v - 1
    return symbolic_zero(k / 2 - 1 - (3 / (2 * width**power) - sympy.Rational(3, 2)))


def _cut_is_harmless(law: Law, truth: float, epsilons: tuple[float, ...] = (0.1, 0.2)) -> Outcome:
    """The paper's reading: rates of Beta(truth+1, truth+1) inside the zone give the exponent ``truth`` back."""
    for epsilon in epsilons:
        alpha = paper_fit_of_rates(law, epsilon)
        if abs(alpha - truth) > 1e-6:
            return refuted("the exponent is not the law's", epsilon=epsilon, truth=truth, fitted=alpha)
    return supported(2)


def _cut_numbers(uniform: Law = (1, 1)) -> Outcome:
    """Fits of cut laws against rationals, and of 601 evenly spread counts of 1000 through ``fit`` itself."""
    outcomes = []
    for law in (uniform, (2, 2), (3, 2)):
        for epsilon in (Fr(1, 16), Fr(1, 10), Fr(1, 8), Fr(1, 5)):
            expected = float(exponents(moments_in_zone((1, 1) if law == uniform else law, epsilon))[0])
            outcomes.append(agree(paper_fit_of_rates(law, float(epsilon)), expected, rtol=1e-9, epsilon=float(epsilon)))
    spread = fit(np.arange(0, 1001), 1000, "paper", zpd=0.2)
    k = Fr(1, 4) / (Fr(601**2 - 1, 12) / 1000**2) - 1
    return all_of(*outcomes, agree([spread.alpha, spread.beta], float(k / 2 - 1), rtol=1e-9))


def _truncated_likelihood(method: str = "mle") -> Outcome:
    """Repaired: the likelihood of the same zone, told that it is cut, gives (0, 0), (1, 1) and (2, 0) back."""
    outcomes = []
    for law in ((1, 1), (2, 2), (3, 1)):
        for epsilon in (0.1, 0.2):
            estimate = fit_cells(population(16, law), method, epsilon)  # type: ignore[arg-type]
            expected = [law[0] - 1, law[1] - 1]
            outcomes.append(agree([estimate.alpha, estimate.beta], expected, atol=1e-6, epsilon=epsilon, law=str(law)))
    return all_of(*outcomes)


# --- prop11.noise -----------------------------------------------------------------------------------------------------
def _variance_of_estimates(extra: int = 0) -> Outcome:
    """Var(s/K) = Var(p) (1 - 1/K) + m(1-m)/K by enumeration."""
    cases = []
    for law in ((1, 1), (2, 2), (1, 4), (5, 3)):
        n = Fr(sum(law))
        m = law[0] / n
        v = law[0] * law[1] / (n**2 * (n + 1))
        for K in (1, 2, 8, 13):
            masses = count_masses(K, law)
            mean = sum((mass * Fr(s, K) for s, mass in enumerate(masses)), Fr(0))
            computed = sum((mass * (Fr(s, K) - mean) ** 2 for s, mass in enumerate(masses)), Fr(0))
            cases.append(({"law": law, "K": K}, computed, v * (1 - Fr(1, K)) + m * (1 - m) / (K + extra)))
    return equal_exactly(cases)


def _noise_is_harmless(method: Method = "paper") -> Outcome:
    """The paper's reading: moments of s/K, no zone, give the exponents of the law."""
    estimate = fit_cells(population(8, (2, 2)), method, 0.0 if method == "paper" else None)
    if abs(estimate.alpha - 1) > 1e-9:
        return refuted("rollout noise is taken for spread", truth=1, fitted=estimate.alpha, K=8)
    return supported(1)


def _recipe_numbers(K: int = 8) -> Outcome:
    """The recipe as written, K rollouts and a zone, against rationals; both biases at once."""
    outcomes = []
    for law in ((2, 2), (1, 1), (3, 2)):
        for epsilon in (Fr(0), Fr(1, 10), Fr(1, 5)):
            estimate = fit_cells(population(8, law), "paper", float(epsilon))
            expected = exponents(moments_in_zone(law, epsilon, K))
            outcomes.append(agree([estimate.alpha, estimate.beta], [float(x) for x in expected], rtol=1e-9, atol=1e-12))
    cases = {
        ((2, 2), Fr(1, 10)): Fr(5, 6),
        ((2, 2), Fr(1, 5)): Fr(149, 54),
        ((1, 1), Fr(1, 10)): Fr(1, 2),
        ((1, 1), Fr(1, 5)): Fr(5, 2),
    }
    exact = [
        ({"law": law, "epsilon": e}, exponents(moments_in_zone(law, e, 8))[0], expected)
        for (law, e), expected in cases.items()
    ]
    return all_of(equal_exactly(exact), *outcomes)


def _corrected(method: str = "moments") -> Outcome:
    """Repaired: with the noise taken out the law comes back exactly, whatever K >= 2."""
    outcomes = []
    for law in ((2, 2), (1, 3), (4, 2)):
        for K in (2, 3, 8):
            estimate = fit_cells(population(K, law), method, None if method == "moments" else 0.0)  # type: ignore[arg-type]
            outcomes.append(agree([estimate.alpha, estimate.beta], [law[0] - 1, law[1] - 1], rtol=1e-9, atol=1e-9, K=K))
    return all_of(*outcomes)


MIXED = ([3, 1, 4, 0, 2, 1, 6, 0, 1], [4, 5, 8, 3, 2, 1, 8, 1, 1])
"""Counts of unequal K, three problems with one rollout: those speak for the mean only."""


def _corrected_on_mixed_counts(pairs: int = 1) -> Outcome:
    """Both means, and the covariance of (alpha, beta), when K differs: rationals and derivatives by mpmath."""
    passed, rollouts = MIXED
    estimate = corrected_moments(CountHistogram.of(passed, rollouts))
    rates = [Fr(s, k) for s, k in zip(passed, rollouts, strict=True)]
    squares = [Fr(s * (s - pairs), k * (k - 1)) for s, k in zip(passed, rollouts, strict=True) if k > 1]
    several = [rate for rate, k in zip(rates, rollouts, strict=True) if k > 1]
    n, n2 = len(rates), len(squares)
    m, e2 = sum(rates, Fr(0)) / n, sum(squares, Fr(0)) / n2
    var_m = sum(((x - m) ** 2 for x in rates), Fr(0)) / n**2
    var_e = sum(((y - e2) ** 2 for y in squares), Fr(0)) / n2**2
    both = sum(((x - m) * (y - e2) for x, y in zip(several, squares, strict=True)), Fr(0)) / (n * n2)
    expected = np.array([[float(var_m), float(both)], [float(both), float(var_e)]])
    point = (mpmath.mpf(m.numerator) / m.denominator, mpmath.mpf(e2.numerator) / e2.denominator)
    slopes = []
    for share in (lambda x: x, lambda x: 1 - x):
        law = lambda x, y, share=share: share(x) * (x * (1 - x) / (y - x * x) - 1)  # noqa: E731
        slopes.append([float(mpmath.diff(law, point, order)) for order in ((1, 0), (0, 1))])
    jacobian = np.array(slopes)
    return all_of(
        agree([estimate.first, estimate.second], [float(m), float(e2)]),
        agree(estimate.cov, expected, rtol=1e-10),
        agree(fit(passed, rollouts, "moments").cov, jacobian @ expected @ jacobian.T, rtol=1e-7),
    )


def _one_rollout_says_only_the_mean() -> Outcome:
    """K = 1: E[p^2] cannot be told from E[p]; the fit says so."""
    once = fit([0, 1, 1], 1, "moments")
    if once.success or "K = 1" not in once.message:
        return refuted("one rollout each gives exponents", message=once.message)
    return supported(1)


def _fits_of_the_zone() -> dict[str, list[float]]:
    """The recipe's alpha against epsilon: exact rates, K = 8, and the likelihood that knows of the cut."""
    grid = np.linspace(0.0, 0.24, 49)
    flat, peaked = population(8, (1, 1)), population(8, (2, 2))
    return {
        "epsilon": grid.tolist(),
        "flat rates (truth 0), known exactly": [paper_fit_of_rates((1, 1), e) for e in grid],
        "flat rates, K = 8": [fit_cells(flat, "paper", e).alpha for e in grid],
        "Beta(2,2) rates (truth 1), known exactly": [paper_fit_of_rates((2, 2), e) for e in grid],
        "Beta(2,2) rates, K = 8": [fit_cells(peaked, "paper", e).alpha for e in grid],
        "likelihood with the cut, flat": [fit_cells(flat, "mle", e).alpha for e in grid],
        "likelihood with the cut, Beta(2,2)": [fit_cells(peaked, "mle", e).alpha for e in grid],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop11.cut",
        where="Proposition 11, remark on the boundary with the default",
        title='"Relaxes to uniform weighting when the data lack structure"',
        verdict=Verdict.LOOSE,
        paper="The data-driven fit reduces to the default when the ZPD distribution is moderately concentrated, and relaxes to uniform weighting when the data lack clear structure.",
        statement=(
            "Rates restricted to [e, 1-e] are matched to a law on all of [0, 1]. Flat rates give alpha = beta = 3/(2(1-2e)^2) - 3/2, "
            "2.67 at e = 0.2 where 0 is right; Beta(2,2) rates give 3.18 where 1 is right."
        ),
        latex=r"p\sim U[\varepsilon,1-\varepsilon]\ \Rightarrow\ \alpha=\beta=\frac3{2(1-2\varepsilon)^2}-\frac32",
        functions=(beta_from_moments, fit),
        depends_on=("prop11", "x2"),
        proof="A cut makes the variance smaller, and Eq. (50) reads small variance as a peak: v = (1-2e)^2/12 in place of 1/12.",
        repair="Maximise the likelihood that is told of the cut, fit(..., method='mle', zpd=e): it gives the law back from the same counts.",
        numbers=lambda: {
            f"{name}, e = {e:g}": paper_fit_of_rates(law, e)
            for name, law in (("flat", (1, 1)), ("Beta(2,2)", (2, 2)))
            for e in (1 / 16, 0.1, 0.125, 0.2)
        },
        counterexample=Counterexample(
            "Flat pass rates, zone [0.2, 0.8]: the recipe returns p^2.67 (1-p)^2.67, sharper than the default, for data without any structure.",
            lambda: {
                "fitted alpha": paper_fit_of_rates((1, 1), 0.2),
                "truth": 0.0,
                "likelihood with the cut": abs(round(fit_cells(population(16, (1, 1)), "mle", 0.2).alpha, 6)),
            },
        ),
        picture=Picture(
            "zpd_fit",
            _fits_of_the_zone,
            "alpha of the moment fit against the zone's cutoff: exact rates, rates from 8 rollouts, and the likelihood that knows of the cut, which stays at the truth.",
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: flat rates in the zone give the flat kernel",
                "e = 0.1, 0.2",
                lambda: _cut_is_harmless((1, 1), 0.0),
                Result.REFUTED,
            ),
            Check(
                "numeric",
                "the paper's wording, for rates of the default's shape",
                "e = 0.1, 0.2",
                lambda: _cut_is_harmless((2, 2), 1.0),
                Result.REFUTED,
            ),
            Check(
                "sympy",
                "flat rates give 3/(2(1-2e)^2) - 3/2",
                "0 < e < 1/2",
                _derive_uniform,
                fails={"with 1 - 2e not squared": {"power": 1}},
            ),
            Check(
                "numeric",
                "fits of cut laws against rationals",
                "3 laws, 4 cutoffs; 601 counts",
                _cut_numbers,
                Result.SUPPORTED,
                fails={"with rates of Beta(2,2) for flat ones": {"uniform": (2, 2)}},
            ),
            Check(
                "numeric",
                "repaired: the truncated likelihood gives the law back",
                "3 laws, K = 16",
                _truncated_likelihood,
                Result.SUPPORTED,
                fails={"with the moment fit for the likelihood": {"method": "paper"}},
            ),
        ),
    ),
    Claim(
        id="prop11.noise",
        where="Proposition 11, v of the empirical pass rates",
        title="The variance of pass-rate estimates is not that of pass rates",
        verdict=Verdict.LOOSE,
        paper="requiring only the pass rates already computed for weighting: m and v are mean and variance of the empirical pass-rate distribution.",
        statement=(
            "Var(s/K) = Var(p)(1-1/K) + m(1-m)/K. From Beta(2,2) and K = 8 the formula reads alpha = 1/6 for 1; with the zone cut on top, "
            "which errs the other way, 5/6 (e = 0.1) or 2.76 (e = 0.2), and 1/2 or 5/2 from flat rates."
        ),
        latex=r"\operatorname{Var}(\hat p)=\Bigl(1-\frac1K\Bigr)\operatorname{Var}(p)+\frac{m(1-m)}K,\qquad"
        r"\operatorname{Var}(p)=\Bigl(\operatorname{Var}(\hat p)-\frac{m(1-m)}K\Bigr)\frac K{K-1}",
        functions=(fit, corrected_moments),
        depends_on=("eq1", "prop11", "prop11.cut"),
        proof="Law of total variance. s(s-1)/(K(K-1)) is unbiased for p^2, which takes the noise out problem by problem.",
        repair="fit(..., method='moments') without a zone, or the likelihood; K = 1 identifies the mean only.",
        numbers=lambda: {
            "Beta(2,2), no zone": fit_cells(population(8, (2, 2)), "paper", 0.0).alpha,
            "Beta(2,2), e = 0.1": fit_cells(population(8, (2, 2)), "paper", 0.1).alpha,
            "Beta(2,2), e = 0.2": fit_cells(population(8, (2, 2)), "paper", 0.2).alpha,
            "flat, e = 0.1": fit_cells(population(8, (1, 1)), "paper", 0.1).alpha,
            "flat, e = 0.2": fit_cells(population(8, (1, 1)), "paper", 0.2).alpha,
            "Beta(2,2), corrected": fit_cells(population(8, (2, 2)), "moments", None).alpha,
        },
        counterexample=Counterexample(
            "Beta(2,2) rates, K = 8: Var(s/K) = 3/40 and not 1/20, so alpha = 1/6 where 1 is the truth.",
            lambda: {
                "Var(s/K)": float(moments_in_zone((2, 2), Fr(0), 8)[1]),
                "fitted alpha": fit_cells(population(8, (2, 2)), "paper", 0.0).alpha,
            },
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: moments of s/K give the exponents",
                "Beta(2,2), K = 8",
                _noise_is_harmless,
                Result.REFUTED,
            ),
            Check(
                "exact",
                "Var(s/K) = Var(p)(1-1/K) + m(1-m)/K",
                "4 laws, K in 1..13",
                _variance_of_estimates,
                fails={"with K+1 for K in the noise": {"extra": 1}},
            ),
            Check(
                "numeric",
                "the recipe as written against rationals",
                "3 laws, 3 zones, K = 8",
                _recipe_numbers,
                Result.SUPPORTED,
                fails={"with K = 9 in the rationals": {"K": 9}},
            ),
            Check(
                "numeric",
                "repaired: corrected moments give the law back",
                "3 laws, K in 2..8",
                _corrected,
                Result.SUPPORTED,
                fails={"without the correction": {"method": "paper"}},
            ),
            Check(
                "numeric",
                "corrected moments and their covariance, unequal K",
                "9 problems in rationals",
                _corrected_on_mixed_counts,
                Result.SUPPORTED,
                fails={"with s^2 for s(s-1)": {"pairs": 0}},
            ),
            Check(
                "numeric",
                "one rollout each identifies the mean only",
                "K = 1",
                _one_rollout_says_only_the_mean,
                Result.SUPPORTED,
            ),
        ),
    ),
)
