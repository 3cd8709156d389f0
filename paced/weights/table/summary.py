"""What a table of pass rates says at a glance: its histogram, what each weight function leaves of it, and the fit.

The fit is that of ``paced fit``. Where rollouts were made in two phases only the maximum-likelihood fit is shown: the
likelihood does not depend on the rule by which sampling stopped, moments and their goodness of fit do.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paced.records import PassRate
from paced.weights import WEIGHTS, normalise
from paced.weights.budget.planner import PolicyPlan, plan_screening, plan_text
from paced.weights.counts import CountHistogram
from paced.weights.fit.fit import fit_cells
from paced.weights.table.report import fit_file

MOST_BARS = 17
"""Pass rates s/K that get a line of their own; more are put into tenths, and both ends apart."""
WIDTH = 40
"""Characters of the longest bar."""


def histogram(rates: Sequence[PassRate]) -> dict[str, int]:
    """Number of problems at each pass rate s/K of one K, or in tenths with both ends apart; only what could be graded.

    Example:
        >>> counts = [(0, 2), (1, 2), (2, 2), (1, 2)]
        >>> histogram([PassRate(problem_id=str(i), num_passed=s, num_rollouts=k) for i, (s, k) in enumerate(counts)])
        {'0/2': 1, '1/2': 2, '2/2': 1}
    """
    known = [rate for rate in rates if rate.num_rollouts]
    sizes = {rate.num_rollouts for rate in known}
    if len(sizes) == 1 and max(sizes) < MOST_BARS:
        size = sizes.pop()
        bars = {f"{passed}/{size}": 0 for passed in range(size + 1)}
        for rate in known:
            bars[f"{rate.num_passed}/{size}"] += 1
        return bars
    bars = {"0": 0} | {f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}": 0 for tenth in range(10)} | {"1": 0}
    names = list(bars)
    for rate in known:
        s, k = rate.num_passed, rate.num_rollouts
        bars[names[0] if s == 0 else names[-1] if s == k else names[1 + 10 * s // k]] += 1
    return bars


def histogram_text(bars: dict[str, int]) -> str:
    """The histogram as lines of ``#``; a bar that is not empty has one at least."""
    most = max([*bars.values(), 1])
    lines = [f"{'pass rate':<12}{'problems':>10}"]
    for name, count in bars.items():
        lines.append(f"{name:<12}{count:>10,}  {'#' * -(-WIDTH * count // most)}".rstrip())
    return "\n".join(lines)


def weight_rows(rates: Sequence[PassRate]) -> list[dict[str, Any]]:
    """What each weight function, with its default parameters, leaves of the problems that could be graded.

    Returns: for each its name, ``ess``, ``ess_fraction``, ``share_zero`` and ``largest``; None where all weights are 0.
    """
    known = [rate for rate in rates if rate.num_rollouts]
    passed, rollouts = [rate.num_passed for rate in known], [rate.num_rollouts for rate in known]
    rows: list[dict[str, Any]] = []
    functions = {name: WEIGHTS[name]() for name in WEIGHTS}
    functions["beta estimator=posterior"] = WEIGHTS["beta"](estimator="posterior")  # type: ignore[call-arg]
    for name, function in functions.items():
        weights = function(passed, rollouts)
        row: dict[str, Any] = {"weight": name, "ess": None, "ess_fraction": None, "share_zero": 1.0, "largest": None}
        if weights.any():
            unit = normalise(weights)
            row |= {"ess": unit.ess, "ess_fraction": unit.ess_fraction}
            row |= {"share_zero": unit.share_zero, "largest": unit.largest}
        rows.append(row)
    return rows


def weights_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of :func:`weight_rows` as text."""
    lines = [f"{'weight':<26}{'ESS':>10}{'ESS/N':>8}{'zero':>8}{'largest':>9}"]
    for row in rows:
        if row["ess"] is None:
            lines.append(f"{row['weight']:<26}{'every weight is 0':>35}")
        else:
            lines.append(
                f"{row['weight']:<26}{row['ess']:>10,.1f}{row['ess_fraction']:>8.3f}{row['share_zero']:>8.3f}"
                f"{row['largest']:>9.3f}"
            )
    return "\n".join(lines)


def table_summary(path: Path, rates: Sequence[PassRate], *, screen: tuple[int, int] | None = None) -> tuple[str, Any]:
    """The summary of a table that was just written, as text and as plain data.

    Args:
        path: the table, which is read back as ``paced fit`` reads it.
        rates: its rows; at least one could be graded.
        screen: (K1, K) when rollouts were made in two phases.
    """
    bars, weights = histogram(rates), weight_rows(rates)
    parts = [histogram_text(bars), weights_table(weights)]
    data: dict[str, Any] = {"histogram": bars, "weights": weights}
    if screen is None:
        text, as_json, _ = fit_file(path)
        data["fits"] = json.loads(as_json)["fits"]
        return "\n\n".join([*parts, text]), data
    known = [rate for rate in rates if rate.num_rollouts]
    passed, rollouts = (np.array([getattr(rate, name) for rate in known]) for name in ("num_passed", "num_rollouts"))
    best = fit_cells(CountHistogram.of(passed, rollouts, place="fit"), "mle", None)
    a, b = best.law
    plans: tuple[PolicyPlan, ...] = ()
    if best.success and a > 0 and b > 0:
        plans = plan_screening((a, b), num_problems=len(known), num_first=screen[0], num_all=screen[1])
    data |= {"fits": [best.to_dict()], "screening": [dataclasses.asdict(plan) for plan in plans]}
    parts.append(best.summary())
    if plans:
        parts.append(f"{SCREENED}\n{plan_text(plans)}")
    return "\n\n".join(parts), data


SCREENED = (
    "What screening does to the weights, by this law and w = p(1-p), beside one K for all at its cost. naive: what\n"
    "`paced weigh` gives by default, 0 for all that stopped early; posterior: with estimator=posterior; screened: the\n"
    "unbiased weight, paced.weights.budget.allocation.screened_weight."
)
