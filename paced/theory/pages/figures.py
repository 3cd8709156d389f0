"""The pictures of the theory pages: one function each, the claim's table in, a Figure out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from paced.figures import COLOURS, GREY, label, legend, new_figure, style_of
from paced.records import Table

STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))


def curves(table: Table, *, x: str, y: str, log: bool = False) -> Figure:
    """Every column but the first against the first."""
    figure, axes = new_figure()
    names = list(table)
    for index, name in enumerate(names[1:]):
        axes.plot(
            table[names[0]],
            table[name],
            color=COLOURS[index % len(COLOURS)],
            linestyle=STYLES[index % len(STYLES)],
            label=name,
        )
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    label(axes, x=x, y=y)
    legend(axes)
    return figure


def bars(table: Table, *, y: str, line: float | None = None) -> Figure:
    """One bar for each row, the first column its name, the second its height; a line where nothing is gained."""
    figure, axes = new_figure()
    names, heights = (list(table[column]) for column in list(table)[:2])
    place = np.arange(len(names))
    drawn = axes.bar(place, heights, color=[COLOURS[i % len(COLOURS)] for i in range(len(names))], width=0.6)
    axes.bar_label(drawn, fmt="%.3g", fontsize=8)
    axes.set_xticks(place, names, fontsize=8)
    if line is not None:
        axes.axhline(line, color=GREY, linewidth=0.8)
    label(axes, x="", y=y)
    return figure


def zeroed_problems(table: Table) -> Figure:
    """Probability that no or every rollout passes, against the pass rate, for three K."""
    return curves(table, x="pass rate p", y="probability of weight 0")


def signal_quality(table: Table) -> Figure:
    """Q(p) with an interior maximum, the kernel, and a Q without one."""
    return curves(table, x="pass rate p", y="quality or weight")


def snr_at_mastery(table: Table) -> Figure:
    """Largest gradient and SNR as p → 1, on log axes: one falls, the other does not."""
    return curves(table, x="1 - p", y="size", log=True)


def two_peaks(table: Table) -> Figure:
    """The kernel and a profile with the same power laws at both ends, each over its largest value."""
    return curves(table, x="pass rate p", y="share of the largest value")


def robustness(table: Table) -> Figure:
    """Worst-case efficiency against δ: with sech δ, with c = 1 (0 at ln 2), and after normalising both to unit mean."""
    figure = curves(table, x="delta, largest misspecification of log SNR²", y="worst-case efficiency")
    axes = figure.axes[0]
    axes.set_ylim(-0.5, 1.05)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    return figure


def variance_saved(table: Table) -> Figure:
    """Percent of the variance saved: as stated, on the support that is assumed, and with weights from rollouts."""
    return bars(table, y="variance saved at tau = -1/2 (%)", line=0.0)


def variance_ratio(table: Table) -> Figure:
    """V_w/V_unif against τ; below the line at 1 the weights save variance."""
    figure = curves(table, x="tau, exponent of E|g|²", y="V_w / V_unif")
    figure.axes[0].axhline(1.0, color=GREY, linewidth=0.8)
    return figure


def noise_in_natural_bins(table: Table) -> Figure:
    """What pure noise shows as SNR across the problems of a bin, in three ways of binning."""
    return curves(table, x="pass rate p", y="SNR of pure noise")


def zpd_fit(table: Table) -> Figure:
    """Exponent of the moment fit against the zone's cutoff; a sound fit stays level at the truth."""
    return curves(table, x="cutoff of the zone", y="fitted alpha")


def misspecified_weights(table: Table) -> Figure:
    """Share of the nominal efficiency that is left against δ, for four distances of the two laws."""
    return curves(table, x="delta, largest misjudgement of log SNR²", y="share of the nominal efficiency")


def gain_over_a_filter(table: Table) -> Figure:
    """The most that weighting gains over a filter to [ε, 1-ε], and the kernel's gain for uniform pass rates."""
    figure = curves(table, x="cutoff of the filter", y="times as efficient as the filter")
    figure.axes[0].set_ylim(1.0, 2.0)
    return figure


def efficiency_of_counts(table: Table) -> Figure:
    """Efficiency of weights from K rollouts, against K."""
    return curves(table, x="rollouts K", y="efficiency")


def price_of_rollouts(table: Table) -> Figure:
    """What training must cost for K rollouts to pay, against K."""
    figure = curves(table, x="rollouts K", y="break-even training cost, in rollouts")
    figure.axes[0].set_yscale("log")
    return figure


def noise_of_weights(table: Table) -> Figure:
    """Mean squared error of the unit-mean weight by method, against K."""
    return curves(table, x="rollouts K", y="mean squared error of the weight")


def slots_that_count(table: Table) -> Figure:
    """Effective share of a step's slots by weight and batching, against K."""
    return curves(table, x="rollouts K", y="effective share of the slots")


def bells_of_baselines(table: Table) -> Figure:
    """s2/M2 of the score-function gradient over its largest value, for three baselines."""
    return curves(table, x="pass rate p", y="share of the largest value")


def tracking_the_kernel(table: Table) -> Figure:
    """What Eq. (8) shows of a kernel-shaped SNR² for three sizes, beside the kernel."""
    return curves(table, x="pass rate p", y="share of the largest value")


def points(table: Table, *, x: str, y: str) -> Figure:
    """The second column against the first, one point for each row."""
    figure, axes = new_figure()
    across, up = (list(table[column]) for column in list(table)[:2])
    axes.plot(across, up, linestyle="", **style_of(0))
    label(axes, x=x, y=y)
    return figure


def signal_of_sequences(table: Table) -> Figure:
    """What the Fisher metric shows of the signal when one softmax writes 1, 2 or 8 tokens; the first is p(1-p)."""
    return curves(table, x="pass rate p", y="squared signal, Fisher metric")


def pass_share(table: Table) -> Figure:
    """Share of the passed rollouts in the gradient when they make the weight too."""
    return curves(table, x="pass rate p", y="share of the passed rollouts")


def forgetting(table: Table) -> Figure:
    """Two bars for each method, the difference of scores and what is printed: one pair is unequal."""
    figure, axes = new_figure()
    names, *columns = table.items()
    place = np.arange(len(names[1]))
    for index, (name, heights) in enumerate(columns):
        axes.bar(place + 0.4 * index - 0.2, heights, width=0.4, color=COLOURS[index], label=name)
    axes.set_xticks(place, [str(name).replace(", ", "\n") for name in names[1]], fontsize=6)
    label(axes, x="", y="forgetting, points of MMLU")
    legend(axes)
    return figure


def nearest_means(table: Table) -> Figure:
    """Printed values and the nearest mean@8; those out of the band are not one."""
    figure = points(table, x="AIME value as printed (%)", y="nearest mean@8 minus printed")
    figure.axes[0].axhspan(-0.05, 0.1, color=GREY, alpha=0.2, linewidth=0)
    return figure


def exponents_trade(table: Table) -> Figure:
    """Reasoning against forgetting, each point named by its exponents."""
    first, *rest = table
    figure = points({name: table[name] for name in rest}, x="forgetting, points of MMLU", y="MATH-500 (%)")
    for name, across, up in zip(*(table[column] for column in (first, *rest)), strict=True):
        figure.axes[0].annotate(str(name), (across, up), xytext=(5, 3), textcoords="offset points", fontsize=8)
    return figure


def migration(table: Table) -> Figure:
    """Shares of the problems by pass rate against the step, and the line of a majority."""
    figure = curves(table, x="training step", y="share of the problems")
    figure.axes[0].axhline(0.5, color=GREY, linewidth=0.8)
    return figure


DRAWINGS: dict[str, Callable[[Table], Figure]] = {
    "zeroed_problems": zeroed_problems,
    "signal_quality": signal_quality,
    "snr_at_mastery": snr_at_mastery,
    "two_peaks": two_peaks,
    "robustness": robustness,
    "variance_saved": variance_saved,
    "variance_ratio": variance_ratio,
    "noise_in_natural_bins": noise_in_natural_bins,
    "zpd_fit": zpd_fit,
    "misspecified_weights": misspecified_weights,
    "gain_over_a_filter": gain_over_a_filter,
    "efficiency_of_counts": efficiency_of_counts,
    "price_of_rollouts": price_of_rollouts,
    "noise_of_weights": noise_of_weights,
    "slots_that_count": slots_that_count,
    "bells_of_baselines": bells_of_baselines,
    "tracking_the_kernel": tracking_the_kernel,
    "signal_of_sequences": signal_of_sequences,
    "pass_share": pass_share,
    "forgetting": forgetting,
    "nearest_means": nearest_means,
    "exponents_trade": exponents_trade,
    "migration": migration,
}
"""Name of a claim's picture -> the function that draws it."""
