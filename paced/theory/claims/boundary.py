"""Claims about the two ends: Proposition 2.

The abstract's sentence "the SNR provably vanishes at both pass-rate extremes" is the one that does not survive: at
p → 0 it is a hypothesis, at p → 1 the hypotheses only make signal *and* noise vanish.
"""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.boundary import forward_kl_gradient, mastery_population, population_snr, reverse_kl_gradient
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, holds_for_all, refuted, supported, symbolic_zero, unsatisfiable
from paced.weights import SaturatedKernel


# --- Proposition 2 ----------------------------------------------------------------------------------------------------
def _logit_pairs():  # type: ignore[no-untyped-def]
    from hypothesis import strategies as st

    row = st.lists(st.floats(-20, 20), min_size=50, max_size=50)
    return st.tuples(st.integers(2, 50), row, row).map(lambda t: (np.array(t[1][: t[0]]), np.array(t[2][: t[0]])))


def _softmax_is_half_lipschitz(constant: float = 0.5) -> Outcome:
    """‖P_S - P_T‖ <= ‖z_S - z_T‖/2 for the forward-KL gradient P_S - P_T, with no bound on the logits."""

    def law(pair: tuple[np.ndarray, np.ndarray]) -> bool:
        teacher, student = pair
        gradient = forward_kl_gradient(teacher_logits=teacher, student_logits=student)
        return bool(np.linalg.norm(gradient) <= constant * np.linalg.norm(teacher - student) + 1e-12)

    far, near, equal = np.linspace(-20, 20, 50), np.array([-20.0, 20.0]), np.zeros(2)
    ends = (equal, 1e-5 * near), (far, far[::-1]), (near, -near)
    return holds_for_all(_logit_pairs(), law, ends=ends, examples=150)


def _jacobian_norm_two_tokens() -> Outcome:
    """v'(diag P - PP')v <= |v|²/2 for two tokens, over the reals; it needs nothing of p."""
    import z3

    p, x, y = z3.Reals("p x y")
    quadratic = p * x * x + (1 - p) * y * y - (p * x + (1 - p) * y) ** 2
    return unsatisfiable(quadratic > (x * x + y * y) / 2)


def _jacobian_norm(constant: float = 0.5) -> Outcome:
    """The same for any number of tokens: with m <= v <= M, E(M - v)(v - m) >= 0, and |v|² holds M² + m²."""
    import z3

    low, high, v, mean, square, norm = z3.Reals("m M v Ev Ev² |v|²")
    return all_of(
        unsatisfiable(low <= v, v <= high, (high - v) * (v - low) < 0),
        unsatisfiable(
            (high + low) * mean - square - high * low >= 0,
            norm >= high * high + low * low,
            square - mean * mean > constant * norm,
        ),
    )


def _gradients_against_differences(swap: bool = False) -> Outcome:
    """Both logit gradients against mpmath derivatives of the KL written from its definition."""
    teacher, student = [0.3, -1.2, 2.0, 0.4], [1.1, 0.2, -0.7, 0.9]

    def kl(direction: str, logits: list[float]) -> mpmath.mpf:
        def normalised(z: list[float]) -> list[mpmath.mpf]:
            total = mpmath.fsum(mpmath.exp(x) for x in z)
            return [mpmath.exp(x) / total for x in z]

        t, s = normalised(teacher), normalised(logits)
        left, right = (t, s) if direction == "forward" else (s, t)
        return mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(left, right, strict=True))

    outcomes = []
    for direction, function in (("forward", forward_kl_gradient), ("reverse", reverse_kl_gradient)):
        expected_direction = direction if not swap else {"forward": "reverse", "reverse": "forward"}[direction]
        expected = [
            float(
                mpmath.diff(
                    lambda x, i=i, d=expected_direction: kl(d, [*student[:i], x, *student[i + 1 :]]), student[i]
                )
            )
            for i in range(4)
        ]
        outcomes.append(
            agree(function(teacher_logits=teacher, student_logits=student), expected, rtol=1e-9, token=range(4))
        )
    return all_of(*outcomes)


def _snr_vanishes_at_mastery(population) -> Outcome:  # type: ignore[no-untyped-def]
    """SNR(1 - 10^-k) should fall towards 0."""
    values = [population_snr(population(1 - 10.0**-k)) for k in range(1, 9)]
    if values[-1] > 0.5 * values[0]:
        return refuted("signal and noise vanish together", p=1 - 1e-8, snr=values[-1], snr_at_p_0_9=values[0])
    return supported(len(values))


def _power_law_population(pass_rate: float) -> np.ndarray:
    """Signal (1-p)^1.5 with noise (1-p): SNR ∝ (1-p)^0.5, so b' = 1/2."""
    q = 1 - pass_rate
    return np.array([[q**1.5, q], [q**1.5, -q]])


def _population_snr_numbers() -> Outcome:
    g = [[0.3, -1.0, 2.2], [1.4, 0.1, -0.6], [0.2, 0.9, 0.5], [-0.7, 1.3, 1.1]]
    mean = [mpmath.fsum(row[j] for row in g) / 4 for j in range(3)]
    spread = mpmath.fsum((row[j] - mean[j]) ** 2 for row in g for j in range(3)) / 4
    expected = mpmath.sqrt(mpmath.fsum(x**2 for x in mean) / spread)
    vanishing = np.abs(mastery_population(1 - 1e-6)).max()
    return all_of(
        agree(population_snr(g), float(expected)),
        agree([population_snr(1e-250 * np.array(g)), population_snr(1e250 * np.array(g))], float(expected)),
        agree([population_snr(mastery_population(p)) for p in (0.1, 0.5, 0.999)], 0.5),
        agree(vanishing, 2e-6, rtol=1e-6),
    )


def _power_law_limits() -> Outcome:
    import sympy

    p, b, c = sympy.symbols("p b C", positive=True)
    limit = sympy.limit(c * (1 - p) ** b, p, 1, "-")
    return symbolic_zero(limit)


def _every_pass_rate_has_signal(gradients) -> Outcome:  # type: ignore[no-untyped-def]
    snr = population_snr(gradients)
    if not 0 < snr < float("inf"):
        return refuted("p lies inside (0,1) and the SNR is not in (0, inf)", p=0.5, gradients=gradients, snr=snr)
    return supported(1)


def _half_space_has_signal(inside: int = 3) -> Outcome:
    """z3: three gradients in the plane, ``inside`` of them with positive first coordinate, whose mean is 0: impossible."""
    import z3

    x, y = z3.Reals("x0 x1 x2"), z3.Reals("y0 y1 y2")
    return unsatisfiable(*(value > 0 for value in x[:inside]), z3.And(z3.Sum(x) == 0, z3.Sum(y) == 0))


def _half_space_has_finite_snr(low: float = 0.01) -> Outcome:
    """Random gradients with a positive first coordinate that are not all equal: 0 < SNR < infinity."""
    from hypothesis import strategies as st

    rows = st.lists(
        st.tuples(st.sampled_from([low, 0.5, 1.0]), st.sampled_from([-1.0, 0.0, 1.0])), min_size=2, max_size=4
    )

    def law(gradients: list[tuple[float, float]]) -> bool | None:
        return 1e-12 < population_snr(gradients) < 1e12 if len(set(gradients)) > 1 else None

    ends = ([(low, -1.0), (1.0, 1.0)], [(low, -1.0), (1.0, 1.0)] * 2)
    return holds_for_all(rows, law, ends=ends, examples=150)


def _descent_vanishes(bounded: bool = True) -> Outcome:
    """w* s2 -> 0 at p -> 1 with w* = SNR²/(1+SNR²) <= 1 in units of 1/(eta L); 1/s2 in place of w* does not vanish."""
    weights = SaturatedKernel(1.0, 0.0, 3.0)
    for k in range(1, 13):
        gap = 10.0**-k
        signal = gap**2
        descent = (float(weights.at(1 - gap)) if bounded else 1 / signal) * signal
        if descent > 10 * gap:
            return refuted("the descent does not vanish with the signal", p=1 - gap, descent=descent)
    return supported(12)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop2.i",
        where="Proposition 2 (i)",
        title="Gradients vanish as the student's logits reach the teacher's",
        verdict=Verdict.TRUE,
        paper="Softmax is Lipschitz on [-M,M]^V, so ||z_S - z_T|| -> 0 gives g -> 0; the token gradient is P_S - P_T.",
        statement=(
            "Softmax is 1/2-Lipschitz in the Euclidean norm on all of R^V, no bound on the logits needed; the forward-KL "
            "logit gradient is P_S - P_T and the reverse-KL one P_S (log(P_S/P_T) - KL)."
        ),
        latex=r"\|P_S-P_T\|\le\tfrac12\|z_S-z_T\|,\quad \nabla_{z_S}\mathrm{FKL}=P_S-P_T,\quad"
        r"\nabla_{z_S}\mathrm{RKL}=P_S\bigl(\log\tfrac{P_S}{P_T}-\mathrm{RKL}\bigr)",
        functions=(
            forward_kl_gradient,
            reverse_kl_gradient,
        ),
        hypotheses=("condition (a): z_S -> z_T as p -> 1", "bounded Jacobian of the logits"),
        depends_on=("a2", "prop2.a"),
        proof="v'(diag P - PP')v is the variance of v under P, at most (max v - min v)^2/4 <= |v|^2/2 (Popoviciu). "
        "Integrate along the segment. The paper's 'similar linear form' is right for the forward KL only.",
        checks=(
            Check("z3", "the Jacobian's norm is at most 1/2", "two tokens", _jacobian_norm_two_tokens),
            Check(
                "z3",
                "it is for any number of tokens",
                "all P and v, by their means",
                _jacobian_norm,
                fails={"with 0.49": {"constant": 0.49}},
            ),
            Check(
                "hypothesis",
                "softmax is 1/2-Lipschitz",
                "2 to 50 tokens, logits in [-20,20]",
                _softmax_is_half_lipschitz,
                Result.SUPPORTED,
                fails={"with a constant below 1/2": {"constant": 0.49}},
            ),
            Check(
                "numeric",
                "both gradients are derivatives of the KL",
                "4 tokens, mpmath",
                _gradients_against_differences,
                Result.SUPPORTED,
                fails={"with the two directions exchanged": {"swap": True}},
            ),
        ),
    ),
    Claim(
        id="prop2.ii",
        where="Abstract; Proposition 2; section 3.3",
        title='"The SNR provably vanishes at both pass-rate extremes"',
        verdict=Verdict.LOOSE,
        paper="The gradient signal-to-noise ratio in distillation provably vanishes at both pass-rate extremes.",
        statement=(
            "SNR -> 0 as p -> 0 is hypothesis (b) itself. As p -> 1, (a) makes every gradient vanish, so SNR is 0/0: with "
            "g = (1-p)(mu + xi) it is constant and w* does not vanish."
        ),
        latex=r"g=(1-p)(\mu+\xi):\quad \|\bar g\|\to0,\quad\mathrm{SNR}=\frac{\|\mu\|}{\sqrt{\operatorname{tr}\operatorname{Cov}\xi}}\not\to0",
        functions=(population_snr, mastery_population),
        depends_on=("prop2.a", "prop2.b"),
        proof="A common factor cancels in a ratio. The p -> 1 half of the claim is what Assumption 3(b) assumes.",
        repair="SNR -> 0 as p -> 0 if gradients are incoherent there, and as p -> 1 if a power law with b' > 0 holds there.",
        numbers=lambda: {"SNR of (1-p)(mu+xi) at p=1-1e-6": population_snr(mastery_population(1 - 1e-6))},
        counterexample=Counterexample(
            "Two problems with gradients (1-p)(1, 2) and (1-p)(1, -2): both vanish at mastery, their SNR is 1/2 at every p.",
            lambda: {f"SNR({p})": population_snr(mastery_population(p)) for p in (0.5, 0.9, 0.999999)},
        ),
        picture=Picture(
            "snr_at_mastery",
            lambda: {
                "one_minus_p": (gaps := [10.0**-k for k in range(1, 9)]),
                "largest gradient": [float(np.abs(mastery_population(1 - g)).max()) for g in gaps],
                "SNR": [population_snr(mastery_population(1 - g)) for g in gaps],
                "SNR with b' = 1/2": [population_snr(_power_law_population(1 - g)) for g in gaps],
            },
            "Signal and noise vanish together: the gradient goes to 0 and the SNR does not.",
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: SNR -> 0 as p -> 1 under (a)",
                "g = (1-p)(mu+xi)",
                lambda: _snr_vanishes_at_mastery(mastery_population),
                Result.REFUTED,
            ),
            Check(
                "numeric",
                "repaired: it does with b' = 1/2",
                "p = 1-10^-k",
                _snr_vanishes_at_mastery,
                Result.SUPPORTED,
                given={"population": _power_law_population},
                fails={"without b' > 0": {"population": mastery_population}},
            ),
            Check("sympy", "repaired: lim C (1-p)^b' = 0", "C, b' > 0", _power_law_limits),
            Check(
                "numeric",
                "population_snr against mpmath",
                "4 gradients in R^3",
                _population_snr_numbers,
                Result.SUPPORTED,
            ),
        ),
    ),
    Claim(
        id="prop2.iii",
        where="Proposition 2 (iii) and its consequence",
        title="Partial competence does not make the SNR positive, finite or continuous",
        verdict=Verdict.LOOSE,
        paper="SNR(p) > 0 for all p in (0,1), and SNR is continuous on (0,1); the per-problem descent vanishes at p -> 1.",
        statement=(
            "The pass rate does not determine the gradient: problems of equal p may cancel (SNR 0) or agree (SNR infinite), and those of the next p are others. "
            "0 < SNR < infinity follows if the gradients of equal p lie in an open half-space and are not all equal. w* s2 -> 0 as p -> 1 holds, because "
            "w* <= 1/(eta L)."
        ),
        latex=r"\langle g,v\rangle>0\ \text{for all } g \text{ of rate } p\ \Rightarrow\ \bar g(p)\ne0,\qquad w^*s_2\le\frac{s_2}{\eta L}\to0",
        functions=(population_snr, SaturatedKernel),
        hypotheses=("for the half that holds: bounded weights",),
        depends_on=("prop2.i",),
        proof="Partial competence makes single gradients non-zero, not their mean over problems of equal p. In a half-space <ḡ, v> is a mean of positive numbers.",
        repair="Assume it, as Assumption 3(b) with a continuous remainder does, or ask for gradients of equal p in an open half-space and not all equal; continuity needs "
        "a law of g given p that is continuous in p.",
        counterexample=Counterexample(
            "Two problems with p = 1/2 and opposite gradients: the mean is 0, so is the SNR. Two equal ones: SNR is infinite.",
            lambda: {"opposite": population_snr([[1.0], [-1.0]]), "equal": population_snr([[1.0], [1.0]])},
        ),
        checks=(
            Check(
                "numeric",
                "w* s2 -> 0 as p -> 1",
                "p = 1-10^-k",
                _descent_vanishes,
                Result.SUPPORTED,
                fails={"with unbounded weights": {"bounded": False}},
            ),
            Check(
                "numeric",
                "the paper's wording: the SNR is positive inside (0, 1)",
                "two problems of opposite gradients",
                _every_pass_rate_has_signal,
                Result.REFUTED,
                given={"gradients": [[1.0], [-1.0]]},
            ),
            Check(
                "z3",
                "repaired: in a half-space the mean is not 0",
                "three gradients in the plane",
                _half_space_has_signal,
                fails={"with one gradient outside": {"inside": 2}},
            ),
            Check(
                "hypothesis",
                "repaired: and the SNR is positive and finite unless all are equal",
                "up to four gradients",
                _half_space_has_finite_snr,
                Result.SUPPORTED,
                fails={"without the half-space": {"low": -1.0}},
            ),
        ),
    ),
)
