"""Look at everything that a run will need before its first rollout: files, templates, tokenizers, lengths, options.

A fault that would show after an hour shows here in a second, in one message with all its fellows where that is
possible. Models are not loaded, only their configurations and tokenizers. What is looked at is in three files:
models, prompts, problems; the list of them all is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from paced.errors import BadRows, ConfigError, did_you_mean
from paced.grading.extract import EXTRACTIONS
from paced.models.loading import context_limit, load_config, load_tokenizer, teacher_model
from paced.models.tokens import check_same_tokenizer
from paced.pipeline.preflight_models import generation_notes, model_faults
from paced.pipeline.preflight_problems import gold_faults, overlap
from paced.pipeline.preflight_prompts import date_notes, end_faults, prompt_faults
from paced.problems.files import ProblemFile, read_problems
from paced.problems.prompts import Prompt, Reader, make_prompts
from paced.records import Problem
from paced.rollouts.engines import SAMPLERS
from paced.run.config import GradingConfig, ModelConfig, RunConfig, SamplingConfig
from paced.run.configfile import with_method
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
    """Read the problem files, render every prompt, look at both models' folders and hold all lengths against limits.

    Raises:
        ConfigError: everything about options, models, prompts and lengths that would stop the run, a sentence each.
        BadRows: rows of a problem file that cannot be used, or whose gold answer the recipe's grader calls wrong.
    """
    check_options(config)
    file = _read_graded(config.problems.path, config.grading, limit=config.problems.limit)
    student_tokenizer = load_tokenizer(config.student)
    teacher_tokenizer = load_tokenizer(teacher_model(config)) if config.teacher.path else student_tokenizer
    if config.teacher.path:
        check_same_tokenizer(student_tokenizer, teacher_tokenizer)
    faults = model_faults(config, student_tokenizer, teacher_tokenizer)
    notes = [*file.notes, *generation_notes(config.student), *_report_notes(config)]
    prompts: dict[Reader, list[Prompt]] = {}
    readers: tuple[tuple[Reader, ModelConfig, Any], ...] = (
        ("student", config.student, student_tokenizer),
        ("teacher", teacher_model(config), teacher_tokenizer),
    )
    for reader, model, tokenizer in readers:
        prompts[reader] = make_prompts(
            file.problems, reader=reader, config=config.prompts, tokenizer=tokenizer, file=config.problems.path
        )
        faults += prompt_faults(
            file.problems, prompts[reader], reader=reader, config=config.prompts, tokenizer=tokenizer
        )
        faults += end_faults(model, reader=reader, config=config.prompts, tokenizer=tokenizer)
        notes += date_notes(file.problems[0], reader=reader, config=config.prompts, tokenizer=tokenizer)
    held_out: list[Prompt] = []
    for item in config.evaluation.sets:
        problems = _read_graded(item.path, config.grading)
        notes += problems.notes
        sentence, forbidden = overlap(item, problems.problems, file.problems)
        (faults if forbidden else notes).extend([sentence] if sentence else [])
        held_out += make_prompts(
            problems.problems, reader="student", config=config.prompts, tokenizer=student_tokenizer, file=item.path
        )
    faults += _length_faults(config, prompts["student"], prompts["teacher"], held_out)
    if faults:
        raise ConfigError(f"{config.name}: {' '.join(dict.fromkeys(faults))}")
    return Inputs(
        problems=file.problems,
        notes=tuple(dict.fromkeys(notes)),
        tokenizer=student_tokenizer,
        student_prompts=prompts["student"],
        teacher_prompts=prompts["teacher"],
    )


def check_all(config: RunConfig) -> Inputs:
    """:func:`check_inputs` of a recipe and of every method that it compares; the recipe's inputs, everybody's notes.

    Raises:
        ConfigError: as there, with the name of the method whose settings are at fault.
        BadRows: as there.
    """
    inputs = check_inputs(config)
    methods = check_methods(config).values()
    notes = [*inputs.notes, *(note for _, method_inputs in methods for note in method_inputs.notes)]
    return dataclasses.replace(inputs, notes=tuple(dict.fromkeys(notes)))


def check_methods(config: RunConfig) -> dict[str, tuple[RunConfig, Inputs]]:
    """:func:`check_inputs` of every compared method: its name -> its own configuration and inputs.

    Raises:
        ConfigError: as there, with the name of the method whose settings are at fault.
        BadRows: as there.
    """
    methods = {}
    for method in config.methods:
        changed = with_method(config, method)
        try:
            methods[method] = (changed, check_inputs(changed))
        except ConfigError as error:
            raise ConfigError(f"methods.{method}: {error}") from error
    return methods


def _report_notes(config: RunConfig) -> list[str]:
    """Say that the report will not show the method that it was to show; a run with other methods is none the worse."""
    named, methods = config.report.method, config.methods
    if not named or not methods or named in methods:
        return []
    return [
        f"report.method is {named!r}, which is not compared: the report shows '{next(iter(methods))}', the first of "
        f"{', '.join(methods)}.{did_you_mean(named, methods)}"
    ]


def _read_graded(path: str, config: GradingConfig, *, limit: int = 0) -> ProblemFile:
    file = read_problems(path, limit=limit)
    faults = gold_faults(file.problems, config)
    if faults:
        raise BadRows(path, faults)
    return file


def check_options(config: RunConfig) -> None:
    """Refuse choices that nothing answers to, by name or by parameters: weights, divergences, answer format, engines.

    Raises:
        ConfigError: every such choice, a sentence each.
    """
    from paced.train.loss import DIVERGENCES, make_divergence

    num_rollouts = config.rollouts.num_samples

    def build_weights(name: str, given: dict[str, Any]) -> None:
        """Weigh a problem of every pass rate: estimators need a number of rollouts that only a call shows."""
        WEIGHTS[name](**given)(list(range(num_rollouts + 1)), [num_rollouts] * (num_rollouts + 1))

    faults = _choice_faults("weights", config.weights, WEIGHTS, build_weights)
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


def _length_faults(config: RunConfig, seen: list[Prompt], shown: list[Prompt], held_out: list[Prompt]) -> list[str]:
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
        fits(config.student, "student", seen, config.references, "references")
    if any(stage.along == "rollout" for stage in config.stages):
        fits(teacher_model(config), "teacher", shown, config.rollouts, "rollouts")
    if held_out:
        fits(config.student, "student", held_out, config.evaluation.sampling, "evaluation.sampling")
    return faults
