"""mean@k of a student on held-out problems, before training and after it, on the same noise.

The base student and every trained one meet the same problems with the same uniforms (``seeds.py``), so that differences
between them are paired by problem and by sample. Each held-out set keeps its rollouts and its counts apart: an average
over sets would hide a skill that was frozen out.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from paced.grading.grade import count_passes, grade_all
from paced.models.loading import load_model, load_tokenizer, pick_device, student_model
from paced.problems.files import read_problems
from paced.problems.prompts import make_prompts
from paced.records import PassRate, Problem, Rollout
from paced.rollouts.collect import collect_rollouts
from paced.rollouts.engines import make_sampler
from paced.run.config import EvaluationSet, ModelConfig, RunConfig, SamplingConfig
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.storage import read_parquet, read_records, write_parquet

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
    tokenizer = load_tokenizer(model)
    network = load_model(model, device=pick_device())
    for name, problems, sampling in todo:
        rates = _rate(run, config, network, tokenizer, checkpoint, name, problems, sampling, progress)
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


def _rate(
    run: RunFolder,
    config: RunConfig,
    network: Any,
    tokenizer: Any,
    checkpoint: Checkpoint,
    name: str,
    problems: list[Problem],
    sampling: SamplingConfig,
    progress: Progress,
) -> list[PassRate]:
    file = run.evaluation / f"{checkpoint}-{name}-rollouts.jsonl"
    collect_rollouts(
        file,
        sampler=make_sampler(sampling.engine, network, tokenizer, config.prompts.end_of_answer),
        tokenizer=tokenizer,
        prompts=make_prompts(problems, reader="student", config=config.prompts, tokenizer=tokenizer, file=name),
        sampling=sampling,
        run_seed=config.seed,
        draw=f"evaluation of {name}",
        label=f"evaluation of the {checkpoint} student on '{name}'",
        progress=progress,
    )
    return count_passes(problems, grade_all(problems, read_records(file, Rollout), config.grading))
