"""What a run needs of files that take a step's place: read and checked before anything is computed.

The same functions as in the steps read them (``taken.py``), so that what passes here passes there. A file is looked at
whole, and everything that is wrong with it joins the other faults of the run. References are graded as well, and it
is said how many of them leak, were cut or are wrong, before a stage is trained along them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from paced.errors import BadRows, ConfigError
from paced.grading.extract import EXTRACTIONS
from paced.models.loading import context_limit, load_config, teacher_model
from paced.pipeline.references import best_checks, describe_checks, usable_problems
from paced.pipeline.steps import part_of
from paced.pipeline.taken import (
    needs_rollouts,
    source_of,
    sources_of,
    take_pass_rates,
    take_references,
    take_rollouts,
    trains_along_rollouts,
)
from paced.problems.prompts import Prompt, Reader
from paced.records import Problem, Rollout
from paced.run.config import RunConfig


def taken_faults(
    config: RunConfig, problems: Sequence[Problem], prompts: Mapping[Reader, Sequence[Prompt]], tokenizer: Any
) -> tuple[list[str | BadRows], list[str]]:
    """Everything that is wrong with the files in a step's place, and what a person should know of them.

    Args:
        config: the recipe.
        problems: the training set.
        prompts: of each reader, in the order of ``problems``.
        tokenizer: the student's; the teacher's cuts text in the same way.
    """
    faults: list[str | BadRows] = []
    notes: list[str] = []
    if not sources_of(config):
        return faults, notes

    def look(
        take: Callable[..., tuple[Sequence[Any], list[str]]], needed: Sequence[Problem], **given: Any
    ) -> Sequence[Any]:
        try:
            taken, said = take(config, needed, problems, **given)
        except BadRows as error:
            faults.append(error)
            return []
        except ConfigError as error:
            faults.append(str(error))
            return []
        notes.extend(said)
        return taken

    try:
        parts = {number: part_of(problems, config, number) for number in range(1, len(config.stages) + 1)}
    except ConfigError as error:
        return [str(error)], notes
    if config.rollouts.from_ and needs_rollouts(config, 1):
        rollouts = look(take_rollouts, parts[1], tokenizer=tokenizer)
        if trains_along_rollouts(config, 1):
            faults += _long(config, rollouts, prompts, "rollouts")
    if config.pass_rates.from_:
        look(take_pass_rates, parts[1])
    along = [one for number, part in parts.items() if config.stages[number - 1].along == "reference" for one in part]
    if config.references.from_ and along:
        references = look(take_references, along, tokenizer=tokenizer)
        faults += _long(config, references, prompts, "references")
        if references and config.grading.answer_format.name in EXTRACTIONS:
            refusals, said = _reference_flags(config, parts, references)
            faults += refusals
            notes += said
    return faults, notes


def samples_rollouts(config: RunConfig) -> bool:
    """Whether any rollout of a run is sampled, so that its prompts must leave room for one."""
    return config.evaluation.rate_training or any(
        stage.fresh_rollouts
        or stage.recompute_every
        or (needs_rollouts(config, number) and source_of(config, "rollout", number) is None)
        for number, stage in enumerate(config.stages, start=1)
    )


def _reference_flags(
    config: RunConfig, parts: Mapping[int, Sequence[Problem]], references: Sequence[Rollout]
) -> tuple[list[str], list[str]]:
    """What the steps will say of a file's references: a refusal for a stage that is left with none, and a note."""
    along = {number: part for number, part in parts.items() if config.stages[number - 1].along == "reference"}
    checks = best_checks([one for part in along.values() for one in part], references, config)
    by_problem = {one.problem_id: one for one in checks}
    faults = []
    for number, part in along.items():
        try:
            usable_problems([by_problem[one.problem_id] for one in part], config)
        except ConfigError as error:
            faults.append(f"stage {number}: {error}")
    flagged = [f"{one.problem_id} ({', '.join(one.flags)})" for one in checks if one.flags]
    if not flagged:
        return faults, []
    return faults, [
        f"references.from: {describe_checks(checks)}, as {'; '.join(flagged[:3])}{'; ...' if flagged[3:] else ''}. "
        f"references.flagged: {config.references.flagged}"
    ]


def _long(
    config: RunConfig, completions: Sequence[Rollout], prompts: Mapping[Reader, Sequence[Prompt]], section: str
) -> list[str]:
    """A sentence for each model that cannot read a prompt together with its completion."""
    faults = []
    for reader, model in (("student", config.student), ("teacher", teacher_model(config))):
        limit = context_limit(load_config(model))
        tokens = {prompt.problem_id: len(prompt.token_ids) for prompt in prompts.get(reader, ())}  # type: ignore[call-overload]
        if limit is None or not tokens:
            continue
        long = [one for one in completions if tokens[one.problem_id] + len(one.token_ids) > limit]
        if long:
            worst = max(long, key=lambda one: tokens[one.problem_id] + len(one.token_ids))
            faults.append(
                f"{section}.from: a prompt and its completion must fit into the {limit:,} positions of the {reader}, "
                f"got {len(long):,} of {len(completions):,} that do not. The longest is of {worst.problem_id!r}, "
                f"{tokens[worst.problem_id]:,} and {len(worst.token_ids):,} tokens. Leave these problems out."
            )
    return faults
