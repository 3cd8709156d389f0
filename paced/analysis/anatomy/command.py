"""``paced anatomy RUN``: full-parameter gradients of each pass-rate group, for forward and reverse KL.

    stage-<k>/anatomy/training.jsonl      K fresh samples at temperature 1 of the groups' problems
    stage-<k>/anatomy/<role>.jsonl        the same of held-out (plasticity) and prior (stability) problems
    stage-<k>/anatomy/references.jsonl    the teacher's references of the groups' problems, sampled as the run asks
    stage-<k>/anatomy/rows.parquet        one row a group and loss;   figures/anatomy-stage-<k>.png, .csv

g_x is the gradient, with respect to every parameter, of problem x's loss averaged over its completions:
the student's, or the teacher's references.
Groups go by the stage's own pass rates, gradients by fresh samples, so that the two share no rollout.
The useful direction is the cross-entropy towards the held-out samples that passed, on problems with 0 < s < K: the
gradient of log pass rate, and the cross-entropy towards the gold solution where only one completion passes. The prior
skill's is the same on the sets with role ``stability``, whose problems may also be solved every time.
Cost: one backward pass a problem and loss, and 4 bytes × parameters × (problems of a group + both directions): a matter
of the lab and of small models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paced.analysis.anatomy.gradients import Gradient, problem_gradient
from paced.analysis.anatomy.rows import AnatomyRow, anatomy_columns, anatomy_row, group_problems
from paced.analysis.snr.losses import make_head_loss
from paced.analysis.snr.measure import TokenReduction
from paced.errors import ConfigError
from paced.grading.grade import grade_all
from paced.models.loading import (
    load_model,
    load_teacher,
    load_tokenizer,
    pick_device,
    quiet_transformers,
    student_model,
    teacher_model,
)
from paced.models.tokens import vocabulary_size
from paced.pipeline.steps import rate_stage, stage_problems
from paced.problems.files import read_problems
from paced.problems.prompts import Prompt, Reader
from paced.records import PassRate, Problem, Rollout
from paced.rollouts.sampler import make_sampler
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.signals import stop_if_requested
from paced.run.storage import read_parquet, write_parquet

OBJECTIVES = (("forward_kl", "references"), ("forward_kl", "rollouts"), ("reverse_kl", "rollouts"))
"""Full-vocabulary divergences, and the completions they are taken along: the teacher's or the student's."""
NUM_SAMPLES = 8
"""Completions of each problem."""
PER_GROUP = 48
"""Most problems of a group."""
PER_DIRECTION = 384
"""Most problems that are sampled for a direction."""
MAX_BYTES = 4 * 2**30
"""Most memory of the gradients that are kept at once."""

Samples = dict[str, list[Rollout]]
"""Problem id -> its completions."""


def measure_anatomy(
    run: RunFolder, progress: Progress, *, stage: int = 1, token_reduction: TokenReduction = "sum"
) -> Path:
    """Measure the student that enters ``stage`` and return the figure.

    Raises:
        ConfigError: the model is too large for gradients of this many problems.
        RunFolderError: the student or teacher is no longer the one that the run has read.
        StopRequested: a signal came; samples that are there are kept, gradients are made anew.
    """
    quiet_transformers()
    rate_stage(run, stage, progress)
    measurement = _Measurement(run, stage, progress, token_reduction)
    useful, prior = measurement.direction("plasticity"), measurement.direction("stability")
    rates = {rate.problem_id: rate for rate in read_parquet(run.stage(stage).pass_rates, PassRate)}
    groups = {name: members[:PER_GROUP] for name, members in group_problems(stage_problems(run, stage), rates).items()}
    chosen = [problem for members in groups.values() for problem in members]
    seen, rollouts = measurement.student_samples("training", chosen)
    shown, references = measurement.teacher_references(chosen)
    completions = {"references": references, "rollouts": rollouts}
    prompts = {student.problem_id: (student, teacher) for student, teacher in zip(seen, shown, strict=True)}
    rows: list[AnatomyRow] = []
    with progress.track("gradient anatomy", len(OBJECTIVES) * len(chosen)) as advance:
        for loss, along in OBJECTIVES:
            for name, members in groups.items():
                gradients = []
                for problem in members:
                    of_problem = completions[along][problem.problem_id]
                    gradients.append(measurement.gradient(loss, *prompts[problem.problem_id], of_problem))
                    advance(1)
                rows.append(
                    anatomy_row(np.stack(gradients), loss=f"{loss}, {along}", group=name, useful=useful, prior=prior)
                )
    write_parquet(anatomy_file(run, stage), rows, AnatomyRow)
    return _draw(run, stage, rows)


def anatomy_file(run: RunFolder, stage: int) -> Path:
    """Where the rows of a stage are kept."""
    return run.stage(stage).root / "anatomy" / "rows.parquet"


def _draw(run: RunFolder, stage: int, rows: Sequence[AnatomyRow]) -> Path:
    from paced.analysis.anatomy.figure import anatomy_figure
    from paced.figures import save_figure

    table = anatomy_columns(rows)
    return save_figure(anatomy_figure(table), table, run.figures / f"anatomy-stage-{stage}.png")


class _Measurement:
    """The models of one stage, and what is asked of them."""

    def __init__(self, run: RunFolder, stage: int, progress: Progress, token_reduction: TokenReduction) -> None:
        self.run, self.stage, self.progress, self.token_reduction = run, stage, progress, token_reduction
        self.config, device = run.config(), pick_device()
        self.folder = anatomy_file(run, stage).parent
        self.models: dict[Reader, ModelConfig] = {
            "student": student_model(run, self.config, stage_number=stage),
            "teacher": teacher_model(self.config),
        }
        self.vocab_size = vocabulary_size(load_tokenizer(self.models["student"]))
        self.student = load_model(self.models["student"], device=device)
        self.teacher = load_teacher(self.config, device=device)
        _refuse_large(self.student, str(self.models["student"].path))

    def student_samples(self, name: str, problems: Sequence[Problem]) -> tuple[list[Prompt], Samples]:
        """Student prompts and fresh samples of some problems."""
        sampling = dataclasses.replace(
            self.config.rollouts, num_samples=NUM_SAMPLES, sampling_temperature=1.0, top_p=1.0
        )
        return self._collect(name, "student", problems, sampling, source=name)

    def teacher_references(self, problems: Sequence[Problem]) -> tuple[list[Prompt], Samples]:
        """Teacher prompts, with the expert solution, and the teacher's own completions."""
        sampling = self.config.references
        return self._collect("references", "teacher", problems, sampling, source=self.config.problems.path)

    def direction(self, role: str) -> Gradient | None:
        """Cross-entropy gradients towards the samples that passed, of the held-out sets with this role."""
        sets = [item for item in self.config.evaluation.sets if item.role == role]
        files = [read_problems(item.path, adapter=item.adapter) for item in sets]
        problems = [problem for file in files for problem in file.problems[:PER_DIRECTION]]
        if not problems:
            return None
        prompts, samples = self.student_samples(role, problems)
        gradients = []
        for problem, prompt in zip(problems, prompts, strict=True):
            rollouts = samples[problem.problem_id]
            grades = grade_all([problem], rollouts, self.config.grading)
            passed = [rollout for rollout, grade in zip(rollouts, grades, strict=True) if grade.verdict == "correct"]
            if passed and (role == "stability" or len(passed) < len(rollouts)):
                gradients.append(self.gradient("cross_entropy", prompt, None, passed))
        return np.stack(gradients) if gradients else None

    def gradient(self, loss: str, seen: Prompt, shown: Prompt | None, completions: Sequence[Rollout]) -> Gradient:
        """The gradient of one problem, [P]; a signal to stop is obeyed before it is computed."""
        stop_if_requested()
        return problem_gradient(
            self.student,
            self.teacher if shown else None,
            prompt=seen.token_ids,
            teacher_prompt=shown.token_ids if shown else None,
            completions=[one.token_ids for one in completions],
            loss=make_head_loss(loss),
            token_reduction=self.token_reduction,
            vocab_size=self.vocab_size,
        )

    def _collect(
        self, name: str, reader: Reader, problems: Sequence[Problem], sampling: SamplingConfig, *, source: str
    ) -> tuple[list[Prompt], Samples]:
        """Prompts, and the completions of ``anatomy/<name>.jsonl`` by problem, sampled where they are missing."""
        samples: Samples = {problem.problem_id: [] for problem in problems}
        with make_sampler(
            self.config,
            self.models[reader],
            reader=reader,
            sampling=sampling,
            progress=self.progress,
            measured_by="gradient anatomy",
        ) as sampler:
            for rollout in sampler.complete(
                problems,
                sampling=sampling,
                draw=f"gradient anatomy of {name}, stage {self.stage}",
                file=self.folder / f"{name}.jsonl",
                label=f"gradient anatomy: completions of {len(problems):,} problems ({name})",
                source=source,
            ):
                samples[rollout.problem_id].append(rollout)
            return sampler.prompts(problems, source=source), samples


def _refuse_large(student: Any, name: str) -> None:
    needed = 4 * sum(one.numel() for one in student.parameters()) * (PER_GROUP + 2 * PER_DIRECTION)
    if needed > MAX_BYTES:
        raise ConfigError(
            f"{name}: gradient anatomy must hold at most {MAX_BYTES / 2**30:.0f} GiB of full gradients, this model "
            f"needs {needed / 2**30:.0f} GiB. Use a smaller model, or paced snr, which measures the head alone."
        )
