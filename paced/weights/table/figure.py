"""Pass-rate histograms with fitted laws: in counts, where a fit can be judged, never a density over a bar chart.

A law of p is compared with p̂ by what it predicts for p̂: the beta-binomial probabilities at each s/K. With several K the
predictions are added up over the problems of each K.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from paced.figures import GREY, label, legend, new_figure, save_figure, style_of
from paced.records import Table
from paced.weights.fit.intervals import law_pmf
from paced.weights.fit.result import FitResult, used_cells

LABELS = {"mle": "maximum likelihood", "moments": "corrected moments", "paper": "paper (Prop. 11)"}
LINES = ("-", "--", ":")
MOST_BARS = 400
"""Pass rates up to which each has a bar and a marker; more would touch, and take minutes to draw."""


def plot_fit(result: FitResult, path: str | Path | None = None) -> Figure:
    """Histogram of p̂ with the fitted law in counts; saved as PNG (and CSV beside it) when ``path`` is given."""
    table = fit_table([result])
    figure = fit_figure(table)
    if path is not None:
        save_figure(figure, table, Path(path))
    return figure


def fit_table(results: Sequence[FitResult]) -> Table:
    """Observed number of problems at each p̂ and what each fitted law expects.

    Returns: columns ``pass_rate_estimate`` (ascending), ``num_problems`` and one ``expected_<method>`` for each result;
        NaN outside the zone of a fit that was restricted to one, and everywhere for a fit without a law.
    """
    cells = results[0].cells
    values = sorted({Fraction(s, int(k)) for k in np.unique(cells.num_rollouts) for s in range(int(k) + 1)})
    place = {value: index for index, value in enumerate(values)}
    at = np.array(
        [place[Fraction(s, k)] for s, k in zip(cells.num_passed.tolist(), cells.num_rollouts.tolist(), strict=True)]
    )
    table: dict[str, list[float]] = {
        "pass_rate_estimate": [float(value) for value in values],
        "num_problems": np.bincount(at, weights=cells.num_problems, minlength=len(values)).tolist(),
    }
    for result in results:
        expected = np.full(len(values), np.nan)
        a, b = result.law
        used = used_cells(cells, result.zpd)
        if a > 0 and b > 0 and used.total:
            for k, pmf in law_pmf(used, a, b, result.mean, result.zpd).items():
                count = int(used.num_problems[used.num_rollouts == k].sum())
                for s in np.flatnonzero(pmf > 0).tolist():
                    index = place[Fraction(s, k)]
                    expected[index] = np.nansum([expected[index], count * pmf[s]])
        table[f"expected_{result.method}"] = expected.tolist()
    return table


def fit_figure(table: Table) -> Figure:
    """Bars of observed problems, a marked line for each fitted law."""
    figure, axes = new_figure()
    rates = np.asarray(table["pass_rate_estimate"], dtype=float)
    gap = float(np.diff(rates).min()) if rates.size > 1 else 1.0
    many = rates.size > MOST_BARS
    if many:
        axes.vlines(rates, 0, table["num_problems"], color=GREY, linewidth=0.5, label="observed")
    else:
        axes.bar(rates, table["num_problems"], width=0.8 * gap, color="#D0D0D0", edgecolor=GREY, label="observed")
    methods = [name.removeprefix("expected_") for name in table if name.startswith("expected_")]
    for index, method in enumerate(methods):
        expected = np.asarray(table[f"expected_{method}"], dtype=float)
        if np.isfinite(expected).any():
            # The first fit is drawn on top of the second, which is dashed: two that agree can both be seen.
            axes.plot(
                rates, expected, linewidth=1.2, linestyle=LINES[index % len(LINES)], zorder=9 - index,
                label=LABELS[method], **style_of(index) | ({"marker": ""} if many else {}),
            )  # fmt: skip
    label(axes, x="pass rate estimate $\\hat p = s/K$", y="problems")
    # The best place is looked for among all points, which takes long when there are many.
    legend(axes, loc="upper right" if many else "best")
    return figure
