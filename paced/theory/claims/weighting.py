"""Claims about how weights are used: Eq. (2), (4), (5), the baselines of section 4.1, the kernel's relatives.

Eq. (2) and (5) define the data and the loss; what can be checked of them here is that the two losses are divergences.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np

from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, assumed, holds_for_all, refuted, supported
from paced.weights import (
    BetaKernel,
    DropZero,
    HardFilter,
    MinimaxKernel,
    SaturatedKernel,
    TargetDifficulty,
    TeacherCeilingKernel,
    Uniform,
    normalise,
    sampling_probabilities,
)

RATES = (0.013, 0.125, 0.31, 0.5, 0.622, 0.875, 0.9871)


# --- Eq. (2) and (5): the reference and the two losses ----------------------------------------------------------------
def _distributions():  # type: ignore[no-untyped-def]
    """Two distributions over the same 2 to 6 tokens."""
    from hypothesis import strategies as st

    row = st.lists(st.floats(0.01, 1.0), min_size=6, max_size=6)
    return st.tuples(st.integers(2, 6), row, row).map(
        lambda t: (np.array(t[1][: t[0]]) / sum(t[1][: t[0]]), np.array(t[2][: t[0]]) / sum(t[2][: t[0]]))
    )


def _kl(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.sum(left * (np.log(left) - np.log(right))))


def _cross_entropy(left: np.ndarray, right: np.ndarray) -> float:
    return float(-np.sum(left * np.log(right)))


def _losses_are_divergences(loss=_kl) -> Outcome:  # type: ignore[no-untyped-def]
    """Both directions are >= 0, and 0 on equal inputs."""

    def law(pair: tuple[np.ndarray, np.ndarray]) -> bool:
        teacher, student = pair
        directions = loss(teacher, student), loss(student, teacher)
        return min(directions) >= -1e-12 and abs(loss(teacher, teacher)) <= 1e-12

    steep = np.array([0.01, 1.0, 1.0, 1.0, 1.0, 1.0])
    two, six = np.array([0.01, 1.0]) / 1.01, steep / steep.sum()
    return holds_for_all(_distributions(), law, ends=((two, two[::-1]), (six, six[::-1])), examples=150)


def _directions_agree(order: int) -> Outcome:
    """KL(T‖S)/KL(S‖T) -> 1 as S -> T (``order`` 2); far away the two directions differ."""
    teacher = np.array([0.6, 0.3, 0.1])
    shift = np.array([1.0, -0.4, -0.6])
    scale = 1e-5 if order == 2 else 0.09
    student = teacher + scale * shift
    ratio = _kl(teacher, student) / _kl(student, teacher)
    if abs(ratio - 1) > 1e-4:
        return refuted("the two directions weigh the same discrepancy differently", scale=scale, ratio=ratio)
    return supported(1)


def _target_is_attained(direction: tuple[float, float]) -> Outcome:
    """The smallest forward KL over a student whose logits are t times a direction should be 0."""
    from scipy.optimize import minimize_scalar

    teacher = np.array([0.8, 0.2])

    def distance(scale: float) -> float:
        student = np.exp(scale * np.asarray(direction))
        return _kl(teacher, student / student.sum())

    least = float(minimize_scalar(distance, bounds=(-10, 10), method="bounded").fun)
    if least > 1e-6:
        return refuted("no student of this family is the teacher", direction=direction, least_kl=least)
    return supported(1)


# --- Eq. (4): unit-mean weights ---------------------------------------------------------------------------------------
def _unit_mean(scope: str = "training set") -> Outcome:
    """w̃_i = w_i/mean(w) in rationals, and the step direction Σ w̃ g that follows; ``scope`` is what the mean is over."""
    counts = [0, 1, 3, 4, 8, 2, 7]
    exact = [Fraction(s * (8 - s), 64) for s in counts]
    mean = sum(exact) / len(exact)
    kernel = BetaKernel()(counts, 8)
    expected = [float(w / mean) for w in exact]
    if scope == "micro-batch":
        computed = np.array([normalise([w]).unit_mean_weights[0] if w else 0.0 for w in kernel])
        return agree(computed, expected, s=counts)
    normalised = normalise(kernel)
    ess = sum(exact) ** 2 / sum(w * w for w in exact)
    return all_of(
        agree(normalised.unit_mean_weights, expected, s=counts),
        agree(normalised.ess, float(ess)),
        agree(sampling_probabilities(kernel), [float(w / sum(exact)) for w in exact], s=counts),
        agree(normalised.ess_fraction, float(ess / len(exact))),
        agree(normalised.share_zero, 2 / 7),
        agree(normalised.largest, float(max(exact) / mean)),
        agree(normalise(1e-200 * kernel).unit_mean_weights, expected, s=counts),
    )


# --- Section 4.1 and the relatives of the kernel ----------------------------------------------------------------------
def _baselines(low: float = 0.2) -> Outcome:
    """The baselines at K = 8, s = 0..8, against their definition in rationals."""
    s = np.arange(9)
    rates = [Fraction(int(i), 8) for i in s]
    bell = [float(mpmath.exp(-((1 - mpmath.mpf(int(i)) / 8 - 0.5) ** 2) / (2 * mpmath.mpf("0.2") ** 2))) for i in s]
    shifted = [float(mpmath.exp(-((1 - mpmath.mpf(int(i)) / 8 - 0.3) ** 2) / (2 * mpmath.mpf("0.35") ** 2))) for i in s]
    return all_of(
        agree(HardFilter()(s, 8), [float(Fraction(str(low)) <= r <= Fraction(4, 5)) for r in rates], s=s),
        agree(HardFilter(0.125, 0.5)(s, 8), [float(Fraction(1, 8) <= r <= Fraction(1, 2)) for r in rates], s=s),
        agree(DropZero()(s, 8), [float(r > 0) for r in rates], s=s),
        agree(Uniform()(s, 8), 1.0, s=s),
        agree(TargetDifficulty()(s, 8), bell, s=s),
        agree(TargetDifficulty(0.3, 0.35)(s, 8), shifted, s=s),
    )


def _relatives(ceiling_shift: float = 0.0) -> Outcome:
    """S/(1+S), S/(S+cosh δ) and p^α (c-p)_+^β in mpmath, at constants that are nowhere in the paper."""
    a, b, amplitude, delta, c = 1.3, 2.1, 3.7, 0.45, 0.8
    outcomes = []
    for p in RATES:
        s = amplitude * mpmath.mpf(p) ** a * (1 - mpmath.mpf(p)) ** b
        ceiling = mpmath.mpf(p) ** a * max(c + ceiling_shift - mpmath.mpf(p), 0) ** b
        outcomes += [
            agree(SaturatedKernel(a, b, amplitude).at(p), float(s / (1 + s)), p=p),
            agree(MinimaxKernel(delta, a, b, amplitude).at(p), float(s / (s + mpmath.cosh(delta))), p=p),
            agree(TeacherCeilingKernel(c, a, b).at(p), float(ceiling), atol=1e-300, p=p),
        ]
    return all_of(*outcomes)


def _small_amplitude_is_the_kernel(amplitude: float) -> Outcome:
    """Saturated weights over A tend to the Beta kernel as A -> 0."""
    p = np.array(RATES)
    return agree(SaturatedKernel(1, 2, amplitude).at(p) / amplitude, BetaKernel(1, 2).at(p), rtol=1e-6, p=p)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="eq2",
        where="Eq. (2), section 3.2",
        title="References are sampled from the teacher given the expert solution",
        verdict=Verdict.ASSUMED,
        paper="r ~ P_T(.|x, y*): the teacher re-expresses the expert's reasoning in its own voice, a realistic target.",
        statement="A definition of the data. That the target is attainable for the student is assumed, not shown.",
        latex=r"r\sim P_T(\,\cdot\mid x,y^*)",
        equations=(2,),
        checks=(
            Check(
                "assumed", "the target is attainable", "all problems", lambda: assumed("a definition"), Result.ASSUMED
            ),
            Check(
                "numeric",
                "a student with free logits attains it",
                "2 tokens",
                _target_is_attained,
                Result.SUPPORTED,
                given={"direction": (1.0, 0.0)},
                fails={"with a student whose logits are tied": {"direction": (1.0, 1.0)}},
            ),
        ),
    ),
    Claim(
        id="eq4",
        where="Eq. (4), section 3.4",
        title="Weights have unit mean over the training set",
        verdict=Verdict.TRUE,
        paper="L_w = E_x[w(p(x)) l(x)]; the resulting weights are normalised to unit mean and kept fixed during training.",
        statement="w~_i = w_i/mean(w) over all N problems has mean 1, does not depend on the scale of w, and keeps ratios.",
        latex=r"L_w(\theta)=\mathbb E_x[w(p(x))\,\ell(x;\theta)],\qquad \tilde w_i=\frac{w_i}{\frac1N\sum_j w_j}",
        equations=(4,),
        functions=(normalise, sampling_probabilities),
        hypotheses=("not all weights are 0", "the mean is over the training set, not over a batch"),
        depends_on=("eq3",),
        proof="Division by a constant. Normalised inside a micro-batch of one problem every weight is 1: the method cancels.",
        numbers=lambda: {
            "ESS/N of s = 0,1,3,4,8,2,7 at K = 8": normalise(BetaKernel()([0, 1, 3, 4, 8, 2, 7], 8)).ess_fraction
        },
        checks=(
            Check(
                "numeric",
                "normalise is w/mean(w), with its ESS",
                "7 problems, K = 8",
                _unit_mean,
                Result.SUPPORTED,
                fails={"with the mean over a micro-batch of one problem": {"scope": "micro-batch"}},
            ),
        ),
    ),
    Claim(
        id="eq5",
        where="Eq. (5), section 3.4",
        title="The losses of the two tracks are divergences",
        verdict=Verdict.TRUE,
        paper="Forward KL along the teacher's sequence; reverse KL along a student's sequence.",
        statement=(
            "Token by token both KL(P_T || P_S) and KL(P_S || P_T) are >= 0 and 0 exactly for equal distributions; they "
            "agree to second order where student and teacher are near."
        ),
        latex=r"\ell_{\mathrm{FKL}}=\sum_t\mathrm{KL}(P_T\,\|\,P_S),\qquad"
        r"\ell_{\mathrm{RKL}}=\sum_t\mathrm{KL}(P_S\,\|\,P_T)",
        equations=(5,),
        hypotheses=("the same vocabulary on both sides", "full support, as softmax gives"),
        proof="Gibbs' inequality; the second-order term of either is half the Fisher metric. The trainer's own divergences "
        "are held against oracles in tests/train/loss; nothing here imports torch.",
        checks=(
            Check(
                "hypothesis",
                "non-negative, 0 on equal inputs",
                "2 to 6 tokens",
                _losses_are_divergences,
                Result.SUPPORTED,
                fails={"with the cross-entropy for the KL": {"loss": _cross_entropy}},
            ),
            Check(
                "numeric",
                "KL(T||S)/KL(S||T) -> 1 as S -> T",
                "shift 1e-5",
                _directions_agree,
                Result.SUPPORTED,
                given={"order": 2},
                fails={"with a student far from the teacher": {"order": 0}},
            ),
        ),
    ),
    Claim(
        id="sec4.baselines",
        where="Section 4.1",
        title="The baselines that the kernel is held against",
        verdict=Verdict.TRUE,
        paper="Hard Filter Forward KL and Hard Filter Reverse KL.",
        statement=(
            "With K = 8 the hard filter 0.2 <= p_hat <= 0.8 keeps s in {2,...,6}; drop-zero keeps s >= 1; the target "
            "difficulty is a Gaussian bell in 1 - p_hat."
        ),
        latex=r"w_{\mathrm{hard}}=\mathbf 1[0.2\le\hat p\le0.8],\qquad w_{\mathrm{drop}}=\mathbf 1[\hat p>0]",
        functions=(
            HardFilter,
            DropZero,
            TargetDifficulty,
            Uniform,
        ),
        depends_on=("eq1",),
        proof="By definition. The paper does not give its thresholds; 0.2 and 0.8 are ours.",
        checks=(
            Check(
                "numeric",
                "weights at s = 0..8",
                "K = 8",
                _baselines,
                Result.SUPPORTED,
                fails={"with the threshold 0.26": {"low": 0.26}},
            ),
        ),
    ),
    Claim(
        id="eq3.relatives",
        where="Eq. (17), and extensions x3 and x10",
        title="The kernel's relatives: saturated, minimax, teacher ceiling",
        verdict=Verdict.TRUE,
        statement=(
            "The trainer's kernels are S/(1+S), S/(S + cosh delta) and p^alpha (c-p)_+^beta with S = A p^alpha q^beta; as "
            "A -> 0 the first tends to A times the Beta kernel, and saturation moves no peak."
        ),
        latex=r"\frac{S}{1+S},\qquad\frac{S_0}{S_0+\cosh\delta},\qquad p^\alpha(c-p)_+^\beta",
        functions=(
            SaturatedKernel,
            MinimaxKernel,
            TeacherCeilingKernel,
        ),
        depends_on=("eq3",),
        proof="S/(1+S) and S/(S+c) increase in S, so their peak is that of S. Why these forms: thm4, x3 and x10.",
        checks=(
            Check(
                "numeric",
                "the three formulas in mpmath",
                "7 pass rates",
                _relatives,
                Result.SUPPORTED,
                fails={"with the ceiling moved by 0.01": {"ceiling_shift": 0.01}},
            ),
            Check(
                "numeric",
                "A -> 0 is the Beta kernel",
                "A = 1e-9",
                _small_amplitude_is_the_kernel,
                Result.SUPPORTED,
                given={"amplitude": 1e-9},
                fails={"with A = 1": {"amplitude": 1.0}},
            ),
        ),
    ),
)
