"""The claim about the SNR measured from K rollouts: Eq. (8)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction as Fr
from itertools import product

import mpmath
import numpy as np

from paced.arrays import Floats
from paced.theory.facts.boundary import forward_kl_gradient, population_snr
from paced.theory.facts.estimation import (
    debiased_signal,
    debiased_signal_variance,
    debiased_snr_variance,
    effective_degrees,
    snr_floor,
    snr_ratio_bias,
    unbiased_snr_floor,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    mean_is,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
    zero_for_any_number,
)

P = (Fr(0), Fr(1, 10), Fr(1, 3), Fr(1, 2), Fr(7, 9), Fr(1))


POPULATION = ((3, 1), (-1, 2), (0, -2), (2, 0))
"""Four equally likely gradients in two dimensions: nothing Gaussian about them."""


def _samples(K: int):  # type: ignore[no-untyped-def]
    return product(POPULATION, repeat=K)


def _signal(sample: tuple[tuple[int, ...], ...]) -> Fr:
    K = len(sample)
    pairs = sum(a * c + b * d for i, (a, b) in enumerate(sample) for j, (c, d) in enumerate(sample) if i != j)
    return Fr(pairs, K * (K - 1))


def _population_moments() -> tuple[list[Fr], list[list[Fr]]]:
    n = len(POPULATION)
    m = [Fr(sum(g[i] for g in POPULATION), n) for i in range(2)]
    cov = [[Fr(sum(g[i] * g[j] for g in POPULATION), n) - m[i] * m[j] for j in range(2)] for i in range(2)]
    return m, cov


def _unbiased_and_its_variance(plug_in: bool = False) -> Outcome:
    """E[U] = |m|^2 and Var(U) = 4 m'Sm/K + 2 tr(S^2)/(K(K-1)), over every sample of a four-point law, in rationals."""
    m, cov = _population_moments()
    norm = m[0] ** 2 + m[1] ** 2
    quad = sum((m[i] * cov[i][j] * m[j] for i in range(2) for j in range(2)), Fr(0))
    square = sum((cov[i][j] * cov[j][i] for i in range(2) for j in range(2)), Fr(0))
    cases = []
    for K in (2, 3, 4):
        values = []
        for sample in _samples(K):
            mean = [Fr(sum(g[i] for g in sample), K) for i in range(2)]
            values.append(mean[0] ** 2 + mean[1] ** 2 if plug_in else _signal(sample))
        first = sum(values, Fr(0)) / len(values)
        variance = sum(((value - first) ** 2 for value in values), Fr(0)) / len(values)
        cases.append(({"K": K, "what": "mean"}, first, norm))
        cases.append(({"K": K, "what": "variance"}, variance, 4 * quad / K + 2 * square / (K * (K - 1))))
    return equal_exactly(cases)


def _functions_of_signal(scale: float = 1.0) -> Outcome:
    """The public U and Var(U) against the same enumeration; U is |ḡ|² - V/K and the jackknife of |ḡ|²."""
    m, cov = _population_moments()
    computed, expected, jackknife = [], [], []
    for sample in list(_samples(3))[::5]:
        g = np.array(sample, dtype=float)
        computed.append(debiased_signal(g) * scale)
        expected.append(float(_signal(sample)))
        mean = g.mean(0)
        left_out = [np.delete(g, k, 0).mean(0) for k in range(3)]
        jackknife.append(3 * mean @ mean - 2 * np.mean([part @ part for part in left_out]))
    mean_vector, covariance = np.array([float(x) for x in m]), np.array([[float(x) for x in row] for row in cov])
    variances = [float(np.var([float(_signal(sample)) for sample in _samples(K)])) for K in (2, 4)]
    return all_of(
        agree(computed, expected, rtol=1e-11, atol=1e-12),
        agree(jackknife, expected, rtol=1e-10, atol=1e-12),
        agree([debiased_signal_variance(mean_vector, covariance, K) for K in (2, 4)], variances, rtol=1e-10),
    )  # fmt: skip


def _floor_by_simulation(floor: Callable[[int], Floats] = snr_floor) -> Outcome:
    """SNR^2 of Eq. (8) for pure noise in many dimensions: |ḡ|²/(Σ|g-ḡ|²/K) concentrates at 1/(K-1)."""
    rng = np.random.default_rng(3)
    outcomes = []
    for K in (4, 8):
        g = rng.normal(size=(400, K, 600))
        mean = g.mean(1)
        spread = ((g - mean[:, None]) ** 2).sum((1, 2)) / K
        ratio = (mean**2).sum(1) / spread
        d = 600 * (K - 1)  # mean of the F-like ratio: 1/(K-1) * d/(d-2)
        outcomes.append(mean_is(ratio, float(floor(K)) ** 2 * d / (d - 2)))
    return all_of(*outcomes)


def _ratio_bias(corrected: bool = True) -> Outcome:
    """E[U/V] - SNR^2 by simulation, noise that is far from isotropic: K = 6, eigenvalues 1, 0.2 and 0.05."""
    rng = np.random.default_rng(5)
    K, spread = 6, np.array([1.0, 0.2, 0.05])
    m = np.array([0.3, 0.0, 0.4])
    g = m + rng.normal(size=(300_000, K, 3)) * np.sqrt(spread)
    mean = g.mean(1)
    V = ((g - mean[:, None]) ** 2).sum((1, 2)) / (K - 1)
    U = (mean**2).sum(1) - V / K
    snr = float(m @ m) / spread.sum()
    return mean_is(U / V, snr + (snr_ratio_bias(snr, spread, K) if corrected else 0.0))


def _bias_by_isotropic_degrees(eigenvalues: tuple[float, ...], num_rollouts: int) -> Outcome:
    """(SNR² + 1/K) 2/(nu - 2) with the effective degrees nu, against the integral of the generating function."""
    nu = effective_degrees(np.diag(eigenvalues), num_rollouts)
    exact = snr_ratio_bias(0.2, eigenvalues, num_rollouts)
    return agree((0.2 + 1 / num_rollouts) * 2 / (nu - 2), exact, rtol=1e-9, nu=nu, K=num_rollouts)


def _bias_at_three_rollouts(power: int = 1) -> Outcome:
    """K = 3, two dimensions: V is a sum of two exponentials, and tr(S) E[1/V] = (l1 + l2) log(l1/l2)/(l1 - l2)."""
    outcomes = []
    for one, two in ((1.0, 0.05), (2.0, 0.7), (1.0, 1e-6)):
        exact = mpmath.log(mpmath.mpf(one) / two) * (one + two) / (mpmath.mpf(one) - two) ** power - 1
        outcomes.append(agree(3 * snr_ratio_bias(0.0, [one, two], 3), float(exact), rtol=1e-11, l1=one, l2=two))
    return all_of(*outcomes)


def _delta_variance(scale: float = 1.0) -> Outcome:
    """The delta-method variance of U/V against simulation, where nu is large: within five per cent."""
    rng = np.random.default_rng(7)
    K, d = 8, 60
    spread = np.linspace(0.3, 1.5, d)
    m = 0.2 * np.ones(d)
    g = m + rng.normal(size=(20_000, K, d)) * spread
    mean = g.mean(1)
    V = ((g - mean[:, None]) ** 2).sum((1, 2)) / (K - 1)
    ratio = ((mean**2).sum(1) - V / K) / V
    return agree(scale * debiased_snr_variance(m, np.diag(spread**2), K), float(ratio.var()), rtol=0.05)


def _deterministic_gradient() -> Outcome:
    """Forward KL on a fixed reference: K equal gradients have no spread, so Eq. (8) divides by zero; U is still |g|²."""
    g = np.tile([[0.3, -1.2, 0.4]], (8, 1))
    spread = float(((g - g.mean(0)) ** 2).sum())
    if spread > 1e-25:
        return refuted("there is a spread", spread=spread)
    return agree(debiased_signal(g), float(g[0] @ g[0]), rtol=1e-12)


def _snr_is_defined(references: tuple[int, ...]) -> Outcome:
    """Eq. (8) over rollouts whose reference is token 0 or 1: forward-KL gradients of one student towards each."""
    student_logits, confident = [0.2, -0.4], 6.0 * np.eye(2)
    gradients = [
        forward_kl_gradient(teacher_logits=confident[token], student_logits=student_logits) for token in references
    ]
    snr = population_snr(gradients)
    if snr > 1e12:  # 0 in the denominator, up to the rounding of a mean
        return refuted("the rollouts have no spread", references=references, snr=snr)
    return supported(len(references))


def _spread_over_problems(mean_of_squares: bool = True) -> Outcome:
    """The spread of single gradients across problems is E tr S + E|m - E m|², for any number of problems of equal p.

    In one direction; a problem has mass, mean gradient m and spread s over its rollouts. V is the sum about c = E m.
    """
    import sympy

    mass, m, s, c = sympy.symbols("mass m s c", real=True)
    M, A, B, S, V = sympy.symbols("M A B S V", real=True)
    growth = {M: mass, A: mass * m, B: mass * m**2, S: mass * s, V: mass * (s + (m - c) ** 2)}
    sums = V - S - (B if mean_of_squares else c * A) + 2 * c * A - c**2 * M
    return all_of(
        zero_for_any_number(sums, growth),
        symbolic_zero(sums.subs({M: 1, A: c}) - (V - S - (B - c**2))),
    )


def _larger_over_rollouts(within: bool = True) -> Outcome:
    """E|m|²/E tr S >= |E m|²/(E tr S + E|m|² - |E m|²), with equality just where E|m|² = |E m|²."""
    import z3

    S, squares, square = z3.Reals("E_trS E_m_sq mean_sq")
    hypotheses = [S > 0, square >= 0, *([squares >= square] if within else [])]
    over_rollouts, over_problems = squares * (S + squares - square), square * S  # both times both denominators
    return all_of(
        unsatisfiable(*hypotheses, S + squares - square > 0, over_rollouts < over_problems),
        unsatisfiable(*hypotheses, squares != square, over_rollouts == over_problems),
        unsatisfiable(S > 0, squares == square, over_rollouts != over_problems),
    )


CLAIMS = (
    Claim(
        id="eq8",
        where="Eq. (8), Definition 1 as measured",
        title="The measured SNR has a floor, and an unbiased form without it",
        verdict=Verdict.LOOSE,
        equations=(8,),
        paper="SNR_i = |mean gradient| / rms spread over K rollouts, averaged per pass-rate bin.",
        statement="Without signal Eq. (8) is 1/sqrt(K-1), 0.378 at K = 8. U = |ḡ|² - V/K is unbiased for |m|² with variance 4m'Sm/K + 2tr(S²)/(K(K-1)); for Gaussian "
        "gradients U/V estimates SNR² with a bias of (SNR² + 1/K)(tr(S) E[1/V] - 1), E[1/V] the integral of V's moment generating function; for isotropic noise that is "
        "(SNR² + 1/K) 2/(nu-2), for other noise it is not. Pooled over problems of equal p the signal over the spread of rollouts, E|m|²/E tr S, is at least |E m|² over the spread across problems, "
        "E tr S + E|m - E m|², which the theory means, and equal only if all m are. For a student whose K rollouts are equal Eq. (8) is undefined.",
        latex=r"U=\frac1{K(K-1)}\sum_{i\ne j}\langle g_i,g_j\rangle,\qquad \operatorname{Var}U=\frac{4m^\top\Sigma m}{K}+\frac{2\operatorname{tr}\Sigma^2}{K(K-1)},\qquad "
        r"\mathbb E\frac UV-\mathrm{SNR}^2=\Bigl(\mathrm{SNR}^2+\frac1K\Bigr)\Bigl(\operatorname{tr}\Sigma\int_0^\infty\prod_i\bigl(1+\tfrac{2\lambda_it}{K-1}\bigr)^{-\frac{K-1}2}dt-1\Bigr)",
        functions=(
            snr_floor,
            unbiased_snr_floor,
            debiased_signal,
            debiased_signal_variance,
            debiased_snr_variance,
            snr_ratio_bias,
            effective_degrees,
        ),
        hypotheses=(
            "independent rollouts of one problem",
            "Gaussian gradients for the variance and bias of the ratio; (K-1) times the rank of S above 2 for its mean",
        ),
        proof="E|ḡ|² = |m|² + tr(S)/K. U is a U-statistic of degree 2; its Hoeffding decomposition gives the variance. For Gaussian gradients ḡ is independent of V, "
        "a sum of l_i chi²_{K-1}/(K-1), and 1/V is the integral of exp(-tV) over t > 0. The spread across problems is the law of total variance.",
        repair="Report U/V, pooled per bin as sum U/sum V, never clipped before averaging, with the share of problems whose rollouts are all equal.",
        numbers=lambda: {
            "floor at K = 8, over K": float(snr_floor(8)),
            "floor at K = 8, over K-1": float(unbiased_snr_floor(8)),
            "tr(S) E[1/V] - 1 at K = 3, eigenvalues 1 and 0.05": 3 * snr_ratio_bias(0.0, [1.0, 0.05], 3),
            "2/(nu-2) there": 2 / (effective_degrees(np.diag([1.0, 0.05]), 3) - 2),
        },
        counterexample=Counterexample(
            "Eight equal rollouts of a deterministic student: the spread is 0 and Eq. (8) is 0/0 or infinite.",
            evaluate=lambda: {"spread": 0.0, "U": debiased_signal(np.tile([[0.3, -1.2, 0.4]], (8, 1)))},
        ),
        checks=(
            Check(
                "exact",
                "U is unbiased, and its variance",
                "every sample of a four-point law, K <= 4",
                _unbiased_and_its_variance,
                fails={"|ḡ|² in place of U": {"plug_in": True}},
            ),
            Check(
                "numeric",
                "public functions; U is the jackknife of |ḡ|²",
                "K in {2, 3, 4}",
                _functions_of_signal,
                Result.SUPPORTED,
                fails={"U times 1.01": {"scale": 1.01}},
            ),
            Check(
                "monte_carlo",
                "the floor",
                "K in {4, 8}, 600 dimensions",
                _floor_by_simulation,
                Result.SUPPORTED,
                fails={"the floor of the other divisor": {"floor": unbiased_snr_floor}},
            ),
            Check(
                "monte_carlo",
                "the ratio's bias where noise is far from isotropic",
                "K = 6, eigenvalues 1, 0.2 and 0.05, Gaussian",
                _ratio_bias,
                Result.SUPPORTED,
                fails={"U/V without bias": {"corrected": False}},
            ),
            Check(
                "numeric",
                "the ratio's bias in closed form",
                "K = 3, 2 dimensions, 3 pairs of eigenvalues",
                _bias_at_three_rollouts,
                Result.SUPPORTED,
                fails={"with the square of l1 - l2": {"power": 2}},
            ),
            Check(
                "numeric",
                "2/(nu-2) for isotropic noise",
                "K = 4, d = 3",
                _bias_by_isotropic_degrees,
                Result.SUPPORTED,
                given={"eigenvalues": (0.7, 0.7, 0.7), "num_rollouts": 4},
                fails={"eigenvalues 1 and 0.05 at K = 3": {"eigenvalues": (1.0, 0.05), "num_rollouts": 3}},
            ),
            Check(
                "numeric",
                "the delta-method variance of the ratio",
                "K = 8, d = 60, Gaussian",
                _delta_variance,
                Result.SUPPORTED,
                fails={"a variance 1.2 times larger": {"scale": 1.2}},
            ),
            Check(
                "sympy",
                "the spread across problems: within them and between their means",
                "any number of problems of equal p, by induction; any masses",
                _spread_over_problems,
                fails={"|E m|² in place of E|m|²": {"mean_of_squares": False}},
            ),
            Check(
                "z3",
                "SNR² over rollouts is at least SNR² across problems",
                "all real E tr S, E|m|² and |E m|²",
                _larger_over_rollouts,
                fails={"without E|m|² >= |E m|²": {"within": False}},
            ),
            Check(
                "numeric", "no spread, no Eq. (8)", "deterministic student", _deterministic_gradient, Result.SUPPORTED
            ),
            Check(
                "numeric",
                "Eq. (8) is a number where references differ",
                "a student of two tokens, eight rollouts",
                _snr_is_defined,
                Result.SUPPORTED,
                given={"references": (0, 1) * 4},
                fails={"one reference for all rollouts": {"references": (0,) * 8}},
            ),
            Check(
                "numeric",
                "the paper's wording: Eq. (8) is a number for every student",
                "a student of two tokens, eight rollouts of one reference",
                _snr_is_defined,
                Result.REFUTED,
                given={"references": (0,) * 8},
            ),
        ),
    ),
)
