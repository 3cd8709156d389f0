"""Settings that change the memory of a run, each planned anew; and the fewest of them that make it fit.

Nothing is said that was not computed: a setting is named with the peak that the plan has with it.
Left out: settings that change what is computed (shorter completions, other models); they are the person's to choose.
``parallel.cache_teacher`` saves work and no memory, so it is priced apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from paced.errors import ConfigError
from paced.pipeline.plan.disk import cache_bytes
from paced.pipeline.plan.make import Plan, check_question, faults_of, make_plan
from paced.run.config import RunConfig
from paced.run.configfile import ALONE, apply_overrides, build_config, to_dict

MOST_CHANGES = 4
"""Settings that are changed together at most."""


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One or several changed settings and the plan with them."""

    changes: dict[str, Any]
    """Dotted key -> value, as overrides of the recipe."""
    plan: Plan
    """The plan with them."""

    def __str__(self) -> str:
        """The overrides, as they are typed."""
        return " ".join(f"{key}={_typed(value)}" for key, value in self.changes.items())


@dataclass(frozen=True, kw_only=True)
class TeacherCache:
    """What keeping the teacher's states on disk would save and take."""

    saved_operations: float
    """Of the teacher's forward passes."""
    disk: float
    """Bytes."""


def single_changes(plan: Plan) -> list[Alternative]:
    """Every setting that could lower the peak of training, alone."""
    return [_changed(plan, change) for change in _candidates(plan) if not any("engine" in key for key in change)]


def smallest_change(plan: Plan) -> Alternative | None:
    """The fewest settings, in the order of what they cost, with which everything fits; None where nothing helps.

    Edges: a plan that fits already needs no change and gives None as well.
    """
    if not faults_of(plan):
        return None
    candidates = list(_candidates(plan))
    for count in range(1, MOST_CHANGES + 1):
        for chosen in combinations(candidates, count):
            keys = [key for change in chosen for key in change]
            if len(keys) != len(set(keys)):
                continue
            alternative = _changed(plan, {key: value for change in chosen for key, value in change.items()})
            if not faults_of(alternative.plan):
                return alternative
    return None


def teacher_cache(plan: Plan) -> TeacherCache | None:
    """What ``parallel.cache_teacher`` would save; None where it is on already, or no completion is read twice."""
    if plan.config.parallel.cache_teacher or any(stage.fresh_rollouts for stage in plan.config.stages):
        return None
    cached = _changed(plan, {"parallel.cache_teacher": True}).plan
    saved = _teaching(plan) - _teaching(cached)
    if saved <= 0:
        return None
    return TeacherCache(saved_operations=saved, disk=cache_bytes(plan.config, plan.counts, plan.teacher))


def _teaching(plan: Plan) -> float:
    return sum(one.task.operations for one in plan.tasks if one.task.name == "teacher states")


def _candidates(plan: Plan) -> Iterator[dict[str, Any]]:
    """Changes that the recipe does not have yet, cheap ones first."""
    config, parallel = plan.config, plan.config.parallel
    for section in ("rollouts", "references", "evaluation.sampling"):
        task = section.partition(".")[0]
        tight = [
            one for name, one in plan.sampling.items() if name.split()[0] == task and one.phase.total > plan.usable
        ]
        rows = min((one.rows_that_fit for one in tight), default=0)
        if rows:
            yield {f"{section}.engine": {"name": "hf", "parameters": {"max_rows": rows}}}
    for who in ("student", "teacher"):
        if getattr(config, who).dtype == "float32":
            yield {f"{who}.dtype": "bfloat16"}
    if plan.micro.rows > 1:
        longest = max(plan.micro.student_tokens, plan.micro.teacher_tokens)
        yield {"training.micro_batch_tokens": longest}
    if not parallel.gradient_checkpointing:
        yield {"parallel.gradient_checkpointing": True}
    if not parallel.shard and plan.question.gpus > 1:
        yield {"parallel.shard": True}
    for degree in range(2, plan.question.gpus + 1):
        if degree > parallel.sequence_parallel and _shares(plan, degree):
            yield {"parallel.sequence_parallel": degree}
    if not parallel.offload and plan.device.kind == "cuda":
        yield {"parallel.offload": True}


def _shares(plan: Plan, degree: int) -> bool:
    changed = dataclasses.replace(
        plan.config, parallel=dataclasses.replace(plan.config.parallel, sequence_parallel=degree)
    )
    try:
        check_question(changed, plan.question, plan.student, plan.teacher)
    except ConfigError:
        return False
    return True


def _changed(plan: Plan, changes: dict[str, Any]) -> Alternative:
    return Alternative(changes=changes, plan=make_plan(_with(plan.config, changes), plan.question))


def _with(config: RunConfig, changes: dict[str, Any]) -> RunConfig:
    """The recipe alone, without the methods that it compares, with other settings."""
    return build_config(apply_overrides(to_dict(config) | ALONE, changes, config.name), config.name)


def _typed(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_typed(one)}" for key, one in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)
