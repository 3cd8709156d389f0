"""From pass rates to weights, as the recipe says; the one place where training looks at the weight function's name."""

from __future__ import annotations

from paced.errors import ConfigError
from paced.records import PassRate, ProblemWeight
from paced.run.config import RunConfig
from paced.weights import WEIGHTS, normalise


def weights_of(rates: list[PassRate], config: RunConfig) -> list[ProblemWeight]:
    """The weight of each problem; one whose rollouts could not be graded has no estimate and gets weight 0.

    Raises:
        ConfigError: every weight is 0, so that there is nothing to train on.
    """
    known = [rate for rate in rates if rate.num_rollouts]
    values = dict.fromkeys((rate.problem_id for rate in rates), 0.0)
    if known:
        function = WEIGHTS[config.weights.name](**config.weights.parameters)
        computed = function([rate.num_passed for rate in known], [rate.num_rollouts for rate in known])
        values |= dict(zip((rate.problem_id for rate in known), computed.tolist(), strict=True))
    if not any(values.values()):
        solved = sum(rate.pass_rate_estimate == 1 for rate in known)
        raise ConfigError(
            f"weights: '{config.weights.name}' gives weight 0 to all {len(rates):,} problems: "
            f"{sum(rate.num_passed == 0 for rate in known):,} were never solved, {solved:,} always. There is no "
            "frontier to train on: take other problems or more rollouts, or all with weights=uniform."
        )
    unit = normalise(list(values.values())).unit_mean_weights
    return [
        ProblemWeight(problem_id=problem_id, weight=weight, unit_mean_weight=float(share))
        for (problem_id, weight), share in zip(values.items(), unit, strict=True)
    ]
