"""Claims about how many problems a weighting leaves: ``x9`` (effective sample size) and ``x11`` (draw instead of weight)."""

from __future__ import annotations

from fractions import Fraction as Fr
from itertools import pairwise

import mpmath
import numpy as np

from paced.theory.claims.extension import counted
from paced.theory.facts.extensions import ess_fraction, rollout_ess_fraction, sampling_ratio
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, mean_is, refuted, supported, symbolic_zero
from paced.weights import normalise, sampling_probabilities


# --- x9, x11 ----------------------------------------------------------------------------------------------------------
def _ess_closed_forms(shift: int = 0) -> Outcome:
    """ESS/N in rationals: uniform law at (1,1), (1,2), (1,3); Beta(c,c) at the default."""
    cases = {(1, 1): Fr(5, 6), (1, 2): Fr(35, 48), (1, 3): Fr(63, 100)}
    c = np.array([0.3, 0.5, 2.0, 3.7])
    return all_of(
        agree([ess_fraction(pair) for pair in cases], [float(value) for value in cases.values()], rtol=1e-11),
        agree([ess_fraction((1, 1), law=(x, x)) for x in c], c * (2 * c + 3 + shift) / ((c + 1) * (2 * c + 1)),
              rtol=1e-11, c=c),
    )  # fmt: skip


def _ess_of_counts() -> Outcome:
    """K rollouts, uniform p: closed forms against enumeration, and against ESS/N of a large balanced training set."""
    K = np.array([2, 4, 8, 16, 23])
    plugin = [rollout_ess_fraction(counted("plugin", int(k))) for k in K]
    posterior = [rollout_ess_fraction(counted("posterior", int(k))) for k in K]
    # under a uniform law every count is equally likely, so one problem of each count is the population
    sets = [normalise(counted("plugin", int(k))).ess_fraction for k in K]
    return all_of(
        agree(plugin, 5 / 6 * K * (K - 1) / (K**2 + 1), rtol=1e-11, K=K),
        agree(posterior, 5 / 6 * (K + 2) * (K + 3) / ((K + 2) ** 2 + 1), rtol=1e-11, K=K),
        agree(sets, plugin, rtol=1e-11, K=K),
    )


def _diminishing(step: int = 1) -> Outcome:
    """Each doubling of K adds less ESS, K = 2..64; ``step=-1`` asks for the opposite."""
    values = [rollout_ess_fraction(counted("plugin", 2**k)) for k in range(1, 7)]
    gains = [after - before for before, after in pairwise(values)]
    for index, (first, second) in enumerate(pairwise(gains)):
        if step * (first - second) <= 0:
            return refuted("gains of two doublings", K=2 ** (index + 1), first=first, second=second)
    return supported(len(gains))


def _sampling_is_cheaper(weighted: bool = False) -> Outcome:
    """3(1+tau)/(3+2tau) is e(1+tau)/(e(1) e(tau)) and never above (38), by gammasimp and a sign."""
    import sympy

    t = sympy.symbols("tau", positive=True)

    def e(x: sympy.Expr) -> sympy.Expr:
        return sympy.gamma(1 + x) ** 2 / sympy.gamma(2 + 2 * x)

    ratio = e(1 + t) / (e(sympy.Integer(1)) * e(t))
    claimed = 3 * (1 + t) / (3 + 2 * t)
    by_weight = 9 * (1 + t) * (2 + t) / ((3 + 2 * t) * (5 + 2 * t))
    if weighted:
        return symbolic_zero(sympy.gammasimp(ratio) - by_weight)
    return all_of(
        symbolic_zero(sympy.gammasimp(ratio) - claimed),
        symbolic_zero(
            by_weight - claimed - 3 * (1 + t) ** 2 / ((3 + 2 * t) * (5 + 2 * t)), detail="the gap is a square"
        ),
    )


def _sampling_numbers() -> Outcome:
    tau = np.array([-0.9, -0.5, -0.13, 0.0, 0.8])
    expected = [float(mpmath.beta(2 + t, 2 + t) * 6 / mpmath.beta(1 + t, 1 + t)) for t in tau]
    return agree(sampling_ratio(tau), expected, rtol=1e-11, tau=tau)


def _same_target(weight_too: bool = False) -> Outcome:
    """Problems drawn with ``sampling_probabilities``: the mean of g is E[w̃ g], the gradient of the weighted objective."""
    rng = np.random.default_rng(11)
    weights = counted("plugin", 8)[rng.integers(0, 9, 400)]
    gradients = rng.normal(size=400) + 3 * weights
    drawn = rng.choice(400, size=200_000, p=sampling_probabilities(weights))
    unit = normalise(weights).unit_mean_weights
    values = gradients[drawn] * (unit[drawn] if weight_too else 1.0)
    return mean_is(values, float(np.mean(unit * gradients)))


CLAIMS = (
    Claim(
        id="x9",
        where="extension",
        title="Effective sample size, and why more rollouts help less and less",
        verdict=Verdict.TRUE,
        statement="ESS/N tends to e(alpha,beta)^2/e(2alpha,2beta); with K rollouts and uniform p it is (5/6) K(K-1)/(K^2+1) for plug-in and "
        "(5/6)(K+2)(K+3)/((K+2)^2+1) for posterior weights.",
        latex=r"\frac{\mathrm{ESS}}N\to\frac{e(\alpha,\beta)^2}{e(2\alpha,2\beta)},\qquad \frac56\,\frac{K(K-1)}{K^2+1}",
        functions=(
            ess_fraction,
            rollout_ess_fraction,
            normalise,
        ),
        hypotheses=("Beta pass rates; uniform for the forms in K",),
        depends_on=("eq4",),
        proof="Law of large numbers for (sum w)^2/(N sum w^2); sums of binomial moments for finite K.",
        numbers=lambda: {f"K = {k}": rollout_ess_fraction(counted("plugin", k)) for k in (4, 8, 16)},
        checks=(
            Check(
                "numeric",
                "closed forms as rationals",
                "7 laws",
                _ess_closed_forms,
                Result.SUPPORTED,
                fails={"2c + 4 for 2c + 3": {"shift": 1}},
            ),
            Check(
                "numeric", "with K rollouts, and the trainer's own ESS", "K in 2..23", _ess_of_counts, Result.SUPPORTED
            ),
            Check(
                "numeric",
                "every doubling of K adds less",
                "K in 2..64",
                _diminishing,
                Result.SUPPORTED,
                fails={"the opposite order of gains": {"step": -1}},
            ),
        ),
    ),
    Claim(
        id="x11",
        where="extension",
        title="Drawing problems in proportion has the same target and less variance",
        verdict=Verdict.TRUE,
        statement="Problems drawn with probability w/sum(w) and unit weight have the gradient of the weighted objective as their mean, and second moment "
        "E[w~ M2] in place of E[w~^2 M2]: for the default kernel and uniform p 3(1+tau)/(3+2tau), never above Eq. (38).",
        latex=r"\frac{\mathbb E[\tilde w M_2]}{\mathbb E[M_2]}=\frac{3(1+\tau)}{3+2\tau}\le\frac{9(1+\tau)(2+\tau)}{(3+2\tau)(5+2\tau)}",
        functions=(sampling_ratio, sampling_probabilities),
        hypotheses=("M2 = (pq)^tau, tau > -1", "uniform p for the closed form"),
        depends_on=("eq4",),
        proof="E over draws of g is sum w g/sum w. The difference to (38) is 3(1+tau)^2/((3+2tau)(5+2tau)).",
        numbers=lambda: {f"tau = {t:g}": float(sampling_ratio(t)) for t in (-0.5, 0.0)},
        checks=(
            Check(
                "sympy",
                "the ratio, and its gap to (38)",
                "tau > 0, then by continuation",
                _sampling_is_cheaper,
                fails={"the ratio of weighting in its place": {"weighted": True}},
            ),
            Check("numeric", "against mpmath's Beta function", "5 exponents", _sampling_numbers, Result.SUPPORTED),
            Check(
                "monte_carlo",
                "the mean is the weighted gradient",
                "400 problems, 200,000 draws",
                _same_target,
                Result.SUPPORTED,
                fails={"weights applied on top of the draw": {"weight_too": True}},
            ),
        ),
    ),
)
