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
        raise ConfigError(_without_frontier(rates, config))
    unit = normalise(list(values.values())).unit_mean_weights
    return [
        ProblemWeight(problem_id=problem_id, weight=weight, unit_mean_weight=float(share))
        for (problem_id, weight), share in zip(values.items(), unit, strict=True)
    ]


def _without_frontier(rates: list[PassRate], config: RunConfig) -> str:
    """Why every weight is 0, and what to do: other problems help only where completions ended and could be graded."""
    known = [rate for rate in rates if rate.num_rollouts]
    ungradable, truncated = (
        sum(getattr(rate, f"num_{kind}") for rate in rates) for kind in ("ungradable", "truncated")
    )
    graded = sum(rate.num_rollouts for rate in rates)
    never, always = (sum(rate.pass_rate_estimate == limit for rate in known) for limit in (0, 1))
    causes, remedies = [], []
    if 2 * truncated > graded:
        causes.append(
            f"{100 * truncated / graded:.0f} % of the completions were cut by rollouts.max_new_tokens="
            f"{config.rollouts.max_new_tokens} before they ended"
        )
        remedies.append(
            "Look at stage-*/rollouts.jsonl: where the text runs on behind an answer, name the token that ends an "
            "answer in prompts.end_of_answer; where it is still under way, raise rollouts.max_new_tokens."
        )
    if ungradable and 2 * ungradable >= graded + ungradable:
        causes.append(f"{100 * ungradable / (graded + ungradable):.0f} % of the completions could not be graded")
        remedies.append("Look at the reasons in stage-*/grades.jsonl: a gold answer or the grader is at fault.")
    if not causes:
        remedies.append("Take other problems or more rollouts, or all with weights=uniform.")
    because = f", and {' and '.join(causes)}" if causes else ""
    return (
        f"weights: '{config.weights.name}' gives weight 0 to all {len(rates):,} problems: {never:,} were never solved, "
        f"{always:,} always{because}. There is no frontier to train on. {' '.join(remedies)}"
    )
