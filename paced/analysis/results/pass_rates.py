"""The distribution of pass rates and what a weighting makes of it, as tables with intervals.

One row for each value that p̂ takes, so that the two spikes at 0 and 1 are never smoothed into their neighbours.
When K differs between problems the values are those that occur.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from paced.records import PassRate, ProblemWeight, Table
from paced.weights.wilson import wilson_interval


def histogram_table(pass_rates: Sequence[PassRate]) -> Table:
    """Share of problems at each value of p̂.

    Returns: columns ``pass_rate_estimate`` (ascending), ``num_problems``, ``share`` and its Wilson interval
        ``share_low``, ``share_high``. Problems without a gradable rollout are left out.
    """
    counts = Counter(Fraction(rate.num_passed, rate.num_rollouts) for rate in pass_rates if rate.num_rollouts)
    total = sum(counts.values())
    values = sorted(counts)
    if len({rate.num_rollouts for rate in pass_rates if rate.num_rollouts}) == 1:
        # Empty classes are drawn as empty, not skipped, when K is the same for all.
        num_rollouts = next(rate.num_rollouts for rate in pass_rates if rate.num_rollouts)
        values = [Fraction(passed, num_rollouts) for passed in range(num_rollouts + 1)]
    intervals = [wilson_interval(counts[value], total) for value in values]
    return {
        "pass_rate_estimate": [float(value) for value in values],
        "num_problems": [counts[value] for value in values],
        "share": [counts[value] / total for value in values],
        "share_low": [low for low, _ in intervals],
        "share_high": [high for _, high in intervals],
    }


def weight_table(pass_rates: Sequence[PassRate], weights: Sequence[ProblemWeight]) -> Table:
    """How much of the training weight falls on each value of p̂.

    Returns: columns ``pass_rate_estimate``, ``num_problems``, ``unit_mean_weight`` (mean w̃ of those problems),
        ``share_of_problems`` and ``share_of_weight``, which both add up to one.
    """
    by_problem: Mapping[str, float] = {weight.problem_id: weight.unit_mean_weight for weight in weights}
    groups: dict[Fraction, list[float]] = {}
    for rate in pass_rates:
        if rate.num_rollouts and rate.problem_id in by_problem:
            key = Fraction(rate.num_passed, rate.num_rollouts)
            groups.setdefault(key, []).append(by_problem[rate.problem_id])
    total_problems = sum(len(group) for group in groups.values())
    total_weight = sum(sum(group) for group in groups.values())
    values = sorted(groups)
    return {
        "pass_rate_estimate": [float(value) for value in values],
        "num_problems": [len(groups[value]) for value in values],
        "unit_mean_weight": [sum(groups[value]) / len(groups[value]) for value in values],
        "share_of_problems": [len(groups[value]) / total_problems for value in values],
        "share_of_weight": [sum(groups[value]) / total_weight if total_weight else 0.0 for value in values],
    }
