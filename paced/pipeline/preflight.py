"""Look at everything that a run will need before its first rollout: files, templates, tokenizers, lengths, options.

A fault that would show after an hour shows here in a second, in one message with all its fellows where that is
possible. Models are not loaded, only their configurations and tokenizers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paced.errors import ConfigError
from paced.models.loading import context_limit, load_config, load_tokenizer, teacher_model
from paced.models.tokens import check_same_tokenizer
from paced.problems.files import read_problems
from paced.problems.prompts import Prompt, make_prompts
from paced.records import Problem
from paced.rollouts.engines import SAMPLERS
from paced.run.config import ModelConfig, RunConfig, SamplingConfig
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
    """Refuse names that nothing answers to: weight functions and their parameters, divergences, engines."""
    from paced.train.loss import DIVERGENCES

    faults = []
    if config.weights.function not in WEIGHTS:
        faults.append(f"weights.function must be one of {', '.join(WEIGHTS)}, got {config.weights.function!r}.")
    else:
        try:
            WEIGHTS[config.weights.function](**config.weights.parameters)
        except TypeError as error:
            faults.append(f"weights.parameters do not fit '{config.weights.function}': {error}.")
    for index, stage in enumerate(config.stages, start=1):
        if stage.divergence not in DIVERGENCES:
            faults.append(
                f"stages[{index}].divergence must be one of {', '.join(DIVERGENCES)}, got {stage.divergence!r}."
            )
    for section in (config.rollouts, config.references, config.evaluation.sampling):
        if section.engine not in SAMPLERS:
            faults.append(f"engine must be one of {', '.join(SAMPLERS)}, got {section.engine!r}.")
    if config.references.num_samples != 1:
        faults.append(f"references.num_samples must be 1, got {config.references.num_samples}.")
    if faults:
        raise ConfigError(f"{config.name}: " + " ".join(dict.fromkeys(faults)))


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
