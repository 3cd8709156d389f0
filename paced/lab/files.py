"""Where the embedded world is in a run, and a recipe with its paths and seed filled in. Loads no torch."""

from __future__ import annotations

import dataclasses

from paced.errors import ConfigError
from paced.run.config import EvaluationSet, RunConfig
from paced.run.folder import INSIDE

STUDENT, TEACHER = "student", "teacher"
"""Folders below ``lab/``, ordinary Hugging Face models."""
PROBLEMS, GRADED, UNSEEN, PRIOR = "problems.jsonl", "heldout-graded.jsonl", "heldout-unseen.jsonl", "prior.jsonl"
"""Problem files below ``lab/``."""
SETS = (
    EvaluationSet(name="graded", path=f"{INSIDE}lab/{GRADED}"),
    EvaluationSet(name="unseen", path=f"{INSIDE}lab/{UNSEEN}"),
    EvaluationSet(name="prior", path=f"{INSIDE}lab/{PRIOR}", role="stability"),
)
"""What is evaluated: the taught skill on operators that pre-training showed and on those it never did, and the older
skill, whose loss is forgetting."""


def with_lab_paths(config: RunConfig) -> RunConfig:
    """The recipe with the lab's seed, student, teacher, problems and held-out sets where it has a lab section.

    Raises:
        ConfigError: the recipe has a lab and names models, problems or sets of its own.
    """
    if config.lab is None:
        return config
    if config.student.path or config.teacher.path or config.problems.path or config.evaluation.sets:
        raise ConfigError(
            f"{config.name}: a lab brings its own student, teacher, problems and held-out sets. Take out student.path, "
            "teacher.path, problems.path and evaluation.sets, or the lab section."
        )
    teacher = f"{INSIDE}lab/{TEACHER}" if config.lab.teacher == "big" else ""
    return dataclasses.replace(
        config,
        lab=dataclasses.replace(config.lab, seed=config.lab.seed or config.seed),
        student=dataclasses.replace(config.student, path=f"{INSIDE}lab/{STUDENT}"),
        teacher=dataclasses.replace(config.teacher, path=teacher),
        problems=dataclasses.replace(config.problems, path=f"{INSIDE}lab/{PROBLEMS}"),
        evaluation=dataclasses.replace(config.evaluation, sets=SETS),
    )
