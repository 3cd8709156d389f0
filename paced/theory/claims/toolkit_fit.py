"""Claims about what ``fit`` reports: when it has found a law, its likelihood, its intervals."""

from __future__ import annotations

from math import comb

import numpy as np

from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, refuted, supported
from paced.weights import fit
from paced.weights.fit.result import FitResult

REPORTS = (
    ("no rollout passed", lambda: fit([0, 0, 0], 4), False, 0.0),
    ("every rollout passed", lambda: fit([4, 4], 4), False, 1.0),
    ("one rollout each", lambda: fit([0, 1, 1, 1], 1), False, 0.75),
    ("nothing in the zone", lambda: fit([0, 4, 0], 4, zpd=0.25), False, float("nan")),
    ("two counts in the zone", lambda: fit([1, 2, 2, 1], 3, zpd=0.3), False, 0.5),
    ("rates alike", lambda: fit([2, 2, 2], 4, "paper", zpd=0.1), False, 0.5),
    ("three counts in the zone", lambda: fit([1, 2, 3, 1, 2, 3, 2, 2], 4, zpd=0.25), None, 0.5),
    ("rates at 0 and 1 only", lambda: fit([0, 4, 0, 4], 4, "moments"), False, 0.5),
    ("spread", lambda: fit([1, 2, 5, 7, 6, 3, 8, 0], 8), True, 0.5),
    ("unequal means", lambda: fit([1, 2, 5, 1, 2, 3, 4, 0], 8, "moments"), True, 18 / 64),
)  # fmt: skip


def _reports(shift: float = 0.0) -> Outcome:
    """Whether the fit says that it found something, and the mean of the rates that it used."""
    outcomes = []
    for name, make, success, mean in REPORTS:
        found: FitResult = make()
        if success is not None and found.success != success:
            return refuted(f"{name}: success is {found.success}: {found.message}", case=name)
        if not found.message:
            return refuted("nothing is said", case=name)
        if success is not None:
            want = mean + shift
            outcomes.append(
                supported(1) if np.isnan(mean) and np.isnan(found.mean) else agree(found.mean, want, rtol=1e-6)
            )
    return all_of(*outcomes)


def _likelihood_value(extra: int = 0) -> Outcome:
    """``nllf`` of a moment fit is −Σ log P(s) of the beta-binomial law it names, by gamma functions in mpmath."""
    import mpmath

    passed, K = [1, 2, 5, 7, 6, 3, 8, 0], 8
    outcomes = []
    for method in ("moments", "mle"):
        found = fit(passed, K, method)
        a, b = mpmath.mpf(found.alpha) + 1, mpmath.mpf(found.beta) + 1
        terms = [mpmath.log(comb(K, s) * mpmath.beta(a + s, b + K - s + extra) / mpmath.beta(a, b)) for s in passed]
        outcomes.append(agree(found.nllf, float(-mpmath.fsum(terms)), rtol=1e-9))
    return all_of(*outcomes)


def _third_of_bernoulli() -> Outcome:
    """The note on the paper's condition comes exactly when v >= m(1-m)/3."""
    cases = (([2, 4, 6, 4, 4], False), ([1, 3, 5, 7, 9], False), ([1, 5, 1, 9, 5, 9], True))
    for passed, noted in cases:  # of the second v = 0.08, between m(1-m)/4 and m(1-m)/3
        found = fit(passed, 10, "paper", zpd=0.05)
        if ("condition" in found.message) != noted or not found.success:
            return refuted(f"the note is wrong: {found.message}", counts=str(passed))
    return supported(3)


COUNTS = ([1, 2, 5, 7, 3, 3, 8, 0, 1, 4, 6, 2], 8)
"""Twelve problems with eight rollouts: a likelihood with a finite maximum and finite ends."""


def _profile_ends(level: float = 0.95) -> Outcome:
    """At each end of the default interval the likelihood, maximised over the other parameter, has fallen by χ²/2."""
    from scipy import optimize, stats

    passed, K = COUNTS
    found = fit(passed, K)
    fall = float(stats.norm.ppf(0.5 + level / 2)) ** 2 / 2
    outcomes = []
    for index, interval in enumerate(found.conf_int()):
        for end in interval:

            def minus(log_other: float, at: float = end + 1, first: bool = index == 0) -> float:
                other = float(np.exp(log_other))
                law = (at, other) if first else (other, at)
                return -float(np.sum(stats.betabinom.logpmf(passed, K, *law)))

            least = optimize.minimize_scalar(minus, bounds=(-6, 6), method="bounded", options={"xatol": 1e-10}).fun
            outcomes.append(agree(least - found.nllf, fall, rtol=1e-5))
    return all_of(*outcomes)


def _other_intervals(level: float = 0.9) -> Outcome:
    """Wald ends from the covariance, bootstrap ends by resampling again, and what is said where there is no end."""
    from scipy import stats

    passed, K = COUNTS
    found = fit(passed, K)
    z = float(stats.norm.ppf(0.5 + level / 2))
    ends = [
        (x + 1) * np.exp(sign * z * np.sqrt(found.cov[i, i]) / (x + 1)) - 1
        for i, x in enumerate((found.alpha, found.beta))
        for sign in (-1, 1)
    ]
    alike = fit([4, 4, 4, 4, 4, 4], 8)
    open_end = alike.conf_int()
    narrow, wide = (found.conf_int(one, "bootstrap", num_resamples=60) for one in (0.5, 0.9))
    if not (np.isinf(open_end.alpha.high) and np.isfinite(open_end.alpha.low) and open_end.alpha.low > 0):
        return refuted("counts that are all alike have no upper end", alpha=str(open_end.alpha))
    if not wide.alpha.low < narrow.alpha.low < found.alpha + 0.5 < wide.alpha.high:
        return refuted("bootstrap intervals are not nested", wide=str(wide.alpha), narrow=str(narrow.alpha))
    return all_of(
        agree([*found.conf_int(0.9, "wald").alpha, *found.conf_int(0.9, "wald").beta], ends, rtol=1e-9),
        agree(np.diag(found.cov), np.diag(_inverse_information(found)), rtol=1e-4),
    )


def _inverse_information(found: FitResult) -> np.ndarray:
    """Inverse of minus the second differences of the log-likelihood."""
    from scipy import stats

    passed, K = COUNTS
    point, step = np.array([found.alpha + 1, found.beta + 1]), 1e-3

    def value(x: np.ndarray) -> float:
        return float(np.sum(stats.betabinom.logpmf(passed, K, *x)))

    e = step * np.eye(2)
    hessian = [
        [
            (
                value(point + e[i] + e[j])
                - value(point + e[i] - e[j])
                - value(point - e[i] + e[j])
                + value(point - e[i] - e[j])
            )
            / (4 * step**2)
            for j in range(2)
        ]
        for i in range(2)
    ]
    return np.linalg.inv(-np.array(hessian))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="toolkit.fit",
        where="paced: what fit reports",
        title="The fit says what it found and what it could not",
        verdict=Verdict.TRUE,
        statement="Counts that determine no Beta law are reported as such, with their mean; the likelihood reported is that of the law named; the paper's condition is noted where it fails.",
        latex=r"-\log L=-\sum_i\log\binom{K}{s_i}\frac{B(a+s_i,b+K-s_i)}{B(a,b)}",
        functions=(fit,),
        depends_on=("prop11",),
        proof="By calling, and by gamma functions at fifteen digits.",
        checks=(
            Check(
                "numeric",
                "success and mean",
                "9 samples",
                _reports,
                Result.SUPPORTED,
                fails={"with another mean": {"shift": 0.1}},
            ),
            Check(
                "numeric",
                "the likelihood by mpmath",
                "2 methods",
                _likelihood_value,
                Result.SUPPORTED,
                fails={"with K + 1 - s failures": {"extra": 1}},
            ),
            Check("numeric", "the note on v >= m(1-m)/3", "3 samples", _third_of_bernoulli, Result.SUPPORTED),
            Check(
                "numeric",
                "likelihood at the ends of the profile interval",
                "12 problems, K = 8",
                _profile_ends,
                Result.SUPPORTED,
                fails={"with the ends of 90 %": {"level": 0.9}},
            ),
            Check(
                "numeric",
                "Wald, bootstrap and open intervals",
                "12 problems, K = 8",
                _other_intervals,
                Result.SUPPORTED,
                fails={"with the Wald ends of 95 %": {"level": 0.95}},
            ),
        ),
    ),
)
