"""Claims about one weighted step: Definition 2, Theorem 4 and Lemma 5, Eq. (12)-(18) and (21)-(22)."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.descent import (
    best_descent,
    guaranteed_descent,
    optimal_weight,
    optimal_weight_from_snr,
)
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
)
from paced.weights import BetaKernel, SaturatedKernel

POINTS = ((0.31, 0.2, 0.7, 0.013, 4.1), (1.7, 3e-4, 11.0, 0.4, 0.9), (-0.6, 2.2, 2.2, 1e-3, 130.0))
"""(w, s2, M2, eta, L), nowhere in the paper."""


# --- Definition 2 -----------------------------------------------------------------------------------------------------
def _bound_numbers(half: str = "0.5") -> Outcome:
    """D(w) of the module against Eq. (12) in mpmath."""
    outcomes = []
    for w, s2, m2, eta, lip in POINTS:
        exact = [mpmath.mpf(x) for x in (w, s2, m2, eta, lip)]
        expected = exact[3] * exact[0] * exact[1] - mpmath.mpf(half) * (exact[3] * exact[0]) ** 2 * exact[4] * exact[2]
        computed = guaranteed_descent(w, signal_squared=s2, second_moment=m2, learning_rate=eta, smoothness=lip)
        outcomes.append(agree(computed, float(expected), w=w, s2=s2))
    plain = guaranteed_descent(0.3, signal_squared=0.0, second_moment=2.0)
    return all_of(*outcomes, agree(plain, -0.09))


def _bounds_the_quadratic(share: str = "1") -> Outcome:
    """g'Hg <= L g'g for two eigenvalues in [-L, L]: the second-order term of Eq. (14) is at most that of Eq. (12)."""
    import z3

    x, y, first, second, lip = z3.Reals("x y h1 h2 L")
    inside = [lip > 0, first <= lip, second <= lip, first >= -lip, second >= -lip]
    return unsatisfiable(*inside, first * x * x + second * y * y > z3.RealVal(share) * lip * (x * x + y * y))


def _true_and_promised(curvature: float) -> tuple[float, float]:
    """Descent of l = -t + t²/20 + t⁴ from t = 0 with the best step for ``curvature``, and what D promises."""
    step = float(optimal_weight(signal_squared=1.0, second_moment=1.0, smoothness=curvature))
    return step - step**2 / 20 - step**4, float(
        best_descent(signal_squared=1.0, second_moment=1.0, smoothness=curvature)
    )


def _keeps_its_promise(curvature: float) -> Outcome:
    true, promised = _true_and_promised(curvature)
    if true < promised:
        return refuted("the loss falls by less than D", L=curvature, promised=promised, true_descent=true)
    return supported(1)


# --- Theorem 4 --------------------------------------------------------------------------------------------------------
def _solve_first_order_condition(factor: int = 1) -> Outcome:
    """Differentiate Eq. (12), solve Eq. (15), and rewrite Eq. (16) into Eq. (17) through M2 = s2 + sig2."""
    import sympy

    w, s2, sig2, eta, lip = sympy.symbols("w s2 sigma2 eta L", positive=True)
    m2 = s2 + sig2
    bound = eta * w * s2 - sympy.Rational(factor, 2) * eta**2 * w**2 * lip * m2
    (root,) = sympy.solve(sympy.diff(bound, w), w)
    snr2 = s2 / sig2
    return all_of(
        symbolic_zero(root - s2 / (eta * lip * m2)),
        symbolic_zero(root - snr2 / (1 + snr2) / (eta * lip)),
        symbolic_zero(sympy.diff(bound, w, 2) + eta**2 * lip * m2),
        symbolic_zero(bound.subs(w, root) - s2**2 / (2 * lip * m2)),
        detail="one root, D'' = -eta^2 L M2 < 0, D* = s2^2/(2 L M2)",
    )


def _optimum_numbers() -> Outcome:
    """Where mpmath finds the root of D', and both forms of the weight."""
    outcomes = []
    for _, s2, m2, eta, lip in POINTS:
        args = {"signal_squared": s2, "second_moment": m2}
        slope = mpmath.mpf(eta) * s2, mpmath.mpf(eta) ** 2 * lip * m2
        root = slope[0] / slope[1]
        snr2 = float(mpmath.mpf(s2) / (mpmath.mpf(m2) - s2)) if m2 > s2 else np.inf
        best = optimal_weight(**args, learning_rate=eta, smoothness=lip)
        outcomes += [
            agree(best, float(root), s2=s2),
            agree(optimal_weight_from_snr(snr2, learning_rate=eta, smoothness=lip), float(root), s2=s2),
            agree(best_descent(**args, smoothness=lip), float(slope[0] * root / 2), s2=s2),
        ]
    plain = optimal_weight(signal_squared=0.3, second_moment=0.8), best_descent(signal_squared=0.3, second_moment=0.8)
    return all_of(
        *outcomes,
        agree(plain, [0.375, 0.05625]),
        agree(optimal_weight_from_snr([0.0, 0.6, np.inf]), [0.0, 0.375, 1.0]),
    )


def _low_snr_limit(power: int = 2) -> Outcome:
    """w* eta L/SNR^power -> 1 as SNR -> 0, and w* eta L -> 1 as SNR -> infinity."""
    import sympy

    x = sympy.symbols("x", positive=True)
    share = x**2 / (1 + x**2)
    return all_of(
        symbolic_zero(sympy.limit(share / x**power, x, 0) - 1), symbolic_zero(sympy.limit(share, x, sympy.oo) - 1)
    )


def _kernel_at_low_snr(amplitude: float) -> Outcome:
    """Theorem 4's weight for SNR = C p^a' q^b' over C² against the kernel with (2a', 2b'); relative error below C²."""
    a, b = 0.7, 1.1
    p = np.linspace(0.01, 0.99, 99)
    snr2 = amplitude * (p**a * (1 - p) ** b) ** 2
    weight = optimal_weight_from_snr(snr2) / amplitude
    return all_of(
        agree(weight, BetaKernel(2 * a, 2 * b).at(p), rtol=1e-8, p=p),
        agree(SaturatedKernel(2 * a, 2 * b, amplitude).at(p), optimal_weight_from_snr(snr2), p=p),
    )


def _peak_with_tilt(tilt: float) -> float:
    """Where p q exp(tilt p) peaks: the root of 1/p - 1/q + tilt."""
    return 0.5 if tilt == 0 else float((tilt - 2 + np.hypot(tilt, 2.0)) / (2 * tilt))


def _peak_is_the_kernels(tilt: float) -> Outcome:
    """The optimal weight for SNR² = A p q e^(tilt p) should peak at 1/2 for every A."""
    p = np.linspace(0.001, 0.999, 999)
    for amplitude in (0.01, 1.0, 1000.0):
        weight = optimal_weight_from_snr(amplitude * BetaKernel().at(p) * np.exp(tilt * p))
        peak = float(p[int(np.argmax(weight))])
        if abs(peak - 0.5) > 2e-3:
            return refuted("the remainder moves the peak", tilt=tilt, amplitude=amplitude, peak=peak)
    return supported(3)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="def2",
        where="Definition 2, Eq. (12), (14)",
        title="A lower bound on the descent of one weighted step",
        verdict=Verdict.CONDITIONAL,
        paper="The second-order term uses lambda_max(H) <= L, so D is a lower bound on the true expected descent.",
        statement=(
            "D(w) = eta w s2 - (eta^2 w^2/2) L M2 is at most the expected descent of a plain SGD step if L bounds the Hessian "
            "everywhere; with the local Hessian, Eq. (14) drops a third-order term and D promises too much."
        ),
        latex=r"D(w;p)=\eta w\,\|\bar g\|^2-\tfrac{\eta^2w^2}{2}L\,\mathbb E\|g\|^2\ \le\ \mathbb E[\ell(\theta)-\ell(\theta-\eta w g)]",
        equations=(12, 14),
        functions=(guaranteed_descent,),
        hypotheses=(
            "L bounds the Hessian's eigenvalues on the whole segment",
            "plain SGD, E g = the gradient",
            "M2 > 0",
        ),
        depends_on=("a1",),
        proof="Descent lemma: l(t - h g) <= l - h <grad, g> + (L/2) h^2 |g|^2; take the mean.",
        counterexample=Counterexample(
            "l(t) = -t + t^2/20 + t^4 at t = 0: the local curvature is 1/10, the step 10, and the loss goes up by 9995.",
            lambda: dict(zip(("true descent", "promised"), _true_and_promised(0.1), strict=True)),
        ),
        checks=(
            Check(
                "numeric",
                "guaranteed_descent is Eq. (12)",
                "3 points, mpmath",
                _bound_numbers,
                Result.SUPPORTED,
                fails={"with 0.51 for 1/2": {"half": "0.51"}},
            ),
            Check(
                "z3",
                "g'Hg <= L|g|^2, the second-order term",
                "eigenvalues in [-L, L]",
                _bounds_the_quadratic,
                fails={"with 0.99 L": {"share": "99/100"}},
            ),
            Check(
                "numeric",
                "with a curvature that covers the step, the loss falls by D or more",
                "l = -t + t^2/20 + t^4, L = 12.1",
                _keeps_its_promise,
                Result.SUPPORTED,
                given={"curvature": 12.1},
                fails={"with the local Hessian in place of a global bound": {"curvature": 0.1}},
            ),
        ),
    ),
    Claim(
        id="thm4.optimum",
        where="Theorem 4, steps 1 and 2, Eq. (15)-(17)",
        title="The weight that maximises the bound",
        verdict=Verdict.TRUE,
        paper="Differentiate with respect to w and set to zero; the second derivative is negative, a maximum.",
        statement="argmax D = s2/(eta L M2) = SNR^2/(eta L (1 + SNR^2)) and D* = s2^2/(2 L M2).",
        latex=r"w^*=\frac{\|\bar g\|^2}{\eta L\,\mathbb E\|g\|^2}=\frac1{\eta L}\,\frac{\mathrm{SNR}^2}{1+\mathrm{SNR}^2},\qquad "
        r"D^*=\frac{\|\bar g\|^4}{2L\,\mathbb E\|g\|^2}",
        equations=(15, 16, 17),
        functions=(
            optimal_weight,
            optimal_weight_from_snr,
            best_descent,
        ),
        hypotheses=("M2 > 0",),
        depends_on=("def2",),
        proof="D is a concave parabola in w. E|g|^2 = |E g|^2 + tr Cov g turns s2/M2 into SNR^2/(1+SNR^2).",
        numbers=lambda: {
            "w* at SNR^2 = 1/3": float(optimal_weight_from_snr(1 / 3)),
            "D* at s2 = 0.3, M2 = 0.8": float(best_descent(signal_squared=0.3, second_moment=0.8)),
        },
        checks=(
            Check(
                "sympy",
                "Eq. (15) has this one root, a maximum",
                "s2, sigma2, eta, L > 0",
                _solve_first_order_condition,
                fails={"with the second-order term doubled": {"factor": 2}},
            ),
            Check("numeric", "the functions at that root", "3 points, mpmath", _optimum_numbers, Result.SUPPORTED),
        ),
    ),
    Claim(
        id="thm4",
        where="Theorem 4, step 3, Eq. (13), (18)",
        title="At low SNR the optimal weight is a Beta kernel",
        verdict=Verdict.CONDITIONAL,
        paper="In the low-SNR regime w* takes the Beta kernel form with alpha = 2a', beta = 2b' and peak a'/(a'+b').",
        statement=(
            "If SNR = C p^a' q^b' without remainder, eta L w*/C^2 tends to p^2a' q^2b' as C -> 0, with relative error below "
            "SNR^2, and the peak is a'/(a'+b') at every C. A remainder moves the peak."
        ),
        latex=r"w^*\simeq\frac{\mathrm{SNR}^2}{\eta L}\propto p^{2a'}(1-p)^{2b'},\qquad p^*=\frac{a'}{a'+b'}",
        equations=(13, 18),
        functions=(
            optimal_weight_from_snr,
            BetaKernel,
            SaturatedKernel,
        ),
        hypotheses=("SNR^2 small at every p", "r constant: SNR is a power law inside (0,1) too"),
        depends_on=("thm4.optimum", "a3b", "prop3"),
        proof="S/(1+S) = S (1 - S/(1+S)), and S/(1+S) increases with S. That r is constant is a modelling choice (prop3.shape).",
        counterexample=Counterexample(
            "SNR^2 = A p q e^(2p) has the boundary exponents of p q and peaks elsewhere, at every A.",
            lambda: {"peak without remainder": _peak_with_tilt(0.0), "peak with r = 2p": _peak_with_tilt(2.0)},
        ),
        checks=(
            Check(
                "sympy",
                "both limits of SNR^2/(1+SNR^2)",
                "SNR -> 0 and SNR -> oo",
                _low_snr_limit,
                fails={"with SNR for SNR^2": {"power": 1}},
            ),
            Check(
                "numeric",
                "w*/C^2 is the kernel with (2a', 2b')",
                "C^2 = 1e-9, 99 pass rates",
                _kernel_at_low_snr,
                Result.SUPPORTED,
                given={"amplitude": 1e-9},
                fails={"at SNR^2 of order 1": {"amplitude": 1.0}},
            ),
            Check(
                "numeric",
                "saturation leaves the peak at 1/2",
                "A in {0.01, 1, 1000}",
                _peak_is_the_kernels,
                Result.SUPPORTED,
                given={"tilt": 0.0},
                fails={"with the remainder r = 2p": {"tilt": 2.0}},
            ),
        ),
    ),
)
