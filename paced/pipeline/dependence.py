"""What each step's results depend on: its settings, the files that it leaves, and the steps that come after it.

What a setting cannot change is left out, so that it can be changed in a run that has begun: trackers, how often a
checkpoint is saved, how many rows are decoded side by side, which servers are asked, on how many devices a step is
spread. Paths are left out as well: what a file holds decides (``held.py``), not where it is.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from paced.pipeline.taken import needs_rollouts, source_of
from paced.run.config import TRAINING, GradingConfig, ModelConfig, PromptsConfig, RunConfig, SamplingConfig
from paced.run.configfile import to_dict
from paced.run.folder import RunFolder
from paced.run.presets import set_grading, set_sampling
from paced.run.steprecord import Step

QUICK = ("grade", "weigh", "count")
"""Steps that take seconds: what they gave is made anew whenever something that it depends on changes."""
HOW_ONLY = frozenset(
    (
        "max_rows",
        "python",
        "num_engines",
        "gpu_memory_fraction",
        "prefix_caching",
        "eager",
        "base_urls",
        "concurrency",
        "timeout_seconds",
        "attempts",
        "backoff_seconds",
        "api_key_env",
    )
)
"""Parameters of an engine on which its speed and place depend, and no completion does."""
READS_PROMPTS = ("system", "use_chat_template", "end_of_answer", "enable_thinking", "own_messages", "control_tokens")
READERS = ("student", "teacher")
UNTRAINED = ("checkpoint_every", "keep_checkpoints", "learning_rate")
"""Keys of ``training`` that a trained student does not depend on; the learning rate is taken for each stage."""


def steps_of(config: RunConfig) -> list[Step]:
    """Every step of a run, each after those that it depends on."""
    steps = [Step("problems")]
    steps += [Step(name, part=f"base-{item.name}") for item in config.evaluation.sets for name in ("evaluate", "count")]
    for number, stage in enumerate(config.stages, start=1):
        steps += [Step("rollout", number)] if needs_rollouts(config, number) else []
        steps += [Step("grade", number), Step("weigh", number)]
        steps += [Step("reference", number)] if stage.along == "reference" else []
        steps.append(Step("distill", number))
    names = [item.name for item in config.evaluation.sets] + [TRAINING] * config.evaluation.rate_training
    return steps + [Step(name, part=f"final-{one}") for one in names for name in ("evaluate", "count")]


def outputs_of(run: RunFolder, step: Step) -> list[Path]:
    """The files that a step leaves; of a training the folder of its student."""
    stage = run.stage(step.stage)
    checkpoint, _, name = step.part.partition("-")
    files: dict[str, list[Path]] = {
        "problems": [run.problems],
        "rollout": [stage.rollouts],
        "grade": [stage.grades, stage.pass_rates],
        "weigh": [stage.weights],
        "reference": [stage.references],
        "distill": [stage.student],
        "evaluate": [run.evaluation_rollouts(checkpoint, name)],
        "count": [run.evaluation_grades(checkpoint, name), run.counts(checkpoint, name)],
    }
    return files[step.name]


def after(step: Step, steps: list[Step]) -> list[Step]:
    """The steps whose results depend on this one's, itself left out, in their order.

    Example:
        >>> from paced.run.config import StageConfig
        >>> config = RunConfig(name="a", stages=(StageConfig(share=0.5), StageConfig(along="rollout", share=0.5)))
        >>> [one.label for one in after(Step("grade", 2), steps_of(config))]
        ['stage-2-weigh', 'stage-2-distill']
    """
    changed = {step}
    for one in steps:
        if any(before in changed for before in _needs(one, steps)):
            changed.add(one)
    return [one for one in steps if one in changed and one != step]


def readers_of(step: Step, steps: list[Step]) -> list[Step]:
    """The steps that read this one's files."""
    return [one for one in steps if step in _needs(one, steps)]


def _needs(step: Step, steps: list[Step]) -> list[Step]:
    """The steps whose files a step reads."""
    number = step.stage
    student = [Step("distill", number - 1)] if number > 1 else []
    along_rollouts = Step("reference", number) not in steps
    if step.name == "evaluate":
        trained = max((one.stage for one in steps), default=0)
        final = step.part.startswith("final-")
        return ([Step("distill", trained)] if final else []) + (
            [Step("problems")] if step.part == f"final-{TRAINING}" else []
        )
    return {
        "problems": [],
        "rollout": [Step("problems"), *student],
        "grade": [Step("rollout", number) if Step("rollout", number) in steps else Step("problems")],
        "weigh": [Step("grade", number)],
        "reference": [Step("problems")],
        "distill": [Step("weigh", number), Step("rollout" if along_rollouts else "reference", number), *student],
        "count": [Step("evaluate", part=step.part)],
    }[step.name]


def settings_of(config: RunConfig, step: Step) -> dict[str, Any]:
    """The settings that a step's results depend on: key of the recipe -> value, in plain data."""
    seed = {"seed": config.seed, "lab": to_dict(config.lab) if config.lab else None}
    if step.name == "problems":
        asked: dict[str, Any] = {
            "problems.limit": config.problems.limit,
            "lab": seed["lab"],
            "prompts.too_long": config.prompts.too_long,
        }
        if config.prompts.too_long == "quarantine":
            limits = {f"prompts.max_{one}_tokens": getattr(config.prompts, f"max_{one}_tokens") for one in READERS}
            asked |= limits | _prompts(config, "student") | _prompts(config, "teacher")
        if config.problems.adapter != "auto":
            asked["problems.adapter"] = config.problems.adapter
        if config.problems.on_bad_row == "quarantine":  # a gold that fails its own grading is put aside
            asked["problems.on_bad_row"] = config.problems.on_bad_row
            asked |= _grading(config.grading)
        return asked
    if step.name in ("rollout", "grade", "reference") and (taken := source_of(config, step.name, step.stage)):
        columns = {f"{taken[0]}.columns": dict(taken[1].columns)}
        samples: dict[str, Any] = {}
        if step.name == "rollout":
            samples = {"rollouts.num_samples": config.rollouts.num_samples}
        elif step.name == "reference" and config.references.num_samples > 1:  # the best is chosen by its grade
            samples = {"references.num_samples": config.references.num_samples} | _grading(config.grading)
        return seed | _part(config, step.stage) | columns | samples
    if step.name in ("grade", "count"):
        return _grading(set_grading(config, step.part.partition("-")[2]))
    if step.name == "weigh":
        return {"weights": to_dict(config.weights)}
    if step.name == "evaluate":
        trained = {"num_stages": len(config.stages)} if step.part.startswith("final-") else {}
        return seed | trained | _student(config) | _prompts(config, "student") | _evaluation(config, step.part)
    part = seed | _part(config, step.stage)
    if step.name == "rollout":
        return part | _student(config) | _prompts(config, "student") | sampling_settings("rollouts", config.rollouts)
    if step.name == "reference":
        chosen = _grading(config.grading) if config.references.num_samples > 1 or config.references.retries else {}
        sampled = sampling_settings("references", config.references)
        del sampled["references.flagged"]  # what is dropped is decided where the stage is trained
        return part | _teacher(config) | _prompts(config, "teacher") | sampled | chosen
    return part | _student(config) | _teacher(config) | _training(config, step.stage) | _renewals(config, step.stage)


def _grading(grading: GradingConfig) -> dict[str, Any]:
    return {f"grading.{key}": value for key, value in to_dict(grading).items()}


def _training(config: RunConfig, number: int) -> dict[str, Any]:
    stage = config.stages[number - 1]
    training = to_dict(config.training)
    settings = {f"training.{key}": value for key, value in training.items() if key not in UNTRAINED}
    settings |= {
        f"stages.{number}.{key}": value
        for key, value in to_dict(stage).items()
        if key not in ("share", "learning_rate")
    }
    settings["student.adapter"] = to_dict(config.student.adapter) if config.student.adapter else None
    if stage.along == "reference":
        settings["references.flagged"] = config.references.flagged
    settings["learning_rate"] = stage.learning_rate or config.training.learning_rate
    return settings | _prompts(config, "student") | _prompts(config, "teacher")


def _renewals(config: RunConfig, number: int) -> dict[str, Any]:
    """How a stage samples, grades and weighs on its way, when it does."""
    stage = config.stages[number - 1]
    settings: dict[str, Any] = {}
    if stage.fresh_rollouts or stage.recompute_every:
        settings |= sampling_settings("rollouts", config.rollouts)
    if stage.recompute_every:
        settings |= {"weights": to_dict(config.weights), "grading": to_dict(config.grading)}
    return settings


def _part(config: RunConfig, number: int) -> dict[str, Any]:
    """Which part of the problems belongs to a stage."""
    start = sum(stage.share for stage in config.stages[: number - 1])
    return {"stages.share": [start, start + config.stages[number - 1].share]}


def _student(config: RunConfig) -> dict[str, Any]:
    return _model("student", config.student)


def _teacher(config: RunConfig) -> dict[str, Any]:
    own = config.teacher if config.teacher.path else dataclasses.replace(config.student, dtype=config.teacher.dtype)
    return _model("teacher", own)


def _model(section: str, model: ModelConfig) -> dict[str, Any]:
    """How a model computes; what it is, by content, is among the things that a step reads."""
    apart = ("path", "revision", "adapter")  # an adapter belongs to training alone
    return {f"{section}.{key}": value for key, value in to_dict(model).items() if key not in apart}


def _prompts(config: RunConfig, reader: str) -> dict[str, Any]:
    return prompt_settings(config.prompts, reader)


def prompt_settings(prompts: PromptsConfig, reader: str) -> dict[str, Any]:
    """The settings that the prompts of one reader depend on."""
    values = to_dict(prompts)
    return {f"prompts.{key}": values[key] for key in (reader, *READS_PROMPTS)}


def sampling_settings(section: str, sampling: SamplingConfig) -> dict[str, Any]:
    """The settings that completions depend on, below the key of their section."""
    settings = {f"{section}.{key}": value for key, value in to_dict(sampling).items() if key != "from"}
    engine = settings[f"{section}.engine"]
    engine["parameters"] = {key: value for key, value in engine["parameters"].items() if key not in HOW_ONLY}
    return settings


def _evaluation(config: RunConfig, part: str) -> dict[str, Any]:
    name = part.partition("-")[2]
    if name == TRAINING:
        return sampling_settings("rollouts", config.rollouts)
    (item,) = (item for item in config.evaluation.sets if item.name == name)
    return sampling_settings("evaluation.sampling", set_sampling(config, item))
