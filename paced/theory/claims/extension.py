"""The claim about better weights from counts: ``x1`` (posterior means and h*)."""

from __future__ import annotations

from math import comb

import mpmath
import numpy as np

from paced.theory.facts.extensions import rollout_quality
from paced.theory.facts.populations import whole_beta
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    holds_for_all,
    refuted,
    supported,
    symbolic_zero,
)
from paced.weights import BetaKernel
from paced.weights.estimates import EstimatorName


def counted(estimator: EstimatorName, num_rollouts: int, **settings: object) -> np.ndarray:
    """The trainer's weight at s = 0..K."""
    return BetaKernel(estimator=estimator, **settings)(np.arange(num_rollouts + 1), num_rollouts)  # type: ignore[arg-type]


# --- x1 ---------------------------------------------------------------------------------------------------------------
def _posterior_means(shift: int = 0) -> Outcome:
    """E[p^alpha q^beta | s] by integrating polynomials in rationals, against the trainer's estimator."""
    computed, expected, places = [], [], []
    for K, a0, b0, alpha, bet in ((8, 1, 1, 1, 1), (5, 2, 3, 1, 2), (11, 1, 4, 3, 1), (3, 6, 1, 0, 2)):
        weights = counted("posterior", K, alpha=alpha, beta=bet, prior=(a0, b0))
        for s in range(K + 1):
            exact = whole_beta(a0 + s + alpha + shift, b0 + K - s + bet) / whole_beta(a0 + s + shift, b0 + K - s)
            computed.append(weights[s])
            expected.append(float(exact))
            places.append(s)
    return agree(computed, expected, s=places)


def _posterior_averages_to_the_prior_mean() -> Outcome:
    """The tower rule: the mean over s of the posterior mean is E[p^alpha q^beta]."""
    cases = []
    for K, a0, b0, alpha, bet in ((4, 1, 1, 1, 1), (7, 2, 5, 2, 1), (8, 3, 1, 1, 3)):
        total = sum(
            comb(K, s) * whole_beta(a0 + s, b0 + K - s) / whole_beta(a0, b0)
            * whole_beta(a0 + s + alpha, b0 + K - s + bet) / whole_beta(a0 + s, b0 + K - s)
            for s in range(K + 1)
        )  # fmt: skip
        cases.append(({"K": K}, total, whole_beta(a0 + alpha, b0 + bet) / whole_beta(a0, b0)))
    return equal_exactly(cases)


def _table_of_qualities(shift: int = 0) -> Outcome:
    """Flat M2, w* = pq, uniform p: closed forms in K against exact enumeration of the trainer's weights."""
    K = np.array([2, 3, 4, 7, 8, 16, 31])
    half = {"signal_exponents": (0.5, 0.5)}
    posterior = [rollout_quality(counted("posterior", int(k)), **half) for k in K]
    plugin = [rollout_quality(counted("plugin", int(k)), **half) for k in K]
    unbiased = [rollout_quality(counted("unbiased", int(k)), **half) for k in K]
    return all_of(
        agree(posterior, ((K + 2) ** 2 + 1) / ((K + 2) * (K + 3 + shift)), rtol=1e-11, K=K),
        agree(plugin, K * (K - 1) / (K**2 + 1), rtol=1e-11, K=K),
        agree(unbiased, plugin, rtol=1e-11, K=K),
    )


def _quality_by_quadrature() -> Outcome:
    """E[h s2]^2/(E[h^2 M2] E[s2^2/M2]) by mpmath's quadrature at exponents and laws of no special form."""
    outcomes = []
    for K, a, b, t0, t1, x, y in ((5, 0.3, 0.6, -0.2, 0.1, 1.4, 2.2), (3, 0.5, 0.25, 0.4, -0.3, 0.9, 1.1)):
        h = np.arange(K + 1) * 0.3 + 0.1

        def mean(f, x=x, y=y):  # type: ignore[no-untyped-def]
            weight = lambda p: p ** (x - 1) * (1 - p) ** (y - 1) / mpmath.beta(x, y)  # noqa: E731
            return mpmath.quad(lambda p: f(p) * weight(p), [0, 0.01, 0.5, 0.99, 1])

        def of_counts(p, power, K=K, h=h):  # type: ignore[no-untyped-def]
            return sum(comb(K, s) * p**s * (1 - p) ** (K - s) * float(h[s]) ** power for s in range(K + 1))

        top = mean(lambda p, a=a, b=b: of_counts(p, 1) * p ** (2 * a) * (1 - p) ** (2 * b)) ** 2
        bottom = mean(lambda p, t0=t0, t1=t1: of_counts(p, 2) * p**t0 * (1 - p) ** t1)
        best = mean(lambda p, a=a, b=b, t0=t0, t1=t1: p ** (4 * a - t0) * (1 - p) ** (4 * b - t1))
        computed = rollout_quality(h, signal_exponents=(a, b), second_moment_exponents=(t0, t1), law=(x, y))
        outcomes.append(agree(computed, float(top / (bottom * best)), rtol=1e-9, K=K))
    return all_of(*outcomes)


HOT = {"signal_exponents": (0.25, 0.25), "second_moment_exponents": (-0.5, -0.5)}


def _cauchy_schwarz(sign: int = -1) -> Outcome:
    """E[M2; s] = B, E[s2; s] = A, h* = A/B: (sum B h²)(sum A²/B) - (sum A h)² is a sum of squares over pairs of counts.

    Each pair (s, t) of the double sum gives B_s B_t (h_s h*_t - h_t h*_s)², each diagonal term 0: so for any number of
    counts, with equality only where h is proportional to h*.
    """
    import sympy

    h, g = sympy.symbols("h_s h_t", real=True)
    a, b, c, d = sympy.symbols("A_s A_t B_s B_t", positive=True)
    pair = c * h**2 * b**2 / d + d * g**2 * a**2 / c - 2 * a * h * b * g
    return all_of(
        symbolic_zero(pair - c * d * (h * b / d + sign * g * a / c) ** 2),
        symbolic_zero(c * h**2 * a**2 / c - (a * h) ** 2),
    )


def _nothing_beats_h_star(estimator: EstimatorName = "bayes_optimal") -> Outcome:
    """Random weights of K = 6 rollouts never reach the quality of h* by more than rounding, hot extremes included."""
    from hypothesis import strategies as st

    kernel = BetaKernel(1.0, 1.0, estimator=estimator, second_moment_exponents=(-0.5, -0.5))
    best = rollout_quality(kernel(np.arange(7), 6), **HOT)

    def law(h: list[float]) -> bool | None:
        return rollout_quality(h, **HOT) <= best * (1 + 1e-12) if any(h) else None

    near = kernel(np.arange(7), 6)
    nudges = st.lists(st.floats(0.5, 1.5), min_size=7, max_size=7).map(lambda f: list(near * np.array(f)))
    weights = st.one_of(st.lists(st.floats(0, 1), min_size=7, max_size=7), nudges)
    return holds_for_all(weights, law, ends=([0.0] * 6 + [1.0], [1.0] * 7, list(near * 1.5)), examples=300)


def _h_star_numbers() -> Outcome:
    """Three qualities at K = 8 with hot extremes, as rationals."""
    computed = [
        rollout_quality(counted(name, 8, second_moment_exponents=(-0.5, -0.5)), **HOT)
        for name in ("plugin", "bayes_optimal")
    ]
    return agree(computed, [84 / 101, 118 / 135], rtol=1e-11)


def _posterior_always_wins(tau: float = -0.4) -> Outcome:
    """What the control says: that the posterior mean beats the plug-in whatever M2."""
    second, law = (tau, tau), (0.6, 0.6)
    quality = {
        name: rollout_quality(
            counted(name, 8, prior=law), signal_exponents=(0.3, 0.3), second_moment_exponents=second, law=law
        )
        for name in ("plugin", "posterior")
    }
    if quality["posterior"] >= quality["plugin"]:
        return supported(1)
    return refuted("the plug-in is better under Beta(.6,.6) with hot extremes", engine="numeric", **quality)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x1",
        where="extension",
        title="Posterior means, and the best weight that sees K rollouts only",
        verdict=Verdict.CONDITIONAL,
        statement="Under p ~ Beta(a0, b0) the posterior mean of p^alpha q^beta is a ratio of Beta functions. Among all weights h(s), "
        "h*(s) = E[s2|s]/E[M2|s] has the largest scale-free efficiency; it is the posterior mean when M2 is constant.",
        latex=r"\hat w(s)=\frac{B(a_0+s+\alpha,b_0+K-s+\beta)}{B(a_0+s,b_0+K-s)},\qquad h^\star(s)=\frac{\mathbb E[\sigma^2\mid s]}{\mathbb E[M_2\mid s]}",
        paper="The pass rate is estimated by s/K and the kernel evaluated there.",
        functions=(rollout_quality, BetaKernel),
        hypotheses=(
            "p ~ Beta(a0, b0)",
            "rollouts independent of the gradient given p",
            "for the posterior mean: M2 constant in p",
        ),
        depends_on=("eq1", "eq3", "lem5"),
        proof="Conjugacy gives the ratio. Given s, E[h s2] = sum_s h(s) E[s2|s] P(s), and Cauchy-Schwarz in the weights E[M2|s] P(s) is tight at h*.",
        repair="Default to h* with the measured exponents of M2, or use the posterior mean where M2 is flat; it is not better in general.",
        numbers=lambda: {
            "posterior at s = 0, K = 8, uniform prior": float(counted("posterior", 8)[0]),
            "quality of the posterior, K = 4": rollout_quality(counted("posterior", 4), signal_exponents=(0.5, 0.5)),
            "quality of the plug-in, K = 8": rollout_quality(counted("plugin", 8), signal_exponents=(0.5, 0.5)),
        },
        counterexample=Counterexample(
            "Prior Beta(.6,.6), s2 = (pq)^.6, M2 = (pq)^-.4, K = 8: the plug-in beats the posterior mean; h* beats both.",
            evaluate=lambda: {
                name: rollout_quality(
                    counted(name, 8, prior=(0.6, 0.6), alpha=1.0, beta=1.0, second_moment_exponents=(-0.4, -0.4)),
                    signal_exponents=(0.3, 0.3),
                    second_moment_exponents=(-0.4, -0.4),
                    law=(0.6, 0.6),
                )
                for name in ("plugin", "posterior", "bayes_optimal")
            },
        ),
        checks=(
            Check(
                "numeric",
                "the trainer's posterior mean is the ratio of rationals",
                "4 priors, K <= 11",
                _posterior_means,
                Result.SUPPORTED,
                fails={"one pass more in the posterior": {"shift": 1}},
            ),
            Check(
                "exact", "its mean over s is the prior mean", "K in {4, 7, 8}", _posterior_averages_to_the_prior_mean
            ),
            Check(
                "numeric",
                "closed forms of the qualities, flat M2",
                "K in 2..31",
                _table_of_qualities,
                Result.SUPPORTED,
                fails={"K + 4 for K + 3": {"shift": 1}},
            ),
            Check("numeric", "the quality by quadrature", "2 laws", _quality_by_quadrature, Result.SUPPORTED),
            Check(
                "sympy",
                "what h loses against h* is a sum of squares",
                "any K, all h, s2 and M2 > 0",
                _cauchy_schwarz,
                fails={"with the other sign": {"sign": 1}},
            ),
            Check(
                "hypothesis",
                "no h(s) beats h*",
                "K = 6, hot extremes",
                _nothing_beats_h_star,
                Result.SUPPORTED,
                fails={"the posterior mean in place of h*, M2 not flat": {"estimator": "posterior"}},
            ),
            Check("numeric", "qualities with hot extremes as rationals", "K = 8", _h_star_numbers, Result.SUPPORTED),
        ),
        other_controls=(Control("numeric", "without M2 constant: posterior above plug-in", _posterior_always_wins),),
    ),
)
