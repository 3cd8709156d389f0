"""Claims about the representation: Proposition 3 (Eq. 10, 11), Assumption 3(b'), Remark 3."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.representation import log_remainder, num_peaks, smallest_delta, two_peak_profile
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    holds_for_all,
    positive_on,
    refuted,
    supported,
    symbolic_zero,
)
from paced.weights import BetaKernel

GRID = np.linspace(0, 1, 4001)[1:-1]


# --- Proposition 3 ----------------------------------------------------------------------------------------------------
def _derive_limits(extra: float = 0.0) -> Outcome:
    """f = p^a q^b G(p) with G continuous: the limits of r at both ends are log C0 and log C1, for a G written out."""
    import sympy

    p, a, b, c0, c1 = sympy.symbols("p a b C0 C1", positive=True)
    bridge = c0 * (1 - p) + c1 * p
    remainder = (
        sympy.expand_log(sympy.log(p**a * (1 - p) ** b * bridge), force=True) - a * sympy.log(p) - b * sympy.log(1 - p)
    )
    remainder = sympy.simplify(remainder)
    return all_of(
        symbolic_zero(remainder.subs(p, 0) - sympy.log(c0) + sympy.Rational(str(extra))),
        symbolic_zero(remainder.subs(p, 1) - sympy.log(c1)),
        detail="r(0+) = log C0, r(1-) = log C1",
    )


def _exponents_are_unique() -> Outcome:
    """If p^a q^b e^r = p^c q^d e^s with r, s bounded then a = c: log f/log p has the limit a."""
    import sympy

    p, a, b, c0 = sympy.symbols("p a b C0", positive=True)
    log_f = a * sympy.log(p) + b * sympy.log(1 - p) + sympy.log(c0)
    return symbolic_zero(sympy.limit(log_f / sympy.log(p), p, 0, "+") - a)


def _remainder_settles(weak: bool = False) -> Outcome:
    """r(p) near 0 is near log C0; under the weak condition, f = p/|log p|, it falls without end."""
    near = 10.0 ** -np.arange(3, 300, 11.0)
    values = near / np.abs(np.log(near)) if weak else 2.5 * near * (1 - near) ** 0.5
    remainder = log_remainder(near, values, exponents=(1, 0.5))
    if np.ptp(remainder[-5:]) > 1e-3:
        return refuted("r has no finite limit though log f/log p -> 1", p=float(near[-1]), r=float(remainder[-1]))
    return agree(remainder[-5:], np.log(2.5), rtol=1e-10)


def _remainder_numbers() -> Outcome:
    p = np.array([0.03, 0.4, 0.91])
    expected = [float(0.3 * mpmath.sin(7 * mpmath.mpf(x)) + mpmath.log(2)) for x in p]
    values = 2 * p**0.7 * (1 - p) ** 1.9 * np.exp(0.3 * np.sin(7 * p))
    return agree(log_remainder(p, values, exponents=(0.7, 1.9)), expected, rtol=1e-11, p=p)


def _remainder_is_bounded(shift: float = 0.0) -> Outcome:
    """Any continuous positive bridge between C0 and C1 gives limits near log C0, log C1 at 1e-6 from the ends."""
    from hypothesis import strategies as st

    numbers = st.floats(0.1, 5)

    def law(example: tuple[float, float, float, float]) -> bool:
        a, b, c0, c1 = example
        p = np.array([1e-6, 1 - 1e-6])
        values = p**a * (1 - p) ** b * (c0 * (1 - p) + c1 * p)
        r = log_remainder(p, values, exponents=(a, b))
        return bool(np.all(np.abs(r - np.log([c0, c1]) - shift) <= 1e-4))

    return holds_for_all(st.tuples(numbers, numbers, numbers, numbers), law, ends=((0.1,) * 4, (5.0,) * 4))


# --- prop3.shape: the interior ----------------------------------------------------------------------------------------
def _shape_is_dictated(bump: float) -> Outcome:
    """The paper's wording: with r bounded, the interior has the kernel's single peak at 1/2."""
    values = two_peak_profile(GRID, bump=bump)
    r = log_remainder(GRID, values, exponents=(1, 1))
    peaks = num_peaks(values)
    if peaks != 1:
        return refuted(
            "r is bounded and continuous, the profile is not unimodal",
            bump=bump,
            peaks=peaks,
            r_max=float(np.max(np.abs(r))),
        )
    return supported(GRID.size)


def _two_peaks_for_certain(bump: float = 40.0) -> Outcome:
    """f(0.25) > f(0.5) by ball arithmetic, and f -> 0 at the ends: hence a valley at 1/2 between two peaks."""
    return positive_on(lambda p: p * (1 - p) * (bump * (p - 0.5) ** 2).exp() - 0.25 - 1e-3, (0.1875, 0.3125))


def _two_peak_numbers() -> Outcome:
    p = [0.05, 0.21, 0.5, 0.77]
    expected = [float(mpmath.mpf(x) * (1 - mpmath.mpf(x)) * mpmath.exp(40 * (mpmath.mpf(x) - 0.5) ** 2)) for x in p]
    return agree(two_peak_profile(p), expected, p=p)


def _weak_bump_keeps_one_peak(bump: float) -> Outcome:
    """Log-concave for bump < 4: 2 bump - 1/p² - 1/q² < 0 on (0,1), the sharp threshold."""
    peaks = num_peaks(two_peak_profile(GRID, bump=bump))
    return supported(GRID.size) if peaks == 1 else refuted("two peaks", bump=bump, peaks=peaks)


# --- a3b'.special, rem3 -----------------------------------------------------------------------------------------------
def _delta_is_half_the_range(factor: float = 1.0) -> Outcome:
    """The best δ, by minimising max|2r - c| over the constant c, is max r - min r."""
    from hypothesis import strategies as st

    arrays = st.lists(st.floats(-3, 3), min_size=2, max_size=40)

    def law(values: list[float]) -> bool:
        r = 2 * np.array(values)
        centre = (r.max() + r.min()) / 2
        best = min(float(np.max(np.abs(r - c))) for c in (centre, centre + 1e-3, centre - 1e-3, 0.0, float(r.mean())))
        return abs(factor * smallest_delta(values) - best) <= 1e-12

    return holds_for_all(arrays, law, ends=([-3.0, 3.0], [-3.0, 3.0] * 20))


def _b_is_delta_zero(ripple: float = 0.2) -> Outcome:
    """The paper's wording: under (b), delta = 0."""
    p = GRID
    r = log_remainder(p, np.sqrt(BetaKernel().at(p)) * np.exp(ripple * np.sin(6 * p)), exponents=(0.5, 0.5))
    delta = smallest_delta(r)
    return (
        refuted("(b) holds with a bounded, continuous r", r=f"{ripple} sin(6p)", delta=delta)
        if delta > 1e-9
        else supported(1)
    )


def _arguments_are_independent(bump: float = 40.0) -> Outcome:
    """The paper's wording: two independent lines. One remainder breaks both, so neither holds without r = const."""
    snr_squared = two_peak_profile(GRID, bump=bump)
    structural, descent = num_peaks(snr_squared), num_peaks(snr_squared / (1 + snr_squared))
    if structural != 1 and descent != 1:
        return refuted(
            "the same r breaks both arguments",
            r=f"{bump:g} (p-1/2)^2",
            peaks_structural=structural,
            peaks_descent=descent,
        )
    return supported(2)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop3",
        where="Proposition 3, Eq. (10)-(11)",
        title="A power law at both ends leaves a bounded remainder",
        verdict=Verdict.TRUE,
        paper="log f = a' log p + b' log(1-p) + r(p) with r -> log C0 and log C1, |r| <= R; the 1/log example shows why.",
        statement="The exponents are unique, r extends continuously to [0,1] and is bounded; log f/log p -> a' alone is not enough.",
        latex=r"\log f=a'\log p+b'\log(1-p)+r(p),\quad r(0^+)=\log C_0,\ r(1^-)=\log C_1,\ |r|\le R",
        equations=(10, 11),
        functions=(log_remainder,),
        hypotheses=("f > 0 is continuous on (0,1)", "f/p^a' -> C0 > 0 and f/q^b' -> C1 > 0"),
        depends_on=("a3b",),
        proof="r = log(f/p^a') - b' log q -> log C0 at 0, and likewise at 1; a continuous function with finite limits is bounded.",
        checks=(
            Check(
                "sympy",
                "limits of r at both ends",
                "a, b, C0, C1 > 0",
                _derive_limits,
                fails={"with log C0 + 0.1": {"extra": 0.1}},
            ),
            Check("sympy", "lim log f/log p = a', so a' is unique", "a, b, C0 > 0", _exponents_are_unique),
            Check(
                "numeric",
                "r near 0 is log C0",
                "p = 1e-3 ... 1e-299",
                _remainder_settles,
                Result.SUPPORTED,
                fails={"with only log f/log p -> a': f = p/|log p|": {"weak": True}},
            ),
            Check("numeric", "log_remainder recovers r", "3 pass rates", _remainder_numbers, Result.SUPPORTED),
            Check(
                "hypothesis",
                "r at 1e-6 from the ends",
                "a', b', C0, C1 in [0.1, 5]",
                _remainder_is_bounded,
                Result.SUPPORTED,
                fails={"with limits that are 0.01 higher": {"shift": 0.01}},
            ),
        ),
    ),
    Claim(
        id="prop3.shape",
        where="Proposition 3; Result 1; section 3.3",
        title='"The functional form is dictated by boundary structure"',
        verdict=Verdict.LOOSE,
        paper="The Beta kernel is the leading-order term; the functional form is dictated by boundary structure.",
        statement="Nothing is small inside (0,1): p q exp(40 (p-1/2)^2) meets every hypothesis and has two peaks with a valley at 1/2.",
        latex=r"f(p)=p(1-p)\,e^{40(p-1/2)^2}",
        functions=(two_peak_profile,),
        hypotheses=("those of Proposition 3",),
        depends_on=("prop3",),
        proof="r = 40 (p-1/2)^2 is continuous and at most 10. (log f)'' at 1/2 is 2 bump - 8 > 0 for bump > 4.",
        repair="The ends fix the exponents; the interior shape is a modelling choice, to be measured (x6).",
        numbers=lambda: {"f(1/4)": float(two_peak_profile(0.25)), "f(1/2)": float(two_peak_profile(0.5))},
        counterexample=Counterexample(
            "f = p q exp(40 (p-1/2)^2): the right power law at both ends, and least where the kernel is largest.",
            lambda: {f"f({p})": float(two_peak_profile(p)) for p in (0.001, 0.05, 0.25, 0.5)},
        ),
        picture=Picture(
            "two_peaks",
            lambda: {
                "pass_rate": (p := np.linspace(0, 1, 401)[1:-1]).tolist(),
                "kernel": (BetaKernel().at(p) / 0.25).tolist(),
                "same ends, bump = 40": (two_peak_profile(p) / two_peak_profile(p).max()).tolist(),
            },
            "Two profiles with the same exponents at both ends.",
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: the interior is that of the kernel",
                "bump = 40",
                lambda: _shape_is_dictated(40.0),
                Result.REFUTED,
            ),
            Check(
                "interval",
                "f > f(1/2) on [3/16, 5/16] for certain",
                "bump = 40",
                _two_peaks_for_certain,
                fails={"with bump = 2": {"bump": 2.0}},
            ),
            Check("numeric", "two_peak_profile against mpmath", "4 pass rates", _two_peak_numbers, Result.SUPPORTED),
            Check(
                "numeric",
                "one peak just below the threshold bump = 4",
                "bump = 3.99",
                _weak_bump_keeps_one_peak,
                Result.SUPPORTED,
                given={"bump": 3.99},
                fails={"just above the threshold: bump = 4.1": {"bump": 4.1}},
            ),
        ),
    ),
    Claim(
        id="a3b'.special",
        where="Assumption 3(b')",
        title='"Assumption (b) is the special case delta = 0"',
        verdict=Verdict.LOOSE,
        paper="Assumption (b) is the special case delta = 0.",
        statement="(b) gives (b') with delta = max r - min r, r the remainder of log SNR; it is 0 only for constant r.",
        latex=r"\delta_{\min}=\tfrac12\operatorname{osc}(2r)=\max r-\min r",
        functions=(smallest_delta,),
        depends_on=("a3b", "prop3"),
        proof="SNR^2 carries 2r; the best constant is the middle of its range. (b') does not imply (b): r may jump.",
        repair="(b) implies (b') with delta = osc(r) < infinity; delta = 0 is the exact kernel.",
        counterexample=Counterexample(
            "SNR = sqrt(p q) exp(0.2 sin 6p): (b) holds at both ends, delta is 0.4.",
            lambda: {"delta": smallest_delta(0.2 * np.sin(6 * GRID))},
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: delta = 0 under (b)",
                "r = 0.2 sin(6p)",
                _b_is_delta_zero,
                Result.REFUTED,
            ),
            Check(
                "hypothesis",
                "the smallest delta is max r - min r",
                "2 to 40 values in [-3,3]",
                _delta_is_half_the_range,
                Result.SUPPORTED,
                fails={"without the factor 2 of the square": {"factor": 0.5}},
            ),
        ),
    ),
    Claim(
        id="rem3",
        where="Remark 3",
        title='"Two independent lines of argument that converge"',
        verdict=Verdict.LOOSE,
        paper="The Beta kernel is derived, not assumed, through two independent lines of argument.",
        statement="Both rest on Assumption 3(b) and on r = const; the descent argument supplies the exponent 2 and the saturation.",
        latex=r"\text{Prop. 3}+\{r=\text{const}\}\ \Rightarrow\ p^{a'}q^{b'};\qquad\text{Thm. 4}+\text{Prop. 3}+\{r=\text{const}\}\ \Rightarrow\ p^{2a'}q^{2b'}",
        depends_on=("a3b", "prop3", "prop3.shape"),
        proof="Follow the dependencies: drop r = const and both conclusions fail on the same two-peak profile.",
        repair="One structural assumption (3(b) with constant r) and one calculation (w* = SNR^2/(eta L (1+SNR^2))).",
        counterexample=Counterexample(
            "SNR^2 = p q exp(40 (p-1/2)^2): the structural profile and the descent-optimal weight both have two peaks.",
            lambda: {"peaks of the profile": float(num_peaks(two_peak_profile(GRID)))},
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: one argument holds without the other's assumption",
                "bump = 40",
                _arguments_are_independent,
                Result.REFUTED,
            ),
        ),
        other_controls=(Control("numeric", "with the two-peak remainder", lambda: _shape_is_dictated(40.0)),),
    ),
)
