"""Refill, weight or draw (``x16``): effective sample size per step, and when each wins."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction as Fr

import numpy as np

from paced.theory.claims.coupling import covariance_of_pairs
from paced.theory.facts.batching import BATCHINGS, ess_of_slots, refill_gain, sampling_margin, slot_second_moment
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    holds_for_all,
    mean_is,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
)
from paced.weights import BetaKernel, DropZero, WeightFunction
from paced.weights.betabinomial import log_pmf


def _refill_is_a_share(conditional: bool = True) -> Outcome:
    """E[h² M2 | h>0]/E[h | h>0]² = P(h>0) E[h² M2]/E[h]², with the same target E[h g]/E[h]; in SymPy."""
    import sympy

    share, square, mean, signal = sympy.symbols("P Ehh Eh Ehg", positive=True)  # means over all problems
    over = share if conditional else sympy.Integer(1)
    return all_of(
        symbolic_zero((square / over) / (mean / over) ** 2 - share * square / mean**2),
        symbolic_zero((signal / over) / (mean / over) - signal / mean),
    )


def _draw_against_refill() -> Outcome:
    """S_refill - S_sample = Cov(h, h M2)/E[h]² among the problems kept; for M2 = h^tau its sign is that of 1 + tau."""
    import sympy

    first, second, moment = sympy.symbols("Eh EhhM EhM", positive=True)
    return symbolic_zero(second / first**2 - moment / first - (second - first * moment) / first**2)


def _association(tilt: int = 1) -> Outcome:
    """Cov over three problems is Σ over pairs of m_i m_j (x_i - x_j)(y_i - y_j); ordered alike it is >= 0."""
    import z3

    x, y = z3.Reals("x1 x2 x3"), z3.Reals("y1 y2 y3")
    pairs = [(0, 1), (0, 2), (1, 2)]
    products = [tilt * (x[i] - x[j]) * (y[i] - y[j]) for i, j in pairs]
    masses = z3.Reals("m12 m13 m23")
    return unsatisfiable(
        *[mass >= 0 for mass in masses], *[(x[i] - x[j]) * (y[i] - y[j]) >= 0 for i, j in pairs],
        z3.Sum([mass * product for mass, product in zip(masses, products, strict=True)]) < 0,
    )  # fmt: skip


def _signs(at: float = -1.0) -> Outcome:
    """Sampling has the smaller second moment for M2 = h^tau above tau = ``at``, refill below it."""
    from hypothesis import strategies as st

    problems = st.tuples(st.lists(st.floats(0.05, 1), min_size=2, max_size=6), st.floats(-3, 2))

    def law(case: tuple[list[float], float]) -> bool | None:
        weights, tau = np.array([0.0, *case[0]]), case[1]
        if abs(tau + 1) < 1e-3 or np.ptp(case[0]) < 1e-3:
            return None
        m2 = np.where(weights > 0, np.maximum(weights, 0.05) ** tau, 1.0)
        drawn, refilled = (slot_second_moment(weights, m2, batching=way) for way in ("sample", "refill"))
        same = (drawn < refilled) == (sampling_margin(weights, m2) > 0)
        return same and (drawn < refilled) == (tau > at)

    ends = (([0.05, 1.0], -3.0), ([0.05, 1.0] * 3, 2.0))
    return holds_for_all(problems, law, ends=ends, examples=80)


def _one_pass_is_the_same(repeat: bool = False) -> Outcome:
    """Over one pass of N problems weighting and refill have the same ESS, Σ over steps; refill makes fewer steps."""
    cases = []
    for counts in ((3, 5, 2), (1, 0, 7), (10, 2, 2)):
        h = [Fr(0)] * counts[0] + [Fr(1)] * counts[1] + [Fr(1, 3)] * counts[2]
        kept = [x for x in h if x > 0]

        def share(w: list[Fr]) -> Fr:
            return sum(w, Fr(0)) ** 2 / (len(w) * sum((x * x for x in w), Fr(0)))

        slots = len(h) if repeat else len(kept)
        cases.append(({"counts": str(counts)}, share(h) * len(h), share(kept) * slots))
        cases.append(({"counts": str(counts)}, share(kept) / share(h), Fr(len(h), len(kept))))
    return equal_exactly(cases)


def _public_functions() -> Outcome:
    """Against (sum w)²/(n sum w²) of the problems that take a slot, and E over draws, for the trainer's weights."""
    rng = np.random.default_rng(8)
    outcomes = []
    for weights in (DropZero()(rng.integers(0, 9, 50), 8), BetaKernel(1, 2)(rng.integers(0, 9, 50), 8)):
        kept = weights[weights > 0]
        m2 = rng.lognormal(size=50)
        expected = [w.sum() ** 2 / (w.size * np.sum(w**2)) for w in (weights, kept)]
        outcomes.append(agree([ess_of_slots(weights, batching=way) for way in BATCHINGS], [*expected, 1.0]))
        outcomes.append(agree(refill_gain(weights), 50 / kept.size))
        drawn = np.sum(weights / weights.sum() * m2)
        outcomes.append(agree(slot_second_moment(weights, m2, batching="sample"), drawn))
        inside = m2[weights > 0]
        outcomes.append(
            agree(slot_second_moment(weights, m2, batching="refill"), np.mean(kept**2 * inside) / kept.mean() ** 2)
        )
    return all_of(*outcomes)  # fmt: skip


def _targets(weighted: bool = True) -> Outcome:
    """Means of simulated slots of refill are E[h g]/E[h], the weighted objective's gradient."""
    rng = np.random.default_rng(12)
    h = BetaKernel()(rng.integers(0, 17, 300), 16)
    g = rng.normal(size=300) + 10 * h
    target = float(h @ g / h.sum())
    kept = np.flatnonzero(h > 0)
    slots = rng.choice(kept, size=100_000)
    scale = h[slots] / h[kept].mean() if weighted else 1.0
    return mean_is(scale * g[slots], target)


def _sampling_always_wins(tau: float = -2.0) -> Outcome:
    """The sentence that drawing always has the smaller second moment: M2 = h^tau on three problems."""
    h = np.array([1.0, 2.0, 4.0])
    m2 = h**tau
    drawn, refilled = (slot_second_moment(h, m2, batching=way) for way in ("sample", "refill"))
    if drawn > refilled:
        return refuted("refill has the smaller second moment", M2=f"h^{tau:g}", sample=drawn, refill=refilled)
    return supported(1)


def ess_table(largest: int = 24) -> dict[str, list[float]]:
    """Effective share of a step's slots against K, pass rates Beta(1/2, 1/2)."""
    sizes = range(2, largest + 1)
    columns: dict[str, list[float]] = {"K": [float(K) for K in sizes]}
    rules: dict[str, Callable[[], WeightFunction]] = {"kernel": BetaKernel, "drop-zero": DropZero}
    for name, rule in rules.items():
        for way in BATCHINGS[:2]:
            columns[f"{name}, {way}"] = [_ess_under_a_law(rule(), K, way == "refill") for K in sizes]
    columns["sample"] = [1.0] * len(sizes)
    return columns


def _ess_under_a_law(rule: WeightFunction, K: int, refill: bool, law: tuple[float, float] = (0.5, 0.5)) -> float:
    weights = rule(np.arange(K + 1), K)
    return ess_of_slots(weights, batching="refill" if refill else "weight", masses=np.exp(log_pmf(K, *law)))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x16",
        where="extension",
        title="Refill or reweight: what a slot of a step is worth",
        verdict=Verdict.CONDITIONAL,
        statement="Weighting, refill (only problems with h > 0 take a slot) and drawing in proportion have the same target. The second moment of a slot is "
        "E[h^2 M2]/E[h]^2, P(h > 0) times that, and E[h M2]/E[h]. So a step of refill is worth 1/P(h > 0) steps of weighting, for every second moment, "
        "and its term in the bound of Prop. 8 is smaller by this factor; over one pass of the problems the two have the same effective sample and "
        "refill fewer steps. Drawing beats refill iff Cov(h, h M2) > 0 among the problems kept: for M2 ∝ h^tau iff tau > -1.",
        latex=r"S_{\text{refill}}=P(h>0)\,\frac{\mathbb E[h^2M_2]}{\mathbb E[h]^2},\qquad S_{\text{sample}}=\frac{\mathbb E[hM_2]}{\mathbb E[h]},\qquad "
        r"S_{\text{refill}}-S_{\text{sample}}=\frac{\operatorname{Cov}_{h>0}(h,hM_2)}{\mathbb E_{h>0}[h]^2}",
        functions=(slot_second_moment, ess_of_slots, refill_gain, sampling_margin),
        hypotheses=("slots are drawn independently from all problems", "weights are independent of the gradients given the problem",
                    "problems do not run out: refill and drawing see those kept more often in the same number of steps"),
        depends_on=("prop7", "prop8", "x9", "x11"),
        proof="Condition on h > 0: E[h^2 M2 | h>0] = E[h^2 M2]/P and E[h | h>0] = E[h]/P. The difference to drawing is a covariance, which is a sum over pairs "
        "of (h_i - h_j)(h_i M2_i - h_j M2_j); for M2 = h^tau each has the sign of 1 + tau.",
        numbers=lambda: {
            f"{name}, {way}, Beta(.5, .5), K = 8": _ess_under_a_law(rule, 8, way == "refill")
            for name, rule in (("kernel", BetaKernel()), ("drop-zero", DropZero())) for way in ("weight", "refill")
        },
        counterexample=Counterexample(
            "Drawing does not always win: with M2 = h^-2 on h = 1, 2, 4 refill has the smaller second moment.",
            evaluate=lambda: {way: slot_second_moment([1, 2, 4], [1, 1 / 4, 1 / 16], batching=way) for way in BATCHINGS},
        ),
        picture=Picture("slots_that_count", ess_table, "Effective share of a step's slots, pass rates Beta(1/2, 1/2)."),
        checks=(
            Check("sympy", "refill's second moment is P(h > 0) times that of weighting, with the same mean", "all means",
                  _refill_is_a_share, fails={"without conditioning on h > 0": {"conditional": False}}),
            Check("exact", "one pass: the same effective sample in fewer steps", "3 populations", _one_pass_is_the_same,
                  fails={"as many steps as weighting": {"repeat": True}}),
            Check("sympy", "refill minus drawing is a covariance", "all means", _draw_against_refill),
            Check("sympy", "twice a covariance is a sum over pairs", "any number of problems, by induction; any masses", covariance_of_pairs),
            Check("z3", "which is >= 0 where the two are ordered alike", "any masses", _association,
                  fails={"ordered against each other": {"tilt": -1}}),
            Check("hypothesis", "the sign of Cov, and of 1 + tau, decides", "tau in [-3, 2]", _signs, Result.SUPPORTED,
                  fails={"from tau = 0": {"at": 0.0}}),
            Check("numeric", "the public functions, on the trainer's weights", "2 weight functions", _public_functions, Result.SUPPORTED),
            Check("monte_carlo", "refill aims at the weighted gradient", "100,000 slots", _targets, Result.SUPPORTED,
                  fails={"unit weights among those kept": {"weighted": False}}),
            Check("numeric", "drawing always has the smaller second moment", "three problems", _sampling_always_wins, Result.REFUTED),
        ),
    ),
)  # fmt: skip
