"""Look at everything that a run will need before its first rollout: files, templates, tokenizers, lengths, options.

A fault that would show after an hour shows here in a second, in one message with all its fellows where that is
possible. Models are not loaded, only their configurations and tokenizers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from paced.errors import ConfigError, did_you_mean
from paced.grading.extract import EXTRACTIONS
from paced.models.loading import context_limit, load_config, load_tokenizer, teacher_model
from paced.models.tokens import check_same_tokenizer
from paced.problems.files import read_problems
from paced.problems.prompts import Prompt, make_prompts
from paced.records import Problem
from paced.rollouts.engines import SAMPLERS
from paced.run.config import ModelConfig, RunConfig, SamplingConfig
from paced.run.schema import Choice
from paced.weights import WEIGHTS


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run reads, read and checked."""

    problems: tuple[Problem, ...]
    """The training set."""
    notes: tuple[str, ...]
    """What a person should know about the files."""
    tokenizer: Any
    """The student's tokenizer; the teacher's cuts text in the same way."""
    student_prompts: list[Prompt]
    """What the student reads, in the order of the problems."""
    teacher_prompts: list[Prompt]
    """What the teacher reads."""


def check_inputs(config: RunConfig) -> Inputs:
    """Read the problem files, render every prompt and hold all lengths against the models' limits.

    Raises:
        ConfigError: options that do not exist, tokenizers that differ, completions that do not fit behind a prompt.
        BadRows: rows of a problem file that cannot be used.
    """
    check_options(config)
    file = read_problems(config.problems.path, limit=config.problems.limit)
    student_tokenizer = load_tokenizer(config.student)
    teacher_tokenizer = load_tokenizer(teacher_model(config)) if config.teacher.path else student_tokenizer
    if config.teacher.path:
        check_same_tokenizer(student_tokenizer, teacher_tokenizer)
    seen = make_prompts(
        file.problems,
        reader="student",
        config=config.prompts,
        tokenizer=student_tokenizer,
        file=config.problems.path,
    )
    shown = make_prompts(
        file.problems,
        reader="teacher",
        config=config.prompts,
        tokenizer=teacher_tokenizer,
        file=config.problems.path,
    )
    held_out: list[Prompt] = []
    notes = list(file.notes)
    for item in config.evaluation.sets:
        problems = read_problems(item.path)
        notes += problems.notes
        held_out += make_prompts(
            problems.problems, reader="student", config=config.prompts, tokenizer=student_tokenizer, file=item.path
        )
    _check_lengths(config, seen, shown, held_out)
    return Inputs(
        problems=file.problems,
        notes=tuple(notes),
        tokenizer=student_tokenizer,
        student_prompts=seen,
        teacher_prompts=shown,
    )


def check_options(config: RunConfig) -> None:
    """Refuse choices that nothing answers to, by name or by parameters: weights, divergences, answer format, engines.

    Raises:
        ConfigError: every such choice, a sentence each.
    """
    from paced.train.loss import DIVERGENCES, make_divergence

    faults = _choice_faults("weights", config.weights, WEIGHTS, lambda name, given: WEIGHTS[name](**given))
    for number, stage in enumerate(config.stages, start=1):
        key = f"stages.{number}.divergence"
        faults += _choice_faults(key, stage.divergence, DIVERGENCES, lambda name, given: make_divergence(name, **given))
    faults += _choice_faults("grading.answer_format", config.grading.answer_format, EXTRACTIONS, _without_parameters)
    for section, sampling in {
        "rollouts": config.rollouts,
        "references": config.references,
        "evaluation.sampling": config.evaluation.sampling,
    }.items():
        faults += _choice_faults(f"{section}.engine", sampling.engine, SAMPLERS, _without_parameters)
    if faults:
        raise ConfigError(f"{config.name}: {' '.join(faults)}")


def _choice_faults(
    key: str, choice: Choice, known: Mapping[str, Any], build: Callable[[str, dict[str, Any]], Any]
) -> list[str]:
    """What is wrong with one choice, if anything: no such name, or parameters with which it cannot be built."""
    if choice.name not in known:
        names = ", ".join(known)
        return [f"{key} must be one of {names}, got {choice.name!r}.{did_you_mean(choice.name, known)}"]
    try:
        build(choice.name, choice.parameters)
    except (TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        return [f"{key}.parameters do not fit '{choice.name}' ({reason}). {key}={choice.name} takes its defaults."]
    return []


def _without_parameters(name: str, given: dict[str, Any]) -> None:
    if given:
        raise TypeError(f"{name} takes no parameters, got {', '.join(given)}")


def _check_lengths(config: RunConfig, seen: list[Prompt], shown: list[Prompt], held_out: list[Prompt]) -> None:
    faults: list[str] = []

    def fits(model: ModelConfig, who: str, prompts: list[Prompt], sampling: SamplingConfig, section: str) -> None:
        limit = context_limit(load_config(model))
        longest = max((len(prompt.token_ids) for prompt in prompts), default=0)
        if limit is not None and longest + sampling.max_new_tokens > limit:
            if longest < limit:
                fix = f"Set {section}.max_new_tokens={limit - longest} or less."
            else:
                fix = f"Leave out problems whose prompts have {limit} tokens or more."
            faults.append(
                f"{section}.max_new_tokens is {sampling.max_new_tokens}, the longest prompt has {longest} tokens and "
                f"the {who} has {limit} positions. {fix}"
            )

    fits(config.student, "student", seen, config.rollouts, "rollouts")
    if any(stage.along == "reference" for stage in config.stages):
        fits(teacher_model(config), "teacher", shown, config.references, "references")
    if any(stage.along == "rollout" for stage in config.stages):
        fits(teacher_model(config), "teacher", shown, config.rollouts, "rollouts")
    if held_out:
        fits(config.student, "student", held_out, config.evaluation.sampling, "evaluation.sampling")
    if faults:
        raise ConfigError(f"{config.name}: " + " ".join(dict.fromkeys(faults)))
