"""The claim about the variance of the weighted gradient, exactly: Proposition 7, Eq. (6) and (32)-(35) (``prop7``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction as Fr
from itertools import permutations, product

import numpy as np

from paced.theory.facts.variance import self_normalised_variance, variance_terms
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, mean_is, symbolic_zero, zero_for_any_number
from paced.weights import BetaKernel, normalise

WEIGHTS = (Fr(1, 10), Fr(1, 3), Fr(3, 4), Fr(1, 5))
GRADIENTS = ((Fr(1), Fr(-2)), (Fr(1, 2), Fr(3)), (Fr(0), Fr(1)), (Fr(-1), Fr(1, 4)))


# --- Proposition 7 ----------------------------------------------------------------------------------------------------
def _mean(values: Iterable[Fr]) -> Fr:
    terms = list(values)
    return sum(terms, Fr(0)) / len(terms)


def _estimates(batch_size: int, replace: bool, own_sum: bool) -> list[tuple[Fr, Fr]]:
    """Eq. (32) for every batch that can be drawn, in rationals."""
    n = len(WEIGHTS)
    batches = product(range(n), repeat=batch_size) if replace else permutations(range(n), batch_size)
    estimates = []
    for batch in batches:
        scale = _mean(WEIGHTS[i] for i in batch) if own_sum else _mean(WEIGHTS)
        first, second = (_mean(WEIGHTS[i] / scale * GRADIENTS[i][d] for i in batch) for d in (0, 1))
        estimates.append((first, second))
    return estimates


def _spread(rows: Sequence[tuple[Fr, Fr]]) -> Fr:
    """E|x - E x|² over equally likely rows."""
    mean = [_mean(row[d] for row in rows) for d in (0, 1)]
    return _mean((row[0] - mean[0]) ** 2 + (row[1] - mean[1]) ** 2 for row in rows)


def _terms() -> dict[str, Fr]:
    """Every term of Eq. (34) and (35) from its definition, in rationals."""
    unit = [w / _mean(WEIGHTS) for w in WEIGHTS]
    m2 = [g[0] ** 2 + g[1] ** 2 for g in GRADIENTS]
    square, moment = _mean(u**2 for u in unit), _mean(m2)
    weighted = [_mean(u * g[d] for u, g in zip(unit, GRADIENTS, strict=True)) for d in (0, 1)]
    plain = [_mean(g[d] for g in GRADIENTS) for d in (0, 1)]
    return {
        "mean_square_weight": square,
        "coupling": _mean(u**2 * m for u, m in zip(unit, m2, strict=True)) - square * moment,
        "mean_second_moment": moment,
        "weighted_mean_squared": weighted[0] ** 2 + weighted[1] ** 2,
        "mean_squared": plain[0] ** 2 + plain[1] ** 2,
    }


def _decomposition_is_exact(own_sum: bool = False) -> Outcome:
    """Eq. (34) against the enumerated variance: V/B for iid batches, V/B (N-B)/(N-1) without replacement."""
    t, n, cases = _terms(), 4, []
    v = t["mean_square_weight"] * t["mean_second_moment"] + t["coupling"] - t["weighted_mean_squared"]
    for size in (1, 2, 3):
        cases.append(({"B": size, "drawn": "iid"}, _spread(_estimates(size, True, own_sum)), v / size))
        shrunk = v / size * Fr(n - size, n - 1)
        cases.append(({"B": size, "drawn": "once"}, _spread(_estimates(size, False, own_sum)), shrunk))
    return equal_exactly(cases[1:] if own_sum else cases)


def _functions_are_the_terms() -> Outcome:
    """variance_terms against the rationals, term by term, and Eq. (35) as the paper divides it."""
    t = _terms()
    computed = variance_terms([float(w) for w in WEIGHTS], [[float(x) for x in g] for g in GRADIENTS])
    moment = t["mean_second_moment"]
    top = t["mean_square_weight"] + t["coupling"] / moment - t["weighted_mean_squared"] / moment
    ratio = top / (1 - t["mean_squared"] / moment)
    noisy = variance_terms([0.2, 0.5, 0.1], [1.0, -0.4, 2.0], second_moments=[1.3, 4.16, 5.0], masses=[5, 2, 3])
    mean, mass, w, s = 0.23, (0.5, 0.2, 0.3), (0.2, 0.5, 0.1), (1.0, -0.4, 2.0)
    second = sum(m * (x / mean) ** 2 * y for m, x, y in zip(mass, w, (1.3, 4.16, 5.0), strict=True))
    signal = sum(m * x / mean * y for m, x, y in zip(mass, w, s, strict=True)) ** 2
    plain = (
        sum(m * y for m, y in zip(mass, (1.3, 4.16, 5.0), strict=True)),
        sum(m * y for m, y in zip(mass, s, strict=True)) ** 2,
    )
    return all_of(
        *(agree(getattr(computed, name), float(value), rtol=1e-11) for name, value in t.items()),
        agree(computed.ratio, float(ratio)),
        agree(computed.weighted_variance / computed.uniform_variance, float(ratio)),
        agree([noisy.weighted_variance, noisy.uniform_variance], [second - signal, plain[0] - plain[1]]),
        agree(normalise(np.array([float(x) for x in WEIGHTS])).ess_fraction, 1 / computed.mean_square_weight),
    )  # fmt: skip


def _first_order_self_normalised(centred: bool = True) -> Outcome:
    """E[w̃²|g - m_w|²] against a simulation of batches that divide by their own weights, B = 400."""
    p, g = np.array([0.1, 0.3, 0.5, 0.8]), np.array([5.0, 3.5, 3.0, 1.5])
    w, size = p * (1 - p), 400
    drawn = np.random.default_rng(7).integers(0, 4, size=(8000, size))
    estimate = (w[drawn] * g[drawn]).sum(axis=1) / w[drawn].sum(axis=1)
    target = float(np.average(g, weights=w))
    expected = self_normalised_variance(w, g) if centred else variance_terms(w, g).weighted_variance
    return mean_is(size * (estimate - target) ** 2, expected)


def _self_normalised_numbers() -> Outcome:
    p, g = [Fr(1, 10), Fr(3, 10), Fr(1, 2), Fr(4, 5)], [Fr(3), Fr(3, 2), Fr(1), Fr(-1, 2)]
    unit = [4 * x * (1 - x) / sum(y * (1 - y) for y in p) for x in p]
    mean = sum(u * x for u, x in zip(unit, g, strict=True)) / 4
    expected = sum(u**2 * (x - mean) ** 2 for u, x in zip(unit, g, strict=True)) / 4
    computed = self_normalised_variance([float(x * (1 - x)) for x in p], [float(x) for x in g])
    masses = self_normalised_variance([0.2, 0.4], [1.0, -1.0], masses=[3, 1])  # unit weights 0.8, 1.6; mean 0.2
    return all_of(agree(computed, float(expected)), agree(masses, 0.75 * 0.64 * 0.64 + 0.25 * 2.56 * 1.44))


# --- any number of problems -------------------------------------------------------------------------------------------
def _any_population(noise: bool = True) -> Outcome:
    """Eq. (34) and (35) for any number of problems, masses, weights and noise, in one direction of the gradient.

    By induction on the problems: V_w, the mean of (u w G - c)² over a problem's gradients G with mean g and second
    moment m2, and the centred covariance of (u w)² and m2 are the same sums for all constants u, a, b and c. With
    u = 1/E w, a = E w̃², b = E M2 and c = E w̃ g they are the terms. Without ``noise`` m2 is g² in V_w alone.
    """
    import sympy

    mass, w, g, m2, u, a, b, c, d = sympy.symbols("mass w g m2 u a b c d", real=True)
    V, Cov, M, A, E, G = sympy.symbols("V Cov M A E G", real=True)
    growth = {
        V: mass * ((u * w) ** 2 * (m2 if noise else g**2) - 2 * u * w * g * c + c**2),
        Cov: mass * ((u * w) ** 2 - a) * (m2 - b),
        M: mass,
        A: mass * w**2,
        E: mass * m2,
        G: mass * w * g,
    }
    sums = V - Cov + 2 * u * c * G - c**2 * M - b * u**2 * A - a * E + a * b * M
    terms = {M: 1, G: c / u, A: a / u**2, E: b}
    ratio = (a + Cov / b - c**2 / b) / (1 - d**2 / b)
    return all_of(
        zero_for_any_number(sums, growth),
        symbolic_zero(sums.subs(terms) - (V - (a * b + Cov - c**2))),
        symbolic_zero(ratio - (a * b + Cov - c**2) / (b - d**2)),
    )


def _any_batch(lost: int = 1) -> Outcome:
    """V/B for B independent draws and (V/B)(N-B)/(N-1) for B different problems, for any N and B.

    S, Q and P are the sums of x, of x² and of the products of two different problems. Two draws of a batch without
    replacement are each ordered pair equally often. ``lost`` is subtracted from N under the line.
    """
    import sympy

    x, S, Q, P = sympy.symbols("x S Q P", real=True)
    N, B = sympy.symbols("N B", positive=True)
    variance = Q / N - (S / N) ** 2

    def of_a_batch(product_of_two):  # type: ignore[no-untyped-def]
        return (B * Q / N + B * (B - 1) * product_of_two) / B**2 - (S / N) ** 2

    once = of_a_batch((S**2 - Q) * sympy.gamma(N - 1) / sympy.gamma(N + 1))
    return all_of(
        zero_for_any_number(S**2 - Q - P, {S: x, Q: x**2, P: 2 * x * S}),
        symbolic_zero(of_a_batch((S / N) ** 2) - variance / B),
        symbolic_zero(once - variance / B * (N - B) / (N - lost)),
    )


def _linear_term(centred: bool = True) -> Outcome:
    """To first order Σ w g / Σ w over a batch moves by w̃ (g - c) for each draw, whose mean is 0; not by w̃ g."""
    import sympy

    mass, w, g, c, e = sympy.symbols("mass w g c e", real=True)
    W, G, R = sympy.symbols("W G R", real=True)
    of_batch = (G + e * (w * g - G)) / (W + e * (w - W))
    slope = sympy.diff(of_batch, e).subs(e, 0).subs(G, c * W)
    return all_of(
        symbolic_zero(slope - w / W * (g - c if centred else g)),
        zero_for_any_number(R - G + c * W, {R: mass * w * (g - c), G: mass * w * g, W: mass * w}),
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop7",
        where="Proposition 7, Eq. (6), (32)-(35)",
        title="The variance of the weighted estimator, term by term",
        verdict=Verdict.TRUE,
        paper="V_w = E[w~^2] E[M2] + Cov(w~^2, M2) - ||E[w~ g]||^2, and the ratio to V_unif is Eq. (35).",
        statement=(
            "Exact for weights normalised over the population; a batch of B iid problems has V_w/B, one without replacement "
            "(V_w/B)(N-B)/(N-1), so the ratio is the same. A batch that divides by its own weights has, to first order, "
            "E[w~^2 |g - E[w~ g]|^2]/B instead."
        ),
        latex=r"\frac{V_w}{V_{\mathrm{unif}}}=\frac{\mathbb E[\tilde w^2]+\operatorname{Cov}(\tilde w^2,M_2)/\mathbb E[M_2]-\|\mathbb E[\tilde wg]\|^2/\mathbb E[M_2]}{1-\|\mathbb E g\|^2/\mathbb E[M_2]}",
        equations=(6, 32, 33, 34, 35),
        functions=(
            variance_terms,
            self_normalised_variance,
        ),
        hypotheses=("weights divided by their mean over the training set, fixed before the batch is drawn",),
        depends_on=("eq4", "a4"),
        proof="E|x - E x|^2 = E|x|^2 - |E x|^2 for x = w~ g, and E[w~^2 M2] = E[w~^2] E[M2] + Cov, by induction on the problems, direction by direction, over which "
        "both sides add up. For a continuous law of problems sums become expectations, which are linear too.",
        numbers=lambda: {
            "V_w, population-normalised": variance_terms(
                BetaKernel().at([0.1, 0.3, 0.5, 0.8]), [3, 1.5, 1, -0.5]
            ).weighted_variance,
            "V_w, each batch by its own sum": self_normalised_variance(
                BetaKernel().at([0.1, 0.3, 0.5, 0.8]), [3, 1.5, 1, -0.5]
            ),
        },
        checks=(
            Check(
                "sympy",
                "Eq. (34) and (35), term by term",
                "any number of problems, by induction; any masses, weights and noise",
                _any_population,
                fails={"without the noise of a problem's gradient": {"noise": False}},
            ),
            Check(
                "sympy",
                "batches: V/B, and (V/B)(N-B)/(N-1) without replacement",
                "any N, by induction, and any B",
                _any_batch,
                fails={"N in place of N - 1": {"lost": 0}},
            ),
            Check(
                "sympy",
                "self-normalised batches move by w~ (g - E[w~ g]) to first order",
                "any number of problems, by induction",
                _linear_term,
                fails={"by w~ g": {"centred": False}},
            ),
            Check(
                "exact",
                "Eq. (34) is the variance over all batches",
                "4 problems in 2 dimensions, B <= 3, both ways of drawing",
                _decomposition_is_exact,
                fails={"with weights normalised inside the batch": {"own_sum": True}},
            ),
            Check(
                "numeric",
                "variance_terms is each term of Eq. (34)-(35)",
                "4 and 3 problems",
                _functions_are_the_terms,
                Result.SUPPORTED,
            ),
            Check(
                "monte_carlo",
                "self-normalised batches: the first-order variance",
                "8000 batches of 400",
                _first_order_self_normalised,
                Result.SUPPORTED,
                fails={"with Eq. (34) for self-normalised batches": {"centred": False}},
            ),
            Check(
                "numeric",
                "self_normalised_variance in rationals",
                "4 and 2 problems",
                _self_normalised_numbers,
                Result.SUPPORTED,
            ),
        ),
    ),
)
