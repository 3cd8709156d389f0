"""The claim that the kernel's law maximises entropy (Proposition 3, "maximum parsimony"), and where it stops."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.kernel import beta_entropy, expected_logs
from paced.theory.ledger.claim import Check, Claim, Control, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import QUADRATURE, agree, all_of, refuted, supported, symbolic_zero


def _mean_under_beta(function, a: float, b: float) -> mpmath.mpf:  # type: ignore[no-untyped-def]
    """E[function(p)] for p ~ Beta(a, b) by quadrature."""
    whole = mpmath.quad(lambda p: function(p) * p ** (a - 1) * (1 - p) ** (b - 1), [0, 0.1, 0.9, 1])
    return whole / mpmath.beta(a, b)


def _log_statistics() -> Outcome:
    outcomes = [agree(expected_logs(2, 2), -5 / 6), agree(expected_logs(0.5, 0.5), -2 * np.log(2))]
    for a, b in ((2.0, 2.0), (1.7, 3.4), (2.6, 1.2)):
        log_p = _mean_under_beta(mpmath.log, a, b)
        log_q = _mean_under_beta(lambda p: mpmath.log(1 - p), a, b)
        entropy = mpmath.log(mpmath.beta(a, b)) - (a - 1) * log_p - (b - 1) * log_q
        computed = [*expected_logs(a, b), beta_entropy(a, b)]
        outcomes.append(agree(computed, [float(x) for x in (log_p, log_q, entropy)], rtol=QUADRATURE, a=a, b=b))
    return all_of(*outcomes)


def _derive_entropy_maximiser() -> Outcome:
    """Stationarity of -∫f log f + λ0∫f + λ1 E log p + λ2 E log q gives log f = const + λ1 log p + λ2 log q."""
    import sympy

    f, p, l0, l1, l2 = sympy.symbols("f p lambda0 lambda1 lambda2", positive=True)
    lagrangian = -f * sympy.log(f) + l0 * f + l1 * f * sympy.log(p) + l2 * f * sympy.log(1 - p)
    (stationary,) = sympy.solve(sympy.diff(lagrangian, f), f)
    kernel = p**l1 * (1 - p) ** l2
    return symbolic_zero(sympy.diff(sympy.expand_log(sympy.log(stationary / kernel), force=True), p))


def _logit_laws() -> dict[str, tuple]:
    """Symmetric unit-scale laws of x = logit p: density and the half width that holds all their mass."""
    return {
        "normal": (lambda x: np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi), 12.0),
        "laplace": (lambda x: 0.5 * np.exp(-np.abs(x)), 40.0),
        "uniform": (lambda x: 0.5 * (np.abs(x) <= 1), 1.0),
        "two normals": (
            lambda x: 0.5 * sum(np.exp(-0.5 * ((x - m) / 0.4) ** 2) for m in (-1, 1)) / (0.4 * np.sqrt(2 * np.pi)),
            6.0,
        ),
    }


def _law_of_pass_rate(name: str, scale: float) -> tuple[float, float]:
    """(E log p, entropy of p) when logit p is ``scale`` times the named law."""
    density, reach = _logit_laws()[name]
    x, step = np.linspace(-reach, reach, 40_001, retstep=True)
    mass = density(x) * step
    mass = mass / mass.sum()
    log_p = float(-np.sum(mass * np.logaddexp(0, -scale * x)))
    seen = mass > 0
    entropy_x = float(-np.sum(mass[seen] * np.log(mass[seen] / step)))
    return log_p, entropy_x + np.log(scale) + 2 * log_p


def _entropy_of_others(match: bool = True) -> Outcome:
    """Laws with E log p = E log q as Beta(a,a) have less entropy than it; without the constraint they need not."""
    from scipy.optimize import brentq

    count = 0
    for a in (1.2, 2.0, 3.5):
        target = expected_logs(a, a)[0]
        for name in _logit_laws():
            scale = brentq(lambda s, n=name, t=target: _law_of_pass_rate(n, s)[0] - t, 1e-3, 50) if match else 1.7
            log_p, entropy = _law_of_pass_rate(name, scale)
            count += 1
            if entropy > beta_entropy(a, a) + 1e-6:
                return refuted(
                    "another law has more entropy",
                    law=name,
                    a=a,
                    entropy=entropy,
                    beta=beta_entropy(a, a),
                    E_log_p=log_p,
                )
    return supported(count)


def entropies_on(scale: str = "probit") -> dict[str, float]:
    """Entropy of x = Φ^{-1}(p) for p ~ Beta(2,2), and for the law ∝ (p q)^λ of x with the same E log p, E log q.

    On the scale of x = logit(p) the two are one law, since dp/dx = p q.
    """
    from scipy.optimize import brentq
    from scipy.special import log_expit, log_ndtr

    x, step = np.linspace(-12, 12, 40_001, retstep=True)
    log_cdf = {"probit": log_ndtr, "logit": log_expit}[scale]
    log_pq = log_cdf(x) + log_cdf(-x)
    log_slope = -0.5 * x * x if scale == "probit" else log_pq

    def law(log_density: np.ndarray) -> tuple[float, float]:
        mass = np.exp(log_density - log_density.max())
        mass = mass / mass.sum()
        return float(0.5 * np.sum(mass * log_pq)), float(-np.sum(mass * np.log(np.maximum(mass, 1e-300) / step)))

    _, beta = law(log_pq + log_slope)
    target = expected_logs(2, 2)[0]
    power = brentq(lambda k: law(k * log_pq)[0] - target, 0.2, 6)
    return {"Beta(2,2)": beta, f"(pq)^lambda on the {scale} scale": law(power * log_pq)[1], "lambda": power}


def _base_measure_does_not_matter(scale: str = "probit") -> Outcome:
    entropies = entropies_on(scale)
    if entropies[f"(pq)^lambda on the {scale} scale"] > entropies["Beta(2,2)"] + 1e-7:
        return refuted("another law with the same statistics has more entropy", engine="numeric", **entropies)
    return supported(1)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop3.entropy",
        where="Proposition 3, maximum parsimony",
        title="The kernel's law maximises entropy given E log p and E log(1-p)",
        verdict=Verdict.CONDITIONAL,
        paper="p^alpha (1-p)^beta maximises entropy among distributions on (0,1) with given expected sufficient statistics.",
        statement=(
            "Beta(alpha+1, beta+1) is the unique maximiser for Lebesgue measure and for any base measure p^c q^d dp; for "
            "others, such as the probit scale, it is not. Nothing in the problem gives the two statistics, and a weight is not a law."
        ),
        latex=r"H(\mathrm{Beta})-H(f)=\mathrm{KL}(f\,\|\,\mathrm{Beta})\ge0\quad\text{if }\mathbb E_f\log p,\ \mathbb E_f\log(1-p)\text{ agree}",
        functions=(expected_logs, beta_entropy),
        hypotheses=("entropy relative to p^c q^d dp", "both statistics are given"),
        depends_on=("eq3",),
        proof="log of the Beta density is linear in the two statistics, so the entropy gap is a KL divergence.",
        numbers=lambda: {
            "E log p, Beta(2,2)": expected_logs(2, 2)[0],
            "H(Beta(2,2))": beta_entropy(2, 2),
            "probit scale, Beta(2,2)": entropies_on()["Beta(2,2)"],
            "probit scale, maximiser": entropies_on()["(pq)^lambda on the probit scale"],
        },
        counterexample=Counterexample(
            "On the probit scale the law proportional to (pq)^lambda dx, with the same E log p and E log q, has more entropy.",
            entropies_on,
        ),
        checks=(
            Check("sympy", "the stationary density is the kernel", "p in (0,1)", _derive_entropy_maximiser),
            Check(
                "numeric",
                "E log p, E log q and entropy against quadrature",
                "3 laws",
                _log_statistics,
                Result.SUPPORTED,
            ),
            Check(
                "numeric",
                "four other laws with the same statistics have less",
                "Beta(a,a), a in {1.2,2,3.5}",
                _entropy_of_others,
                Result.SUPPORTED,
                fails={"without the constraint on the statistics": {"match": False}},
            ),
        ),
        other_controls=(Control("numeric", "with the probit scale as base measure", _base_measure_does_not_matter),),
    ),
)
