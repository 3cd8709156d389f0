"""What the paper assumes: Assumptions 1-4 and the conditions (a), (b) of Proposition 2, each marked *assumed*.

A control of an assumption is a model that breaks it, so that one sees what it excludes. Two of them cannot hold
together: Proposition 2(a) and Assumption 3(c) ask opposite things of the second moment (claim ``a3c.consistent``).
"""

from __future__ import annotations

import numpy as np

from paced.theory.facts.boundary import forward_kl_gradient, population_snr
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import assumed, refuted, supported, symbolic_zero


def _assumed(text: str) -> tuple[Check, ...]:
    return (
        Check("assumed", text, "not checkable here: a hypothesis", lambda: assumed("a hypothesis"), Result.ASSUMED),
    )


def _slope_is_bounded(power: int, smoothness: float = 2.0) -> Outcome:
    """l = theta^power: (l'(2u) - l'(u))/u stays at most L on the way out."""
    for u in (1.0, 10.0, 1e3):
        slope = power * ((2 * u) ** (power - 1) - u ** (power - 1)) / u
        if slope > smoothness:
            return refuted("the gradient's slope is unbounded", power=power, u=u, slope=slope)
    return supported(3)


def _logits_stay_bounded(target: float, bound: float = 5.0) -> Outcome:
    """Plain gradient descent on the cross-entropy of one token with teacher probability ``target``."""
    logit = 0.0
    for step in range(1, 1000):
        logit += target - 1.0 / (1.0 + np.exp(-logit))
        if logit > bound:
            return refuted("the logit of a mastered token grows without end", step=step, logit=float(logit), M=bound)
    return supported(1000)


def _signal_dies_at_mastery(student_logits: list[float]) -> Outcome:
    """Two wordings that are both graded right, so p = 1: the forward-KL gradient should be 0."""
    gradient = float(np.linalg.norm(forward_kl_gradient(teacher_logits=[0.0, 0.0], student_logits=student_logits)))
    if gradient > 1e-9:
        return refuted("both wordings are graded right, so p = 1, and the logits differ", p=1.0, gradient_norm=gradient)
    return supported(1)


def _snr_is_a_power_law(noise_exponent: float, least: float = 0.05) -> Outcome:
    """Gradients (1-p) mu + (1-p)^c xi: log SNR/log(1-p) must stay above some b' > 0 as p -> 1."""
    for gap in (1e-6, 1e-9, 1e-12):
        snr = population_snr([[gap, 2 * gap**noise_exponent], [gap, -2 * gap**noise_exponent]])
        exponent = float(np.log(snr) / np.log(gap))
        if exponent < least:
            return refuted("no exponent b' > 0 fits", p=1 - gap, snr=snr, exponent=exponent)
    return supported(3)


def _profile_is_bounded(log_power: float, delta: float = 1.0) -> Outcome:
    """SNR^2 = p/|log p|^c against C p: the spread of the logarithm is at most 2 delta down to p = 1e-300."""
    near = np.array([1e-3, 1e-300])
    spread = float(np.ptp(-log_power * np.log(np.abs(np.log(near)))))
    if spread > 2 * delta:
        return refuted("log SNR^2 - alpha log p is unbounded at the right alpha = 1", p=1e-300, spread=spread)
    return supported(2)


def _gradient_with_moving_weight(frozen: bool) -> Outcome:
    """d/dθ of w(p(θ)) l(θ) for l = -log p, p = sigmoid(θ): the method's gradient is w l', the true one has w' l too."""
    import sympy

    theta = sympy.symbols("theta", real=True)
    p = 1 / (1 + sympy.exp(-theta))
    loss, weight = -sympy.log(p), p * (1 - p)
    kept = sympy.Dummy("w", positive=True)
    objective = (kept * loss) if frozen else weight * loss
    true = sympy.diff(objective, theta).subs(kept, weight)
    return symbolic_zero(true - weight * sympy.diff(loss, theta))


def _incoherent_at_incompetence(gradients: list[list[float]]) -> Outcome:
    """Gradients of problems that are never solved: their SNR should be near 0."""
    snr = population_snr(gradients)
    if snr > 0.1:
        return refuted("a shared failure gives coherent gradients at p = 0", p=0.0, snr=snr)
    return supported(len(gradients))


def _noise_is_bounded_over_pass_rates(lowest: float, variance: float = 10.0) -> Outcome:
    """M2 = p^tau0 with tau0 = -1/2 stays below sigma^2 down to the lowest pass rate."""
    second_moment = float(lowest**-0.5)
    if second_moment > variance:
        return refuted("A1 (iii) bounds the second moment, A3(c) does not", p=lowest, second_moment=second_moment)
    return supported(1)


_ALIGNED_AT_MASTERY = Check(
    "numeric",
    "a student with the teacher's own logits meets it",
    "two wordings, p = 1",
    _signal_dies_at_mastery,
    Result.SUPPORTED,
    given={"student_logits": [0.0, 0.0]},
    fails={"a student that is right in other words is excluded": {"student_logits": [2.2, 0.0]}},
)
"""Of Assumption 3(a) and of condition (a) of Proposition 2, which both say that nothing is left to learn at p = 1."""

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="a1",
        where="Assumption 1",
        title="Smooth loss, unbiased gradients, bounded variance",
        verdict=Verdict.ASSUMED,
        paper="(i) The total loss is L-smooth; (ii) per-sample gradients are unbiased; (iii) their variance is at most sigma^2.",
        statement="Standard, for the mean loss. It does not make the weighted loss L-smooth (see prop8).",
        latex=r"\|\nabla\mathcal L(u)-\nabla\mathcal L(v)\|\le L\|u-v\|,\quad\mathbb E g=\nabla\mathcal L,\quad\mathbb E\|g-\nabla\mathcal L\|^2\le\sigma^2",
        checks=(
            *_assumed("smooth, unbiased, bounded variance"),
            Check(
                "numeric",
                "a loss that meets it: theta^2",
                "u up to 1000",
                _slope_is_bounded,
                Result.SUPPORTED,
                given={"power": 2},
                fails={"theta^4 is excluded": {"power": 4}},
            ),
        ),
    ),
    Claim(
        id="a2",
        where="Assumption 2",
        title="Bounded logits and Jacobian",
        verdict=Verdict.ASSUMED,
        paper="|z_S|, |z_T| <= M and the Jacobian of the student's logits is bounded by C_J, for all training steps.",
        statement="The bound on the logits is not needed: softmax is Lipschitz everywhere (prop2.i).",
        latex=r"|z_S|,|z_T|\le M,\qquad\|\partial z_S/\partial\theta\|\le C_J",
        checks=(
            *_assumed("bounded logits and Jacobian"),
            Check(
                "numeric",
                "logits stay bounded where the teacher is unsure",
                "1000 steps, P_T = 0.9",
                _logits_stay_bounded,
                Result.SUPPORTED,
                given={"target": 0.9},
                fails={"gradient descent on a mastered token is excluded": {"target": 1.0}},
            ),
        ),
    ),
    Claim(
        id="a3a",
        where="Assumption 3(a)",
        title="The signal is a power law of the pass rate",
        verdict=Verdict.ASSUMED,
        paper="||E g(p)|| scales as p^a (1-p)^b with a, b > 0, so the signal vanishes at both ends.",
        statement="A modelling choice; for the forward KL nothing makes the mean gradient vanish at p = 0.",
        latex=r"\|\bar g(p)\|\propto p^a(1-p)^b",
        checks=(
            *_assumed("the signal vanishes at both ends as a power"),
            _ALIGNED_AT_MASTERY,
        ),
    ),
    Claim(
        id="a3b",
        where="Assumption 3(b)",
        title="The SNR is a power law at both ends",
        verdict=Verdict.ASSUMED,
        paper="SNR ~ C0 p^a' as p -> 0 and SNR ~ C1 (1-p)^b' as p -> 1, with a', b', C0, C1 > 0.",
        statement="The assumption that carries the whole derivation; at p -> 1 nothing else in the paper gives it.",
        latex=r"\mathrm{SNR}\sim C_0p^{a'}\ (p\to0),\qquad\mathrm{SNR}\sim C_1(1-p)^{b'}\ (p\to1)",
        checks=(
            *_assumed("a power law at both ends"),
            Check(
                "numeric",
                "noise that dies more slowly than the signal meets it",
                "1-p from 1e-6 to 1e-12",
                _snr_is_a_power_law,
                Result.SUPPORTED,
                given={"noise_exponent": 0.5},
                fails={"gradients that die together with their noise are excluded": {"noise_exponent": 1.0}},
            ),
        ),
    ),
    Claim(
        id="a3b'",
        where="Assumption 3(b')",
        title="SNR squared is a Beta profile up to e^delta",
        verdict=Verdict.ASSUMED,
        paper="|log SNR^2 - alpha log p - beta log(1-p)| <= delta up to a constant.",
        statement="delta is unknown in advance; x6 measures it.",
        latex=r"|\log\mathrm{SNR}^2(p)-\alpha\log p-\beta\log(1-p)-c|\le\delta",
        checks=(
            *_assumed("a Beta profile up to a bounded factor"),
            Check(
                "numeric",
                "SNR^2 = p meets it",
                "p from 1e-3 to 1e-300",
                _profile_is_bounded,
                Result.SUPPORTED,
                given={"log_power": 0.0},
                fails={"SNR^2 = p/|log p| is excluded": {"log_power": 1.0}},
            ),
        ),
    ),
    Claim(
        id="a3c",
        where="Assumption 3(c)",
        title="Gradients are largest at both ends",
        verdict=Verdict.ASSUMED,
        paper="a - a' < 0 and b - b' < 0, so the second moment is larger near the boundaries; p lies in [eps, 1-eps].",
        statement="tau0, tau1 < 0. Used in examples only; against Proposition 2(a) and Assumption 1 (iii).",
        latex=r"M_2\propto p^{\tau_0}(1-p)^{\tau_1},\quad\tau_0=2(a-a')<0,\ \tau_1=2(b-b')<0",
        checks=(
            *_assumed("hot extremes"),
            Check(
                "numeric",
                "with Assumption 1 (iii) on truncated pass rates",
                "p >= 0.05",
                _noise_is_bounded_over_pass_rates,
                Result.SUPPORTED,
                given={"lowest": 0.05},
                fails={"Assumption 1 (iii) is excluded without the truncation": {"lowest": 1e-8}},
            ),
        ),
    ),
    Claim(
        id="a4",
        where="Assumption 4",
        title="Weights are frozen within an epoch",
        verdict=Verdict.ASSUMED,
        paper="Within each epoch w does not depend on theta for the purpose of gradient computation.",
        statement="A rule of the algorithm, so true by construction; it makes the step w times the gradient.",
        latex=r"\nabla_\theta\,[w\,\ell(\theta)]=w\,\nabla_\theta\ell(\theta)",
        depends_on=("eq3",),
        checks=(
            *_assumed("weights do not follow the student within an epoch"),
            Check(
                "sympy",
                "then the gradient of w l is w times that of l",
                "p = sigmoid(theta)",
                _gradient_with_moving_weight,
                given={"frozen": True},
                fails={"with a weight that follows theta": {"frozen": False}},
            ),
        ),
    ),
    Claim(
        id="prop2.a",
        where="Proposition 2, condition (a)",
        title="Alignment at mastery",
        verdict=Verdict.ASSUMED,
        paper="||z_S - z_T|| -> 0 as p -> 1.",
        statement="A correct answer is not the teacher's answer: p = 1 does not determine the student's distribution.",
        latex=r"\|z_S-z_T\|\to0\quad(p\to1)",
        checks=(
            *_assumed("alignment at mastery"),
            _ALIGNED_AT_MASTERY,
        ),
    ),
    Claim(
        id="prop2.b",
        where="Proposition 2, condition (b)",
        title="Gradient incoherence at incompetence",
        verdict=Verdict.ASSUMED,
        paper="||E g||/sqrt(Var g) -> 0 as p -> 0.",
        statement="The conclusion (ii) in other words; fails for problems that miss one common skill, as the paper says.",
        latex=r"\frac{\|\mathbb E g\|}{\sqrt{\operatorname{Var}g}}\to0\quad(p\to0)",
        checks=(
            *_assumed("incoherence at incompetence"),
            Check(
                "numeric",
                "problems that miss different skills meet it",
                "3 gradients",
                _incoherent_at_incompetence,
                Result.SUPPORTED,
                given={"gradients": [[1.0, 0.1], [-1.0, -0.1], [0.0, 0.1]]},
                fails={
                    "problems that miss one common skill are excluded": {
                        "gradients": [[1.0, 0.1], [1.0, -0.1], [1.1, 0.0]]
                    }
                },
            ),
        ),
    ),
)
