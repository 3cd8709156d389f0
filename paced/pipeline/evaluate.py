"""mean@k of a student on held-out problems, before training and after it, on the same noise.

The base student and every trained one meet the same problems with the same uniforms (``seeds.py``), so that differences
between them are paired by problem and by sample. Each held-out set keeps its rollouts and its counts apart: an average
over sets would hide a skill that was frozen out.
"""

from __future__ import annotations

import dataclasses
from itertools import groupby
from pathlib import Path
from typing import Literal

from paced.models.loading import student_model
from paced.problems.files import read_problems
from paced.records import PassRate, Problem
from paced.rollouts.sampler import make_sampler
from paced.run.config import EvaluationSet, ModelConfig, RunConfig, SamplingConfig
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.storage import read_parquet, write_parquet

Checkpoint = Literal["base", "final"]
"""The student before training, and after the last stage."""
TRAINING = "training"
"""Name of the set of training problems that ``evaluation.rate_training`` asks for."""


def evaluate(run: RunFolder, checkpoint: Checkpoint, progress: Progress) -> None:
    """Write ``eval/<checkpoint>-<set>.parquet`` (PassRate) for every held-out set; sets that are there are kept.

    Raises:
        ConfigError: ``final`` before the last stage has been trained.
        StopRequested: a signal came; finished batches of rollouts are kept.
    """
    config = run.config()
    todo = [
        (name, path, sampling)
        for name, path, sampling in _sets(run, config, checkpoint)
        if not counts_file(run, checkpoint, name).exists()
    ]
    if not todo:
        return
    model = _checkpoint_model(run, config, checkpoint)
    for _, same_engine in groupby(todo, key=lambda asked: str(asked[2].engine)):
        sets = list(same_engine)
        engine = sets[0][2].engine
        with make_sampler(config, model, reader="student", engine=engine, progress=progress) as sampler:
            for name, problems, sampling in sets:
                rates = sampler.rate(
                    problems,
                    grading=config.grading,
                    sampling=sampling,
                    draw=f"evaluation of {name}",
                    file=run.evaluation / f"{checkpoint}-{name}-rollouts.jsonl",
                    label=f"evaluation of the {checkpoint} student on '{name}'",
                    source=name,
                )
                write_parquet(counts_file(run, checkpoint, name), rates, PassRate)


def counts_file(run: RunFolder, checkpoint: str, name: str) -> Path:
    """Where the counts of one checkpoint on one set lie."""
    return run.evaluation / f"{checkpoint}-{name}.parquet"


def _sets(run: RunFolder, config: RunConfig, checkpoint: Checkpoint) -> list[tuple[str, list[Problem], SamplingConfig]]:
    """(name, problems, sampling) of everything that is measured at this checkpoint."""
    sets = [
        (item.name, list(read_problems(item.path).problems), _sampling(config, item)) for item in config.evaluation.sets
    ]
    if checkpoint == "final" and config.evaluation.rate_training:
        sets.append((TRAINING, read_parquet(run.problems, Problem), config.rollouts))
    return sets


def _sampling(config: RunConfig, item: EvaluationSet) -> SamplingConfig:
    sampling = config.evaluation.sampling
    if item.role == "stability" and config.evaluation.stability_samples:
        return dataclasses.replace(sampling, num_samples=config.evaluation.stability_samples)
    return sampling


def _checkpoint_model(run: RunFolder, config: RunConfig, checkpoint: Checkpoint) -> ModelConfig:
    return student_model(run, config, stage_number=1 if checkpoint == "base" else len(config.stages) + 1)
