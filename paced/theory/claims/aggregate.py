"""Claims about the worst case in the mean over problems: Theorem 6 (iii), Eq. (25) and (31), unit means."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.descent import efficiency
from paced.theory.facts.minimax import (
    aggregate_ratio,
    minimax_scale,
    minimax_value,
    unit_mean_value,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    holds_for_all,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
)


# --- Theorem 6 (iii) --------------------------------------------------------------------------------------------------
def _tight_for_every_split(scale: str = "sech") -> Outcome:
    """(2c - c² A)/(2 cosh d - A) at c = sech d is sech² d identically in A = E0[e^-r]; |r| = d gives E0[e^r] = 2cosh d - A."""
    import sympy

    d, a, c = sympy.symbols("delta A c", positive=True)
    ratio = (2 * c - c**2 * a) / (2 * sympy.cosh(d) - a)
    at = sympy.sech(d) if scale == "sech" else sympy.exp(-d)
    slope = sympy.diff(ratio, a) * (2 * sympy.cosh(d) - a) ** 2
    return all_of(
        symbolic_zero((ratio.subs(c, at) - sympy.sech(d) ** 2).rewrite(sympy.exp)),
        symbolic_zero(slope - 2 * c * (1 - c * sympy.cosh(d))),
        detail="equality for every r with |r| = delta; for other c the ratio moves with A",
    )


def _holds_at_each_problem(factor: float = 1.0) -> Outcome:
    """2c - c² e^-r >= sech² d e^r for |r| <= d at c = sech d, in x = e^r, y = e^d; the mean over any law keeps it."""
    import z3

    x, inverse, y, sech = z3.Reals("x 1/x y sech")
    c = factor * sech
    within = (x > 0, x * inverse == 1, y >= 1, x <= y, x * y >= 1, sech * (y * y + 1) == 2 * y)
    return unsatisfiable(*within, 2 * c - c * c * inverse < sech * sech * x)


def _aggregate_law(factor: float = 1.0) -> Outcome:
    """E[D(w_mm)]/E[D(w*)] >= sech² delta for any law and |r| <= delta."""
    from hypothesis import strategies as st

    def law(example: tuple[float, list[tuple[float, float]]]) -> bool:
        delta, rows = example
        share, mass = map(np.array, zip(*rows, strict=True))
        computed = float(aggregate_ratio(factor * minimax_scale(delta), delta * share, masses=mass))
        return computed >= float(minimax_value(delta)) - 1e-12

    rows = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 1)), min_size=1, max_size=8)
    ends = (0.01, [(-1.0, 0.01)]), (1.5, [(1.0, 1.0), (-1.0, 0.01)] * 4)
    return holds_for_all(st.tuples(st.floats(0.01, 1.5), rows), law, ends=ends)


def _aggregate_from_descents() -> Outcome:
    """aggregate_ratio against sums of D itself, Eq. (12), with M2 = s2/(w_B e^r) in units of 1/(eta L)."""
    kernel, s2, mu = (mpmath.matrix(x) for x in ([0.4, 1.1, 0.7], [2.0, 0.5, 3.1], [0.2, 0.5, 0.3]))
    r = [0.3, -0.2, 0.05]
    outcomes = []
    for c in (0.6, 0.95, 1.2):
        top = bottom = mpmath.mpf(0)
        for i in range(3):
            best = kernel[i] * mpmath.exp(r[i])
            m2, w = s2[i] / best, c * kernel[i]
            top += mu[i] * (w * s2[i] - w**2 * m2 / 2)
            bottom += mu[i] * (best * s2[i] - best**2 * m2 / 2)
        mass = [float(mu[i] * s2[i] * kernel[i]) for i in range(3)]
        outcomes.append(agree(aggregate_ratio(c, r, masses=mass), float(top / bottom), c=c))
    return all_of(
        *outcomes, agree(aggregate_ratio(0.8, [0.1, 0.1]), float((1.6 - 0.64 * mpmath.exp(-0.1)) / mpmath.exp(0.1)))
    )


# --- unit means -------------------------------------------------------------------------------------------------------
def _unit_mean_range(power: int = 2) -> Outcome:
    """rho = m y with m = E[e^r], y = e^-r, both in [1/x, x]: eff(rho) >= eff(x^power) when x^2 <= 2."""
    import z3

    x, m, y = z3.Reals("x m y")
    inside = [x > 1, m * x >= 1, m <= x, y * x >= 1, y <= x]
    end = x if power == 1 else x * x
    return unsatisfiable(*inside, m * y * (2 - m * y) < end * (2 - end))


def _unit_mean_is_approached() -> Outcome:
    """Nearly all mass at r = delta, one problem at r = -delta: its rho = E[e^r] e^-r tends to e^2delta."""
    outcomes = []
    for d in (0.05, 0.21, 0.5):
        mass, r = np.array([1 - 1e-13, 1e-13]), np.array([d, -d])
        rho = float(mass @ np.exp(r)) * np.exp(-r[1])
        outcomes.append(agree(unit_mean_value(d), float(efficiency(rho)), rtol=1e-9, atol=1e-11, delta=d))
        outcomes.append(agree(unit_mean_value(d), float(1 - mpmath.expm1(2 * mpmath.mpf(d)) ** 2), rtol=1e-11, delta=d))
    return all_of(*outcomes, agree(unit_mean_value(float(np.log(2)) / 2), 0.0, atol=1e-14))


def _pointwise_guarantee_after_normalising(delta: float, rescale: bool) -> Outcome:
    """Kernel and truth both of unit mean; the kernel's step keeps sech² at every problem, with or without a tuned eta."""
    mass, r = np.array([0.999, 0.001]), np.array([delta, -delta])
    rho = float(mass @ np.exp(r)) * np.exp(-r)
    if rescale:
        rho = rho * 2 / (rho.min() + rho.max())
    worst = float(efficiency(rho).min())
    if worst < float(minimax_value(delta)) - 1e-12:
        return refuted(
            "the common mean moves every rho", delta=delta, worst=worst, guarantee=float(minimax_value(delta))
        )
    return supported(2)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="thm6.iii",
        where="Theorem 6 (iii), Eq. (25), (31)",
        title="The mean over problems keeps sech^2 delta too",
        verdict=Verdict.TRUE,
        paper="E_p[D(w_mm)]/E_p[D(w*)] >= sech^2(delta), assuming |r| <= delta almost surely.",
        statement=(
            "True, and tight: with the factor sech(delta), equality holds for every r with |r| = delta, however its signs are "
            "spread; for any other factor some spread does worse."
        ),
        latex=r"\frac{\mathbb E[D(w_{\mathrm{mm}})]}{\mathbb E[D(w^*)]}=\frac{2c-c^2\,\mathbb E_0e^{-r}}{\mathbb E_0e^{r}}\ge\operatorname{sech}^2\delta"
        r"\quad\text{at }c=\operatorname{sech}\delta",
        equations=(25, 31),
        functions=(aggregate_ratio,),
        hypotheses=("|r| <= delta for almost every problem", "D(w*) > 0 on some of them"),
        depends_on=("thm6",),
        proof="D(w_mm) >= sech^2 D(w*) at each p; take the mean. With |r| = delta, E0[e^r] + E0[e^-r] = 2 cosh delta, and the "
        "ratio's slope in E0[e^-r] has the sign of 1 - c cosh delta.",
        checks=(
            Check(
                "sympy",
                "equality for every split of the signs",
                "delta > 0, A = E0[e^-r]",
                _tight_for_every_split,
                fails={"with c = e^-delta": {"scale": "exp"}},
            ),
            Check(
                "z3",
                "the bound at each problem, and so in the mean over any law",
                "delta >= 0, |r| <= delta",
                _holds_at_each_problem,
                fails={"with 1.1 sech(delta) at each": {"factor": 1.1}},
            ),
            Check(
                "hypothesis",
                "the bound",
                "up to 8 problems, |r| <= delta <= 1.5",
                _aggregate_law,
                Result.SUPPORTED,
                fails={"with 1.1 sech(delta)": {"factor": 1.1}},
            ),
            Check(
                "numeric",
                "aggregate_ratio is the ratio of mean descents",
                "3 problems, mpmath",
                _aggregate_from_descents,
                Result.SUPPORTED,
            ),
        ),
    ),
    Claim(
        id="thm6.unit_mean",
        where="Theorem 6 with the normalisation of section 3.4",
        title="What the guarantee becomes after unit-mean normalisation",
        verdict=Verdict.CONDITIONAL,
        paper="Theorem 6 carries over to the normalised weights, since normalisation only rescales the learning rate (Remark 1).",
        statement=(
            "With the learning rate tuned, the guarantee stays sech^2 delta. If kernel and true optimum both have unit mean at "
            "one learning rate, rho ranges over (e^-2delta, e^2delta) and only 1 - (e^2delta - 1)^2 is left at one pass rate, "
            "nothing from delta = ln 2 / 2 = 0.3466 on."
        ),
        latex=r"\rho=\mathbb E_\nu[e^r]\,e^{-r}\in(e^{-2\delta},e^{2\delta}),\qquad\inf\ =1-(e^{2\delta}-1)^2",
        functions=(unit_mean_value,),
        hypotheses=("the learning rate is tuned, sech(delta) included", "plain SGD"),
        depends_on=("thm6", "rem1.scale", "eq4"),
        proof="E_nu[e^r] and e^-r each lie in [e^-d, e^d]; both near e^d needs nearly all mass at r = d and one problem at -d.",
        counterexample=Counterexample(
            "delta = 0.3, 999 of 1000 parts at r = +0.3, one at -0.3, both of unit mean: the odd problem keeps 0.33, not 0.915.",
            lambda: {
                "efficiency of the odd problem": float(
                    efficiency((0.999 * np.exp(0.3) + 0.001 * np.exp(-0.3)) * np.exp(0.3))
                ),
                "limit": float(unit_mean_value(0.3)),
                "sech^2": float(minimax_value(0.3)),
            },
        ),
        checks=(
            Check(
                "z3",
                "no rho does worse than e^2delta",
                "delta > 0",
                _unit_mean_range,
                fails={"with e^delta for e^2delta": {"power": 1}},
            ),
            Check(
                "numeric",
                "the value is approached, and is 0 at ln 2 / 2",
                "3 deltas",
                _unit_mean_is_approached,
                Result.SUPPORTED,
            ),
            Check(
                "numeric",
                "with the learning rate tuned sech^2 is kept",
                "delta = 0.3",
                _pointwise_guarantee_after_normalising,
                Result.SUPPORTED,
                given={"delta": 0.3, "rescale": True},
                fails={"without tuning the learning rate": {"rescale": False}},
            ),
        ),
    ),
)
