"""What sections of a recipe break together; what a section can know alone is its own to say (``config.py``)."""

from __future__ import annotations

from paced.run.config import RunConfig


def check_config(config: RunConfig) -> dict[str, str]:
    """Key -> the rule that it breaks and what came."""
    faults: dict[str, str] = {}
    stages, training, parallel = config.stages, config.training, config.parallel
    if not (config.lab or config.problems.path):
        faults["problems.path"] = "must name a file of problems (or a lab section must build one), got none."
    along_these = bool(stages) and stages[0].along == "rollout" and not stages[0].fresh_rollouts
    if config.pass_rates.from_ and config.rollouts.from_ and not along_these:
        faults["rollouts.from"] = (
            "gives rollouts that nothing reads, as pass_rates.from gives the pass rates. Set one of them to null."
        )
    total = sum(stage.share for stage in stages)
    if len(stages) > 1 and total > 1 + 1e-9:
        faults["stages"] = f"must have shares that add up to at most 1, got {total:g}."
    if training.interpolation != "none":
        mixed = [stage for stage in stages if stage.divergence.name == "mixed_kl"]
        if not mixed or not all(stage.recompute_every for stage in mixed):
            faults["training.interpolation"] = (
                "needs a stage of divergence mixed_kl with recompute_every > 0: the ZPD mass changes only when pass "
                "rates are renewed."
            )
        for number, stage in enumerate(stages, start=1):
            if "forward_share" in stage.divergence.parameters:
                faults[f"stages.{number}.divergence.parameters"] = (
                    "must not set forward_share, which training.interpolation decides. Leave one of them out."
                )
    if parallel.sequence_parallel > 1:
        if {config.student.attention, config.teacher.attention} != {"sdpa"}:
            faults["parallel.sequence_parallel"] = (
                "> 1 computes attention with sdpa. Set student.attention=sdpa and teacher.attention=sdpa."
            )
        if training.track_snr:
            faults["training.track_snr"] = "needs whole sequences on a rank. Use parallel.sequence_parallel=1 with it."
    if parallel.cache_teacher and any(stage.fresh_rollouts for stage in stages):
        faults["parallel.cache_teacher"] = (
            "keeps states of completions that are seen again, and fresh_rollouts never are. Leave one of them out."
        )
    return faults
