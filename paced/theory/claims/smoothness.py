"""The claim about the kernel's smoothness, and the problems that K rollouts drop all the same (``eq3.smooth``)."""

from __future__ import annotations

from math import comb

import mpmath
import numpy as np

from paced.theory.facts.kernel import (
    kernel_slope,
    lipschitz_constant,
    unit_mean_lipschitz_constant,
    zeroed_probability,
    zeroed_share,
)
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, refuted, supported, unsatisfiable
from paced.weights import BetaKernel


def _default_is_one_lipschitz(constant: float = 1.0) -> Outcome:
    import z3

    x, y = z3.Reals("p p_hat")
    inside = [x >= 0, x <= 1, y >= 0, y <= 1]
    difference = x * (1 - x) - y * (1 - y)
    bound = z3.RealVal(str(constant)) * (x - y)
    return unsatisfiable(*inside, difference * difference > bound * bound)


def _unit_mean_is_lipschitz(constant: int = 6) -> Outcome:
    """w̃ = w/E[w], E[w] = 1/6 for uniform pass rates: |w̃(p_hat) - w̃(p)| <= 6 |p_hat - p|."""
    import z3

    x, y = z3.Reals("p p_hat")
    inside = [x >= 0, x <= 1, y >= 0, y <= 1]
    difference = 6 * (x * (1 - x) - y * (1 - y))
    bound = constant * (x - y)
    return unsatisfiable(*inside, difference * difference > bound * bound)


def _unit_mean_constants(shift: float = 0.0) -> Outcome:
    """Against sup |w'| and E[w] by mpmath's quadrature."""
    outcomes = []
    for a, b, law in ((1.0, 1.0, (1.0, 1.0)), (1.0, 1.0, (0.5, 0.5)), (2.0, 1.0, (0.7, 3.0))):
        mean = mpmath.beta(law[0] + a + shift, law[1] + b) / mpmath.beta(*law)
        steepest = max(abs(kernel_slope(p, alpha=a, beta=b)) for p in np.linspace(0, 1, 10_001))
        computed = unit_mean_lipschitz_constant(a, b, law=law)
        outcomes.append(agree(computed, steepest / float(mean), rtol=1e-7, A=law[0]))
    return all_of(*outcomes)


def _lipschitz_constants() -> Outcome:
    """The closed form against the largest |w'| on a fine grid."""
    grid = np.linspace(0, 1, 200_001)
    pairs = ((1.0, 1.0), (1.0, 2.0), (2.0, 2.0), (3.0, 1.0), (2.5, 4.25), (4.25, 2.5), (0.0, 2.0))
    steepest = []
    for a, b in pairs:
        slope = a * np.power(grid, max(a - 1, 0)) * (1 - grid) ** b - b * grid**a * np.power(1 - grid, max(b - 1, 0))
        steepest.append(float(np.abs(slope).max()))
    computed = [lipschitz_constant(a, b) for a, b in pairs]
    return all_of(
        agree(computed, steepest, rtol=1e-8, alpha=[a for a, _ in pairs]),
        agree([kernel_slope(0.3, alpha=2, beta=0), kernel_slope(0.3, alpha=0, beta=2)], [0.6, -1.4]),
        agree([1 / lipschitz_constant(0.5, 1), 1 / lipschitz_constant(1, 0.5), lipschitz_constant(0, 0)], 0.0),
        agree(kernel_slope(0.3, alpha=2.5, beta=4.25), float(mpmath.diff(lambda t: t**2.5 * (1 - t) ** 4.25, 0.3))),
    )


def _quotient_stays_below(alpha: float, bound: float) -> Outcome:
    """|w(h) - w(0)|/h stays below ``bound`` as h -> 0."""
    for step in 10.0 ** -np.arange(1, 13):
        quotient = float(BetaKernel(alpha, 1).at(step)) / step
        if quotient > bound:
            return refuted("the difference quotient at 0 is unbounded", p_hat=float(step), quotient=quotient)
    return supported(12)


def _zeroed_shares() -> Outcome:
    """Weights that are 0, counted over all outcomes of the kernel itself, against the closed forms."""
    outcomes = []
    for k in (2, 5, 8, 16):
        s = np.arange(k + 1)
        zero = BetaKernel()(s, k) == 0
        for p in (0.1, 0.37):
            pmf = np.array(
                [float(comb(k, int(i)) * mpmath.mpf(p) ** int(i) * (1 - mpmath.mpf(p)) ** int(k - i)) for i in s]
            )
            outcomes.append(agree(zeroed_probability(p, k), pmf[zero].sum(), p=p, K=k))
        outcomes.append(agree(zeroed_share(k), zero.sum() / (k + 1), K=k))
        outcomes.append(
            agree(
                zeroed_share(k, prior=(0.6, 2.3)),
                float(sum(mpmath.beta(0.6 + x, 2.3 + k - x) for x in (0, k)) / mpmath.beta(0.6, 2.3)),
                K=k,
            )
        )
    return all_of(*outcomes)


def _keeps_every_solvable_problem(num_rollouts: int) -> Outcome:
    """The paper's wording: no hard threshold, so a problem with 0 < p < 1 is never dropped."""
    dropped = float(zeroed_probability(0.1, num_rollouts))
    if dropped > 0 and BetaKernel()([0], num_rollouts)[0] == 0:
        return refuted("a problem with p = 0.1 gets weight 0", K=num_rollouts, s=0, probability=dropped)
    return supported(1)


def _zeroed_table() -> dict[str, list[float]]:
    rates = np.linspace(0.01, 0.99, 99)
    columns: dict[str, list[float]] = {"pass_rate": rates.tolist()}
    for k in (4, 8, 16):
        columns[f"K={k}"] = zeroed_probability(rates, k).tolist()
    return columns


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="eq3.smooth",
        where="Sections 3.3 and 4.3.2",
        title="The kernel is smooth, but with K rollouts it drops problems",
        verdict=Verdict.CONDITIONAL,
        paper="A continuous weight function does not amplify estimation errors near the decision boundary, unlike hard filters.",
        statement=(
            "|w(p_hat) - w(p)| <= |p_hat - p| for the default, and 6 |p_hat - p| for the unit-mean weight of uniform pass "
            "rates, which is what training multiplies by (8 for Beta(1/2, 1/2)); Lipschitz if and only if alpha and beta are "
            "0 or >= 1. Yet the plug-in weight is 0 at s = 0 and s = K: with probability p^K + (1-p)^K a solvable problem is dropped."
        ),
        latex=r"|w(\hat p)-w(p)|\le|\hat p-p|,\qquad |\tilde w(\hat p)-\tilde w(p)|\le\frac{|\hat p-p|}{\mathbb E[w]},\qquad \Pr[w(\hat p)=0]=p^K+(1-p)^K",
        functions=(
            lipschitz_constant,
            unit_mean_lipschitz_constant,
            kernel_slope,
            zeroed_probability,
            zeroed_share,
        ),
        hypotheses=("alpha and beta are 0 or at least 1", "the weight is not read off at s = 0 or s = K"),
        depends_on=("eq1", "eq3"),
        proof="w' is a polynomial times (alpha - (alpha+beta)p) and bounded exactly when no exponent lies strictly between "
        "0 and 1. A hard filter sits at the two ends: under p ~ U(0,1) the share 2/(K+1) of all problems gets weight 0.",
        repair="Use the posterior-mean weight (x1), which is never 0.",
        numbers=lambda: {
            "P(w = 0), p = 0.1, K = 8": float(zeroed_probability(0.1, 8)),
            "share of zeros, uniform law, K = 8": float(zeroed_share(8)),
            "Lipschitz constant of (2,2)": lipschitz_constant(2, 2),
            "of the unit-mean default, uniform law": unit_mean_lipschitz_constant(1, 1),
            "of the unit-mean default, Beta(1/2, 1/2)": unit_mean_lipschitz_constant(1, 1, law=(0.5, 0.5)),
        },
        counterexample=Counterexample(
            "p = 0.1, K = 8: in 43% of all draws no rollout passes, and a problem worth learning gets weight 0.",
            lambda: {
                "probability of weight 0": float(zeroed_probability(0.1, 8)),
                "weight at s=0": float(BetaKernel()([0], 8)[0]),
            },
        ),
        picture=Picture(
            "zeroed_problems", _zeroed_table, "How often the plug-in weight drops a problem with pass rate p."
        ),
        checks=(
            Check(
                "z3",
                "the default is 1-Lipschitz",
                "p, p_hat in [0,1]",
                _default_is_one_lipschitz,
                fails={"with Lipschitz constant 0.99": {"constant": 0.99}},
            ),
            Check(
                "z3",
                "the unit-mean default is 6-Lipschitz",
                "uniform law, p, p_hat in [0,1]",
                _unit_mean_is_lipschitz,
                fails={"with the kernel's own constant 1": {"constant": 1}},
            ),
            Check(
                "numeric",
                "its constant for other laws",
                "3 laws",
                _unit_mean_constants,
                Result.SUPPORTED,
                fails={"alpha + 0.01 in the mean": {"shift": 0.01}},
            ),
            Check("numeric", "closed form of sup |w'|", "7 kernels", _lipschitz_constants, Result.SUPPORTED),
            Check("numeric", "probability and share of zeros", "K in {2,5,8,16}", _zeroed_shares, Result.SUPPORTED),
            Check(
                "numeric",
                "no solvable problem is dropped",
                "p = 0.1, K = 8",
                lambda: _keeps_every_solvable_problem(8),
                Result.REFUTED,
            ),
        ),
        other_controls=(
            Control(
                "numeric", "with alpha = 1/2: bounded difference quotient", lambda: _quotient_stays_below(0.5, 100.0)
            ),
        ),
    ),
)
