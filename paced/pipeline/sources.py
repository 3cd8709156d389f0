"""Where a stage's training examples come from: references, the rollouts that gave the pass rates, or fresh ones.

A trainer asks for the examples of a step and never learns which of the three it got. One problem's way is short: its
student prompt, its teacher prompt (with the expert solution), the completion that both are held along, its weight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from paced.errors import ConfigError, RunFolderError
from paced.pipeline.prompts import stage_prompts
from paced.pipeline.references import checked_references, usable_problems
from paced.pipeline.weighing import weights_of
from paced.problems.prompts import Prompt
from paced.records import PassRate, Problem, ProblemWeight, Rollout
from paced.rollouts.sampler import Sampler
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.seeds import sample_key
from paced.run.storage import read_parquet, read_records, write_parquet
from paced.train.examples import Example, ExampleSource, Ratings
from paced.weights import normalise

Samples = dict[str, list[Rollout]]
"""Problem id -> its completions."""


def open_source(stage: StageProblems) -> ExampleSource:
    """The examples of one stage, along the completions that its settings ask for."""
    if stage.settings.along == "reference":
        return ReferenceExamples(stage)
    return FreshExamples(stage) if stage.settings.fresh_rollouts else RolloutExamples(stage)


@final
class ReferenceExamples:
    """Along the teacher's references: each problem's own, at every step."""

    def __init__(self, stage: StageProblems) -> None:
        self.stage, self.references = stage, _by_problem(stage.folder.references)

    def ratings(self) -> Ratings:
        """As the stage was weighed."""
        return self.stage.ratings()

    def examples(self, indices: Sequence[int], *, step: int, student: Any) -> list[Example]:
        """The one reference of each problem."""
        return self.stage.examples(indices, [self.references[self.stage.ids[index]][0] for index in indices])

    def refresh(self, *, step: int, student: Any) -> Ratings:
        """New weights; the references stay."""
        return self.stage.renew(step, student)


@final
class RolloutExamples:
    """Along the K rollouts that gave the pass rates, and along the new ones once these are renewed."""

    def __init__(self, stage: StageProblems) -> None:
        self.stage, self.rollouts = stage, _by_problem(stage.folder.rollouts)

    def ratings(self) -> Ratings:
        """As the stage was weighed."""
        return self.stage.ratings()

    def examples(self, indices: Sequence[int], *, step: int, student: Any) -> list[Example]:
        """One of each problem's rollouts, drawn by (seed, stage, step, problem): another at every visit."""
        chosen = []
        for index in indices:
            held = self.rollouts[self.stage.ids[index]]
            name = f"stage {self.stage.number} choice at step {step}"
            chosen.append(held[sample_key(self.stage.config.seed, name, self.stage.ids[index], 0) % len(held)])
        return self.stage.examples(indices, chosen)

    def refresh(self, *, step: int, student: Any) -> Ratings:
        """New weights, and the rollouts that gave them."""
        ratings = self.stage.renew(step, student)
        self.rollouts = _by_problem(self.stage.renewed(step) / "rollouts.jsonl")
        return ratings


@final
class FreshExamples:
    """Along a new rollout of each problem at every step, by the student as it is then."""

    def __init__(self, stage: StageProblems) -> None:
        self.stage = stage
        self.sampling = dataclasses.replace(stage.config.rollouts, num_samples=1)

    def ratings(self) -> Ratings:
        """As the stage was weighed."""
        return self.stage.ratings()

    def examples(self, indices: Sequence[int], *, step: int, student: Any) -> list[Example]:
        """One completion of each problem by ``student``; no file keeps it."""
        self.stage.student.engine.update(student)
        rollouts = self.stage.student.complete(
            [self.stage.problems[index] for index in indices],
            sampling=self.sampling,
            draw=f"stage {self.stage.number} step {step}",
            prompts=[self.stage.seen[index] for index in indices],
        )
        return self.stage.examples(indices, rollouts)

    def refresh(self, *, step: int, student: Any) -> Ratings:
        """New weights."""
        return self.stage.renew(step, student)


class StageProblems:
    """The problems of a stage with their prompts, and their weights and pass rates as of now."""

    def __init__(
        self,
        run: RunFolder,
        stage_number: int,
        problems: Sequence[Problem],
        *,
        student: Sampler,
        teacher: Sampler,
        progress: Progress,
    ) -> None:
        """Read what is known of the stage's problems.

        Args:
            run: with weights and pass rates of the stage, and its references or rollouts.
            stage_number: which stage, counted from 1.
            problems: of the stage, in order.
            student: reads the student's prompts; the trainer's student is given to its engine.
            teacher: reads the teacher's prompts, and is not asked for completions.
            progress: where to show renewed pass rates.
        """
        self.config, self.number, self.progress = run.config(), stage_number, progress
        self.folder, self.settings = run.stage(stage_number), self.config.stages[stage_number - 1]
        all_problems = problems
        if self.settings.along == "reference":
            usable = usable_problems(checked_references(self.folder, problems, self.config), self.config)
            problems = [problem for problem in problems if problem.problem_id in usable]
        self.problems, self.student = list(problems), student
        self.ids = [problem.problem_id for problem in problems]
        self.seen = self._of_these(stage_prompts(run, stage_number, student, all_problems))
        self.shown = self._of_these(stage_prompts(run, stage_number, teacher, all_problems))
        self.weights = self._read_weights()
        self.rates = self._read_rates(self.folder.pass_rates)

    def ratings(self) -> Ratings:
        """Weights and pass rates as of now."""
        rates = tuple(rate.pass_rate_estimate for rate in self.rates)
        return Ratings(unit_mean_weights=tuple(self.weights), pass_rates=rates)

    def examples(self, indices: Sequence[int], completions: Sequence[Rollout]) -> list[Example]:
        """These problems, each along its completion."""
        return [
            Example(
                problem_id=self.ids[index],
                sample_index=completion.sample_index,
                student_prompt_ids=self.seen[index].token_ids,
                teacher_prompt_ids=self.shown[index].token_ids,
                completion_ids=tuple(completion.token_ids),
                unit_mean_weight=self.weights[index],
            )
            for index, completion in zip(indices, completions, strict=True)
        ]

    def renewed(self, step: int) -> Path:
        """Where the rollouts and counts of a renewal are kept."""
        return self.folder.root / "renewed" / f"step-{step:06d}"

    def renew(self, step: int, student: Any) -> Ratings:
        """Roll all problems out with the student as it is now, and weigh them anew.

        A step that was renewed before is read back from its folder.
        """
        file = self.renewed(step) / "pass_rates.parquet"
        if not file.exists():
            self._rate(file, step, student)
        self.rates = self._read_rates(file)
        try:
            self.weights = [weight.unit_mean_weight for weight in weights_of(self.rates, self.config)]
        except ConfigError as error:  # the frontier has moved past every problem; the loop is told, and stops
            self.progress.note(f"before step {step}: {error}")
            self.weights = [0.0] * len(self.rates)
        return self.ratings()

    def _rate(self, file: Path, step: int, student: Any) -> None:
        if student is None:
            raise RunFolderError(
                f"{file.parent}: holds no pass rates, which the steps before the last checkpoint were trained with. "
                "Restore the folder, or delete the stage's checkpoints to train it anew."
            )
        self.student.engine.update(student)
        rates = self.student.rate(
            self.problems,
            grading=self.config.grading,
            sampling=self.config.rollouts,
            draw=f"stage {self.number} before step {step}",
            file=file.parent / "rollouts.jsonl",
            label=f"pass rates anew before step {step}",
            prompts=self.seen,
        )
        write_parquet(file, rates, PassRate)

    def _of_these(self, prompts: Sequence[Prompt]) -> list[Prompt]:
        """The prompts of the problems that are trained on: the file has those of all."""
        wanted = set(self.ids)
        return [prompt for prompt in prompts if prompt.problem_id in wanted]

    def _read_weights(self) -> list[float]:
        """w̃ of each problem; of unit mean over these where references were dropped."""
        rows = {row.problem_id: row for row in read_parquet(self.folder.weights, ProblemWeight)}
        if len(self.ids) == len(rows):
            return [rows[problem_id].unit_mean_weight for problem_id in self.ids]
        return normalise([rows[problem_id].weight for problem_id in self.ids]).unit_mean_weights.tolist()

    def _read_rates(self, file: Path) -> list[PassRate]:
        rates = {rate.problem_id: rate for rate in read_parquet(file, PassRate)}
        return [rates[problem_id] for problem_id in self.ids]


def _by_problem(path: Path) -> Samples:
    samples: Samples = {}
    for rollout in read_records(path, Rollout):
        samples.setdefault(rollout.problem_id, []).append(rollout)
    return samples
