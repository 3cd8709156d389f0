"""Claims about the kernel and how it is used: Eq. (1), (3), (19) and the smoothness of section 3.3.

The checks compare ``paced.weights`` itself, the code that the trainer runs, with mpmath and exact rationals.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb

import mpmath
import numpy as np

from paced.theory.facts.kernel import (
    kernel_peak_value,
)
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    holds_for_all,
    symbolic_zero,
)
from paced.weights import EASIER, HARDER, ROOT, BetaKernel

EXPONENTS = ((1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 3.0), (3.0, 1.0), (0.5, 0.5), (0.37, 2.9), (7.25, 1.6))
"""The paper's five kernels and three that are nowhere in the paper."""
RATES = (0.013, 0.125, 0.31, 0.5, 0.622, 0.875, 0.9871)


# --- Eq. (1): the pass rate -------------------------------------------------------------------------------------------
def _mean_of_pass_rate(estimate) -> Outcome:  # type: ignore[no-untyped-def]
    """E[estimate(s, K)] = p, by enumeration of s ~ Bin(K, p) in rationals."""
    cases = []
    for k in (1, 2, 5, 8):
        for p in (Fraction(1, 7), Fraction(1, 2), Fraction(9, 10)):
            mean = sum(comb(k, s) * p**s * (1 - p) ** (k - s) * estimate(s, k) for s in range(k + 1))
            cases.append(({"K": k, "p": str(p)}, mean, p))
    return equal_exactly(cases)


def _variance_of_pass_rate() -> Outcome:
    cases = []
    for k in (1, 3, 8):
        for p in (Fraction(1, 5), Fraction(2, 3)):
            pmf = [comb(k, s) * p**s * (1 - p) ** (k - s) for s in range(k + 1)]
            variance = sum(m * (Fraction(s, k) - p) ** 2 for s, m in enumerate(pmf))
            cases.append(({"K": k, "p": str(p)}, variance, p * (1 - p) / k))
    return equal_exactly(cases)


def _kernel_reads_the_pass_rate() -> Outcome:
    s = np.arange(12)
    return agree(BetaKernel(1, 0)(s, 11), [float(Fraction(int(i), 11)) for i in s], s=s)


# --- Eq. (3): the kernel ----------------------------------------------------------------------------------------------
def _derive_peak(shift: float = 0.0) -> Outcome:
    """Solve d log w/dp = 0 and compare with α/(α+β); the second derivative shows that it is the only maximum."""
    import sympy

    p, a, b = sympy.symbols("p alpha beta", positive=True)
    log_w = a * sympy.log(p) + b * sympy.log(1 - p)
    (root,) = sympy.solve(sympy.diff(log_w, p), p)
    at_peak = sympy.exp(sympy.expand_log(log_w.subs(p, a / (a + b)), force=True))
    value = a**a * b**b / (a + b) ** (a + b)
    bend = sympy.diff(log_w, p, 2)
    return all_of(
        symbolic_zero(root - (a + sympy.Rational(str(shift))) / (a + b)),
        symbolic_zero(bend + a / p**2 + b / (1 - p) ** 2, detail="log w is strictly concave"),
        symbolic_zero(sympy.log(at_peak / value).expand(force=True)),
        detail="d log w/dp has one root and log w'' = -alpha/p^2 - beta/q^2 < 0",
    )


def _kernel_against_mpmath(shift: float = 0.0) -> Outcome:
    outcomes = []
    for a, b in EXPONENTS:
        expected = [float(mpmath.mpf(p) ** (a + shift) * (1 - mpmath.mpf(p)) ** b) for p in RATES]
        outcomes.append(agree(BetaKernel(a, b).at(RATES), expected, alpha=a, beta=b, p=RATES))
    return all_of(*outcomes)


def _peaks() -> Outcome:
    presets = agree([HARDER.peak, EASIER.peak, ROOT.peak, BetaKernel().peak], [1 / 3, 2 / 3, 1 / 2, 1 / 2])
    values = agree(
        [float(kernel_peak_value(a, b)) for a, b in EXPONENTS],
        [float(mpmath.mpf(a) ** a * mpmath.mpf(b) ** b / mpmath.mpf(a + b) ** (a + b)) for a, b in EXPONENTS],
        alpha=[a for a, _ in EXPONENTS],
    )
    presets_weigh = agree([w.at(0.3) for w in (HARDER, EASIER, ROOT)], [0.3 * 0.49, 0.09 * 0.7, np.sqrt(0.21)])
    at_peak = agree(
        [BetaKernel(a, b).at(BetaKernel(a, b).peak) for a, b in EXPONENTS],
        kernel_peak_value(*zip(*EXPONENTS, strict=True)),
    )
    return all_of(presets, values, presets_weigh, at_peak)


def _grid_argmax(kernel_of=BetaKernel) -> Outcome:  # type: ignore[no-untyped-def]
    """The largest weight on a grid of 10001 pass rates is next to α/(α+β)."""
    from hypothesis import strategies as st

    grid = np.linspace(0, 1, 10_001)
    exponents = st.tuples(st.floats(0.05, 20), st.floats(0.05, 20))
    return holds_for_all(
        exponents,
        lambda ab: bool(abs(grid[int(np.argmax(kernel_of(*ab).at(grid)))] - ab[0] / (ab[0] + ab[1])) <= 1.01e-4),
        ends=((0.05, 20.0), (20.0, 0.05), (0.05, 0.05), (20.0, 20.0)),
    )


def _plugin_from_counts() -> Outcome:
    s = np.arange(9)
    outcomes = []
    for a, b in ((1, 1), (1, 2), (3, 1), (2, 0)):
        expected = [float(Fraction(int(i), 8) ** a * (1 - Fraction(int(i), 8)) ** b) for i in s]
        outcomes.append(agree(BetaKernel(a, b)(s, 8), expected, alpha=a, beta=b, s=s))
    return all_of(*outcomes)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="eq1",
        where="Eq. (1), section 3.1",
        title="The pass-rate estimate is unbiased",
        verdict=Verdict.TRUE,
        paper="p(x) = (1/K) sum_k 1[y_k correct], y_k ~ P_S(.|x) iid, measures the student's competence on x.",
        statement="With s ~ Bin(K, p), the mean of s/K is p and its variance is p(1-p)/K.",
        latex=r"\hat p=\frac sK,\qquad \mathbb E\,\hat p=p,\qquad \operatorname{Var}\hat p=\frac{p(1-p)}K",
        equations=(1,),
        functions=(BetaKernel,),
        hypotheses=("the K rollouts are independent and graded without error",),
        proof="Linearity of the mean and independence. The estimate is noisy: at K = 8, p = 1/2 its standard error is 0.18.",
        checks=(
            Check(
                "exact",
                "E[s/K] = p",
                "K in {1,2,5,8}, p in {1/7,1/2,9/10}",
                _mean_of_pass_rate,
                given={"estimate": Fraction},
                fails={"with (s+1)/(K+2) in place of s/K": {"estimate": lambda s, k: Fraction(s + 1, k + 2)}},
            ),
            Check("exact", "Var(s/K) = p(1-p)/K", "K in {1,3,8}, p in {1/5,2/3}", _variance_of_pass_rate),
            Check(
                "numeric", "BetaKernel(1,0) of (s,K) is s/K", "K = 11", _kernel_reads_the_pass_rate, Result.SUPPORTED
            ),
        ),
    ),
    Claim(
        id="eq3",
        where="Eq. (3), section 3.3",
        title="The Beta kernel has one peak, at alpha/(alpha+beta)",
        verdict=Verdict.TRUE,
        paper="w(p) = p^alpha (1-p)^beta with peak at alpha/(alpha+beta); the default alpha = beta = 1 gives w = p(1-p).",
        statement=(
            "log w is strictly concave on (0,1); its only peak is alpha/(alpha+beta), of height "
            "alpha^alpha beta^beta/(alpha+beta)^(alpha+beta)."
        ),
        latex=r"w(p)=p^{\alpha}(1-p)^{\beta},\quad \arg\max w=\tfrac{\alpha}{\alpha+\beta},\quad"
        r"\max w=\tfrac{\alpha^\alpha\beta^\beta}{(\alpha+\beta)^{\alpha+\beta}}",
        equations=(3, 19),
        functions=(BetaKernel, kernel_peak_value),
        hypotheses=("alpha, beta > 0",),
        proof="(log w)' = alpha/p - beta/q vanishes at alpha/(alpha+beta) only, and (log w)'' = -alpha/p^2 - beta/q^2 < 0.",
        numbers=lambda: {
            "peak (1,2)": HARDER.peak,
            "peak (2,1)": EASIER.peak,
            "height (1,1)": float(kernel_peak_value(1, 1)),
            "height (1,2)": float(kernel_peak_value(1, 2)),
        },
        checks=(
            Check(
                "sympy",
                "the first-order condition has the one root alpha/(alpha+beta)",
                "alpha, beta > 0",
                _derive_peak,
                fails={"with (alpha + 0.01)/(alpha+beta)": {"shift": 0.01}},
            ),
            Check(
                "numeric",
                "the trainer's kernel is p^alpha q^beta",
                "8 kernels, 7 pass rates",
                _kernel_against_mpmath,
                Result.SUPPORTED,
                fails={"with p^(alpha+0.001)": {"shift": 0.001}},
            ),
            Check("numeric", "peaks and heights of the named kernels", "8 kernels", _peaks, Result.SUPPORTED),
            Check("numeric", "plug-in weights of counts", "K = 8, all s", _plugin_from_counts, Result.SUPPORTED),
            Check(
                "hypothesis",
                "the grid's argmax is the peak",
                "alpha, beta in [0.05, 20]",
                _grid_argmax,
                Result.SUPPORTED,
                fails={"with beta + 0.5 in the kernel": {"kernel_of": lambda a, b: BetaKernel(a, b + 0.5)}},
            ),
        ),
    ),
)
