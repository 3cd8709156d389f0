"""Claims about learning-signal quality: Definition 1, Eq. (9), and Proposition 1."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.boundary import (
    signal_quality,
    signal_quality_peak,
)
from paced.theory.facts.representation import num_peaks
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    holds_for_all,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
)
from paced.weights import BetaKernel

GRID = np.linspace(0, 1, 20_001)[1:-1]


# --- Definition 1 and Proposition 1 -----------------------------------------------------------------------------------
def _derive_quality_peak(shift: int = 1) -> Outcome:
    """Solve Q' = 0 for Q = (p^a' q^b')^m q and compare with m a'/(m a' + m b' + 1)."""
    import sympy

    p, a, b, m = sympy.symbols("p a b m", positive=True)
    log_q = m * (a * sympy.log(p) + b * sympy.log(1 - p)) + sympy.log(1 - p)
    (root,) = sympy.solve(sympy.diff(log_q, p), p)
    return symbolic_zero(root - m * a / (m * a + m * b + shift), detail="log Q is strictly concave with this root")


def _quality_peak_numbers() -> Outcome:
    computed, expected = [], []
    for a, b, m in ((0.5, 0.5, 1), (1.0, 1.0, 2), (0.7, 1.9, 1.5), (2.3, 0.4, 1)):
        log_quality = lambda x, a=a, b=b, m=m: m * (a * mpmath.log(x) + b * mpmath.log(1 - x)) + mpmath.log(1 - x)  # noqa: E731
        expected.append(
            float(
                mpmath.findroot(lambda x, f=log_quality: mpmath.diff(f, x), (0.05, 0.9), solver="anderson", tol=1e-30)
            )
        )
        computed.append(signal_quality_peak((a, b), snr_power=m))
    p = np.array([0.2, 0.7])
    return all_of(
        agree(computed, expected, rtol=1e-10),
        agree(
            signal_quality(p, p**0.4, snr_power=3), [float(mpmath.mpf(x) ** 1.2 * (1 - mpmath.mpf(x))) for x in p], p=p
        ),
        agree(signal_quality(p, [0.3, 0.6]), [0.3 * 0.8, 0.6 * 0.3], p=p),
        agree(signal_quality_peak((0.9, 0.6)), 0.9 / 2.5),
    )


def _lies_below_the_kernel_peak(factor: bool = True) -> Outcome:
    """m a'/(m a' + m b' + 1) < a'/(a'+b'); without the factor 1-p the two peaks coincide."""
    import z3

    a, b, m = z3.Reals("a b m")
    quality, kernel = m * a / (m * a + m * b + (1 if factor else 0)), a / (a + b)
    return unsatisfiable(a > 0, b > 0, m > 0, z3.Not(quality < kernel))


def _bent_quality(bend: float) -> np.ndarray:
    """Q for SNR = p^(1/2) q^(1/2) e^(bend (p - 1/3)²): the remainder's second derivative is 2·bend."""
    snr = np.sqrt(BetaKernel().at(GRID)) * np.exp(bend * (GRID - 1 / 3) ** 2)
    return signal_quality(GRID, snr)


def _one_peak_while_bend_is_small(low: float, high: float) -> Outcome:
    """m r'' < m a'/p² + (m b'+1)/q² everywhere implies one peak; here a' = b' = 1/2, m = 1."""
    from hypothesis import strategies as st

    allowed = float(np.min(0.5 / GRID**2 + 1.5 / (1 - GRID) ** 2)) / 2
    ends = low * allowed, high * allowed
    return holds_for_all(st.floats(*ends), lambda bend: num_peaks(_bent_quality(bend)) == 1, ends=ends, examples=40)


def _has_interior_maximum(snr: np.ndarray) -> Outcome:
    quality = signal_quality(GRID, snr)
    top = int(np.argmax(quality))
    if top in (0, GRID.size - 1):
        return refuted("the largest value is at the end of (0,1)", p=float(GRID[top]), Q=float(quality[top]))
    return supported(GRID.size)


def _quality_table() -> dict[str, list[float]]:
    p = np.linspace(0, 1, 201)[1:-1]
    root = np.sqrt(BetaKernel().at(p))
    return {
        "pass_rate": p.tolist(),
        "Q, SNR = sqrt(pq)": signal_quality(p, root).tolist(),
        "w* = pq": BetaKernel().at(p).tolist(),
        "Q, SNR = p/(1-p)": signal_quality(p, p / (1 - p)).tolist(),
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop1",
        where="Definition 1, Eq. (9), Proposition 1",
        title="Learning-signal quality peaks inside, below the kernel's peak",
        verdict=Verdict.CONDITIONAL,
        paper="Q(p) = SNR(p)(1-p) tends to 0 at both ends and is largest at some p* in (0,1), the centre of the ZPD.",
        statement=(
            "Q has an interior maximum if it is continuous, positive and tends to 0 at both ends. For SNR = C p^a' q^b' "
            "and Q = SNR^m q the peak is unique, m a'/(m a' + m b' + 1) < a'/(a'+b'); a remainder r keeps it unique if "
            "m r'' < m a'/p^2 + (m b' + 1)/q^2."
        ),
        latex=r"Q(p)=\mathrm{SNR}(p)^m(1-p),\qquad p^*_Q=\frac{ma'}{ma'+mb'+1}<\frac{a'}{a'+b'}=p^*_w",
        equations=(9,),
        functions=(signal_quality, signal_quality_peak),
        hypotheses=(
            "SNR is continuous and positive on (0,1)",
            "SNR(p)^m (1-p) -> 0 as p -> 1",
            "for one peak: no remainder, or one that bends little",
        ),
        depends_on=("a3b", "prop3"),
        proof="Extreme value theorem for the maximum. log Q = m a' log p + (m b' + 1) log q + m r has second derivative "
        "-m a'/p^2 - (m b'+1)/q^2 + m r''.",
        repair="\"The centre of the ZPD\" has two values: that of Q and that of w*; for a' = b' = 1/2 they are 1/4 and 1/2.",
        numbers=lambda: {
            "peak of Q, a'=b'=1/2, m=1": signal_quality_peak((0.5, 0.5)),
            "peak of Q, a'=b'=1/2, m=2": signal_quality_peak((0.5, 0.5), snr_power=2),
            "peak of Q, a'=b'=1, m=2": signal_quality_peak((1, 1), snr_power=2),
        },
        counterexample=Counterexample(
            "SNR = p/(1-p) vanishes at p = 0 and nothing is asked of it at p = 1: then Q = p, which has no interior maximum.",
            lambda: {f"Q({p})": float(signal_quality(p, p / (1 - p))) for p in (0.25, 0.5, 0.75, 0.99)},
        ),
        picture=Picture("signal_quality", _quality_table, "Q against the kernel, and a Q without an interior maximum."),
        checks=(
            Check(
                "sympy",
                "the first-order condition has this one root",
                "a', b', m > 0",
                _derive_quality_peak,
                fails={"with 2 for 1 in the denominator": {"shift": 2}},
            ),
            Check(
                "z3",
                "it lies below the kernel's peak",
                "a', b', m > 0",
                _lies_below_the_kernel_peak,
                fails={"without the factor 1-p": {"factor": False}},
            ),
            Check(
                "numeric",
                "the functions against mpmath's root",
                "4 exponent pairs",
                _quality_peak_numbers,
                Result.SUPPORTED,
            ),
            Check(
                "hypothesis",
                "a remainder that bends little keeps one peak",
                "r'' up to the bound",
                _one_peak_while_bend_is_small,
                Result.SUPPORTED,
                given={"low": -3, "high": 0.99},
                fails={"with a remainder that bends ten times more": {"low": 8, "high": 12}},
            ),
        ),
        other_controls=(
            Control("numeric", "without a condition at p = 1", lambda: _has_interior_maximum(GRID / (1 - GRID))),
        ),
    ),
)
