"""Fit the distribution of pass rates and read kernel exponents off it (Proposition 11, and what it should have been).

Two pairs of numbers, never mixed:

- *law parameters* (a, b): pass rates are p ~ Beta(a, b), density ∝ p^(a-1) (1-p)^(b-1);
- *kernel exponents* (α, β) = (a-1, b-1): the kernel p^α (1-p)^β has the shape of that density.

``FitResult.alpha`` and ``.beta`` are kernel exponents, ``FitResult.law`` are law parameters. A law with a < 1 or b < 1
(many problems never or always solved) has a negative exponent: the fit is fine, but no kernel follows from it, and
``FitResult.kernel`` says so (``prop11.condition``).

What a fit cannot tell: the distribution of pass rates holds no information on the SNR exponents of Theorem 4
(``prop11.inherits``); for those see ``snr_exponents.py``. Left out: the paper's moments of p̂ with only one of its two
errors corrected.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from paced.errors import check_choice, check_number
from paced.weights.betabinomial import BetaBinomial
from paced.weights.counts import MOST_PAIRS, MOST_ROLLOUTS, CountHistogram
from paced.weights.fit import intervals, moments
from paced.weights.fit.result import FitResult, Method, used_cells
from paced.weights.law import no_spread, one_sided, outside, unidentified

__all__ = ["METHODS", "PAPER_ZPD", "FitResult", "Method", "fit", "fit_cells"]

METHODS: tuple[str, ...] = get_args(Method)

PAPER_ZPD = 0.1
"""ε of the zone when the paper's method is asked for without one; our copy of the paper does not print the value."""


def fit(
    num_passed: ArrayLike, num_rollouts: ArrayLike, method: Method = "mle", *, zpd: float | None = None
) -> FitResult:
    """Fit p ~ Beta(α+1, β+1) to counts of passes and return the kernel exponents (α, β).

    Args:
        num_passed: s, integers with 0 <= s <= K, shape [num_problems].
        num_rollouts: K >= 1, one number or one for each problem.
        method: "mle", the beta-binomial likelihood; "moments", two without the rollout noise (``prop11.noise``);
            "paper", Proposition 11 as printed: moments of p̂ in the zone, biased by the noise and by the cut.
        zpd: ε in [0, 1/2). Keep problems with ε <= p̂ <= 1-ε only. "mle" then uses the truncated likelihood and stays
            consistent; "paper" takes 0.1 when not told; "moments" has no truncated form.

    Returns: a :class:`FitResult`. Data that determine no exponents give ``success=False`` and a ``message``, not an
        exception: a pipeline may continue with the default kernel.

    Raises:
        ValueError: counts that are absent, negative, fractional, contradictory or above 100,000; an unknown method;
            ``zpd`` with "moments".

    Example:
        >>> rng = np.random.default_rng(2)
        >>> res = fit(rng.binomial(8, rng.beta(3, 2, size=4000)), 8)
        >>> round(res.alpha, 1), round(res.beta, 1)
        (2.0, 1.0)
        >>> (alpha_low, alpha_high), (beta_low, beta_high) = res.conf_int()
        >>> bool(alpha_low < 2 < alpha_high and beta_low < 1 < beta_high)
        True
    """
    return fit_cells(CountHistogram.of(num_passed, num_rollouts, place="fit"), method, zpd)


def fit_cells(cells: CountHistogram, method: Method, zpd: float | None) -> FitResult:
    """:func:`fit` from a histogram of counts, which is all it needs."""
    check_choice("fit", "method", method, METHODS)
    if zpd is not None:
        check_number("fit", "zpd", zpd, low=0, high=0.5, high_open=True, fix="Give ε, the lower end of the zone.")
        if method == "moments":
            raise ValueError(f"fit: zpd must be None for method='moments', got {zpd:g}. Use method='mle' with zpd.")
    _refuse_costly(cells)
    if method == "paper" and zpd is None:
        zpd = PAPER_ZPD
    used = used_cells(cells, zpd)
    blank = FitResult(
        method=method, alpha=math.nan, beta=math.nan, cov=np.full((2, 2), math.nan), nllf=math.nan, success=False,
        message="", mean=math.nan, zpd=zpd, num_problems=cells.total, num_used=used.total, cells=cells, refit=fit_cells,
    )  # fmt: skip
    if used.total == 0:
        assert zpd is not None
        return replace(blank, message=f"No problem is in the zone {zpd:g} <= p̂ <= {1 - zpd:g}. Use a smaller zpd.")
    blank = replace(blank, mean=float(used.num_problems @ (used.num_passed / used.num_rollouts)) / used.total)
    if reason := _unidentified(used, method, zpd):
        return replace(blank, message=reason)
    return _maximum_likelihood(blank, used) if method == "mle" else _from_moments(blank, used)


def _refuse_costly(cells: CountHistogram) -> None:
    """Refuse numbers of rollouts that no one makes before anything is allocated in proportion to them."""
    different = np.unique(cells.num_rollouts)
    if different[-1] > MOST_ROLLOUTS:
        raise ValueError(
            f"fit: num_rollouts must be <= {MOST_ROLLOUTS:,}, got {different[-1]:,}. Check the number: a time stamp or "
            "an id is not a count."
        )
    if (num_pairs := int(different.sum()) + different.size) > MOST_PAIRS:
        raise ValueError(
            f"fit: num_rollouts must allow at most {MOST_PAIRS:,} pairs (s, K), got {num_pairs:,} from "
            f"{different.size:,} different values. Fit problems with equal numbers of rollouts."
        )


def _unidentified(used: CountHistogram, method: Method, zpd: float | None) -> str:
    """Why these counts cannot determine two exponents, or an empty string; the paper's method asks for less."""
    return one_sided(used) if method == "paper" else unidentified(used, zpd if method == "mle" else None)


def _from_moments(blank: FitResult, used: CountHistogram) -> FitResult:
    estimate = moments.paper_moments(used) if blank.method == "paper" else moments.corrected_moments(used)
    m, v = estimate.first, estimate.variance
    blank = replace(blank, mean=m)
    if v <= 1e-12 * m * (1 - m):
        # Rates that do not spread; with the noise taken out v may be negative by chance.
        return replace(
            blank, alpha=math.inf, beta=math.inf, nllf=_nllf(blank, used, math.inf, math.inf), message=no_spread(m)
        )
    if v >= m * (1 - m) * (1 - 1e-12):
        return replace(
            blank,
            message=f"The variance of the pass rates, {v:.4g}, is not below m(1-m) = {m * (1 - m):.4g}: no Beta law "
            "has these moments. Use method='mle'.",
        )
    law = moments.beta_from_moments(estimate)
    note = ""
    if blank.method == "paper" and v >= m * (1 - m) / 3:
        note = f" The paper's condition v < m(1-m)/3 fails: {v:.4g} >= {m * (1 - m) / 3:.4g}."
    return replace(
        blank, alpha=law.a - 1, beta=law.b - 1, cov=law.cov, nllf=_nllf(blank, used, law.a, law.b), success=True,
        message=_found(law.a, law.b) + note,
    )  # fmt: skip


def _maximum_likelihood(blank: FitResult, used: CountHistogram) -> FitResult:
    likelihood = BetaBinomial(used, blank.zpd)
    best = likelihood.maximise(_start(used, blank.zpd))
    answer = replace(blank, alpha=best.a - 1, beta=best.b - 1, mean=best.mean, nllf=-(best.value + likelihood.constant))
    if reason := outside(best):
        return replace(answer, message=reason)
    information = -likelihood.derivatives(best.a, best.b).hessian
    return replace(
        answer, cov=np.linalg.inv(information).astype(np.float64), success=True, message=_found(best.a, best.b)
    )


def _start(used: CountHistogram, zpd: float | None) -> tuple[float, float] | None:
    """The moment estimate where it is a law, which is a few Newton steps away."""
    if zpd is not None:
        return None
    estimate = moments.corrected_moments(used)
    if not 0 < estimate.variance < 0.999 * estimate.first * (1 - estimate.first):
        return None
    law = moments.beta_from_moments(estimate)
    scale = min(1.0, 1e3 / (law.a + law.b))
    return max(law.a * scale, 1e-3), max(law.b * scale, 1e-3)


def _nllf(blank: FitResult, used: CountHistogram, a: float, b: float) -> float:
    law = intervals.law_pmf(used, a, b, blank.mean, blank.zpd)
    terms = [math.log(law[k][s]) for s, k in zip(used.num_passed.tolist(), used.num_rollouts.tolist(), strict=True)]
    return -float(used.num_problems @ np.array(terms))


def _found(a: float, b: float) -> str:
    if a < 1 or b < 1:
        return (
            f"Found, but the law Beta({a:.3g}, {b:.3g}) piles up at an end: a negative exponent is not a weight "
            "(it diverges), so there is no kernel."
        )
    return "Found."
