"""How a training set moves through the student's zone of proximal development (Table 9 of the paper).

Problems are called *zpd* inside the zone of the paper's Table 9 (0.2 <= p̂ <= 0.8), *low* below and *high* above it.
Every share has a Wilson interval over problems, the mean pass rate a bootstrap interval over problems.
Left out: smoothing p̂. With K = 8 a problem of true rate 0.5 is seen as low or high with probability 0.07; the flow
table therefore contains sampling noise, and ``expected_flow_by_chance`` says how much of it a student that does not
change would show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from paced.analysis.results.intervals import mean_with_interval
from paced.records import PassRate, Table
from paced.run.config import TRAINING
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet
from paced.weights import BetaKernel, normalise
from paced.weights.wilson import wilson_interval
from paced.zone import REGIONS, TABLE_9


def curriculum_table(checkpoints: Mapping[str, Sequence[PassRate]]) -> dict[str, list]:
    """Shares of low, zpd and high problems and the mean pass rate along checkpoints.

    Args:
        checkpoints: label in training order -> pass rates of the same problems.

    Returns: columns ``checkpoint``, ``num_problems``; for each region ``<region>``, ``<region>_low``,
        ``<region>_high``; ``mean_pass_rate`` with ``mean_pass_rate_low`` and ``_high``; ``zpd_left``, the zpd share
        over that of the first checkpoint (depletion); ``effective_share``, ESS/N of the default kernel's weights on
        these counts, zero when all weights vanish.
    """
    table: dict[str, list] = {"checkpoint": [], "num_problems": []}
    for name in REGIONS:
        table |= {name: [], f"{name}_low": [], f"{name}_high": []}
    table |= {key: [] for key in ("mean_pass_rate", "mean_pass_rate_low", "mean_pass_rate_high")}
    table |= {"zpd_left": [], "effective_share": []}
    for label, rates in checkpoints.items():
        gradable = [rate for rate in rates if rate.num_rollouts]
        values = [rate.pass_rate_estimate for rate in gradable]
        table["checkpoint"].append(label)
        table["num_problems"].append(len(values))
        for name in REGIONS:
            count = sum(TABLE_9.region(value) == name for value in values)
            bottom, top = wilson_interval(count, len(values))
            table[name].append(count / len(values))
            table[f"{name}_low"].append(bottom)
            table[f"{name}_high"].append(top)
        mean = mean_with_interval(values)
        table["mean_pass_rate"].append(mean.value)
        table["mean_pass_rate_low"].append(mean.low)
        table["mean_pass_rate_high"].append(mean.high)
        first = table["zpd"][0]
        table["zpd_left"].append(table["zpd"][-1] / first if first else float("nan"))
        table["effective_share"].append(_effective_share(gradable))
    return table


def flow_table(before: Sequence[PassRate], after: Sequence[PassRate]) -> Table:
    """Where the problems of each region went between two checkpoints.

    Returns: columns ``from_region``, ``to_region``, ``num_problems``, ``share`` of the from-region with its Wilson
        interval ``share_low``, ``share_high``, and ``expected_flow_by_chance``: the share that two independent draws of
        K rollouts would show had no pass rate changed (each problem's p taken as the mean of its two estimates).
    """
    later = {rate.problem_id: rate for rate in after if rate.num_rollouts}
    pairs = [(rate, later[rate.problem_id]) for rate in before if rate.num_rollouts and rate.problem_id in later]
    columns = ("from_region", "to_region", "num_problems", "share", "share_low", "share_high")
    table: dict[str, list] = {key: [] for key in (*columns, "expected_flow_by_chance")}
    chance = _flow_by_chance(pairs)
    for start in REGIONS:
        rows = [pair for pair in pairs if TABLE_9.region(pair[0].pass_rate_estimate) == start]
        for end in REGIONS:
            count = sum(TABLE_9.region(pair[1].pass_rate_estimate) == end for pair in rows)
            bottom, top = wilson_interval(count, len(rows)) if rows else (0.0, 1.0)
            table["from_region"].append(start)
            table["to_region"].append(end)
            table["num_problems"].append(count)
            table["share"].append(count / len(rows) if rows else 0.0)
            table["share_low"].append(bottom)
            table["share_high"].append(top)
            table["expected_flow_by_chance"].append(chance[start, end])
    return table


def _flow_by_chance(pairs: Sequence[tuple[PassRate, PassRate]]) -> dict[tuple[str, str], float]:
    chances = cache(_region_chances)  # thousands of problems have a few dozen pairs of counts
    joint = dict.fromkeys(((start, end) for start in REGIONS for end in REGIONS), 0.0)
    for first, second in pairs:
        pooled = (first.num_passed + second.num_passed) / (first.num_rollouts + second.num_rollouts)
        starts, ends = (chances(pooled, rate.num_rollouts) for rate in (first, second))
        for start in REGIONS:
            for end in REGIONS:
                joint[start, end] += starts[start] * ends[end]
    totals = {start: sum(joint[start, end] for end in REGIONS) for start in REGIONS}
    return {(start, end): joint[start, end] / totals[start] if totals[start] else 0.0 for start, end in joint}


def _region_chances(pass_rate: float, num_rollouts: int) -> dict[str, float]:
    from scipy import stats

    passed = np.arange(num_rollouts + 1)
    mass = stats.binom.pmf(passed, num_rollouts, pass_rate)
    names = np.array([TABLE_9.region(value / num_rollouts) for value in passed])
    return {name: float(mass[names == name].sum()) for name in REGIONS}


def _effective_share(rates: Sequence[PassRate]) -> float:
    weights = BetaKernel()([rate.num_passed for rate in rates], [rate.num_rollouts for rate in rates])
    return normalise(weights).ess_fraction if np.any(weights > 0) else 0.0


def curriculum_checkpoints(run: RunFolder) -> dict[str, list[PassRate]]:
    """Pass rates of the training problems along a run, restricted to the problems that every checkpoint rated.

    Before training, at each renewal of stage 1 (``recompute_every``), and after training. Later stages rate problems of
    their own, which are not checkpoints of these.
    """
    checkpoints: dict[str, list[PassRate]] = {}
    stage = run.stage(1)
    if stage.pass_rates.exists():
        checkpoints["before"] = read_parquet(stage.pass_rates, PassRate)
        for renewed in sorted(stage.root.glob("renewed/step-*/pass_rates.parquet")):
            checkpoints[f"step {int(renewed.parent.name.removeprefix('step-'))}"] = read_parquet(renewed, PassRate)
    after = run.counts("final", TRAINING)
    if after.exists():
        checkpoints["after"] = read_parquet(after, PassRate)
    if not checkpoints:
        return {}
    shared = set.intersection(*({rate.problem_id for rate in rates} for rates in checkpoints.values()))
    return {label: [rate for rate in rates if rate.problem_id in shared] for label, rates in checkpoints.items()}
