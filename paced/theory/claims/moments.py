"""Claims about Proposition 11: the algebra of the moment fit (``prop11``), when it is a kernel (``prop11.condition``).

The fit under test is ``paced.weights.fit(..., method="paper")``, which is the proposition as printed. What it does to
pass rates that are cut at the zone's ends and blurred by K rollouts is in ``moment_bias.py``.
"""

from __future__ import annotations

from fractions import Fraction as Fr
from typing import Any

import mpmath
import numpy as np

from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
)
from paced.weights import fit
from paced.weights.fit.moments import Moments, beta_from_moments

Sample = tuple[list[int], list[int]]
SAMPLES: tuple[tuple[Sample, float], ...] = (
    (([2, 4, 6, 3, 5, 0, 8, 2], [8] * 8), 0.2),
    (([1, 9, 5, 5, 7, 10, 0, 3, 2, 11], [10, 10, 10, 12, 16, 10, 4, 5, 16, 12]), 0.1),
    (([3, 3, 4, 1, 7, 2], [4, 5, 8, 8, 8, 3]), 0.0),
)
"""Counts s and K, and the zone's epsilon; one pass rate is on the zone's edge, several outside."""


def paper_exponents(sample: Sample, epsilon: float) -> tuple[Fr, Fr, Fr, Fr]:
    """(alpha, beta, m, v) of Eq. (47) in rationals, straight from the sentence of the proposition."""
    rates = [Fr(s, k) for s, k in zip(*sample, strict=True)]
    zone = [p for p in rates if Fr(str(epsilon)) <= p <= 1 - Fr(str(epsilon))]
    m = sum(zone, Fr(0)) / len(zone)
    v = sum(((p - m) ** 2 for p in zone), Fr(0)) / len(zone)
    k = m * (1 - m) / v - 1
    return m * k - 1, (1 - m) * k - 1, m, v


# --- prop11 -----------------------------------------------------------------------------------------------------------
def _invert(shift: int = 0) -> Outcome:
    """From the density: mean and variance by gammasimp, then (48) and (49) solved for A and B, then (46) and (47)."""
    import sympy

    a, b, A, B, m, v = sympy.symbols("alpha beta A B m v", positive=True)

    def moment(n: int) -> sympy.Expr:
        beta = sympy.gamma(a + 1 + n) * sympy.gamma(b + 1) / sympy.gamma(a + b + 2 + n)
        return sympy.gammasimp(beta * sympy.gamma(a + b + 2) / (sympy.gamma(a + 1) * sympy.gamma(b + 1)))

    mean, variance = A / (A + B), A * B / ((A + B) ** 2 * (A + B + 1))
    at = {A: a + 1, B: b + 1}
    (second,) = sympy.solve(mean - m, B)
    (first,) = sympy.solve(sympy.cancel(variance.subs(B, second)) - v, A)
    second = second.subs(A, first)
    k = m * (1 - m) / v - 1 - shift
    return all_of(
        symbolic_zero(moment(1) - mean.subs(at)),
        symbolic_zero(moment(2) - moment(1) ** 2 - variance.subs(at)),
        symbolic_zero(first - m * k),
        symbolic_zero(second - (1 - m) * k),
        symbolic_zero(first - 1 + second - 1 - (m * (1 - m) / v - 3)),
        detail="the density's two moments have one inverse, A = m k and B = (1-m) k",
    )


def _ratio_of_exponents(mode: bool = False) -> Outcome:
    """alpha/beta against m/(1-m), which a remark on the proposition calls equal for large k: they differ by (2m - 1)/((1-m) beta)."""
    import sympy

    m, k = sympy.symbols("m k", positive=True)
    alpha, beta = m * k - 1, (1 - m) * k - 1
    middle = alpha / (alpha + beta) if mode else m  # of the density: its mode in place of its mean
    return symbolic_zero(alpha / beta - middle / (1 - middle) - (2 * m - 1) / ((1 - m) * beta))


def _two_remarks(spread: int = 20) -> Outcome:
    """(1/2, 1/12) gives (0, 0), (1/2, 1/20) gives (1, 1), and Beta(A, B) has the moments that give A and B back."""

    def solve(m: Fr, v: Fr) -> tuple[Fr, Fr]:
        k = m * (1 - m) / v - 1
        return m * k - 1, (1 - m) * k - 1

    half = Fr(1, 2)
    cases: list[tuple[dict[str, Any], Any, Any]] = [
        ({"v": "1/12"}, solve(half, Fr(1, 12)), (Fr(0), Fr(0))),
        ({"v": f"1/{spread}"}, solve(half, Fr(1, spread)), (Fr(1), Fr(1))),
    ]
    for A, B in ((1, 3), (7, 2), (5, 11)):
        n = Fr(A + B)
        cases.append(({"A": A, "B": B}, solve(A / n, A * B / (n**2 * (n + 1))), (Fr(A - 1), Fr(B - 1))))
    return equal_exactly(cases)


def _fit_is_the_formula(shift: int = 0) -> Outcome:
    """``fit(method="paper")`` against rationals on counts inside, outside and on the edge of the zone."""
    outcomes = []
    for (passed, rollouts), epsilon in SAMPLES:
        estimate = fit(passed, rollouts, "paper", zpd=epsilon)
        alpha, beta, m, v = paper_exponents((passed, rollouts), epsilon)
        expected = [float(alpha + shift), float(beta), float(m)]
        outcomes.append(agree([estimate.alpha, estimate.beta, estimate.mean], expected, rtol=1e-11, epsilon=epsilon))
        law = beta_from_moments(Moments(float(m), float(v + m * m), np.zeros((2, 2))))
        outcomes.append(agree([law.a, law.b], [float(alpha + 1 + shift), float(beta + 1)], rtol=1e-10))
    return all_of(*outcomes)


def _covariance_by_differences(scale: float = 1.0) -> Outcome:
    """The covariance of (alpha, beta): derivatives of Eq. (50) by mpmath, covariance of the two means in rationals."""
    outcomes = []
    for (passed, rollouts), epsilon in SAMPLES:
        computed = fit(passed, rollouts, "paper", zpd=epsilon).cov
        rates = [Fr(s, k) for s, k in zip(passed, rollouts, strict=True)]
        zone = [p for p in rates if Fr(str(epsilon)) <= p <= 1 - Fr(str(epsilon))]
        n = len(zone)
        m, e2 = sum(zone, Fr(0)) / n, sum((p * p for p in zone), Fr(0)) / n
        rows = [(p - m, p * p - e2) for p in zone]
        cov = np.array([[float(sum((x[i] * x[j] for x in rows), Fr(0)) / n / n) for j in (0, 1)] for i in (0, 1)])

        def law(x: Any, y: Any, which: int) -> Any:
            k = scale * x * (1 - x) / (y - x * x) - 1
            return (x if which == 0 else 1 - x) * k

        point = (mpmath.mpf(float(m)), mpmath.mpf(float(e2)))
        jacobian = np.array(
            [[float(mpmath.diff(lambda x, y, w=w: law(x, y, w), point, n)) for n in ((1, 0), (0, 1))] for w in (0, 1)]
        )
        outcomes.append(agree(computed, jacobian @ cov @ jacobian.T, rtol=1e-7, epsilon=epsilon))
    return all_of(*outcomes)


def _no_law() -> Outcome:
    """Where no Beta law has these moments the fit says so and gives no exponents."""
    ends = fit([0, 8, 8], 8, "paper", zpd=0.0)
    constant = fit([4, 4, 4], 8, "paper")
    outside = fit([0, 8, 0], 8, "paper")
    for name, estimate, text in (
        ("all at the ends", ends, "no Beta law"),
        ("no spread", constant, "spread no more"),
        ("none in the zone", outside, "No problem is in the zone 0.1"),
        ("none passed", fit([0, 0], 8, "paper", zpd=0.0), "No rollout passed"),
    ):
        if estimate.success or estimate.has_kernel or text not in estimate.message:
            return refuted("a fit without a law calls itself one", counts=name, message=estimate.message)
    return all_of(
        supported(4),
        agree([constant.alpha, constant.beta], [np.inf, np.inf]) if not np.isinf(constant.alpha) else supported(1),
    )


# --- prop11.condition -------------------------------------------------------------------------------------------------
def _positivity(condition: str) -> Outcome:
    """Over the reals: the condition and a non-positive exponent, or positive exponents and not the condition."""
    import z3

    m, v = z3.Reals("m v")
    hypotheses = [m > 0, m < 1, v > 0, v < m * (1 - m)]
    alpha_positive = m * (m * (1 - m) - v) > v
    beta_positive = (1 - m) * (m * (1 - m) - v) > v
    both = z3.And(alpha_positive, beta_positive)
    if condition == "paper":
        return unsatisfiable(*hypotheses, 3 * v < m * (1 - m), z3.Not(both))
    if condition == "sum":
        total = m * (1 - m) - 3 * v > 0
        return unsatisfiable(total != (3 * v < m * (1 - m)))
    left = z3.If(m <= 1 - m, m, 1 - m) if condition == "repair" else z3.If(m <= 1 - m, 1 - m, m)
    return unsatisfiable(*hypotheses, (v * (1 + left) < m * (1 - m) * left) != both)


SKEWED = ([1, 1, 1, 1, 6], 10)
"""Five problems with pass rates .1, .1, .1, .1, .6, all in the zone [0.1, 0.9]: m = 0.2, v = 0.04."""


def _skewed_numbers(mean: float = 0.2) -> Outcome:
    """The fit of the five problems is (-0.4, 1.4), and it refuses to be a kernel; one more spread out meets no condition."""
    estimate = fit(*SKEWED, "paper")
    k = mean * (1 - mean) / 0.04 - 1
    wide = fit([1, 1, 9, 9], 10, "paper")
    if estimate.has_kernel or not estimate.success or "negative exponent" not in estimate.message:
        return refuted("a diverging kernel is called one", alpha=estimate.alpha, message=estimate.message)
    if "v < m(1-m)/3 fails" in estimate.message or "v < m(1-m)/3 fails: 0.16 >= 0.08333" not in wide.message:
        return refuted("the paper's condition is misjudged", message=wide.message)
    return all_of(
        agree([estimate.alpha, estimate.beta], [mean * k - 1, (1 - mean) * k - 1], rtol=1e-9),
        agree([estimate.alpha, estimate.beta], [-0.4, 1.4], rtol=1e-9),
    )


def _smallest_exponent_of_a_zone(epsilon: Fr = Fr(1, 5)) -> Outcome:
    """Bhatia-Davis: v <= (m-e)(1-e-m) as E (p-e)(1-e-p) >= 0, so alpha >= -1/9 at m = 1/2, e = 1/5; attained."""
    import sympy

    p, e, m, second = sympy.symbols("p e m E2", positive=True)
    square, linear, constant = sympy.Poly((p - e) * (1 - e - p), p).all_coeffs()
    product = square * second + linear * m + constant
    ends = fit([1, 4], 5, "paper", zpd=0.2)
    v = (Fr(1, 2) - epsilon) * (Fr(1, 2) - epsilon)
    k = Fr(1, 4) / v - 1
    return all_of(
        symbolic_zero(product - ((m - e) * (1 - e - m) - (second - m**2))),
        agree([ends.alpha, ends.beta], [float(k / 2 - 1)] * 2, rtol=1e-9),
        agree(ends.alpha, -1 / 9, rtol=1e-9),
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop11",
        where="Proposition 11, Eq. (7), (46)-(50)",
        title="Exponents from a mean and a variance",
        verdict=Verdict.TRUE,
        paper="The exponents whose normalised kernel has the ZPD's mean and variance are alpha = m k - 1, beta = (1-m) k - 1 with k = m(1-m)/v - 1.",
        statement=(
            "A kernel normalised on all of (0, 1) is the Beta(alpha+1, beta+1) density, and its mean and variance have the one "
            "inverse alpha = m k - 1, beta = (1-m) k - 1, k = m(1-m)/v - 1. The ratio alpha/beta is m/(1-m) at m = 1/2 and for "
            "large k only; alpha : beta is the odds of the mode."
        ),
        latex=r"\alpha=mk-1,\quad\beta=(1-m)k-1,\quad k=\frac{m(1-m)}v-1,\quad\alpha+\beta=\frac{m(1-m)}v-3",
        equations=(7, 46, 47, 48, 49, 50),
        functions=(fit, beta_from_moments),
        hypotheses=("0 < v < m(1-m)", "the pass rates live on all of (0, 1)"),
        depends_on=("eq3",),
        proof="(48) gives B = A (1-m)/m; in (49) that leaves v = m(1-m)/(A/m + 1), so A = m k. The density's moments are ratios of "
        "gamma functions.",
        numbers=lambda: {
            name: value
            for v in (12, 20)
            for law in (beta_from_moments(Moments(0.5, 0.25 + 1 / v, np.zeros((2, 2)))),)
            for name, value in ((f"alpha + 1 at m = 1/2, v = 1/{v}", law.a), (f"beta + 1 at m = 1/2, v = 1/{v}", law.b))
        },
        checks=(
            Check(
                "sympy",
                "(48)-(49) follow from the density and invert to (46)-(47), (50)",
                "alpha, beta, m, v > 0",
                _invert,
                fails={"with k one smaller": {"shift": 1}},
            ),
            Check(
                "sympy",
                "alpha/beta is m/(1-m) up to (2m-1)/((1-m) beta): exactly at m = 1/2, else for large k",
                "all m, k",
                _ratio_of_exponents,
                fails={"with the mode for the mean, where it is exact": {"mode": True}},
            ),
            Check(
                "exact",
                "v = 1/12 gives the flat kernel, v = 1/20 the default, laws give themselves back",
                "5 laws",
                _two_remarks,
                fails={"with v = 1/21 for the default": {"spread": 21}},
            ),
            Check(
                "numeric",
                "the fit is the formula, zone included",
                "3 samples in rationals",
                _fit_is_the_formula,
                Result.SUPPORTED,
                fails={"with the law parameter in place of the exponent": {"shift": 1}},
            ),
            Check(
                "numeric",
                "its covariance is the delta method's",
                "3 samples",
                _covariance_by_differences,
                Result.SUPPORTED,
                fails={"with 1.01 m(1-m)/v": {"scale": 1.01}},
            ),
            Check("numeric", "no law, no exponents", "4 samples", _no_law, Result.SUPPORTED),
        ),
    ),
    Claim(
        id="prop11.condition",
        where="Proposition 11, the condition of Eq. (46)",
        title='"Provided v < m(1-m)/3"',
        verdict=Verdict.LOOSE,
        paper="provided v < m(1-m)/3 (equivalently, alpha + beta > 0).",
        statement=(
            "The condition says alpha + beta > 0 and no more. Both exponents are positive exactly when v < m(1-m) l/(1+l), "
            "l = min(m, 1-m); m = 0.2, v = 0.04 meets the paper's condition and gives alpha = -0.4, a weight that diverges at p = 0."
        ),
        latex=r"\alpha,\beta>0\iff v<m(1-m)\frac{\ell}{1+\ell},\quad\ell=\min(m,1-m);\qquad(m,v)=(0.2,0.04)\mapsto(-0.4,1.4)",
        functions=(fit,),
        depends_on=("prop11",),
        proof="alpha > 0 iff k > 1/m, beta > 0 iff k > 1/(1-m). Inside a zone v <= (m-e)(1-e-m) since (p-e)(1-e-p) >= 0, which bounds "
        "k from below but not by enough: alpha can be -1/9 at m = 1/2, e = 0.2.",
        repair="Require v < m(1-m) l/(1+l); otherwise the law is fine and no kernel follows from it.",
        numbers=lambda: {
            "alpha": (estimate := fit(*SKEWED, "paper")).alpha,
            "beta": estimate.beta,
            "right threshold at m = 0.2": 0.16 / 6,
        },
        counterexample=Counterexample(
            "Four problems with pass rate 0.1 and one with 0.6: m = 0.2, v = 0.04 < m(1-m)/3 = 0.0533, and alpha = -0.4 weighs p = 0 infinitely.",
            lambda: {
                "alpha": (estimate := fit(*SKEWED, "paper")).alpha,
                "beta": estimate.beta,
                "m(1-m)/3": 0.16 / 3,
                "v": 0.04,
            },
        ),
        checks=(
            Check(
                "z3",
                "the paper's wording: v < m(1-m)/3 gives a kernel",
                "0 < v < m(1-m)",
                _positivity,
                Result.REFUTED,
                given={"condition": "paper"},
                fails={"with max(m, 1-m) for the minimum": {"condition": "maximum"}},
            ),
            Check("z3", "it does give alpha + beta > 0, and only then", "0 < v < m(1-m)", lambda: _positivity("sum")),
            Check(
                "z3", "repaired: both positive iff v < m(1-m) l/(1+l)", "0 < v < m(1-m)", lambda: _positivity("repair")
            ),
            Check(
                "numeric",
                "the fit of (0.2, 0.04), refused as a kernel",
                "5 problems",
                _skewed_numbers,
                Result.SUPPORTED,
                fails={"with m = 0.21": {"mean": 0.21}},
            ),
            Check(
                "numeric",
                "the smallest alpha of a symmetric zone, attained",
                "epsilon = 0.2",
                _smallest_exponent_of_a_zone,
                Result.SUPPORTED,
                fails={"with epsilon = 0.1 in the bound": {"epsilon": Fr(1, 10)}},
            ),
        ),
    ),
)
