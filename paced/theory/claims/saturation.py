"""Claims about what saturation S/(1+S) changes beyond low SNR: Theorem 4's general regime and ``x3``."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.descent import optimal_log_slope
from paced.theory.facts.minimax import (
    kernel_for_saturated_value,
    minimax_value,
    saturated_efficiency,
    saturated_minimax_value,
    saturated_minimax_weight,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, refuted, supported, symbolic_zero, unsatisfiable
from paced.weights import MinimaxKernel

RATES = (0.013, 0.125, 0.31, 0.5, 0.622, 0.875, 0.9871)


# --- Theorem 4, general regime -----------------------------------------------------------------------------------------
def _derive_log_slope(weight: int = 1) -> Outcome:
    """d log w*/d log p from w* = S/(1+S), S = A p^alpha q^beta; its limit as p -> 0 is alpha, whatever A."""
    import sympy

    p, a, b, amplitude = sympy.symbols("p alpha beta A", positive=True)
    s = amplitude * p**a * (1 - p) ** b
    slope = p * sympy.diff(sympy.log(s / (1 + s)), p)
    claimed = (a - b * p / (1 - p)) / (1 + weight * s)
    limit = sympy.limit(claimed.subs({a: sympy.Rational(3, 2), b: 2}), p, 0)
    return all_of(symbolic_zero(slope - claimed), symbolic_zero(limit - sympy.Rational(3, 2)))


def _log_slope_numbers() -> Outcome:
    """optimal_log_slope against mpmath's derivative of the logarithm, at seven rates."""
    a, b, amplitude = 1.3, 2.2, 37.0
    rates = (1e-7, 0.02, 0.21, 0.37, 0.5, 0.83, 0.99)

    def log_weight(log_p: mpmath.mpf) -> mpmath.mpf:
        s = amplitude * mpmath.exp(a * log_p) * (1 - mpmath.exp(log_p)) ** b
        return mpmath.log(s / (1 + s))

    expected = [float(mpmath.diff(log_weight, mpmath.log(p))) for p in rates]
    return agree(optimal_log_slope(rates, kernel_exponents=(a, b), amplitude=amplitude), expected, rtol=1e-9, p=rates)


def _end_exponent_is_compressed(amplitude: float, pass_rate: float = 1e-12) -> Outcome:
    """The paper's wording: in the mixed regime the exponent at p -> 0 is below 2a'."""
    slope = float(optimal_log_slope(pass_rate, kernel_exponents=(1.0, 1.0), amplitude=amplitude))
    if slope > 1 - 1e-6:
        return refuted("the exponent at the end is 2a' itself", A=amplitude, p=pass_rate, exponent=slope)
    return supported(1)


# --- Extension x3 -----------------------------------------------------------------------------------------------------
def _saturated_game(part: str) -> Outcome:
    """S = S0 e^r; with u = e^-r in [1/x, x] and v = w/S0 the ratio is rho = v (S0 + u)."""
    import z3

    x, s0, u, v, cosh, sinh, loss = z3.Reals("x S0 u v C s loss")
    hypotheses = [x > 1, s0 > 0, 2 * x * cosh == x * x + 1, 2 * x * sinh == x * x - 1, loss * (s0 + cosh) == sinh]
    best = v * (s0 + cosh) == 1

    def lost(ratio: z3.ArithRef) -> z3.ArithRef:
        return (1 - ratio) * (1 - ratio)

    high, low = v * (s0 + x), v * (s0 * x + 1)  # at u = x, and x times the ratio at u = 1/x
    parts = {
        "attained": [best, x * u >= 1, u <= x, lost(v * (s0 + u)) > loss * loss],
        "unique": [lost(high) <= loss * loss, (x - low) * (x - low) <= loss * loss * x * x, z3.Not(best)],
        "above sech^2": [loss * cosh > sinh],
        "with sech": [v * cosh == 1, x * u >= 1, u <= x, lost(v * (s0 + u)) > loss * loss],
    }
    return unsatisfiable(*hypotheses, *parts[part])


def _saturated_limit() -> Outcome:
    """S0 -> 0: w/S0 -> sech(delta), value -> sech²(delta); w is the harmonic mean of the two ends' optima."""
    import sympy

    s0, d = sympy.symbols("S0 delta", positive=True)
    weight = s0 / (s0 + sympy.cosh(d))
    ends = [s0 * sympy.exp(r) / (1 + s0 * sympy.exp(r)) for r in (-d, d)]
    value = 1 - (sympy.sinh(d) / (s0 + sympy.cosh(d))) ** 2
    return all_of(
        symbolic_zero((weight - 2 / (1 / ends[0] + 1 / ends[1])).rewrite(sympy.exp)),
        symbolic_zero((weight / s0).subs(s0, 0) - sympy.sech(d)),
        symbolic_zero((value.subs(s0, 0) - sympy.sech(d) ** 2).rewrite(sympy.exp)),
    )


def _saturated_numbers(shift: float = 0.0) -> Outcome:
    """Functions and the trainer's own kernel against mpmath, at S0 and delta that are nowhere in the spec."""
    outcomes = []
    for s0, d in ((0.037, 0.21), (1.9, 0.83), (14.0, 1.3), (0.6, 0.0)):
        cosh, sinh = mpmath.cosh(d), mpmath.sinh(d)
        w = mpmath.mpf(s0) / (s0 + cosh)
        outcomes += [
            agree(saturated_minimax_weight(s0 + shift, d), float(w), S0=s0, delta=d),
            agree(saturated_minimax_value(s0, d), float(1 - (sinh / (s0 + cosh)) ** 2), S0=s0, delta=d),
        ]
        for r in (-d, 0.4 * d, d):
            truth = mpmath.mpf(s0) * mpmath.exp(r)
            ratio = w * (1 + truth) / truth
            computed = saturated_efficiency(float(w), snr_squared=float(truth))
            outcomes.append(agree(computed, float(ratio * (2 - ratio)), rtol=1e-11, S0=s0, r=r))
    p = np.array(RATES)
    trainer = MinimaxKernel(0.45, 1.3, 0.8, 2.7).at(p)
    outcomes.append(agree(trainer, saturated_minimax_weight(2.7 * p**1.3 * (1 - p) ** 0.8, 0.45), p=p))
    edges = [saturated_minimax_weight(0.0, 0.7), saturated_minimax_value(0.0, 0.7) - minimax_value(0.7)]
    return all_of(*outcomes, agree(edges, 0.0, atol=1e-15))


def _kernel_for_saturated(spread: float = 1.0) -> Outcome:
    """sech² of half the log-range of rho = c (e^-r + S0), S0 in (0, Smax]: the ends are e^-delta and e^delta + Smax."""
    outcomes = []
    for largest, d in ((0.0, 0.4), (0.8, 0.3), (5.5, 0.05), (3.0, 0.0)):
        low, high = mpmath.exp(-d * spread), mpmath.exp(d * spread) + largest
        expected = float(4 * low * high / (low + high) ** 2)
        outcomes.append(agree(kernel_for_saturated_value(largest, d), expected, rtol=1e-11, Smax=largest, delta=d))
    return all_of(*outcomes)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="thm4.saturation",
        where="Theorem 4, general regime",
        title='"Saturation compresses the exponents"',
        verdict=Verdict.LOOSE,
        paper="In the low-SNR regime the exponents are 2a', 2b'; the saturation in the mixed regime compresses these exponents.",
        statement=(
            "d log w*/d log p = (d log SNR^2/d log p)/(1 + SNR^2): only the interior slope shrinks. SNR -> 0 at both ends, so "
            "the boundary exponents are exactly 2a' and 2b' in every regime, and w* is then no Beta kernel."
        ),
        latex=r"\frac{d\log w^*}{d\log p}=\frac1{1+\mathrm{SNR}^2}\,\frac{d\log\mathrm{SNR}^2}{d\log p}\ \to\ 2a'\quad(p\to0)",
        functions=(optimal_log_slope,),
        depends_on=("thm4.optimum", "a3b"),
        proof="log(S/(1+S)) has derivative (log S)'/(1+S).",
        repair="Saturation flattens the middle and keeps the ends. The price of using the kernel all the same is in x3.",
        numbers=lambda: {
            f"slope at p={p}, A=100": float(optimal_log_slope(p, kernel_exponents=(1, 1), amplitude=100.0))
            for p in (1e-6, 0.01, 0.25)
        },
        counterexample=Counterexample(
            "SNR^2 = 10^4 p q, far from low SNR: at p = 10^-12 the exponent is 1 = 2a', at p = 1/4 it is 0.00036.",
            lambda: {
                f"exponent at p={p:g}": float(optimal_log_slope(p, kernel_exponents=(1, 1), amplitude=1e4))
                for p in (1e-12, 0.25)
            },
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: the exponent at p -> 0 is below 2a'",
                "SNR^2 = 10^4 p q",
                lambda: _end_exponent_is_compressed(1e4),
                Result.REFUTED,
            ),
            Check(
                "sympy",
                "repaired: the slope, and its limit alpha",
                "alpha, beta, A > 0",
                _derive_log_slope,
                fails={"with 1 + 2 SNR^2": {"weight": 2}},
            ),
            Check("numeric", "optimal_log_slope against mpmath", "7 pass rates", _log_slope_numbers, Result.SUPPORTED),
        ),
    ),
    Claim(
        id="x3",
        where="extension",
        title="Minimax beyond low SNR: S0/(S0 + cosh delta)",
        verdict=Verdict.TRUE,
        statement=(
            "For the exact optimum S/(1+S), S = S0 e^r, |r| <= delta, the unique minimax weight is S0/(S0 + cosh delta), the "
            "harmonic mean of the interval of optima, and it keeps 1 - (sinh delta/(S0 + cosh delta))^2 >= sech^2 delta. The "
            "shape S0 used in its place keeps sech^2(delta + log(1 + Smax e^-delta)/2)."
        ),
        latex=r"w_{\mathrm{mm}}=\frac{S_0}{S_0+\cosh\delta},\quad\text{value }1-\Bigl(\frac{\sinh\delta}{S_0+\cosh\delta}\Bigr)^2,\quad"
        r"\text{shape }S_0:\ \operatorname{sech}^2\bigl(\delta+\tfrac12\log(1+S_{\max}e^{-\delta})\bigr)",
        functions=(
            saturated_minimax_weight,
            saturated_minimax_value,
            saturated_efficiency,
            kernel_for_saturated_value,
            MinimaxKernel,
        ),
        hypotheses=("SNR^2 = S0 e^r with |r| <= delta", "the learning rate takes up the scale (for the last form)"),
        depends_on=("lem5", "thm4.optimum", "thm6"),
        proof="rho = w (S0 + u)/S0 with u = e^-r fills [w(S0+e^-d)/S0, w(S0+e^d)/S0]; the best w puts its middle at 1. For the "
        "shape S0, rho = c (u + S0) fills c [e^-d, e^d + Smax], and the equaliser gives sech^2 of half the log-range.",
        numbers=lambda: {
            "weight at S0 = 1, delta = ln 2": float(saturated_minimax_weight(1.0, np.log(2))),
            "value there": float(saturated_minimax_value(1.0, np.log(2))),
            "shape S0 at Smax = 1, delta = 0.3": float(kernel_for_saturated_value(1.0, 0.3)),
        },
        checks=(
            Check(
                "z3",
                "it keeps the value for every |r| <= delta",
                "S0, delta > 0",
                _saturated_game,
                given={"part": "attained"},
                fails={"with sech(delta) S0, the low-SNR weight": {"part": "with sech"}},
            ),
            Check("z3", "no other weight does", "S0, delta > 0, all real w", lambda: _saturated_game("unique")),
            Check("z3", "the value is at least sech^2 delta", "S0, delta > 0", lambda: _saturated_game("above sech^2")),
            Check("sympy", "harmonic mean; S0 -> 0 is Theorem 6", "S0, delta > 0", _saturated_limit),
            Check(
                "numeric",
                "functions and the trainer's kernel against mpmath",
                "4 pairs, 7 pass rates",
                _saturated_numbers,
                Result.SUPPORTED,
                fails={"with S0 moved by 0.001": {"shift": 0.001}},
            ),
            Check(
                "numeric",
                "the shape S0 under a saturated truth",
                "4 pairs",
                _kernel_for_saturated,
                Result.SUPPORTED,
                fails={"with |r| <= 1.1 delta": {"spread": 1.1}},
            ),
        ),
    ),
)
