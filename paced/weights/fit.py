"""Fit the distribution of pass rates and read kernel exponents off it (Proposition 11, and what it should have been).

Two pairs of numbers, never mixed:

- *law parameters* (a, b): pass rates are p ~ Beta(a, b), density ∝ p^(a-1) (1-p)^(b-1);
- *kernel exponents* (α, β) = (a-1, b-1): the kernel p^α (1-p)^β has the shape of that density.

``FitResult.alpha`` and ``.beta`` are kernel exponents, ``FitResult.law`` are law parameters. A law with a < 1 or b < 1
(many problems never or always solved) has a negative exponent: the fit is fine, but no kernel follows from it, and
``FitResult.kernel`` says so (claim C41).

What a fit cannot tell: the distribution of pass rates holds no information on the SNR exponents of Theorem 4 (claim
C46); for those see ``adaptive.py``. Left out: the paper's moments of p̂ with only one of its two errors mended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paced.errors import check_number
from paced.weights import intervals, moments
from paced.weights.betabinomial import BetaBinomial, Maximum
from paced.weights.counts import CountHistogram
from paced.weights.intervals import ConfidenceIntervals, GoodnessOfFit, Interval
from paced.weights.kernels import BetaKernel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Method = Literal["mle", "moments", "paper"]
METHODS: tuple[str, ...] = get_args(Method)
IntervalMethod = Literal["profile", "wald", "bootstrap"]

PAPER_ZPD = 0.1
"""ε of the zone when the paper's method is asked for without one; our copy of the paper does not print the value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FitResult:
    """Kernel exponents with their uncertainty; made by :func:`fit`."""

    method: Method
    """mle, moments or paper."""
    alpha: float
    """Kernel exponent α = a - 1; NaN without an estimate, inf when the pass rates do not spread."""
    beta: float
    """Kernel exponent β = b - 1."""
    cov: NDArray[np.float64] = field(repr=False)
    """Covariance of (alpha, beta), the same as that of (a, b), shape [2, 2]; NaN where it is undefined."""
    nllf: float
    """Negative log-likelihood of the counts used, in nats, with the binomial coefficients."""
    success: bool
    """Whether finite exponents were found. They may be negative: see ``has_kernel``."""
    message: str
    """One sentence: what was found, or why not and what to do."""
    mean: float
    """Mean pass rate of the fitted law."""
    zpd: float | None
    """ε when only problems with ε <= p̂ <= 1-ε were used, else None."""
    num_problems: int
    """Problems given."""
    num_used: int
    """Problems used: all, or those in the zone."""
    cells: CountHistogram = field(repr=False)
    """The counts given, as a histogram."""

    @property
    def law(self) -> tuple[float, float]:
        """Law parameters (a, b) = (alpha + 1, beta + 1) of the pass rates; also the prior of ``BetaKernel``."""
        return self.alpha + 1, self.beta + 1

    @property
    def standard_errors(self) -> tuple[float, float]:
        """Square roots of the diagonal of ``cov``."""
        return math.sqrt(self.cov[0, 0]), math.sqrt(self.cov[1, 1])

    @property
    def aic(self) -> float:
        """2·2 + 2·nllf; compare fits with the same ``num_used`` only."""
        return 4 + 2 * self.nllf

    @property
    def has_kernel(self) -> bool:
        """Whether both exponents are finite and >= 0."""
        return bool(self.success and self.alpha >= 0 and self.beta >= 0)

    @property
    def kernel(self) -> BetaKernel:
        """``BetaKernel(alpha, beta)``, ready to weigh counts.

        Raises:
            ValueError: an exponent is negative, infinite or absent.
        """
        if not self.has_kernel:
            a, b = self.law
            hint = (
                f"The pass rates follow Beta({a:.3g}, {b:.3g}), which piles up at the ends. Use BetaKernel() or "
                f"BetaKernel(estimator='posterior', prior=({a:.3g}, {b:.3g}))."
                if self.success
                else self.message
            )
            raise ValueError(
                f"FitResult.kernel: exponents must be finite and >= 0, got alpha={self.alpha:.4g}, "
                f"beta={self.beta:.4g}. {hint}"
            )
        return BetaKernel(self.alpha, self.beta)

    @property
    def peak(self) -> float:
        """Pass rate of largest weight, α/(α+β); NaN when there is no kernel or it is flat."""
        return self.kernel.peak if self.has_kernel else math.nan

    def conf_int(
        self,
        level: float = 0.95,
        method: IntervalMethod | None = None,
        *,
        num_resamples: int = 999,
        seed: int = 0,
    ) -> ConfidenceIntervals:
        """Marginal confidence intervals of the kernel exponents.

        Args:
            level: coverage in (0, 1).
            method: "profile" (likelihood; the default for mle, the only one that keeps its level when a bound is
                infinite), "wald" (log scale of the law parameters; the default otherwise) or "bootstrap" (percentiles
                over resampled problems).
            num_resamples: bootstrap replicates.
            seed: of the bootstrap.

        Returns: ``(alpha_low, alpha_high), (beta_low, beta_high)``, also as ``.alpha.low`` and so on. The interval of
            the paper's method is one for what that formula converges to, not for the truth.

        Edges: NaN when there is no estimate; an upper end of inf when one common pass rate cannot be excluded.
        """
        check_number("FitResult.conf_int", "level", level, low=0, high=1, low_open=True, high_open=True)
        chosen = method or ("profile" if self.method == "mle" else "wald")
        if chosen not in get_args(IntervalMethod):
            raise ValueError(f"FitResult.conf_int: method must be profile, wald or bootstrap, got {method!r}.")
        if chosen == "bootstrap":
            if num_resamples < 1:
                raise ValueError(f"FitResult.conf_int: num_resamples must be >= 1, got {num_resamples}.")
            return intervals.bootstrap(
                self.cells, self._exponents_again, level=level, num_resamples=num_resamples, seed=seed
            )
        a, b = self.law
        if chosen == "wald":
            ends = (intervals.wald(a, self.cov[0, 0], level), intervals.wald(b, self.cov[1, 1], level))
        elif self.method != "mle":
            raise ValueError(
                f"FitResult.conf_int: method 'profile' needs a likelihood, got a fit by {self.method!r}. "
                "Use method='wald' or fit(..., method='mle')."
            )
        elif math.isnan(a):
            ends = (Interval(math.nan, math.nan), Interval(math.nan, math.nan))
        else:
            likelihood = BetaBinomial(_used(self.cells, self.zpd), self.zpd)
            best = Maximum(a, b, -self.nllf - likelihood.constant, self.mean, self.success)
            ends = intervals.profile(likelihood, best, level)
        return ConfidenceIntervals(*(Interval(low - 1, high - 1) for low, high in ends))

    def gof(self, *, num_resamples: int = 199, seed: int = 0) -> GoodnessOfFit:
        """Parametric bootstrap of the deviance, refitting each replicate: a small p-value means another law than Beta.

        Args:
            num_resamples: replicates; the smallest possible p-value is 1/(num_resamples + 1).
            seed: of the replicates.
        """
        if num_resamples < 1:
            raise ValueError(f"FitResult.gof: num_resamples must be >= 1, got {num_resamples}.")
        a, b = self.law
        if not (a > 0 and b > 0):
            return GoodnessOfFit(math.nan, math.nan, 0)
        rng = np.random.default_rng(seed)
        used = _used(self.cells, self.zpd)
        law = intervals.law_pmf(used, a, b, self.mean, self.zpd)
        observed = intervals.deviance(used, law)
        replicates = []
        for _ in range(num_resamples):
            drawn = intervals.draw(used, law, rng)
            again = fit_cells(drawn, self.method, self.zpd)
            a, b = again.law
            if a > 0 and b > 0:
                refitted = intervals.law_pmf(drawn, a, b, again.mean, self.zpd)
                replicates.append(intervals.deviance(drawn, refitted))
        more = sum(value >= observed * (1 - 1e-12) for value in replicates)
        return GoodnessOfFit(observed, (1 + more) / (1 + len(replicates)), len(replicates))

    def summary(self, *, level: float = 0.95) -> str:
        """A table for people: both pairs of numbers with intervals, and what the paper's method would give."""
        from paced.weights.fit_summary import summary_text

        return summary_text(self, level=level)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Histogram of p̂ with the fitted law in counts; saved as PNG (and CSV beside it) when ``path`` is given."""
        from paced.analysis.figures import save_figure
        from paced.analysis.figures_fit import fit_figure, fit_table

        table = fit_table([self])
        figure = fit_figure(table)
        if path is not None:
            save_figure(figure, table, Path(path))
        return figure

    def to_dict(self) -> dict[str, Any]:
        """Everything but the counts, ready for JSON; numbers that are not finite become None (``message`` says why)."""
        interval = self.conf_int()
        a, b = self.law
        names = {
            "method": self.method, "success": self.success, "message": self.message,
            "alpha": self.alpha, "beta": self.beta, "law": [a, b], "mean": self.mean, "peak": self.peak,
            "cov": self.cov.tolist(), "conf_int_95": {"alpha": list(interval.alpha), "beta": list(interval.beta)},
            "nllf": self.nllf, "aic": self.aic, "zpd": self.zpd,
            "num_problems": self.num_problems, "num_used": self.num_used,
        }  # fmt: skip
        return {name: _plain(value) for name, value in names.items()}

    def _exponents_again(self, cells: CountHistogram) -> tuple[float, float]:
        again = fit_cells(cells, self.method, self.zpd)
        return again.alpha, again.beta


def fit(
    num_passed: ArrayLike, num_rollouts: ArrayLike, method: Method = "mle", *, zpd: float | None = None
) -> FitResult:
    """Fit p ~ Beta(α+1, β+1) to counts of passes and return the kernel exponents (α, β).

    Args:
        num_passed: s, integers with 0 <= s <= K, shape [num_problems].
        num_rollouts: K >= 1, one number or one for each problem.
        method: "mle", the beta-binomial likelihood; "moments", two moments without the rollout noise (claim C44);
            "paper", Proposition 11 as printed: moments of p̂ in the zone, biased by the noise and by the cut.
        zpd: ε in [0, 1/2). Keep problems with ε <= p̂ <= 1-ε only. "mle" then uses the truncated likelihood and stays
            consistent; "paper" takes 0.1 when not told; "moments" has no truncated form.

    Returns: a :class:`FitResult`. Data that determine no exponents give ``success=False`` and a ``message``, not an
        exception: a pipeline may go on with the default kernel.

    Raises:
        ValueError: counts that are absent, negative, fractional or contradictory; an unknown method; ``zpd`` with
            "moments".

    Example:
        >>> rng = np.random.default_rng(0)
        >>> res = fit(rng.binomial(8, rng.beta(3, 2, size=4000)), 8)
        >>> round(res.alpha, 1), round(res.beta, 1)
        (2.2, 1.2)
        >>> (alpha_low, alpha_high), (beta_low, beta_high) = res.conf_int()
        >>> bool(alpha_low < 2 < alpha_high and beta_low < 1 < beta_high)
        True
    """
    if method not in METHODS:
        raise ValueError(f"fit: method must be one of {', '.join(METHODS)}, got {method!r}.")
    if zpd is not None:
        check_number("fit", "zpd", zpd, low=0, high=0.5, high_open=True, fix="Give ε, the lower end of the zone.")
        if method == "moments":
            raise ValueError(f"fit: zpd must be None for method='moments', got {zpd:g}. Use method='mle' with zpd.")
    return fit_cells(CountHistogram.of(num_passed, num_rollouts, place="fit"), method, zpd)


def fit_cells(cells: CountHistogram, method: Method, zpd: float | None) -> FitResult:
    """:func:`fit` from a histogram of counts, which is all it needs."""
    if method == "paper" and zpd is None:
        zpd = PAPER_ZPD
    used = _used(cells, zpd)
    blank = FitResult(
        method=method, alpha=math.nan, beta=math.nan, cov=np.full((2, 2), math.nan), nllf=math.nan, success=False,
        message="", mean=math.nan, zpd=zpd, num_problems=cells.total, num_used=used.total, cells=cells,
    )  # fmt: skip
    if used.total == 0:
        assert zpd is not None
        return replace(blank, message=f"No problem lies in the zone {zpd:g} <= p̂ <= {1 - zpd:g}. Use a smaller zpd.")
    blank = replace(blank, mean=float(used.num_problems @ (used.num_passed / used.num_rollouts)) / used.total)
    if reason := _unidentified(used, method, zpd):
        return replace(blank, message=reason)
    return _maximum_likelihood(blank, used) if method == "mle" else _from_moments(blank, used)


def _used(cells: CountHistogram, zpd: float | None) -> CountHistogram:
    return cells if zpd is None else cells.where(cells.in_zpd(zpd))


def _unidentified(used: CountHistogram, method: Method, zpd: float | None) -> str:
    """Why these counts cannot determine two exponents, or an empty string."""
    if not used.num_passed.any():
        return "No rollout passed: every law that favours small pass rates fits. Use easier problems or more rollouts."
    if not used.num_failed.any():
        return "Every rollout passed: every law that favours large pass rates fits. Use harder problems."
    if method == "paper":
        return ""
    largest = int(used.num_rollouts.max())
    if largest == 1:
        return "One rollout each (K = 1) identifies the mean pass rate only. Use two or more rollouts a problem."
    if method == "mle" and zpd is not None:
        s = np.arange(largest + 1)
        if np.count_nonzero(np.minimum(s, largest - s) >= zpd * largest - 1e-9) < 3:
            return (
                f"With K = {largest} fewer than three counts lie in the zone, which identifies the odds "
                "(α+1)/(β+1) only. Use more rollouts or zpd=None."
            )
    return ""


def _from_moments(blank: FitResult, used: CountHistogram) -> FitResult:
    found = moments.paper_moments(used) if blank.method == "paper" else moments.corrected_moments(used)
    m, v = found.first, found.variance
    blank = replace(blank, mean=m)
    if v <= 1e-12 * m * (1 - m):
        # Rates that do not spread; with the noise taken out v may be negative by chance.
        return replace(
            blank, alpha=math.inf, beta=math.inf, nllf=_nllf(blank, used, math.inf, math.inf), message=_no_spread(m)
        )
    if v >= m * (1 - m) * (1 - 1e-12):
        return replace(
            blank,
            message=f"The variance of the pass rates, {v:.4g}, is not below m(1-m) = {m * (1 - m):.4g}: no Beta law "
            "has these moments. Use method='mle'.",
        )
    law = moments.beta_from_moments(found)
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
    if not math.isfinite(best.a):
        return replace(answer, message=_no_spread(best.mean))
    if not best.converged:
        return replace(
            answer,
            message="The likelihood grows towards a law with pass rates 0 and 1 only (α, β → -1): hardly a problem was "
            "solved sometimes. Use BetaKernel(estimator='posterior') or other problems.",
        )
    information = -likelihood.derivatives(best.a, best.b).hessian
    return replace(
        answer, cov=np.linalg.inv(information).astype(np.float64), success=True, message=_found(best.a, best.b)
    )


def _start(used: CountHistogram, zpd: float | None) -> tuple[float, float] | None:
    """The moment estimate where it is a law, which is a few Newton steps away."""
    if zpd is not None:
        return None
    found = moments.corrected_moments(used)
    if not 0 < found.variance < 0.999 * found.first * (1 - found.first):
        return None
    law = moments.beta_from_moments(found)
    scale = min(1.0, 1e3 / (law.a + law.b))
    return max(law.a * scale, 1e-3), max(law.b * scale, 1e-3)


def _nllf(blank: FitResult, used: CountHistogram, a: float, b: float) -> float:
    law = intervals.law_pmf(used, a, b, blank.mean, blank.zpd)
    terms = [math.log(law[k][s]) for s, k in zip(used.num_passed.tolist(), used.num_rollouts.tolist(), strict=True)]
    return -float(used.num_problems @ np.array(terms))


def _found(a: float, b: float) -> str:
    if a < 1 or b < 1:
        return (
            f"Found, but the law Beta({a:.3g}, {b:.3g}) piles up at an end: a negative exponent is no weight "
            "(it diverges), so there is no kernel."
        )
    return "Found."


def _no_spread(mean: float) -> str:
    return (
        f"The pass rates spread no more than rollout noise around {mean:.3g}: the exponents have no finite estimate, "
        "only lower bounds. Use more problems or rollouts, or BetaKernel()."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
