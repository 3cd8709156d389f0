"""How wrong the kernel may be, whatever weight is used (``x12``)."""

from __future__ import annotations

from itertools import product
from typing import Any

import mpmath
import numpy as np

from paced.theory.facts.misspecification import (
    misspecification_floor,
    misspecification_table,
    nominal_efficiency,
    signal_floor,
    total_variation,
    weighted_laws,
    worst_efficiency_of,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, refuted, supported, unsatisfiable


def _at_every_problem(distance: int = 1) -> Outcome:
    """(α/x + βx)/2 <= C (α+β)/2 + S |β-α|/2 for x = e^r in [1/X, X]; with C, S = cosh, sinh δ, X = C + S.

    Summed over the problems: (A + B)/2 <= cosh δ + t sinh δ, for any number of problems. ``distance=0`` leaves t out.
    """
    import z3

    x, top, a, b, c, s, gap = z3.Reals("x X alpha beta C S gap")
    return unsatisfiable(
        top >= 1, 2 * top * c == top * top + 1, 2 * top * s == top * top - 1, x * top >= 1, x <= top,
        a >= 0, b >= 0, gap == z3.If(a > b, a - b, b - a),
        a + b * x * x > x * (c * (a + b) + distance * s * gap),
    )  # fmt: skip


def _product_of_means(halved: bool = True) -> Outcome:
    """A B <= D² where (A + B)/2 <= D = cosh δ + t sinh δ; without halving the sum nothing of the kind holds."""
    import z3

    a, b, most = z3.Reals("A B D")
    return unsatisfiable(a > 0, b > 0, (a + b if halved else (a + b) / 2) <= 2 * most, a * b > most * most)


def _enumerated(scale: float = 1.0) -> Outcome:
    """Random populations, all signs of r, F from E[w s2]²/(E[w² M2] E[s2²/M2]) itself: never below the floor."""
    rng = np.random.default_rng(3)
    closest = np.inf
    for _ in range(60):
        n, delta = int(rng.integers(1, 6)), float(rng.choice([0.1, 0.3, 0.9]))
        mass, s2 = rng.dirichlet(np.ones(n)), rng.lognormal(size=n)
        m2 = s2 + rng.lognormal(size=n)
        w = s2 / m2 * rng.lognormal(sigma=rng.choice([0.05, 1.0]), size=n)
        alpha, beta = weighted_laws(w, s2, m2, masses=mass)
        values = []
        for signs in product((-1, 1), repeat=n):
            true = m2 * np.exp(-delta * np.array(signs))
            values.append((mass @ (w * s2)) ** 2 / ((mass @ (w**2 * true)) * (mass @ (s2**2 / true))))
        floor = nominal_efficiency(alpha, beta) * float(misspecification_floor(delta, total_variation(alpha, beta)))
        if min(values) < scale * floor * (1 - 1e-12):
            return refuted("a population is below the floor", delta=delta, value=min(values), floor=scale * floor)
        closest = min(closest, min(values) / floor)
        same = agree(worst_efficiency_of(alpha, beta, delta), min(values), rtol=1e-10, delta=delta)
        if same.result is not Result.SUPPORTED:
            return same
    return supported(60, f"closest: {closest:.6f} times the floor")


def _attained(shift: float = 0.0) -> Outcome:
    """α = (x, 1-x), β = (1-x, x) with t = |2x - 1| attains the floor for every t; ends sech² δ and e^-2δ."""
    x = np.array([0.5, 0.55, 0.7, 0.95, 1.0])
    outcomes = []
    for delta in (0.2, 1.1):
        worst = [worst_efficiency_of([y, 1 - y], [1 - y, y], delta) for y in x]
        nominal = np.array([nominal_efficiency([y, 1 - y], [1 - y, y]) for y in x])
        outcomes.append(
            agree(
                worst,
                nominal * misspecification_floor(delta, np.abs(2 * x - 1) * (1 - shift)),
                rtol=1e-11,
                atol=1e-15,
                x=x,
            )
        )
        outcomes.append(
            agree(misspecification_floor(delta, [0, 1]), [float(mpmath.sech(delta) ** 2), np.exp(-2 * delta)])
        )
    return all_of(*outcomes)  # fmt: skip


def _signal_corners(scale: float = 1.0) -> list[tuple[float, float, dict[str, Any]]]:
    """(F/nominal at the worst corner, floor by t between α and β, floor by t', place) of a misjudged signal."""
    rng = np.random.default_rng(4)
    rows = []
    for n, delta in ((2, 0.3), (3, 0.1), (4, 0.2), (2, 0.9), (5, 0.05)) * 8:
        alpha, beta = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n))
        alpha = 0.95 * beta + 0.05 * alpha if n != 2 else alpha
        cross = np.sqrt(alpha * beta) / np.sum(np.sqrt(alpha * beta))  # the law ∝ w s2
        y = np.exp(delta * np.array(list(product((-1.0, 1.0), repeat=n))))  # [corners, n]
        share = float(np.min((y @ cross) ** 2 / (y**2 @ beta)))
        same = float(misspecification_floor(delta, total_variation(alpha, beta)))
        own = float(signal_floor(delta, total_variation(cross, beta)))
        rows.append((share - same, share - scale * own, {"delta": delta, "share": share, "floor": same}))
    return rows


def _signal_floor_holds(scale: float = 1.0) -> Outcome:
    rows = _signal_corners(scale)
    for _, margin, place in rows:
        if margin < -1e-12:
            return refuted("a corner is below the signal's floor", **place)
    return supported(len(rows))


def _same_floor_for_the_signal(part: float = 1.0) -> Outcome:
    rows = _signal_corners()
    for _, _, place in rows:
        if place["share"] < part * place["floor"] - 1e-9:
            return refuted("below the floor of the noise channel", **place)
    return supported(len(rows))


def _signal_proof(factor: int = 2) -> Outcome:
    """G = Σ γ y, y in [1/X, X]: Σ β y² <= 2C (G + 2 t' S) - 1 gives C² G² >= (1 - 4 t' S C)(Σ β y²)."""
    import z3

    g, square, c, s, t = z3.Reals("G Q C S t")
    return unsatisfiable(
        c >= 1, s >= 0, c * c - s * s == 1, t >= 0, t <= 1, g > 0, square > 0, 4 * t * s * c < 1,
        square + 1 <= factor * c * (g + 2 * t * s),
        c * c * g * g < (1 - 4 * t * s * c) * square,
    )  # fmt: skip


def _uniform_weight(delta: float) -> dict[str, float]:
    """Equal weights on a grid of pass rates where w* = p(1-p) is nominal, flat M2."""
    p = np.arange(1, 8) / 8
    alpha, beta = weighted_laws(np.ones(7), p * (1 - p), np.ones(7))
    t = total_variation(alpha, beta)
    nominal = nominal_efficiency(alpha, beta)
    return {
        "t of equal weights, p in {1/8..7/8}": t,
        "nominal efficiency": nominal,
        f"floor at delta = {delta:g}": nominal * float(misspecification_floor(delta, t)),
        "worst of all signs": worst_efficiency_of(alpha, beta, delta),
        "the kernel's floor, sech^2": float(misspecification_floor(delta, 0)),
    }


def _mixed_up() -> dict[str, float]:
    worst = min(_signal_corners(), key=lambda row: row[0])
    return {
        "share left": worst[2]["share"],
        "floor of the noise channel": worst[2]["floor"],
        "delta": worst[2]["delta"],
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x12",
        where="extension",
        title="How wrong the kernel may be, for any weight",
        verdict=Verdict.CONDITIONAL,
        statement="Misjudge SNR^2 through its noise by e^r, |r| <= delta. Any weight w keeps at least 1/(cosh delta + t sinh delta)^2 of its nominal "
        "efficiency, t the total variation between the laws ∝ w^2 M2 and ∝ s2^2/M2. For the best weight t = 0 and this is the known sech^2 delta; "
        "t = 1 gives e^(-2 delta); every t is attained. If it is the signal that is misjudged this fails, and sech^2 delta (1 - 2t' sinh 2 delta) holds, "
        "t' between the laws ∝ w s2 and ∝ s2^2/M2.",
        latex=r"\min_{|r|\le\delta}F(w;r)\ \ge\ \frac{F(w;0)}{(\cosh\delta+t\,\sinh\delta)^2},\qquad t=\mathrm{TV}\bigl(w^2M_2,\ s_2^2/M_2\bigr)",
        functions=(misspecification_floor, signal_floor, weighted_laws, total_variation, nominal_efficiency, worst_efficiency_of),
        hypotheses=("s2 is known, M2 is off by a factor in [e^-delta, e^delta] at each problem", "the learning rate is tuned for the mean"),
        depends_on=("x4",),
        proof="F = F0/(A B), A the mean of e^-r under the first law, B that of e^r under the second. sqrt(AB) <= (A + B)/2, and (alpha e^-r + beta e^r)/2 = "
        "(alpha + beta)/2 cosh r + (beta - alpha)/2 sinh r, which sums to at most cosh delta + t sinh delta. Signal: F/F0 = (E_gamma y)^2/E_beta y^2; "
        "(y - e^-delta)(e^delta - y) >= 0 and |E_beta y - E_gamma y| <= 2 t' sinh delta.",
        numbers=lambda: _uniform_weight(0.3),
        counterexample=Counterexample(
            "A misjudged signal: laws that are far apart leave less than the floor of the noise channel.", evaluate=_mixed_up
        ),
        picture=Picture("misspecified_weights", misspecification_table, "Share of the nominal efficiency that is left, by the distance t of the two laws."),
        checks=(
            Check("z3", "at every problem (alpha e^-r + beta e^r)/2 is at most C (alpha + beta)/2 + S |beta - alpha|/2",
                  "delta >= 0, any masses", _at_every_problem, fails={"without the distance": {"distance": 0}}),
            Check("z3", "A B is at most the square of cosh delta + t sinh delta then", "A, B > 0", _product_of_means,
                  fails={"the sum of A and B in place of its half": {"halved": False}}),
            Check("numeric", "F from its definition at all corners is never below", "60 populations of 1 to 5 problems",
                  _enumerated, Result.SUPPORTED, fails={"a floor 5 % higher": {"scale": 1.05}}),
            Check("numeric", "two problems attain it for every t; t = 0 is sech^2 and t = 1 is e^(-2 delta)", "5 t, 2 deltas",
                  _attained, Result.SUPPORTED, fails={"with 0.9 t": {"shift": 0.1}}),
            Check("numeric", "the same floor holds for a misjudged signal", "40 populations", _same_floor_for_the_signal, Result.REFUTED),
            Check("z3", "the signal's own floor", "4 t' sinh cosh < 1", _signal_proof, fails={"3 C for 2 C": {"factor": 3}}),
            Check("numeric", "the signal's floor at all corners", "40 populations", _signal_floor_holds, Result.SUPPORTED,
                  fails={"twice the floor": {"scale": 2.0}}),
        ),
    ),
)  # fmt: skip
