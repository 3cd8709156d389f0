"""Claims about what changes during training: ``x6`` (exponents from SNR), ``x8`` (KL interpolation), ``x10`` (several teachers)."""

from __future__ import annotations

from fractions import Fraction as Fr

import mpmath
import numpy as np

from paced.theory.facts.extensions import combined_weights, zpd_mass
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, holds_for_all, refuted, supported, symbolic_zero
from paced.weights import TeacherCeilingKernel
from paced.weights.snr_exponents import fit_exponents, project, regressors, regressors_from_counts

EIGHTHS = np.arange(1, 8) / 8


# --- x6 ---------------------------------------------------------------------------------------------------------------
def _recovers_without_misfit(floor: float = 0.0) -> Outcome:
    """SNR^2 = A p^alpha q^beta gives its exponents back, weighted or not."""
    outcomes = []
    for alpha, beta, size in ((1.0, 2.0, 0.5), (0.3, 0.9, 4.0)):
        snr = size * EIGHTHS**alpha * (1 - EIGHTHS) ** beta + floor
        estimate = fit_exponents(regressors(EIGHTHS), snr, variance=0.1 + EIGHTHS)
        plain = fit_exponents(regressors(EIGHTHS), snr)
        outcomes.append(
            agree((estimate.alpha, estimate.beta, np.exp(estimate.log_scale)), (alpha, beta, size), rtol=1e-8)
        )
        outcomes.append(agree((plain.alpha, plain.beta), (alpha, beta), rtol=1e-8))
    return all_of(*outcomes)


def _error_bound(shrink: float = 1.0) -> Outcome:
    """|r| <= delta moves each exponent by at most delta times the l1 norm of its row of the pseudo-inverse; attained."""
    x = regressors(EIGHTHS)
    rows = np.abs(np.linalg.pinv(x)).sum(axis=1)[1:]
    estimate = fit_exponents(x, 0.5 * EIGHTHS * (1 - EIGHTHS))
    bound = np.array(estimate.error_bound(0.3))
    worst = []
    for index in (1, 2):
        r = 0.3 * np.sign(np.linalg.pinv(x)[index])
        moved = fit_exponents(x, 0.5 * EIGHTHS * (1 - EIGHTHS) * np.exp(r))
        worst.append(abs(moved.unprojected[index - 1] - 1))
    return all_of(
        agree(bound, 0.3 * rows * shrink, rtol=1e-10),
        agree(worst, bound, rtol=1e-9),
        agree(rows, [2.702281] * 2, rtol=1e-6),
    )


def _no_misfit_exceeds_the_bound(scale: float = 1.0) -> Outcome:
    from hypothesis import strategies as st

    x = regressors(EIGHTHS)
    bound = scale * np.array(fit_exponents(x, EIGHTHS * (1 - EIGHTHS)).error_bound(0.5))
    misfits = st.lists(st.one_of(st.floats(-0.5, 0.5), st.sampled_from((-0.5, 0.5))), min_size=7, max_size=7)
    extremes = st.sampled_from([list(0.5 * np.sign(row)) for row in np.linalg.pinv(x)[1:]])

    def law(r: list[float]) -> bool:
        estimate = fit_exponents(x, EIGHTHS * (1 - EIGHTHS) * np.exp(np.array(r)))
        return bool((np.abs(np.array(estimate.unprojected) - 1) <= bound + 1e-9).all())

    return holds_for_all(st.one_of(misfits, extremes), law, ends=([-0.5] * 7, [0.5] * 7), examples=200)


def _projection(wrong: bool = False) -> Outcome:
    """The projection onto alpha, beta >= 0 in the metric of the fit is the constrained minimum, by a grid around it."""
    rng = np.random.default_rng(2)
    for _ in range(40):
        root = rng.normal(size=(3, 3))
        information, theta = root @ root.T + 0.1 * np.eye(3), rng.normal(size=3)
        best = np.maximum(theta, [-np.inf, 0, 0]) if wrong else project(theta, information)
        loss = (best - theta) @ information @ (best - theta)
        for step in rng.normal(scale=0.2, size=(60, 3)):
            other = best + step
            other[1:] = np.maximum(other[1:], 0)
            if (other - theta) @ information @ (other - theta) < loss - 1e-10:
                return refuted("a feasible point nearby loses less", theta=theta.round(3).tolist(), loss=float(loss))
    return supported(2400)


def _posterior_regressors() -> Outcome:
    """E[log p | s] and E[log q | s] by mpmath's quadrature."""
    computed = regressors_from_counts([0, 3, 8], 8, prior=(0.7, 1.3))
    expected = []
    for s in (0, 3, 8):
        a, b = 0.7 + s, 1.3 + 8 - s

        def mean(f, a=a, b=b):  # type: ignore[no-untyped-def]
            return mpmath.quad(lambda p: f(p) * p ** (a - 1) * (1 - p) ** (b - 1) / mpmath.beta(a, b), [0, 0.5, 1])

        expected.append([1.0, float(mean(mpmath.log)), float(mean(lambda p: mpmath.log(1 - p)))])
    return agree(computed, expected, rtol=1e-8)


# --- x8, x10 ----------------------------------------------------------------------------------------------------------
def _zone_masses(shift: float = 0.0) -> Outcome:
    """P(eps <= p <= 1-eps) by mpmath's incomplete Beta function, and in closed form for three laws."""
    outcomes = []
    for a, b, epsilon in ((1.0, 1.0, 0.2), (0.5, 0.5, 0.2), (2.0, 2.0, 0.2), (1.7, 0.4, 0.13)):
        expected = mpmath.betainc(a, b, epsilon + shift, 1 - epsilon, regularized=True)
        outcomes.append(agree(zpd_mass((a, b), epsilon), float(expected), rtol=1e-10, a=a))
    closed = [0.6, 1 - 4 / np.pi * np.arcsin(np.sqrt(0.2)), 0.792]
    return all_of(
        *outcomes, agree([zpd_mass((c, c), 0.2) for c in (1.0, 0.5, 2.0)], closed, rtol=1e-10),
    )  # fmt: skip


def _interpolated_path_ends(swapped: bool = False) -> Outcome:
    """D_b/b -> KL(T||S) and D_b/(1-b) -> KL(S||T), for the skewed Jensen-Shannon path, two outcomes, by SymPy limits."""
    import sympy

    t, s, b = sympy.symbols("t s b", positive=True)
    pairs = ((t, s), (1 - t, 1 - s))

    def kl(left: int) -> sympy.Expr:
        return sum(pair[left] * sympy.log(pair[left] / pair[1 - left]) for pair in pairs)

    # derivative of D at the ends: D(0) = D(1) = 0
    path = sum(
        b * x * sympy.log(x / (b * x + (1 - b) * y)) + (1 - b) * y * sympy.log(y / (b * x + (1 - b) * y))
        for x, y in pairs
    )
    slope = sympy.diff(path, b)
    first, last = sympy.simplify(slope.subs(b, 0)), sympy.simplify(-slope.subs(b, 1))
    ends = (kl(1), kl(0)) if swapped else (kl(0), kl(1))
    values = {t: sympy.Rational(3, 10), s: sympy.Rational(4, 5)}
    return agree(
        [float(end.subs(values)) for end in (first, last)], [float(end.subs(values)) for end in ends], rtol=1e-12
    )


def _several_teachers(shift: float = 0.0) -> Outcome:
    """S_j/(1+S): the minimum of E|sum w_j g_j - gbar|^2 by solving its normal equations in rationals."""
    S = [Fr(3, 10), Fr(1, 20), Fr(3, 5)]
    n = len(S)
    # minimise (sum w - 1)^2 + sum w_j^2 / S_j:  (1 1' + diag(1/S)) w = 1
    matrix = [[Fr(1) + (1 / S[i] if i == j else 0) for j in range(n)] + [Fr(1)] for i in range(n)]
    for i in range(n):
        pivot = matrix[i][i]
        matrix[i] = [value / pivot for value in matrix[i]]
        for k in range(n):
            if k != i:
                factor = matrix[k][i]
                matrix[k] = [value - factor * other for value, other in zip(matrix[k], matrix[i], strict=True)]
    exact = [float(row[-1]) for row in matrix]
    return agree(combined_weights([float(s) + shift for s in S]), exact, rtol=1e-12, teacher=[0, 1, 2])


def _ceiling(shift: float = 0.0) -> Outcome:
    """w = p^alpha (c-p)_+^beta is the Beta kernel of p/c up to c^(alpha+beta), peaks at c alpha/(alpha+beta), ends at c."""
    c, alpha, beta = 0.6, 1.3, 0.8
    kernel = TeacherCeilingKernel(ceiling=c, alpha=alpha, beta=beta)
    p = np.linspace(0, c, 9)
    scaled = c ** (alpha + beta + shift) * (p / c) ** alpha * (1 - p / c) ** beta
    grid = np.linspace(1e-6, 1, 400_001)
    return all_of(
        agree(kernel.at(p), scaled, rtol=1e-10, atol=1e-15, p=p),
        agree(kernel.at([c, 0.7, 1.0]), 0.0, atol=0.0),
        agree(float(grid[np.argmax(kernel.at(grid))]), kernel.peak, atol=1e-5),
        agree(TeacherCeilingKernel().at([0.2, 0.5]), [0.16, 0.25], rtol=1e-12),
    )


def _stationary_share() -> Outcome:
    """The two-stage schedule is lambda in {1, 0}: mixing is linear in lambda, so its gradient is the mixture's."""
    import sympy

    lam, f, r = sympy.symbols("lambda f r", real=True)
    mixed = lam * f + (1 - lam) * r
    return all_of(
        symbolic_zero(mixed.subs(lam, 1) - f), symbolic_zero(mixed.subs(lam, 0) - r), symbolic_zero(sympy.diff(mixed, lam) - (f - r))
    )  # fmt: skip


CLAIMS = (
    Claim(
        id="x6",
        where="extension",
        title="Exponents regressed from SNR, with the error that a misfit can cause",
        verdict=Verdict.CONDITIONAL,
        statement="Least squares of log SNR^2 on (1, log p, log q) gives (alpha, beta) back when the profile is a power law; a misfit |r| <= delta moves each by at most "
        "delta times the l1 norm of its row of the pseudo-inverse, and that is attained.",
        latex=r"\log\mathrm{SNR}^2=c+\alpha\log p+\beta\log(1-p)+r,\qquad |\hat\alpha-\alpha|\le\delta\,\lVert X^+_{\alpha,\cdot}\rVert_1",
        functions=(
            fit_exponents,
            project,
        ),
        hypotheses=("SNR^2 debiased and pooled per bin before the log",),
        depends_on=("a3b'", "thm4.optimum"),
        proof="The estimator is linear in log SNR^2; the l1 norm is the largest value of a linear form on the cube.",
        repair="Report the bound: on p = 1/8..7/8 it is 2.70 delta. Debias first: the noise floor 1/K alone turns (1, 1) into (0.39, 0.39).",
        numbers=lambda: {"l1 norm on eighths": fit_exponents(regressors(EIGHTHS), EIGHTHS).error_per_delta[0]},
        counterexample=Counterexample(
            "SNR^2 = pq/2 with K = 8 rollouts, regressing log(SNR^2 + 1/8): the floor flattens the profile.",
            evaluate=lambda: dict(
                zip(
                    ("alpha", "beta"),
                    fit_exponents(regressors(EIGHTHS), 0.5 * EIGHTHS * (1 - EIGHTHS) + 1 / 8).unprojected,
                    strict=True,
                )
            ),
        ),
        checks=(
            Check(
                "numeric",
                "exact recovery",
                "2 profiles",
                _recovers_without_misfit,
                Result.SUPPORTED,
                fails={"without debiasing: + 1/8": {"floor": 1 / 8}},
            ),
            Check(
                "numeric",
                "the bound and a misfit that attains it",
                "eighths, delta = 0.3",
                _error_bound,
                Result.SUPPORTED,
                fails={"nine tenths of the bound": {"shrink": 0.9}},
            ),
            Check(
                "hypothesis",
                "no misfit exceeds the bound",
                "|r| <= 0.5",
                _no_misfit_exceeds_the_bound,
                Result.SUPPORTED,
                fails={"half of the bound": {"scale": 0.5}},
            ),
            Check(
                "numeric",
                "the projection is the constrained minimum",
                "40 metrics",
                _projection,
                Result.SUPPORTED,
                fails={"clipping in place of projection": {"wrong": True}},
            ),
            Check(
                "numeric",
                "posterior means of log p and log q",
                "prior (0.7, 1.3)",
                _posterior_regressors,
                Result.SUPPORTED,
            ),
        ),
    ),
    Claim(
        id="x8",
        where="extension",
        title="From forward to reverse KL by the zone's mass",
        verdict=Verdict.TRUE,
        statement="lambda_t = clip(m_t/m_0, 0, 1)^gamma mixes the two KLs; m_t is the mass of the zone, I_(1-eps)(a,b) - I_eps(a,b) under a Beta law. The two-stage schedule "
        "is lambda in {1, 0}; the skewed Jensen-Shannon path has the same ends.",
        latex=r"\ell_t=\lambda_t\,\mathrm{KL}(T\Vert S)+(1-\lambda_t)\,\mathrm{KL}(S\Vert T),\qquad m=I_{1-\varepsilon}(a,b)-I_\varepsilon(a,b)",
        functions=(zpd_mass,),
        hypotheses=("Beta pass rates for the closed form",),
        depends_on=("eq5",),
        proof="Linearity; the derivative of the skewed path at its ends.",
        numbers=lambda: {f"mass of Beta({c:g},{c:g}), eps = 0.2": zpd_mass((c, c), 0.2) for c in (1.0, 0.5, 2.0)},
        checks=(
            Check(
                "numeric",
                "masses against mpmath and in closed form",
                "4 laws",
                _zone_masses,
                Result.SUPPORTED,
                fails={"zone moved by 0.01": {"shift": 0.01}},
            ),
            Check("sympy", "the mixture's ends and slope", "all losses", _stationary_share),
            Check(
                "numeric",
                "ends of the skewed path",
                "two outcomes",
                _interpolated_path_ends,
                Result.SUPPORTED,
                fails={"the two ends exchanged": {"swapped": True}},
            ),
        ),
    ),
    Claim(
        id="x10",
        where="extension",
        title="Several teachers, and a teacher with a ceiling",
        verdict=Verdict.TRUE,
        statement="With a common mean gradient and independent noise teacher j deserves S_j/(1 + sum S). A teacher of pass rate c teaches p^alpha (c-p)_+^beta: nothing at or above c.",
        latex=r"w_j=\frac{S_j}{1+\sum_kS_k},\qquad w(p)=p^\alpha(c-p)_+^\beta",
        functions=(combined_weights, TeacherCeilingKernel),
        hypotheses=("equal mean gradients, independent noise",),
        depends_on=("eq3", "thm4.optimum"),
        proof="Normal equations (1 1' + diag(1/S)) w = 1, inverted by Sherman-Morrison; the ceiling is the kernel of p/c.",
        checks=(
            Check(
                "numeric",
                "normal equations in rationals",
                "3 teachers",
                _several_teachers,
                Result.SUPPORTED,
                fails={"S + 0.01": {"shift": 0.01}},
            ),
            Check(
                "numeric",
                "the ceiling kernel is a Beta kernel of p/c",
                "c = 0.6",
                _ceiling,
                Result.SUPPORTED,
                fails={"one power of c more": {"shift": 1.0}},
            ),
        ),
    ),
)
