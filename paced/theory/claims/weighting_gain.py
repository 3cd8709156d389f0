"""What any weighting can gain over a filter: Kantorovich's inequality (``x13``)."""

from __future__ import annotations

from fractions import Fraction as Fr

import mpmath
import numpy as np

from paced.theory.facts.extensions import rollout_quality
from paced.theory.facts.weighting_gain import (
    equal_weight_efficiency,
    gain_table,
    kantorovich_floor,
    kernel_range,
    largest_gain,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, holds_for_all, refuted, supported, unsatisfiable
from paced.weights import BetaKernel, DropZero
from paced.weights.budget.efficiency import (
    drop_zero_efficiency,
    hard_filter_efficiency,
    posterior_efficiency,
    uniform_efficiency,
)


def _pointwise() -> Outcome:
    """(w - m)(M - w) >= 0, so w² + mM <= (m + M) w at every problem, and so in the mean."""
    import z3

    w, m, top = z3.Reals("w m M")
    return unsatisfiable(m > 0, w >= m, w <= top, w * w + m * top > (m + top) * w)


def _in_the_mean(factor: int = 4) -> Outcome:
    """E w² + mM <= (m + M) E w gives factor mM E w² <= (m + M)² (E w)², factor 4."""
    import z3

    mean, square, m, top = z3.Reals("Ew Eww m M")
    return unsatisfiable(
        m > 0, top >= m, mean > 0, square > 0, square + m * top <= (m + top) * mean,
        factor * m * top * square > (m + top) * (m + top) * mean * mean,
    )  # fmt: skip


def _two_ends_attain_it(share_of_largest: Fr | None = None) -> Outcome:
    """A law with mass m/(m+M) at M and the rest at m has exactly 4mM/(m+M)², in rationals."""
    cases = []
    for m, top in ((Fr(7, 64), Fr(1, 4)), (Fr(4, 25), Fr(1, 4)), (Fr(1, 100), Fr(3)), (Fr(2), Fr(2))):
        t = m / (m + top) if share_of_largest is None else share_of_largest
        mean, square = t * top + (1 - t) * m, t * top**2 + (1 - t) * m**2
        cases.append(({"m": str(m), "M": str(top)}, mean**2 / square, 4 * m * top / (m + top) ** 2))
    return equal_exactly(cases)


def _no_population_is_below(shrink: float = 1.0) -> Outcome:
    """Random weights and masses: E[w]²/E[w²] against the floor of their own range."""
    from hypothesis import strategies as st

    problems = st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1)), min_size=1, max_size=8)

    def law(rows: list[tuple[float, float]]) -> bool:
        weights, masses = np.array(rows).T
        floor = float(kantorovich_floor(weights.min(), shrink * weights.max() + (1 - shrink) * weights.min()))
        return equal_weight_efficiency(weights, masses=masses) >= floor - 1e-12

    ends = ([(1e-3, 1e-3)], [(1e-3, 1e-3), (1e3, 1.0)] * 4)
    return holds_for_all(problems, law, ends=ends, examples=60)


def _closed_numbers() -> Outcome:
    """The kernel's range by a grid, the two numbers as rationals, and the uniform law by mpmath's quadrature."""
    grid = np.linspace(0.1, 0.7, 6001)
    values = grid**1.5 * (1 - grid) ** 0.7
    table = gain_table(size=4)
    expected = []
    for e in table["epsilon"]:
        first, second = (mpmath.quad(lambda p, n=n: (p * (1 - p)) ** n, [e, 1 - e]) for n in (1, 2))
        expected.append(float(second * (1 - 2 * e) / first**2))
    return all_of(
        agree(kernel_range(0.1, 0.7, alpha=1.5, beta=0.7), (values.min(), values.max()), rtol=1e-6),
        agree([largest_gain(1 / 8, 7 / 8), largest_gain(0.2, 0.8)], [float(Fr(529, 448)), float(Fr(1681, 1600))]),
        agree(table["uniform law"], expected, rtol=1e-9),
    )


def _drop_zero_comes_near(mastery: float = 1.0) -> Outcome:
    """w* = p(1-p), M2 ∝ (1-p)^mastery, K = 8: efficiency of drop-zero over that of the kernel, three laws."""
    ratios = []
    for law in ((1.0, 1.0), (0.5, 0.5), (0.3, 0.3)):
        zero, kernel = (
            rollout_quality(
                rule(np.arange(9), 8), signal_exponents=(0.5, 0.5 + mastery / 2),
                second_moment_exponents=(0.0, mastery), law=law,
            )
            for rule in (DropZero(), BetaKernel())
        )  # fmt: skip
        if zero < 0.94 * kernel:
            return refuted("drop-zero is far behind", law=str(law), drop_zero=zero, kernel=kernel)
        ratios.append(zero / kernel)
    return supported(len(ratios), f"{min(ratios):.3f} to {max(ratios):.3f} of the kernel's")


def _under_a_law() -> dict[str, float]:
    law, K = (Fr(1, 2), Fr(1, 2)), 8
    return {
        "most over a filter to [1/8, 7/8], any law": largest_gain(1 / 8, 7 / 8),
        "most over a filter to [.2, .8], any law": largest_gain(0.2, 0.8),
        "equal weights under Beta(.5, .5)": float(uniform_efficiency(law)),
        "drop-zero at K = 8": float(drop_zero_efficiency(K, law)),
        "hard filter [.2, .8] at K = 8": float(hard_filter_efficiency(K, law)),
        "the best weight of 8 rollouts": float(posterior_efficiency(K, law)),
    }


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x13",
        where="extension",
        title="How much any weighting can gain over a filter",
        verdict=Verdict.CONDITIONAL,
        statement="If the best weights of the problems that a filter keeps lie in [m, M], equal weights on these have at least "
        "4mM/(m+M)^2 of the best efficiency, for every law of pass rates, and no constant is larger. For w = p(1-p) a weight "
        "gains at most 1.18 times over a filter to [1/8, 7/8] and 1.05 times over one to [.2, .8]. "
        "What a filter loses is what it leaves out or lets in: dropping p̂ = 0 keeps solved problems, and with K = 8 is within 6 % of the kernel's "
        "efficiency where gradients vanish at mastery (M2 ∝ 1-p), up to 27 % behind where they do not.",
        latex=r"\frac{\mathbb E[w]^2}{\mathbb E[w^2]}\ge\frac{4mM}{(m+M)^2},\qquad 0<m\le w\le M",
        functions=(kantorovich_floor, equal_weight_efficiency, kernel_range, largest_gain, uniform_efficiency,
                   drop_zero_efficiency, hard_filter_efficiency, posterior_efficiency),
        hypotheses=("m > 0", "flat second moment of the gradients", "the learning rate is tuned for each weight"),
        depends_on=("x4", "def2"),
        proof="(w - m)(M - w) >= 0 gives E w^2 <= (m + M) E w - mM, and 4mM E w^2 <= ((m + M) E w)^2 since "
        "((m + M) E w - 2mM)^2 >= 0. The law with mass m/(m+M) at M attains it.",
        numbers=_under_a_law,
        counterexample=Counterexample(
            "With weights that come near 0, m = 0, equal weights can be as bad as one likes: mass 1/1000 at w = 1, the rest at 1/1000.",
            evaluate=lambda: {"efficiency of equal weights": equal_weight_efficiency([1, 1e-3], masses=[1, 999])},
        ),
        picture=Picture(
            "gain_over_a_filter", gain_table,
            "The most that any weight gains over a filter to [ε, 1-ε], and the kernel's gain for uniform pass rates.",
        ),
        checks=(
            Check("z3", "at every problem w^2 + mM is at most (m + M) w", "0 < m <= w <= M", _pointwise),
            Check("z3", "in the mean", "all laws", _in_the_mean, fails={"5mM in place of 4mM": {"factor": 5}}),
            Check("exact", "a law on the two ends attains it", "4 ranges", _two_ends_attain_it,
                  fails={"half the mass at each end": {"share_of_largest": Fr(1, 2)}}),
            Check("hypothesis", "no population is below its floor", "1 to 8 problems", _no_population_is_below,
                  Result.SUPPORTED, fails={"half the range": {"shrink": 0.5}}),
            Check("numeric", "drop-zero is within 6 % of the kernel where gradients vanish at mastery", "3 laws, K = 8",
                  _drop_zero_comes_near, Result.SUPPORTED, fails={"a flat second moment": {"mastery": 0.0}}),
            Check("numeric", "the kernel's range, 529/448 and 1681/1600, the uniform law", "6 ranges", _closed_numbers,
                  Result.SUPPORTED),
        ),
    ),
)  # fmt: skip
