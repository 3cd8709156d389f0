"""mean@k of a student on held-out problems, before training and after it, on the same noise.

The base student and every trained one meet the same problems with the same uniforms (``seeds.py``), so that differences
between them are paired by problem and by sample. Each held-out set keeps its rollouts and its counts apart: an average
over sets would hide a skill that was frozen out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from paced.grading.stream import grade_stream
from paced.models.loading import student_model
from paced.pipeline.held import HELD_OUT_FILE, also_read, computing, contents, finished, student_contents, written
from paced.pipeline.prompts import stored_prompts
from paced.problems.files import read_problems
from paced.problems.labels import ProblemLabels, read_labels
from paced.problems.sources import content_hash
from paced.records import PassRate, Problem, Rollout
from paced.rollouts.engine import choose_engine, describe_engine
from paced.rollouts.sampler import make_sampler
from paced.run.config import TRAINING, RunConfig, SamplingConfig
from paced.run.folder import RunFolder
from paced.run.presets import set_grading, set_sampling
from paced.run.progress import Progress
from paced.run.recordfile import RecordFile
from paced.run.steprecord import Step
from paced.run.storage import read_parquet, write_parquet

Checkpoint = Literal["base", "final"]
"""The student before training, and after the last stage."""


def evaluate(run: RunFolder, checkpoint: Checkpoint, progress: Progress) -> None:
    """Write ``eval/<checkpoint>-<set>.parquet`` (PassRate) and the grades behind it for every held-out set.

    Sets that are there are kept. Where a set's file has columns of difficulty or subject, they are kept beside it.

    Raises:
        ConfigError: ``final`` before the last stage has been trained.
        RunFolderError: a held-out file or the student is no longer what the run has read.
        StopRequested: a signal came; finished batches of rollouts are kept.
    """
    config = run.config()
    names = [item.name for item in config.evaluation.sets]
    names += [TRAINING] if checkpoint == "final" and config.evaluation.rate_training else []
    unsampled = [name for name in names if not finished(run, Step("evaluate", part=f"{checkpoint}-{name}"), progress)]
    if unsampled:
        _sample(run, config, checkpoint, unsampled, progress)
    for name in names:
        step = Step("count", part=f"{checkpoint}-{name}")
        if not finished(run, step, progress):
            rated = _read_set(run, config, name)
            rollouts = run.evaluation_rollouts(checkpoint, name)
            with computing(run, step, rated.contents | contents(run, rollouts)):
                graded = grade_stream(
                    rated.problems,
                    RecordFile.read(rollouts, Rollout),
                    set_grading(config, name),
                    file=run.evaluation_grades(checkpoint, name),
                )
                write_parquet(run.counts(checkpoint, name), graded.rates, PassRate)
            if rated.labels:
                write_parquet(run.evaluation_labels(name), rated.labels, ProblemLabels)


@dataclass(frozen=True)
class _RatedSet:
    """One set of problems on which a checkpoint is measured."""

    name: str
    problems: list[Problem]
    sampling: SamplingConfig
    contents: dict[str, str]
    """Its file by content, for the records of the steps that read it."""
    labels: list[ProblemLabels] = field(default_factory=list)
    """Difficulty and subject of its problems, where its file has them."""


def _read_set(run: RunFolder, config: RunConfig, name: str) -> _RatedSet:
    if name == TRAINING:
        problems = read_parquet(run.problems, Problem)
        return _RatedSet(name, problems, config.rollouts, written(run, Step("problems")))
    (item,) = (item for item in config.evaluation.sets if item.name == name)
    file = read_problems(item.path, adapter=item.adapter)
    read = {f"{HELD_OUT_FILE} {name}": content_hash(item.path)}
    return _RatedSet(name, list(file.problems), set_sampling(config, item), read, read_labels(file))


def _sample(run: RunFolder, config: RunConfig, checkpoint: Checkpoint, names: list[str], progress: Progress) -> None:
    """Sample the completions of every set that lacks some; the student is loaded once for each engine."""
    entering = 1 if checkpoint == "base" else len(config.stages) + 1
    model = student_model(run, config, stage_number=entering)
    student = student_contents(run, entering)
    sets = [_read_set(run, config, name) for name in names]
    for _, same_engine in groupby(sets, key=lambda rated: str(choose_engine(rated.sampling))):
        group = list(same_engine)
        sampling = group[0].sampling
        with make_sampler(config, model, reader="student", sampling=sampling, progress=progress) as sampler:
            for rated in group:
                step, file = Step("evaluate", part=f"{checkpoint}-{rated.name}"), run.evaluation_prompts(rated.name)
                with computing(run, step, rated.contents | student):
                    prompts = stored_prompts(run, file, sampler, rated.problems, source=rated.name)
                    also_read(run, step, file)
                    sampler.collect(
                        run.evaluation_rollouts(checkpoint, rated.name),
                        prompts,
                        sampling=rated.sampling,
                        draw=f"evaluation of {rated.name}",
                        label=f"evaluation of the {checkpoint} student on '{rated.name}'",
                    )
                    run.note_engine(step.label, describe_engine(choose_engine(sampling), sampler.engine))
