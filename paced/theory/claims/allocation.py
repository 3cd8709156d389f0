"""Claims about what a rollout is worth (``x7.value``) and the two-phase screening of the paper (``x7.screening``)."""

from __future__ import annotations

from fractions import Fraction as Fr
from itertools import product
from math import comb

import mpmath

from paced.theory.facts.kernel import zeroed_probability
from paced.theory.facts.rollout_shares import rollouts_worth_their_price
from paced.theory.facts.screening import (
    exited_kernel_mass,
    naive_screening_bias,
    screening_cost,
    screening_cost_of_law,
)
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, refuted, supported
from paced.weights import plan_rollouts
from paced.weights.budget.allocation import screened_weight, value_of_rollouts
from paced.weights.budget.stopping import walk

RATES = (Fr(1, 10), Fr(1, 4), Fr(2, 5), Fr(1, 2), Fr(7, 9))


def _outcomes(num_first: int, num_all: int):  # type: ignore[no-untyped-def]
    """Every sequence of passes and failures of one problem under screening: (passes, rollouts made)."""
    for first in product((0, 1), repeat=num_first):
        if sum(first) in (0, num_first):
            yield first, sum(first), num_first
            continue
        for rest in product((0, 1), repeat=num_all - num_first):
            yield first + rest, sum(first) + sum(rest), num_all


def _chance(sequence: tuple[int, ...], p: Fr) -> Fr:
    passed = sum(sequence)
    return p**passed * (1 - p) ** (len(sequence) - passed)


# --- value of a rollout ------------------------------------------------------------------------------------------------
def _beta(x: int, y: int) -> Fr:
    """B(x, y) of whole numbers."""
    return Fr(1, (x + y - 1) * comb(x + y - 2, x - 1))


def _value(shift: int = 0) -> Outcome:
    """The fall of the posterior variance, by enumerating the further passes in rationals."""
    computed, expected, places = [], [], []
    for a, b, m, alpha, bet in ((1, 1, 1, 1, 1), (1, 9, 1, 1, 1), (3, 7, 1, 1, 1), (1, 1, 2, 1, 1), (2, 5, 3, 1, 2)):
        before = _beta(a + alpha, b + bet) / _beta(a, b)
        after = sum(
            comb(m, x) * _beta(a + x, b + m - x) / _beta(a, b)
            * (_beta(a + x + alpha, b + m - x + bet + shift) / _beta(a + x, b + m - x + shift)) ** 2
            for x in range(m + 1)
        )  # fmt: skip
        computed.append(float(value_of_rollouts(a, b, m, alpha=alpha, beta=bet)))
        expected.append(float(after - before**2))
        places.append(a)
    return agree(computed, expected, rtol=1e-11, atol=1e-15, a=places)


def _looking_one_ahead_stops_at_the_peak() -> Outcome:
    """One rollout is worth nothing where a/b = alpha/beta, two are worth something: the myopic rule stops wrongly."""
    one, two = float(value_of_rollouts(2.0, 2.0)), float(value_of_rollouts(2.0, 2.0, 2))
    myopic = int(rollouts_worth_their_price(2.0, 2.0, 1e-4, largest=1)[()])
    ahead = int(rollouts_worth_their_price(2.0, 2.0, 1e-4)[()])
    if one == 0.0 < two and myopic == 0 < ahead:
        return supported(4)
    return refuted("the two rules agree", one=one, two=two, myopic=myopic, ahead=ahead)


def _myopic_is_enough(price: float = 1e-4) -> Outcome:
    """What the control says: that a problem of which one more rollout is worth nothing needs none."""
    ahead = int(rollouts_worth_their_price(2.0, 2.0, price)[()])
    return refuted("several together are worth their price", rollouts=ahead) if ahead else supported(1)


# --- screening ---------------------------------------------------------------------------------------------------------
DESIGNS = ((2, 5, 1, 1), (3, 6, 1, 2), (3, 8, 2, 1), (4, 8, 1, 1), (4, 7, 2, 2), (4, 9, 1, 3))
"""K1, K, alpha, beta with alpha + beta <= K1 < K."""


def _screened(s: int, num_rollouts: int, design: tuple[int, int, int, int], phase_one: bool = True) -> Fr:
    """The statement's weight after ``s`` passes in ``num_rollouts``; ``phase_one=False`` forgets the orders that exit."""
    num_first, num_all, alpha, bet = design
    if num_rollouts == num_first or not alpha <= s <= num_all - bet:
        return Fr(0)
    exits = comb(num_all - num_first, s) + (comb(num_all - num_first, s - num_first) if s >= num_first else 0)
    return Fr(comb(num_all - alpha - bet, s - alpha), comb(num_all, s) - (exits if phase_one else 0))


def _screened_is_unbiased(phase_one: bool = True) -> Outcome:
    """Sum over all sequences of the design, in rationals: the mean is p^alpha q^beta."""
    cases = []
    for design in DESIGNS:
        num_first, num_all, alpha, bet = design
        for p in RATES:
            mean = sum(
                (_chance(q, p) * _screened(s, K, design, phase_one) for q, s, K in _outcomes(num_first, num_all)), Fr(0)
            )
            cases.append(({"p": str(p), "K1": num_first, "K": num_all}, mean, p**alpha * (1 - p) ** bet))
    return equal_exactly(cases)


def _screened_weight_is_the_fraction(phase_one: bool = True) -> Outcome:
    """The public function, in float64, at every count of every design, exits included."""
    outcomes = []
    for design in DESIGNS:
        num_first, num_all, alpha, bet = design
        ends = sorted({(s, K) for _, s, K in _outcomes(num_first, num_all)})
        computed = screened_weight(
            *zip(*ends, strict=True), num_first=num_first, num_all=num_all, alpha=alpha, beta=bet
        )
        expected = [float(_screened(s, K, design, phase_one)) for s, K in ends]
        outcomes.append(agree(computed, expected, s=[s for s, _ in ends], K=[K for _, K in ends]))
    return all_of(*outcomes)


def _naive_bias(shift: float = 0.0) -> Outcome:
    """Relative bias of 'zero on exit, else the U-statistic of all K', by enumeration."""
    computed, expected, places = [], [], []
    for num_first, num_all in ((2, 8), (3, 7), (4, 8)):
        for p in RATES:
            mean = sum(
                (
                    _chance(q, p) * Fr(s * (num_all - s), num_all * (num_all - 1))
                    for q, s, num_rollouts in _outcomes(num_first, num_all)
                    if num_rollouts == num_all
                ),
                Fr(0),
            )
            computed.append(float(naive_screening_bias(float(p) + shift, num_first=num_first, num_all=num_all)))
            expected.append(float(mean / (p * (1 - p)) - 1))
            places.append(float(p))
    return agree(computed, expected, rtol=1e-10, p=places)


def _screening_costs(shift: int = 0) -> Outcome:
    """Expected rollouts and wrong exits by enumeration, and their means over Beta laws by mpmath."""
    rates = [float(p) for p in RATES]
    cost = [sum(float(_chance(q, p)) * num_rollouts for q, _, num_rollouts in _outcomes(3, 7)) for p in RATES]
    exits = [float(p**3 + (1 - p) ** 3) for p in RATES]
    laws = [(1.0, 1.0), (0.5, 0.5), (2.2, 0.7)]

    def ends(a: float, b: float, k: int) -> mpmath.mpf:
        return (mpmath.beta(a + k, b) + mpmath.beta(a, b + k)) / mpmath.beta(a, b)

    return all_of(
        agree(screening_cost(rates, num_first=3, num_all=7 + shift), cost, rtol=1e-12, p=rates),
        agree(zeroed_probability(rates, 3), exits, rtol=1e-12, p=rates),
        agree([screening_cost_of_law(law, num_first=2, num_all=8) for law in laws],
              [float(2 + 6 * (1 - ends(*law, 2))) for law in laws], rtol=1e-10),
        agree([exited_kernel_mass(law, 3) for law in laws],
              [float(ends(law[0] + 1, law[1] + 1, 3)) for law in laws], rtol=1e-10),
    )  # fmt: skip


def _planner_is_exact(cheaper: bool = False) -> Outcome:
    """The planner's states of 'K = 8 for all' are the beta-binomial; no policy spends more than the budget."""
    stops = walk((1.5, 0.8), lambda s, k: 6 if k == 0 else 0)
    expected = [float(comb(6, s) * mpmath.beta(1.5 + s, 0.8 + 6 - s) / mpmath.beta(1.5, 0.8)) for s in range(7)]
    plans = plan_rollouts((1.0, 1.0), num_problems=100, budget=800)
    uniform = {(plan.policy, plan.weight): plan for plan in plans}
    best = max(plan.efficiency for plan in plans if plan.policy.startswith("screen"))
    fixed = uniform["K = 8 for all", "posterior"].efficiency
    if cheaper:
        return supported(1) if best >= fixed else refuted("screening is worse at equal cost", best=best, fixed=fixed)
    over = max(plan.total_rollouts for plan in plans)
    if over > 800 * (1 + 1e-9):
        return refuted("a policy spends more than the budget", spent=over)
    return all_of(
        agree([stops[s, 6] for s in range(7)], expected, rtol=1e-10),
        agree([fixed, uniform["K = 8 for all", "plugin"].efficiency], [101 / 110, 56 / 65], rtol=1e-10),
    )


CLAIMS = (
    Claim(
        id="x7.value",
        where="extension",
        title="The value of one more rollout, and why one is not enough to look ahead",
        verdict=Verdict.TRUE,
        statement="One more rollout lowers the posterior variance of the weight by W^2 (alpha b - beta a)^2/(a b (a+b+alpha+beta)^2), which is 0 wherever "
        "a/b = alpha/beta; m more by sum_x BB(x) W(a+x, b+m-x)^2 - W^2.",
        latex=r"\mathrm{VoI}_1=\frac{W^2(\alpha b-\beta a)^2}{ab(a+b+\alpha+\beta)^2},\qquad \mathrm{VoI}_m=\sum_x\mathrm{BB}(x;m,a,b)\,W(a+x,b+m-x)^2-W^2",
        functions=(
            value_of_rollouts,
            rollouts_worth_their_price,
        ),
        hypotheses=("Beta(a, b) posterior",),
        depends_on=("x1",),
        proof="Law of total variance; the posterior after a pass or a failure is Beta again.",
        numbers=lambda: {
            "VoI_1(1, 9)": float(value_of_rollouts(1, 9)),
            "1800 VoI_2(1, 1)": 1800 * float(value_of_rollouts(1, 1, 2)),
        },
        checks=(
            Check(
                "numeric",
                "enumeration in rationals",
                "5 posteriors, m <= 3",
                _value,
                Result.SUPPORTED,
                fails={"one failure more in the posterior": {"shift": 1}},
            ),
            Check(
                "numeric",
                "one ahead stops at the peak, several do not",
                "Beta(2, 2)",
                _looking_one_ahead_stops_at_the_peak,
                Result.SUPPORTED,
            ),
        ),
        other_controls=(Control("numeric", "the myopic stopping rule", _myopic_is_enough),),
    ),
    Claim(
        id="x7.screening",
        where="section 5, two-phase screening",
        title="Screening saves rollouts at a bias; an unbiased weight exists",
        verdict=Verdict.CONDITIONAL,
        paper="Two-phase screening (a few rollouts first, more only for problems between 0 and 1) saves inference.",
        statement="K1 rollouts first and K - K1 more unless all or none passed cost K1 + (K-K1)(1 - p^K1 - q^K1) and bias the usual weight downwards; "
        "0 on exit, else C(K-a-b, s-a)/(C(K,s) - C(K-K1, s-K1) - C(K-K1, s)), is unbiased.",
        latex=r"\hat w=\frac{\binom{K-\alpha-\beta}{s-\alpha}}{\binom Ks-\binom{K-K_1}{s-K_1}-\binom{K-K_1}{s}}",
        functions=(
            screened_weight,
            naive_screening_bias,
            screening_cost,
            plan_rollouts,
        ),
        hypotheses=("whole exponents >= 1, alpha + beta <= K1 < K",),
        depends_on=("eq1", "x7.value"),
        proof="Rao-Blackwell: the phase-1 U-statistic averaged over the orders of s passes in K that do not exit; the denominator counts them.",
        repair="Use the screened weight for unbiasedness or the posterior mean for low risk. At equal cost screening is not better than one K for all.",
        numbers=lambda: {f"mass exited at K1 = {k}, uniform p": exited_kernel_mass((1, 1), k) for k in (2, 3, 4)},
        counterexample=Counterexample(
            "K1 = 2 of K = 8, uniform p: half of the rollouts are saved, and 60 % of the total weight sits on problems sent away; at p = 0.1 the usual weight loses 65 %.",
            evaluate=lambda: {
                "rollouts": screening_cost_of_law((1, 1), num_first=2, num_all=8),
                "weight on exited problems": exited_kernel_mass((1, 1), 2),
                "bias at p = 0.1": float(naive_screening_bias(0.1, num_first=2, num_all=8)),
            },
        ),
        checks=(
            Check(
                "exact",
                "the screened weight is unbiased",
                "6 designs, 5 rates, every sequence, in rationals",
                _screened_is_unbiased,
                fails={"C(K, s) alone below the line": {"phase_one": False}},
            ),
            Check(
                "numeric",
                "the public function is that fraction",
                "6 designs, every count",
                _screened_weight_is_the_fraction,
                Result.SUPPORTED,
                fails={"C(K, s) alone below the line": {"phase_one": False}},
            ),
            Check(
                "numeric",
                "bias of the usual weight",
                "3 designs, every sequence",
                _naive_bias,
                Result.SUPPORTED,
                fails={"p + 0.01": {"shift": 0.01}},
            ),
            Check(
                "numeric",
                "costs, exits and exited mass",
                "5 rates, 3 laws",
                _screening_costs,
                Result.SUPPORTED,
                fails={"one rollout more in phase two": {"shift": 1}},
            ),
            Check(
                "numeric",
                "the planner against the beta-binomial; budgets kept",
                "uniform law, 8 a problem",
                _planner_is_exact,
                Result.SUPPORTED,
                fails={"screening better than one K at equal cost": {"cheaper": True}},
            ),
        ),
    ),
)
