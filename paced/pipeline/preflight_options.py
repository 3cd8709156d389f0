"""What a run needs of its recipe: each choice by name (weights, divergences, answer format, backend,
engines) can be built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from paced.errors import ConfigError, did_you_mean
from paced.grading.extract import EXTRACTIONS
from paced.rollouts.engine import AUTO, ENGINES, choose_engine, make_engine
from paced.run.config import ModelConfig, RunConfig, SamplingConfig
from paced.run.schema import Choice
from paced.weights import WEIGHTS

Build = Callable[[str, dict[str, Any]], Any]
"""Makes what a choice names from its parameters."""


def option_faults(config: RunConfig) -> dict[str, str]:
    """Key of the recipe -> a sentence, for every choice that nothing answers to, by name or by parameters."""
    from paced.train.backends import BACKENDS
    from paced.train.loss import DIVERGENCES, make_divergence

    num_rollouts = config.rollouts.num_samples
    faults: dict[str, str] = {}

    def check(key: str, choice: Choice, known: Mapping[str, Any], build: Build) -> None:
        sentence = _choice_fault(key, choice, known, build)
        if sentence:
            faults[key] = sentence

    def build_weights(name: str, given: dict[str, Any]) -> None:
        """Weigh a problem of every pass rate: estimators need a number of rollouts that only a call shows."""
        WEIGHTS[name](**given)(list(range(num_rollouts + 1)), [num_rollouts] * (num_rollouts + 1))

    check("weights", config.weights, WEIGHTS, build_weights)
    for number, stage in enumerate(config.stages, start=1):
        key = f"stages.{number}.divergence"
        check(key, stage.divergence, DIVERGENCES, lambda name, given: make_divergence(name, **given))
    check("grading.answer_format", config.grading.answer_format, EXTRACTIONS, _without_parameters)
    check("training.backend", config.training.backend, BACKENDS, lambda name, given: BACKENDS[name](**given))
    for section, sampling in {
        "rollouts": config.rollouts,
        "references": config.references,
        "evaluation.sampling": config.evaluation.sampling,
    }.items():
        sentence = engine_fault(f"{section}.engine", sampling, config.student)
        if sentence:
            faults[f"{section}.engine"] = sentence
    return faults


def engine_fault(key: str, sampling: SamplingConfig, model: ModelConfig) -> str:
    """What is wrong with the choice of an engine, if anything; ``key`` is what the sentence calls it."""
    known = {**ENGINES, AUTO: choose_engine}
    return _choice_fault(key, sampling.engine, known, lambda name, given: make_engine(choose_engine(sampling), model))


def check_options(config: RunConfig) -> None:
    """Refuse choices that nothing answers to before anything is read.

    Raises:
        ConfigError: every such choice, a sentence each.
    """
    faults = option_faults(config)
    if faults:
        raise ConfigError(f"{config.name}: {' '.join(faults.values())}")


def _choice_fault(key: str, choice: Choice, known: Mapping[str, Any], build: Build) -> str:
    """What is wrong with one choice, if anything: no such name, or parameters with which it cannot be built."""
    if choice.name not in known:
        return f"{key} must be one of {', '.join(known)}, got {choice.name!r}.{did_you_mean(choice.name, known)}"
    try:
        build(choice.name, choice.parameters)
    except (TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        return f"{key}.parameters do not fit '{choice.name}' ({reason}). {key}={choice.name} takes its defaults."
    return ""


def _without_parameters(name: str, given: dict[str, Any]) -> None:
    if given:
        raise TypeError(f"{name} takes no parameters, got {', '.join(given)}")
