"""Claims about V_w/V_unif for power laws: Eq. (37)-(38), and bimodal pass rates (``prop7.closed``, ``prop10.bimodal``)."""

from __future__ import annotations

from fractions import Fraction as Fr
from math import comb

import mpmath
import numpy as np

from paced.theory.facts.populations import whole_beta
from paced.theory.facts.variance_ratios import (
    break_even,
    default_kernel_ratio,
    power_law_ratio,
    two_term_ratio,
)
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, refuted, supported, symbolic_zero
from paced.weights import BetaKernel

B = mpmath.beta


def counted_default(num_rollouts: int) -> np.ndarray:
    """The trainer's default weight at s = 0..K."""
    return BetaKernel()(np.arange(num_rollouts + 1), num_rollouts)


# --- Eq. (37), (38) ---------------------------------------------------------------------------------------------------
def _reduce_37_to_38(shift: int = 0) -> Outcome:
    """Eq. (37) at alpha = beta = 1, tau0 = tau1 = tau, as Gamma functions, reduced by gammasimp."""
    import sympy

    t = sympy.symbols("tau", positive=True)

    def beta(x: sympy.Expr, y: sympy.Expr) -> sympy.Expr:
        return sympy.gamma(x) * sympy.gamma(y) / sympy.gamma(x + y)

    two = sympy.Integer(2)
    ratio = beta(3 + t, 3 + t) / (beta(two, two) ** 2 * beta(1 + t, 1 + t))
    claimed = 9 * (1 + t) * (2 + t) / ((3 + 2 * t) * (5 + shift + 2 * t))
    roots = sympy.solve(
        sympy.Eq(9 * (1 + t) * (2 + t), (3 + 2 * t) * (5 + 2 * t)).subs(t, sympy.Symbol("x")), sympy.Symbol("x")
    )
    larger = max(roots, key=lambda root: float(root))
    return all_of(
        symbolic_zero(sympy.gammasimp(ratio) - claimed),
        symbolic_zero(larger - (sympy.sqrt(61) - 11) / 10, detail="break-even"),
    )  # fmt: skip


def _moments_are_beta_functions() -> Outcome:
    """E[w̃² M2]/E[M2] for uniform p by integrating polynomials: alpha, beta, tau0, tau1 whole, in rationals."""

    def integral(u: int, v: int) -> Fr:
        return sum((Fr((-1) ** k * comb(v, k), u + k + 1) for k in range(v + 1)), Fr(0))

    cases = []
    for a, b, s, t in ((1, 1, 0, 0), (1, 2, 0, 1), (3, 1, 2, 0), (2, 2, 1, 3)):
        computed = integral(2 * a + s, 2 * b + t) / (integral(a, b) ** 2 * integral(s, t))
        top = whole_beta(2 * a + s + 1, 2 * b + t + 1)
        expected = top / (whole_beta(a + 1, b + 1) ** 2 * whole_beta(s + 1, t + 1))
        cases.append(({"alpha": a, "beta": b, "tau0": s, "tau1": t}, computed, expected))
    return equal_exactly(cases)


def _closed_form_numbers(tau_shift: float = 0.0) -> Outcome:
    """Functions against mpmath's Beta function and rationals, at exponents and laws that are nowhere in the paper."""
    outcomes = []
    for a, b, s, t, x, y in (
        (1.3, 0.4, -0.27, 0.31, 0.52, 2.4),
        (0.0, 2.0, 0.4, -0.8, 1.0, 1.0),
        (2.2, 0.7, -0.6, -0.1, 1.7, 0.3),
    ):
        expected = B(x + 2 * a + s, y + 2 * b + t) * B(x, y) ** 2 / (B(x + a, y + b) ** 2 * B(x + s, y + t))
        computed = power_law_ratio(kernel_exponents=(a, b), second_moment_exponents=(s + tau_shift, t), law=(x, y))
        outcomes.append(agree(computed, float(expected), rtol=1e-11, alpha=a, tau0=s))
    uniform = B(3.2, 4.7) * 144 / B(1.2, 0.7)  # kernel (1, 2), B(2, 3) = 1/12
    computed = power_law_ratio(kernel_exponents=(1, 2), second_moment_exponents=(0.2, -0.3))
    outcomes.append(agree(computed, float(uniform), rtol=1e-11))
    tau = [Fr(-9, 10), Fr(-3, 4), Fr(-31, 100), Fr(1, 7), Fr(2)]
    rational = [float(9 * (1 + x) * (2 + x) / ((3 + 2 * x) * (5 + 2 * x))) for x in tau]
    points = [float(x) for x in tau]
    outcomes += [
        agree(default_kernel_ratio(points), rational, tau=points),
        agree(power_law_ratio(second_moment_exponents=(points, points)), rational, rtol=1e-11, tau=points),
        agree(break_even(lambda t: float(default_kernel_ratio(t))), float((mpmath.sqrt(61) - 11) / 10), rtol=1e-11),
    ]
    return all_of(*outcomes)  # fmt: skip


def _two_term_numbers() -> Outcome:
    """Eq. (35) with the signal left in, term by term in mpmath's Beta function."""
    outcomes = []
    for a, b, c, d, size, x, y in ((0.3, 0.2, 0.55, 0.4, 1.7, 1.2, 0.9), (0.25, 0.25, 0.5, 0.5, 1.0, 1.0, 1.0)):

        def second(u: float, v: float) -> mpmath.mpf:
            noise = B(1 + u + 2 * a - 2 * c, 1 + v + 2 * b - 2 * d) / mpmath.mpf(size) ** 2  # noqa: B023
            return B(1 + u + 2 * a, 1 + v + 2 * b) + noise  # noqa: B023

        top = (second(2 * x, 2 * y) - B(1 + x + a, 1 + y + b) ** 2) / B(1 + x, 1 + y) ** 2
        expected = top / (second(0, 0) - B(1 + a, 1 + b) ** 2)
        computed = two_term_ratio(
            signal_exponents=(a, b), snr_exponents=(c, d), kernel_exponents=(x, y), amplitude=size
        )
        outcomes.append(agree(computed, float(expected), rtol=1e-11, a=a))
    default = two_term_ratio(signal_exponents=(0.25, 0.25), snr_exponents=(0.5, 0.5), amplitude=1.0)
    return all_of(*outcomes, agree(default, float(expected), rtol=1e-11))


# --- bimodal laws --------------------------------------------------------------------------------------
def _bimodal_numbers() -> Outcome:
    """p ~ Beta(c, c): the rational form of the ratio, and the tau where c = 1/2 and c = 1 are equal."""
    outcomes = []
    for c, t in ((0.5, -0.1), (0.37, -0.3), (2.6, 0.2), (0.3, 0.0)):
        expected = (c + t) * (c + t + 1) * (2 * c + 1) ** 2 / (c**2 * (2 * c + 2 * t + 1) * (2 * c + 2 * t + 3))
        outcomes.append(
            agree(power_law_ratio(second_moment_exponents=(t, t), law=(c, c)), expected, rtol=1e-11, c=c, tau=t)
        )
    return all_of(*outcomes)


CROSSING = break_even(
    lambda t: float(power_law_ratio(second_moment_exponents=(t, t), law=(0.5, 0.5)) / default_kernel_ratio(t)),
    low=-0.499,
    high=0.5,
)
"""tau below which Beta(1/2, 1/2) pass rates gain more than uniform ones."""  # fmt: skip


def _derive_crossing() -> Outcome:
    """Equate the two ratios and solve; the root in (-1/2, 0)."""
    import sympy

    t = sympy.symbols("tau", real=True)
    half = sympy.Rational(1, 2)
    bimodal = (half + t) * (half + t + 1) * 4 / (half**2 * (2 + 2 * t) * (4 + 2 * t))
    uniform = 9 * (1 + t) * (2 + t) / ((3 + 2 * t) * (5 + 2 * t))
    numerator = sympy.numer(sympy.together(bimodal - uniform))
    roots = [
        root
        for root in sympy.Poly(numerator, t).nroots(n=30)
        if abs(sympy.im(root)) < 1e-20 and -half < sympy.re(root) < 0
    ]
    return agree(CROSSING, [float(sympy.re(root)) for root in roots], rtol=1e-9) if roots else refuted("no root", low=-0.5)  # fmt: skip


def _bimodal_saves_more(tau: float) -> Outcome:
    bimodal = float(power_law_ratio(second_moment_exponents=(tau, tau), law=(0.5, 0.5)))
    uniform = float(default_kernel_ratio(tau))
    if bimodal > uniform:
        return refuted("the bimodal law has the larger ratio", tau=tau, bimodal=bimodal, uniform=uniform)
    return supported(1)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop7.closed",
        where="Proposition 7, example, Eq. (37)-(38)",
        title="The ratio as a quotient of Beta functions",
        verdict=Verdict.TRUE,
        paper="V_w/V_unif is approximately Eq. (37); in the symmetric case 9(1+tau)(2+tau)/((3+2tau)(5+2tau)).",
        statement=(
            "For uniform p on (0,1), M2 proportional to p^tau0 q^tau1 and negligible mean terms, Eq. (37) holds if tau0, tau1 > -1 "
            "and reduces to Eq. (38); otherwise E[M2] is infinite. It is 1 at tau = (sqrt(61) - 11)/10 = -0.318975."
        ),
        latex=r"\frac{V_w}{V_{\mathrm{unif}}}=\frac{B(2\alpha+\tau_0+1,2\beta+\tau_1+1)}{B(\alpha+1,\beta+1)^2B(\tau_0+1,\tau_1+1)}\ \to\ \frac{9(1+\tau)(2+\tau)}{(3+2\tau)(5+2\tau)}",
        equations=(37, 38),
        functions=(
            power_law_ratio,
            default_kernel_ratio,
            two_term_ratio,
            break_even,
        ),
        hypotheses=("p uniform on (0,1)", "tau0, tau1 > -1", "low SNR: the mean terms of Eq. (35) are negligible"),
        depends_on=("prop7", "a3c"),
        proof="E[p^u q^v] = B(u+1, v+1) for uniform p. Gamma(x+2) = x(x+1) Gamma(x) reduces (37) to (38).",
        numbers=lambda: {
            **{f"Eq. (38) at tau={t}": float(default_kernel_ratio(t)) for t in (-0.9, -0.75, -0.5, -0.25, 0.0)},
            "break-even tau": break_even(lambda t: float(default_kernel_ratio(t))),
            "two terms, a=1/4, a'=1/2": two_term_ratio(
                signal_exponents=(0.25, 0.25), snr_exponents=(0.5, 0.5), amplitude=1.0
            ),
        },
        checks=(
            Check(
                "sympy",
                "gammasimp takes (37) to (38); the break-even tau",
                "tau > 0, then by continuation",
                _reduce_37_to_38,
                fails={"with 6 + 2 tau for 5 + 2 tau": {"shift": 1}},
            ),
            Check(
                "exact",
                "Eq. (37) is the quotient of integrals",
                "whole exponents, rationals",
                _moments_are_beta_functions,
            ),
            Check(
                "numeric",
                "the functions against mpmath",
                "3 laws, 5 values of tau",
                _closed_form_numbers,
                Result.SUPPORTED,
                fails={"with tau0 + 0.001": {"tau_shift": 0.001}},
            ),
            Check(
                "numeric",
                "two terms of M2, signal left in",
                "2 sets of exponents, mpmath",
                _two_term_numbers,
                Result.SUPPORTED,
            ),
        ),
    ),
    Claim(
        id="prop10.bimodal",
        where="Proposition 10, last sentence",
        title="Bimodal pass rates save more, if the extremes are hot enough",
        verdict=Verdict.CONDITIONAL,
        paper="For more strongly bimodal pass rates the ratio can be substantially below that of the uniform case.",
        statement=(
            "For p ~ Beta(c, c) and the default kernel the ratio is rational in c and tau and tends to 0 as tau -> -c. "
            "Beta(1/2, 1/2) beats the uniform law only for tau < -0.199848; above, bimodal pass rates cost more."
        ),
        latex=r"R=\frac{(c+\tau)(c+\tau+1)(2c+1)^2}{c^2(2c+2\tau+1)(2c+2\tau+3)},\qquad c+\tau>0",
        functions=(
            power_law_ratio,
            break_even,
        ),
        hypotheses=("M2 hot at the extremes: tau < -0.199848 for c = 1/2", "c + tau > 0"),
        depends_on=("prop7.closed",),
        proof="Eq. (37) with B(A + ., A' + .) in place of B(1 + ., 1 + .); equate with Eq. (38).",
        numbers=lambda: {"tau where c = 1/2 and c = 1 are equal": CROSSING},
        counterexample=Counterexample(
            "tau = -0.1: the bimodal law Beta(1/2, 1/2) has the ratio 1.31, the uniform one 1.15.",
            lambda: {
                "c = 1/2": float(power_law_ratio(second_moment_exponents=(-0.1, -0.1), law=(0.5, 0.5))),
                "c = 1": float(default_kernel_ratio(-0.1)),
            },
        ),
        checks=(
            Check("numeric", "the rational form", "4 pairs (c, tau)", _bimodal_numbers, Result.SUPPORTED),
            Check(
                "numeric",
                "the crossing is the root of the difference",
                "tau in (-1/2, 0)",
                _derive_crossing,
                Result.SUPPORTED,
            ),
            Check(
                "numeric",
                "bimodal saves more below the crossing",
                "tau = -0.3, -0.2",
                lambda: all_of(_bimodal_saves_more(-0.3), _bimodal_saves_more(-0.2)),
                Result.SUPPORTED,
            ),
        ),
        other_controls=(Control("numeric", "above the crossing, tau = -0.1", lambda: _bimodal_saves_more(-0.1)),),
    ),
)
