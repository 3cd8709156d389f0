"""Where the bell comes from with verifiable rewards (``x17``), and its bound for any policy (``x18``)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction as Fr
from itertools import product
from typing import Any

import numpy as np

from paced.theory.facts.policy_gradient import (
    Baseline,
    bandit_moments,
    fisher_signal,
    score_signal_and_moment,
    sequence_signal_table,
    snr_profile_table,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    equal_exactly,
    refuted,
    supported,
    symbolic_zero,
    zero_for_any_number,
)

Case = tuple[Mapping[str, Any], Any, Any]
BANDITS = (
    ((Fr(1, 3), Fr(2, 3)), (1, 0)),
    ((Fr(1, 10), Fr(2, 5), Fr(1, 2)), (1, 0, 1)),
    ((Fr(1, 7), Fr(1, 7), Fr(2, 7), Fr(3, 7)), (0, 1, 0, 1)),
    ((Fr(1, 12), Fr(1, 4), Fr(1, 6), Fr(1, 2)), (1, 0, 0, 0)),
)
"""(π, R) of softmax bandits."""

BASELINES: dict[str, Baseline] = {"b = p": "pass_rate", "no baseline": 0.0, "b = 1/2": 0.5}


def _mean_and_moment(any_baseline: bool = True) -> Outcome:
    """E g = p q Δ for every b, and M2: from the scores' means q Δ, -p Δ and second moments given R; in SymPy."""
    import sympy

    p, b, gap, one, none = sympy.symbols("p b Delta tau1 tau0", positive=True)
    q = 1 - p if any_baseline else 1 - p / 2
    mean = p * (1 - b) * q * gap + (1 - p) * (-b) * (-p * gap)
    moment = p * (1 - b) ** 2 * one + (1 - p) * b**2 * none
    expanded = p * one + b * b * (p * one + (1 - p) * none) - 2 * b * p * one
    return all_of(symbolic_zero(mean - p * (1 - p) * gap), symbolic_zero(moment - expanded))


def _three_baselines(moments: tuple[int, int] = (1, 1)) -> Outcome:
    """s2/M2 over Δ²/τ² with equal moments: b = p gives pq, none p q², 1/2 gives 4 p² q²; in SymPy."""
    import sympy

    p = sympy.symbols("p", positive=True)
    q = 1 - p
    forms = {p: p * q, sympy.Integer(0): p * q**2, sympy.Rational(1, 2): 4 * p**2 * q**2}
    return all_of(
        *(
            symbolic_zero(p**2 * q**2 / (p * (1 - b) ** 2 * moments[0] + q * b**2 * moments[1]) - form)
            for b, form in forms.items()
        )
    )


def _bandit(pi: tuple[Fr, ...], reward: tuple[int, ...], b: Fr) -> tuple[Fr, Fr, Fr, Fr, Fr]:
    """(‖E g‖², E‖g‖², Δ², τ1², τ0²) of a softmax bandit by enumeration, in rationals."""
    n = range(len(pi))
    score = [[Fr(int(a == k)) - pi[k] for k in n] for a in n]
    p = sum((pi[a] for a in n if reward[a]), Fr(0))
    mean = [sum((pi[a] * (reward[a] - b) * score[a][k] for a in n), Fr(0)) for k in n]
    size = [sum((x * x for x in score[a]), Fr(0)) for a in n]
    moment = sum((pi[a] * (reward[a] - b) ** 2 * size[a] for a in n), Fr(0))
    given = [[sum((pi[a] * score[a][k] for a in n if reward[a] == r), Fr(0)) for k in n] for r in (1, 0)]
    gap = sum(((x / p - y / (1 - p)) ** 2 for x, y in zip(*given, strict=True)), Fr(0))
    first, second = (sum((pi[a] * size[a] for a in n if reward[a] == r), Fr(0)) for r in (1, 0))
    return sum((x * x for x in mean), Fr(0)), moment, gap, first / p, second / (1 - p)


def _bandits_by_enumeration(power: int = 2) -> Outcome:
    """‖E g‖² = p² q² Δ² and M2 = p(1-b)² τ1² + q b² τ0² in four softmax bandits and four baselines, in rationals."""
    cases: list[Case] = []
    for pi, reward in BANDITS:
        p = sum((x for x, r in zip(pi, reward, strict=True) if r), Fr(0))
        for b in (p, Fr(0), Fr(1, 2), Fr(-3, 4)):
            signal, moment, gap, first, second = _bandit(pi, reward, b)
            place = {"p": str(p), "b": str(b)}
            cases.append((place, signal, (p * (1 - p)) ** power * gap))
            cases.append((place, moment, p * (1 - b) ** 2 * first + (1 - p) * b**2 * second))
    return equal_exactly(cases)


def _public_bandits(shift: float = 0.0) -> Outcome:
    """The public functions against the rationals."""
    computed: list[float] = []
    expected: list[float] = []
    for pi, reward in BANDITS:
        p = sum((x for x, r in zip(pi, reward, strict=True) if r), Fr(0))
        signal, moment, gap, first, second = _bandit(pi, reward, p)
        numbers = [float(x) for x in (signal, moment)]
        computed += bandit_moments([float(x) for x in pi], reward)
        forms = score_signal_and_moment(
            float(p) + shift, spread=float(gap), passed_moment=float(first), failed_moment=float(second)
        )
        computed += [float(x) for x in forms]
        expected += numbers * 2
    return agree(computed, expected, rtol=1e-11)


def _equal_moments_everywhere(rates: tuple[Fr, Fr] = (Fr(1, 2), Fr(1, 4))) -> Outcome:
    """The sentence that any bandit with baseline p has s2/M2 ∝ p(1-p): two actions."""
    values = [_bandit((p, 1 - p), (1, 0), p)[:2] for p in rates]
    ratios = [signal / moment / (p * (1 - p)) for (signal, moment), p in zip(values, rates, strict=True)]
    if ratios[0] != ratios[1]:
        return refuted("s2/M2 over p(1-p) is not constant", first=str(ratios[0]), second=str(ratios[1]), engine="exact")
    return supported(2, engine="exact")


# --- x18 --------------------------------------------------------------------------------------------------------------
def _solve(matrix: list[list[Fr]], right: list[Fr]) -> list[Fr]:
    """One solution of a consistent system in rationals; free unknowns are 0."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    pivots: list[int] = []
    for column in range(len(matrix)):
        place = next((r for r in range(len(pivots), len(rows)) if rows[r][column]), None)
        if place is None:
            continue
        top = len(pivots)
        rows[top], rows[place] = rows[place], rows[top]
        rows[top] = [x / rows[top][column] for x in rows[top]]
        for r in range(len(rows)):
            if r != top and rows[r][column]:
                rows[r] = [x - rows[r][column] * y for x, y in zip(rows[r], rows[top], strict=True)]
        pivots.append(column)
    answer = [Fr(0)] * len(matrix)
    for row, column in enumerate(pivots):
        answer[column] = rows[row][-1]
    return answer


def _fisher(pi: list[Fr], scores: list[list[Fr]], reward: list[int]) -> tuple[Fr, Fr, Fr]:
    """(∇p' F⁺ ∇p, E(R - p - c'score)², p(1-p)) in rationals, c = F⁺∇p."""
    n = range(len(scores[0]))
    p = sum((x * r for x, r in zip(pi, reward, strict=True)), Fr(0))
    gradient = [sum((x * r * s[k] for x, r, s in zip(pi, reward, scores, strict=True)), Fr(0)) for k in n]
    fisher = [[sum((x * s[i] * s[j] for x, s in zip(pi, scores, strict=True)), Fr(0)) for j in n] for i in n]
    c = _solve(fisher, gradient)
    rest = sum(
        (
            x * (r - p - sum((a * b for a, b in zip(c, s, strict=True)), Fr(0))) ** 2
            for x, r, s in zip(pi, reward, scores, strict=True)
        ),
        Fr(0),
    )
    return sum((a * b for a, b in zip(c, gradient, strict=True)), Fr(0)), rest, p * (1 - p)


def _sequences(tokens: tuple[Fr, ...], length: int) -> tuple[list[Fr], list[list[Fr]], list[int]]:
    """Sequences of tokens drawn from one shared softmax; it passes when its tokens' numbers sum to a multiple of 3."""
    pi, scores, reward = [], [], []
    for sequence in product(range(len(tokens)), repeat=length):
        mass = Fr(1)
        for token in sequence:
            mass *= tokens[token]
        pi.append(mass)
        scores.append([Fr(sequence.count(k)) - length * tokens[k] for k in range(len(tokens))])
        reward.append(int(sum(sequence) % 3 == 0))
    return pi, scores, reward


POLICIES = (((Fr(1, 4), Fr(3, 4)), 3), ((Fr(1, 6), Fr(1, 3), Fr(1, 2)), 2), ((Fr(1, 10), Fr(3, 10), Fr(3, 5)), 3))


def _projection(rest: bool = True) -> Outcome:
    """p(1-p) = ∇p'F⁺∇p + E(R - p - c'score)², so the signal is at most p(1-p); without ``rest`` equality is claimed."""
    cases: list[Case] = []
    for tokens, length in POLICIES:
        signal, left, variance = _fisher(*_sequences(tokens, length))
        if left < 0:
            return refuted("a mean square is negative", length=length, engine="exact")
        cases.append(({"tokens": len(tokens), "length": length}, signal + (left if rest else 0), variance))
    return equal_exactly(cases)


def _general_projection(mean_zero: bool = True) -> Outcome:
    """E(R - p - x)² = pq - s for x = c'score with F c = ∇p and s = ∇p'c, for any number of answers, by induction.

    The parameters enter through x alone, so that there may be any number of them. R² = R, E x = 0, E R x = E x² = s.
    """
    import sympy

    mass, R, x, p, s = sympy.symbols("mass R x p s", real=True)
    rest, M, A, B, X, RX, XX = sympy.symbols("rest M E_R E_RR E_x E_Rx E_xx", real=True)
    growth = {
        rest: mass * (R - p - x) ** 2,
        M: mass,
        A: mass * R,
        B: mass * R**2,
        X: mass * x,
        RX: mass * R * x,
        XX: mass * x**2,
    }
    sums = rest - (B - 2 * p * A + p**2 * M) + 2 * (RX - p * X) - XX
    at = {M: 1, A: p, B: p, RX: s, XX: s, **({X: 0} if mean_zero else {})}
    return all_of(zero_for_any_number(sums, growth), symbolic_zero(sums.subs(at) - (rest - (p * (1 - p) - s))))


def _tabular(policy: int = 1) -> Outcome:
    """A softmax over all answers attains p(1-p); ``policy=2`` ties the logits of the first two answers."""
    cases: list[Case] = []
    for pi, reward in BANDITS[1:]:
        n = range(len(pi))
        scores = [[Fr(int(a == k)) - pi[k] for k in n] for a in n]
        if policy == 2:
            scores = [[row[0] + row[1], *row[2:]] for row in scores]
        signal, _, variance = _fisher(list(pi), scores, list(reward))
        cases.append(({"actions": len(pi)}, signal, variance))
    return equal_exactly(cases)


def _public_fisher(parameters: int | None = None) -> Outcome:
    """The public function against the rationals, tabular and shared."""
    computed, expected = [], []
    for tokens, size in POLICIES:
        pi, scores, reward = _sequences(tokens, size)
        table = [[float(x) for x in row] for row in scores]
        table = [row[:parameters] for row in table]
        computed.append(fisher_signal([float(x) for x in pi], reward, table))
        expected.append(float(_fisher(pi, scores, reward)[0]))
    return agree(computed, expected, rtol=1e-9)


def _shared_share() -> dict[str, float]:
    rows = {}
    for tokens, length in POLICIES:
        signal, _, variance = _fisher(*_sequences(tokens, length))
        rows[f"share of p(1-p), {len(tokens)} tokens, length {length}"] = float(signal / variance)
    return rows


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="x17",
        where="extension; Remark 3 and Assumption 3(b)",
        title="Where the bell comes from: the score-function gradient of a verifiable reward",
        verdict=Verdict.CONDITIONAL,
        paper="For RL-style training (binary correctness feedback with Bernoulli variance p(1-p)), the same boundary-vanishing intuition applies directly.",
        statement="g = (R - b) score has mean p q Delta for every baseline b and second moment p(1-b)^2 tau1^2 + q b^2 tau0^2. With equal score moments "
        "its s2/M2 is p(1-p) Delta^2/tau^2 for the baseline b = p, p(1-p)^2 without baseline and 4 p^2 (1-p)^2 for b = 1/2: exponents (1, 1), (1, 2) and (2, 2). "
        "So Assumption 3(b) holds for RL with exponents that the baseline sets; for distillation nothing follows, whose gradient is not a score times a reward.",
        latex=r"\frac{\|\mathbb E g\|^2}{\mathbb E\|g\|^2}=\frac{p^2q^2\Delta^2}{p(1-b)^2\tau_1^2+q\,b^2\tau_0^2}"
        r"\;=\;\frac{\Delta^2}{\tau^2}\cdot\begin{cases}pq&b=p\\ pq^2&b=0\\ 4p^2q^2&b=\tfrac12\end{cases}",
        functions=(score_signal_and_moment, bandit_moments),
        hypotheses=("E|score|^2 is the same given a pass and given a failure", "Delta does not depend on p", "one rollout for each gradient, b fixed or p"),
        depends_on=("a3b",),
        proof="Scores have mean 0: p mu1 + q mu0 = 0, so mu1 = q Delta, mu0 = -p Delta. Insert. In a softmax bandit with many actions of small probability both "
        "moments tend to 1.",
        numbers=lambda: {
            f"s2/M2 at p = 1/4, {name}": float(np.divide(*score_signal_and_moment(0.25, baseline=b)))
            for name, b in BASELINES.items()
        },
        counterexample=Counterexample(
            "Two actions have unequal moments: with b = p, s2/M2 = pq/(1 - 3pq), 4 times pq at p = 1/2; without baseline it is p, which does not vanish at 1.",
            evaluate=lambda: {
                "b = p, p = 1/2": float(np.divide(*bandit_moments([0.5, 0.5], [1, 0]))),
                "no baseline, p = 0.99": float(np.divide(*bandit_moments([0.99, 0.01], [1, 0], baseline=0.0))),
            },
        ),
        picture=Picture("bells_of_baselines", snr_profile_table, "s2/M2 of the score-function gradient over its largest value, by baseline."),
        checks=(
            Check("sympy", "mean p q Delta whatever b, and the second moment", "all p, b, moments", _mean_and_moment,
                  fails={"a mean score given a pass other than q Delta": {"any_baseline": False}}),
            Check("sympy", "the three profiles", "equal moments", _three_baselines, fails={"unequal moments": {"moments": (1, 2)}}),
            Check("exact", "softmax bandits by enumeration", "4 bandits, 4 baselines", _bandits_by_enumeration,
                  fails={"p q for its square": {"power": 1}}),
            Check("numeric", "the public functions", "4 bandits", _public_bandits, Result.SUPPORTED, fails={"p + 0.01": {"shift": 0.01}}),
            Check("exact", "s2/M2 is proportional to p(1-p) in every bandit", "two actions", _equal_moments_everywhere, Result.REFUTED),
        ),
    ),
    Claim(
        id="x18",
        where="extension",
        title="No policy has more signal than the variance of its reward",
        verdict=Verdict.TRUE,
        statement="In the policy's own (Fisher) metric the squared gradient of the pass rate is at most p(1-p), for sequences of any length and any parameters; a softmax "
        "over all answers attains it. p(1-p) minus the signal is the mean square of what scores cannot explain of the reward.",
        latex=r"\nabla p^\top F^{+}\nabla p=p(1-p)-\min_c\mathbb E\bigl(R-p-c^\top\nabla\log\pi\bigr)^2\ \le\ p(1-p)",
        functions=(fisher_signal,),
        depends_on=("x17",),
        proof="grad p = E[R score] and F = E[score score']. E(R - p - c'score)^2 = pq - 2c'grad p + c'F c, which at F c = grad p is pq - grad p'c and never negative. "
        "For a tabular softmax c = R - p explains the reward without rest.",
        numbers=_shared_share,
        picture=Picture("signal_of_sequences", sequence_signal_table, "Signal in the Fisher metric when all tokens of one shared softmax must be right; with one token it is p(1-p)."),
        checks=(
            Check("sympy", "p(1-p) minus the signal is a mean square", "any number of answers, by induction, and of parameters", _general_projection,
                  fails={"scores without mean 0": {"mean_zero": False}}),
            Check("exact", "signal plus rest is p(1-p) for sequences with shared logits, rest >= 0", "3 policies of 8 to 27 sequences", _projection,
                  fails={"without the rest": {"rest": False}}),
            Check("exact", "a softmax over all answers attains p(1-p)", "3 bandits", _tabular, fails={"two answers with one logit": {"policy": 2}}),
            Check("numeric", "the public function", "3 policies", _public_fisher, Result.SUPPORTED, fails={"the first parameter only": {"parameters": 1}}),
        ),
    ),
)  # fmt: skip
