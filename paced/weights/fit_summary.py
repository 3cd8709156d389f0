"""The text table of a fit: what people read first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paced.weights.fit_result import FitResult

NAMES = {
    "mle": "beta-binomial maximum likelihood",
    "moments": "moments without rollout noise",
    "paper": "moments in the zone (Proposition 11, as printed)",
}
WIDTH = 78


def summary_text(result: FitResult, *, level: float) -> str:
    """Both pairs of numbers with intervals, the likelihood, and what the paper's method gives on the same counts."""
    ends = result.conf_int(level)
    errors = result.standard_errors if result.success else (math.nan, math.nan)
    a, b = result.law
    rows = [
        ("kernel exponent alpha", result.alpha, errors[0], ends.alpha, 0),
        ("kernel exponent beta", result.beta, errors[1], ends.beta, 0),
        ("law parameter a = alpha+1", a, errors[0], ends.alpha, 1),
        ("law parameter b = beta+1", b, errors[1], ends.beta, 1),
    ]
    percent = f"{100 * level:g}% interval"
    lines = [
        "=" * WIDTH,
        f"Beta law of pass rates: {NAMES[result.method]}",
        "=" * WIDTH,
        f"problems {result.num_problems:>12,}    used {result.num_used:>12,}    {_zone(result.zpd)}",
        f"mean pass rate {_number(result.mean)}    neg. log-likelihood {_number(result.nllf)}    "
        f"AIC {_number(result.aic)}",
        "-" * WIDTH,
        f"{'':<27}{'estimate':>12}{'std. error':>12}{percent:>26}",
        "-" * WIDTH,
    ]
    for name, value, error, (low, high), shift in rows:
        interval = f"[{_number(low + shift)}, {_number(high + shift)}]"
        lines.append(f"{name:<27}{_number(value):>12}{_number(error):>12}{interval:>26}")
    lines.append("-" * WIDTH)
    lines.append(
        f"peak of the kernel: {_number(result.peak)}" if result.has_kernel else "no kernel follows from this law"
    )
    lines.append(result.message)
    if result.method != "paper":
        from paced.weights.fit import fit_cells

        paper = fit_cells(result.cells, "paper", result.zpd)
        lines.append(
            f"The paper's method (zone {paper.zpd:g} <= p̂ <= {1 - (paper.zpd or 0):g}) gives alpha = "
            f"{_number(paper.alpha)}, beta = {_number(paper.beta)}" + ("." if paper.success else f": {paper.message}")
        )
    lines.append("=" * WIDTH)
    return "\n".join(lines)


def _zone(zpd: float | None) -> str:
    return "all pass rates" if zpd is None else f"zone {zpd:g} <= p̂ <= {1 - zpd:g}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "inf" if value == math.inf else f"{value:.4f}"
