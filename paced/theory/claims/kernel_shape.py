"""Claims about the kernel's shape: asymmetric where signal and noise are (``x5``)."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.extensions import kernel_quality
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    refuted,
    symbolic_zero,
    zero_for_any_number,
)


# --- x5 ---------------------------------------------------------------------------------------------------------------
def _quality_of_kernels(aligned: bool = False, shift: float = 0.0) -> Outcome:
    """F against mpmath's Beta function, exponents and law of no special form."""
    outcomes = []
    for x, y, a, b, t0, t1, c, d in (
        (1.0, 2.0, 0.5, 0.75, -0.2, 0.3, 1.3, 0.8), (0.4, 0.7, 0.3, 0.5, 0.1, 0.0, 2.0, 3.1),
    ):  # fmt: skip
        m = 1 if aligned else 2

        def e(u, v, c=c, d=d):  # type: ignore[no-untyped-def]
            return mpmath.beta(c + u, d + v) / mpmath.beta(c, d)

        expected = e(x + m * a, y + m * b) ** 2 / (
            e(2 * x + t0, 2 * y + t1) * e(2 * m * a - t0 + shift, 2 * m * b - t1)
        )
        computed = kernel_quality(
            (x, y), signal_exponents=(a, b), second_moment_exponents=(t0, t1), law=(c, d), aligned=aligned
        )
        outcomes.append(agree(computed, float(expected), rtol=1e-11, a=a))
    return all_of(*outcomes)


def _best_exponents(aligned: bool = False, wrong: float = 0.0) -> Outcome:
    """F = 1 at the claimed exponents, and less everywhere else on a ring around them."""
    signal, second = (0.7, 0.9), (-0.2, 0.3)
    m = 1 if aligned else 2
    at = (m * signal[0] - second[0] + wrong, m * signal[1] - second[1])
    settings = {"signal_exponents": signal, "second_moment_exponents": second, "law": (1.4, 0.9), "aligned": aligned}
    ring = [(at[0] + 0.2 * np.cos(t), at[1] + 0.2 * np.sin(t)) for t in np.linspace(0, 6, 12)]
    value = kernel_quality(at, **settings)  # type: ignore[arg-type]
    worst = max(kernel_quality(pair, **settings) for pair in ring)  # type: ignore[arg-type]
    if worst >= value:
        return refuted("a neighbour is better", at=at[0], value=value, neighbour=worst)
    return agree(value, 1.0, rtol=1e-11, alpha=at[0])


def _cauchy_schwarz(crossed: int = 2) -> Outcome:
    """E[w² M2] E[s²/M2] - E[w s]² is a sum of squares over the pairs of problems: F <= 1, and F = 1 iff w ∝ s/M2.

    By induction: a problem more adds its pairs with all the others, m m' (w s' √(M2/M2') - w' s √(M2'/M2))².
    """
    import sympy

    mass, w, s = sympy.symbols("mass w s", real=True)
    m2, other = sympy.symbols("M2 M2_other", positive=True)
    A, B, C, D = sympy.symbols("E_wwM2 E_ssM2 E_ws pairs", real=True)
    growth = {
        A: mass * w**2 * m2,
        B: mass * s**2 / m2,
        C: mass * w * s,
        D: mass * (w**2 * m2 * B + s**2 / m2 * A - crossed * w * s * C),
    }
    v, u = sympy.symbols("w_other s_other", real=True)
    square = (w * u * sympy.sqrt(m2 / other) - v * s * sympy.sqrt(other / m2)) ** 2
    pair = w**2 * m2 * (u**2 / other) + s**2 / m2 * (v**2 * other) - 2 * w * s * v * u
    return all_of(zero_for_any_number(A * B - C**2 - D, growth), symbolic_zero(pair - square))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x5",
        where="extension",
        title="The optimal kernel is asymmetric when signal or noise is",
        verdict=Verdict.TRUE,
        statement="For power laws of signal and second moment the kernel of exponents (2a - tau0, 2b - tau1) has efficiency 1, (a - tau0, b - tau1) "
        "when all gradients point one way; every other kernel has F < 1, a ratio of Beta functions.",
        latex=r"F=\frac{e(\alpha+2a,\beta+2b)^2}{e(2\alpha+\tau_0,2\beta+\tau_1)\,e(4a-\tau_0,4b-\tau_1)}\le 1",
        functions=(kernel_quality,),
        hypotheses=("power laws of s2 and M2", "finite moments under the law"),
        depends_on=("thm4.optimum", "lem5"),
        proof="Cauchy-Schwarz with weight M2; equality iff w is proportional to s2/M2.",
        numbers=lambda: {
            "uniform weights, a = a' = 1/2": kernel_quality((0, 0), signal_exponents=(0.5, 0.5)),
            "(1,1) where (1,2) is best": kernel_quality(
                (1, 1), signal_exponents=(0.5, 0.75), second_moment_exponents=(0.0, -0.5)
            ),
        },
        checks=(
            Check(
                "sympy",
                "the gap to 1 is a sum of squares over pairs of problems",
                "any number of problems, by induction",
                _cauchy_schwarz,
                fails={"without half of the mixed terms": {"crossed": 1}},
            ),
            Check(
                "numeric",
                "F against mpmath",
                "2 laws, orthogonal",
                _quality_of_kernels,
                Result.SUPPORTED,
                fails={"4a - tau0 + 0.01": {"shift": 0.01}},
            ),
            Check(
                "numeric", "F against mpmath, aligned", "2 laws", lambda: _quality_of_kernels(True), Result.SUPPORTED
            ),
            Check(
                "numeric",
                "the claimed exponents are best",
                "orthogonal",
                _best_exponents,
                Result.SUPPORTED,
                fails={"best exponent moved by 0.25": {"wrong": 0.25}},
            ),
            Check(
                "numeric",
                "the claimed exponents are best, aligned",
                "aligned",
                lambda: _best_exponents(True),
                Result.SUPPORTED,
            ),
        ),
    ),
)
