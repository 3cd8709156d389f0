"""The picture of the idea, from a run: how often problems were solved, what a pass rate weighs, where the loss goes.

    python benchmarks/idea_figure.py runs/quickstart/methods/paced docs/figures/idea.png

writes ``idea.png`` and ``idea.csv``, the numbers that are drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from paced.figures import BLUE, GREY, label, legend, new_figure, save_figure
from paced.records import PassRate, Table
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet
from paced.weights import BetaKernel


def idea_table(run: RunFolder) -> Table:
    """Problems, weight and shares of the loss at each number of passes; every problem has the same K."""
    rates = read_parquet(run.stage(1).pass_rates, PassRate)
    (rollouts,) = {one.num_rollouts for one in rates}
    problems = np.bincount([one.num_passed for one in rates], minlength=rollouts + 1)
    weights = BetaKernel(alpha=1, beta=1)(np.arange(rollouts + 1), rollouts)
    share = problems * weights
    return {
        "pass_rate_estimate": (np.arange(rollouts + 1) / rollouts).tolist(),
        "num_problems": problems.tolist(),
        "weight": weights.tolist(),
        "share_equal": (problems / problems.sum()).tolist(),
        "share_paced": (share / share.sum()).tolist(),
    }


def draw(run: Path, target: Path) -> None:
    """Three panels: what there is, the kernel, and what each problem group gets of the loss with and without it."""
    table = idea_table(RunFolder(run))
    rates = np.asarray(table["pass_rate_estimate"], dtype=float)
    figure, (left, middle, right) = new_figure(columns=3, width=9, height=2.8)
    left.bar(rates, table["num_problems"], width=0.1, color="#D0D0D0", edgecolor=GREY)
    label(left, x="pass rate $s/K$", y="problems", title="What the student can do")
    fine = np.linspace(0, 1, 201)
    middle.plot(fine, fine * (1 - fine), color=BLUE)
    middle.plot(rates, table["weight"], "o", color=BLUE)
    label(middle, x="pass rate $p$", y="weight $w(p)=p(1-p)$", title="What a problem is worth")
    for shift, name, colour, text in (
        (-0.025, "share_equal", "#D0D0D0", "equal weights"),
        (0.025, "share_paced", BLUE, "paced"),
    ):
        right.bar(rates + shift, 100 * np.asarray(table[name], dtype=float), width=0.05, color=colour, label=text)
    label(right, x="pass rate $s/K$", y="share of the loss (%)", title="Where the budget goes")
    legend(right)
    save_figure(figure, table, target)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
