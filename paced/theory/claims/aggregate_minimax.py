"""Claims about the minimax weight in the mean over problems, at the best scale (``x4``).

``noise channel``: s2 is known and M2 = s2/(w_B e^r) is not. ``signal channel``: M2 is known and s2 is not.
"""

from __future__ import annotations

from itertools import product

import mpmath
import numpy as np

from paced.theory.claims.coupling import covariance_of_pairs
from paced.theory.facts.minimax import (
    WORST_SHARE,
    aggregate_efficiency,
    aggregate_minimax_value,
    signal_aggregate_efficiency,
    signal_worst_share,
)
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
)


# --- Extension x4 -----------------------------------------------------------------------------------------------------
def _noise_game(part: str) -> Outcome:
    """Split the problems into mass t at r = +delta and 1-t at -delta, then exchange the two; x = e^delta.

    X and Y are the means of e^u on the two parts, t X + (1-t) Y = 1. E0[e^(2u-r)] is at least t X²/x + (1-t) Y² x
    (Cauchy-Schwarz on each part). At u = 0 it is t/x + (1-t) x. One of the two adversaries does not let u do better.
    """
    import z3

    x, t, first, second = z3.Reals("x t X Y")
    hypotheses = [x > 1, t > 0, t < 1, first > 0, second > 0, t * first + (1 - t) * second == 1]
    plus = t * first * first + (1 - t) * second * second * x * x - (t + (1 - t) * x * x)  # times 1/x
    minus = t * first * first * x * x + (1 - t) * second * second - (t * x * x + (1 - t))
    parts = {
        "value": [*hypotheses, plus < 0, minus < 0],
        "unique": [*hypotheses, plus <= 0, minus <= 0, first != 1],
        "one adversary": [*hypotheses, plus < 0],
    }
    return unsatisfiable(*parts[part])


def _values_of_splits(shift: int = 0) -> Outcome:
    """u = 0: F is 1/(1 + 4t(1-t) sinh²) in the noise channel; sech² at t = e^-d/(2 cosh d) in the signal channel."""
    import sympy

    d, t = sympy.symbols("delta t", positive=True)
    e = sympy.exp(d)
    noise = 1 / ((t / e + (1 - t) * e) * (t * e + (1 - t) / e))
    signal = (t * e + (1 - t) / e) ** 2 / (t * e**2 + (1 - t) / e**2)
    share = sympy.exp(-d) / (2 * sympy.cosh(d) + shift)
    return all_of(
        symbolic_zero((1 / noise - 1 - 4 * t * (1 - t) * sympy.sinh(d) ** 2).rewrite(sympy.exp)),
        symbolic_zero((noise.subs(t, sympy.Rational(1, 2)) - sympy.sech(d) ** 2).rewrite(sympy.exp)),
        symbolic_zero((signal.subs(t, share) - sympy.sech(d) ** 2).rewrite(sympy.exp)),
    )


def _kantorovich(part: str = "both") -> Outcome:
    """For y in [1/x, x]: (E y)² >= sech² E y², so the kernel keeps sech² in the signal channel; 2C = x + 1/x."""
    import z3

    x, y, mean, square, cosh = z3.Reals("x y Ey Eyy C")
    hypotheses = [x > 1, 2 * x * cosh == x * x + 1]
    pointwise = unsatisfiable(*hypotheses, x * y >= 1, y <= x, y * y + 1 > 2 * cosh * y)
    bound = square + 1 <= 2 * cosh * mean if part == "both" else square + 1 <= 3 * cosh * mean
    means = unsatisfiable(*hypotheses, square > 0, mean > 0, bound, cosh * cosh * mean * mean < square)
    return all_of(pointwise, means)


def _aggregate_numbers() -> Outcome:
    """Both efficiencies from their definition, E[w s2]²/(E[w² M2] E[s2²/M2]); worst shares."""
    u, r = np.array([0.2, -0.1, 0.5]), np.array([0.3, -0.3, 0.1])
    mass, kernel, law = np.array([0.5, 0.3, 0.2]), np.array([0.4, 1.1, 0.7]), np.array([0.2, 0.5, 0.3])
    nominal = mass / (law * kernel)
    outcomes = []
    for efficiency, s2 in ((aggregate_efficiency, nominal), (signal_aggregate_efficiency, nominal * np.exp(r))):
        m2, w = s2 / (kernel * np.exp(r)), kernel * np.exp(u)
        expected = np.sum(law * w * s2) ** 2 / (np.sum(law * w**2 * m2) * np.sum(law * s2**2 / m2))
        outcomes.append(agree(efficiency(u, r, masses=mass), expected))
    for d in (0.2, 0.9):
        worst = ((aggregate_efficiency, WORST_SHARE), (signal_aggregate_efficiency, float(signal_worst_share(d))))
        for efficiency, t in worst:
            computed = [efficiency([0, 0], [d, -d], masses=[s, 1 - s]) for s in (t, t - 1e-3, t + 1e-3)]
            outcomes.append(agree(computed[0], float(mpmath.sech(d) ** 2), rtol=1e-11, delta=d))
            if min(computed[1:]) <= computed[0]:
                return refuted("another share hurts more", delta=d, function=efficiency.__name__, share=t)
    return all_of(
        *outcomes, agree(aggregate_efficiency([0.1, 0.4], [0.0, 0.0]), aggregate_efficiency([0.4, 0.1], [0.0, 0.0]))
    )


def _atoms(weight_moves: bool = False) -> Outcome:
    """Few atoms: u = 0 attains 1/(1 + 4t(1-t) sinh²) over all corners, and 300 other weights do not beat it."""
    outcomes = [agree(aggregate_minimax_value(0.7), float(mpmath.sech(0.7) ** 2))]
    rng = np.random.default_rng(5)
    for delta, mass in ((0.3, (0.7, 0.2, 0.1)), (0.8, (0.45, 0.35, 0.15, 0.05)), (0.5, (1.0,))):
        corners = [delta * np.array(signs) for signs in product((-1, 1), repeat=len(mass))]
        value = aggregate_minimax_value(delta, masses=mass)
        start = np.zeros(len(mass))
        start[0] += 0.1 * weight_moves
        worst = min(aggregate_efficiency(start, r, masses=mass) for r in corners)
        outcomes.append(agree(value, worst, rtol=1e-11, delta=delta))
        for u in rng.normal(scale=0.2, size=(100, len(mass))):
            other = min(aggregate_efficiency(u, r, masses=mass) for r in corners)
            if other > value + 1e-12:
                return refuted("another weight does better", delta=delta, masses=mass, u=u.tolist(), value=other)
        outcomes.append(supported(100))
    return all_of(*outcomes)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x4",
        where="extension",
        title="The kernel's shape is minimax in the mean, whatever the normalisation",
        verdict=Verdict.TRUE,
        statement=(
            "For weights up to scale, F = E[w s2]^2/(E[w^2 M2] E[s2^2/M2]), the kernel keeps sech^2 delta in both channels. With "
            "s2 known it is the unique maximin weight, of value 1/(1 + 4t(1-t) sinh^2 delta), t the mass of the set of "
            "problems that comes nearest to 1/2: sech^2 delta without atoms, more with them."
        ),
        latex=r"\max_u\min_{|r|\le\delta}\frac{\mathbb E_0[e^u]^2}{\mathbb E_0[e^{2u-r}]\,\mathbb E_0[e^r]}=\frac1{1+4t(1-t)\sinh^2\delta},\qquad t=\tfrac12:\ \operatorname{sech}^2\delta",
        functions=(
            aggregate_efficiency,
            aggregate_minimax_value,
            signal_aggregate_efficiency,
            signal_worst_share,
        ),
        hypotheses=("the learning rate is tuned for the mean",),
        depends_on=("thm6", "def2"),
        proof="At u = 0, E0[e^r] E0[e^-r] is convex in each e^r, so its largest value is at corners |r| = delta, 1 + 4t(1-t) sinh^2. "
        "For another u take the best set and its complement: with X, Y the means of e^u on them, Cauchy-Schwarz and "
        "t(X-1) = -(1-t)(Y-1) show that one of the two signs of r leaves no more than u = 0, and less unless X = Y = 1 and e^u "
        "is constant on both. Signal channel: (y - e^-d)(e^d - y) >= 0 gives E y^2 + 1 <= 2 cosh(d) E y (Kantorovich).",
        numbers=lambda: {
            "no atoms, delta = 0.3": aggregate_minimax_value(0.3),
            "masses (0.7, 0.2, 0.1)": aggregate_minimax_value(0.3, masses=[0.7, 0.2, 0.1]),
            "worst share, signal channel": float(signal_worst_share(0.3)),
        },
        checks=(
            Check(
                "z3",
                "no u beats u = 0 against a split and its exchange",
                "delta > 0, 0 < t < 1",
                _noise_game,
                given={"part": "value"},
                fails={"with one adversary only": {"part": "one adversary"}},
            ),
            Check("z3", "only a constant u does as well", "delta > 0, 0 < t < 1", lambda: _noise_game("unique")),
            Check(
                "sympy",
                "Cauchy-Schwarz on a part: a mean square minus the squared mean is a sum of squares over pairs",
                "any number of atoms, by induction",
                covariance_of_pairs,
            ),
            Check(
                "z3",
                "Kantorovich's inequality in the signal channel",
                "e^r in [1/x, x]",
                _kantorovich,
                fails={"with a weaker bound on E y^2": {"part": "weak"}},
            ),
            Check(
                "sympy",
                "the values at u = 0",
                "delta > 0, 0 < t < 1",
                _values_of_splits,
                fails={"with another share": {"shift": 1}},
            ),
            Check(
                "numeric",
                "F from its definition, worst shares",
                "3 problems, 2 deltas",
                _aggregate_numbers,
                Result.SUPPORTED,
            ),
            Check(
                "numeric",
                "with atoms: all corners, 300 other weights",
                "1 to 4 atoms",
                _atoms,
                Result.SUPPORTED,
                fails={"with u = (0.1, 0, ...) for the kernel": {"weight_moves": True}},
            ),
        ),
    ),
)
