"""What a fit gives back: exponents, their uncertainty, the law they come from and the kernel they make."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from paced.arrays import Floats
from paced.errors import check_choice, check_number, check_whole
from paced.weights.betabinomial import BetaBinomial, Maximum
from paced.weights.counts import CountHistogram
from paced.weights.fit import intervals
from paced.weights.fit.intervals import ConfidenceIntervals, GoodnessOfFit, Interval
from paced.weights.fit.summary import SummaryRow, number_text, summary_text
from paced.weights.kernels import BetaKernel
from paced.zone import Zone

Method = Literal["mle", "moments", "paper"]
IntervalMethod = Literal["profile", "wald", "bootstrap"]

NAMES = {
    "mle": "beta-binomial maximum likelihood",
    "moments": "moments without rollout noise",
    "paper": "moments in the zone (Proposition 11, as printed)",
}
"""Method -> what the summary calls it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FitResult:
    """Kernel exponents with their uncertainty; made by :func:`paced.weights.fit`."""

    method: Method
    """mle, moments or paper."""
    alpha: float
    """Kernel exponent α = a - 1; NaN without an estimate, inf when the pass rates do not spread."""
    beta: float
    """Kernel exponent β = b - 1."""
    cov: Floats = field(repr=False)
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
    refit: Callable[[CountHistogram, Method, float | None], FitResult] = field(repr=False)
    """(counts, method, zpd) -> their fit: what bootstraps fit again with."""

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
        check_choice("FitResult.conf_int", "method", chosen, get_args(IntervalMethod))
        if chosen == "bootstrap":
            num_resamples = check_whole("FitResult.conf_int", "num_resamples", num_resamples, low=1)
            seed = check_whole("FitResult.conf_int", "seed", seed, low=0)
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
            likelihood = BetaBinomial(used_cells(self.cells, self.zpd), self.zpd)
            best = Maximum(a, b, -self.nllf - likelihood.constant, self.mean, self.success)
            ends = intervals.profile(likelihood, best, level)
        return ConfidenceIntervals(*(Interval(low - 1, high - 1) for low, high in ends))

    def gof(self, *, num_resamples: int = 199, seed: int = 0) -> GoodnessOfFit:
        """Parametric bootstrap of the deviance, refitting each replicate: a small p-value means another law than Beta.

        Args:
            num_resamples: replicates; the smallest possible p-value is 1/(num_resamples + 1).
            seed: of the replicates.
        """
        num_resamples = check_whole("FitResult.gof", "num_resamples", num_resamples, low=1)
        a, b = self.law
        if not (a > 0 and b > 0):
            return GoodnessOfFit(math.nan, math.nan, 0)
        rng = np.random.default_rng(check_whole("FitResult.gof", "seed", seed, low=0))
        used = used_cells(self.cells, self.zpd)
        law = intervals.law_pmf(used, a, b, self.mean, self.zpd)
        observed = intervals.deviance(used, law)
        replicates = []
        for _ in range(num_resamples):
            drawn = intervals.draw(used, law, rng)
            again = self.refit(drawn, self.method, self.zpd)
            a, b = again.law
            if a > 0 and b > 0:
                refitted = intervals.law_pmf(drawn, a, b, again.mean, self.zpd)
                replicates.append(intervals.deviance(drawn, refitted))
        more = sum(value >= observed * (1 - 1e-12) for value in replicates)
        return GoodnessOfFit(observed, (1 + more) / (1 + len(replicates)), len(replicates))

    def summary(self, *, level: float = 0.95) -> str:
        """A table for people: both pairs of numbers with intervals, and what the paper's method would give."""
        ends = self.conf_int(level)
        errors = self.standard_errors if self.success else (math.nan, math.nan)
        a, b = self.law
        rows = [
            SummaryRow("kernel exponent alpha", self.alpha, errors[0], *ends.alpha),
            SummaryRow("kernel exponent beta", self.beta, errors[1], *ends.beta),
            SummaryRow("law parameter a = alpha+1", a, errors[0], ends.alpha.low + 1, ends.alpha.high + 1),
            SummaryRow("law parameter b = beta+1", b, errors[1], ends.beta.low + 1, ends.beta.high + 1),
        ]
        zone = "all pass rates" if self.zpd is None else f"zone {self.zpd:g} <= p̂ <= {1 - self.zpd:g}"
        facts = [
            f"problems {self.num_problems:>12,}    used {self.num_used:>12,}    {zone}",
            f"mean pass rate {number_text(self.mean)}    neg. log-likelihood {number_text(self.nllf)}    "
            f"AIC {number_text(self.aic)}",
        ]
        peak = f"peak of the kernel: {number_text(self.peak)}"
        notes = [peak if self.has_kernel else "no kernel follows from this law", self.message]
        if self.method != "paper":
            notes.append(self._papers_sentence())
        title = f"Beta law of pass rates: {NAMES[self.method]}"
        return summary_text(title, facts=facts, rows=rows, level=level, notes=notes)

    def to_dict(self, *, level: float = 0.95) -> dict[str, Any]:
        """Everything but the counts, ready for JSON; numbers that are not finite become None (``message`` says why).

        Args:
            level: coverage of ``conf_int``, in (0, 1).
        """
        interval = self.conf_int(level)
        a, b = self.law
        names = {
            "method": self.method, "success": self.success, "message": self.message,
            "alpha": self.alpha, "beta": self.beta, "law": [a, b], "mean": self.mean, "peak": self.peak,
            "cov": self.cov.tolist(),
            "conf_int": {"level": level, "alpha": list(interval.alpha), "beta": list(interval.beta)},
            "nllf": self.nllf, "aic": self.aic, "zpd": self.zpd,
            "num_problems": self.num_problems, "num_used": self.num_used,
        }  # fmt: skip
        return {name: _plain(value) for name, value in names.items()}

    def _papers_sentence(self) -> str:
        paper = self.refit(self.cells, "paper", self.zpd)
        return (
            f"The paper's method (zone {paper.zpd:g} <= p̂ <= {1 - (paper.zpd or 0):g}) gives alpha = "
            f"{number_text(paper.alpha)}, beta = {number_text(paper.beta)}"
            + ("." if paper.success else f": {paper.message}")
        )

    def _exponents_again(self, cells: CountHistogram) -> tuple[float, float]:
        again = self.refit(cells, self.method, self.zpd)
        return again.alpha, again.beta


def used_cells(cells: CountHistogram, zpd: float | None) -> CountHistogram:
    """The cells a fit uses: all, or those in the zone."""
    return cells if zpd is None else cells.inside(Zone.of(zpd))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
