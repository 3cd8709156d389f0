"""Where a stage's training examples come from: references, the rollouts that gave the pass rates, or fresh ones.

The loop asks for the examples of a step and never learns which of the three it got. One problem's way is short: its
student prompt, its teacher prompt (with the expert solution), the completion that both are held along, its weight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paced.errors import ConfigError, RunFolderError
from paced.pipeline.weighing import weights_of
from paced.records import PassRate, Problem, ProblemWeight, Rollout
from paced.rollouts.sampler import Sampler
from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.seeds import sample_key
from paced.run.storage import read_parquet, read_records, write_parquet
from paced.train.examples import Example, FixedExamples, Ratings


class StageExamples(FixedExamples):
    """The problems of one stage with whichever completions its settings ask for."""

    def __init__(
        self,
        *,
        run: RunFolder,
        config: RunConfig,
        stage_number: int,
        problems: Sequence[Problem],
        student: Sampler,
        teacher: Sampler,
        progress: Progress,
    ) -> None:
        self.run, self.config, self.stage_number, self.progress = run, config, stage_number, progress
        self.problems, self.sampler = list(problems), student
        self.folder, self.stage = run.stage(stage_number), config.stages[stage_number - 1]
        self.seen = student.prompts(problems, source=config.problems.path)
        self.shown = teacher.prompts(problems, source=config.problems.path)
        weights = {row.problem_id: row.unit_mean_weight for row in read_parquet(self.folder.weights, ProblemWeight)}
        self.rates = {rate.problem_id: rate for rate in read_parquet(self.folder.pass_rates, PassRate)}
        self.rollouts = self._completions()
        # With fresh rollouts the first held completion only stands in until a step asks for its own.
        super().__init__(
            [
                self._example(index, self.rollouts[problem.problem_id][0], weights[problem.problem_id])
                for index, problem in enumerate(self.problems)
            ],
            self._rates_in_order(),
        )

    def examples(self, indices: Sequence[int], *, step: int, student: Any) -> list[Example]:
        """The examples of these problems for a step.

        Along references: each problem's own. Along rollouts: one of the K that gave the pass rates, drawn by (seed,
        stage, step, problem), or with ``fresh_rollouts`` a new one by the student as it is at this step.
        """
        held = super().examples(indices, step=step, student=student)
        if self.stage.along == "reference":
            return held
        chosen = self._sample_fresh(indices, step, student) if self.stage.fresh_rollouts else self._draw(indices, step)
        return [
            dataclasses.replace(example, sample_index=rollout.sample_index, completion_ids=tuple(rollout.token_ids))
            for example, rollout in zip(held, chosen, strict=True)
        ]

    def refresh(self, *, step: int, student: Any) -> Ratings:
        """Roll all problems of the stage out with the student as it is now, and weigh them anew.

        The rollouts and counts go to ``stage-<k>/renewed/step-<n>/``; a step renewed before is read back from there.
        """
        folder = self.folder.root / "renewed" / f"step-{step:06d}"
        if not (folder / "pass_rates.parquet").exists():
            self._rate(folder, step, student)
        self.rates = {rate.problem_id: rate for rate in read_parquet(folder / "pass_rates.parquet", PassRate)}
        rates = [self.rates[problem.problem_id] for problem in self.problems]
        try:
            weights = [weight.unit_mean_weight for weight in weights_of(rates, self.config)]
        except ConfigError as error:  # the frontier has moved past every problem; the loop is told, and stops
            self.progress.note(f"before step {step}: {error}")
            weights = [0.0] * len(rates)
        if self.stage.along == "rollout" and not self.stage.fresh_rollouts:
            self.rollouts = _by_problem(folder / "rollouts.jsonl")
        return Ratings(unit_mean_weights=tuple(weights), pass_rates=self._rates_in_order())

    def _rate(self, folder: Path, step: int, student: Any) -> None:
        if student is None:
            raise RunFolderError(
                f"{folder}: holds no pass rates, which the steps before the last checkpoint were trained with. "
                "Restore the folder, or delete the stage's checkpoints to train it anew."
            )
        self.sampler.engine.update(student)
        rates = self.sampler.rate(
            self.problems,
            grading=self.config.grading,
            sampling=self.config.rollouts,
            draw=f"stage {self.stage_number} before step {step}",
            file=folder / "rollouts.jsonl",
            label=f"pass rates anew before step {step}",
            source=self.config.problems.path,
        )
        write_parquet(folder / "pass_rates.parquet", rates, PassRate)

    def _draw(self, indices: Sequence[int], step: int) -> list[Rollout]:
        """One of the held rollouts of each problem, another at every visit."""
        chosen = []
        for index in indices:
            held = self.rollouts[self.problems[index].problem_id]
            name = f"stage {self.stage_number} choice at step {step}"
            chosen.append(held[sample_key(self.config.seed, name, self.problems[index].problem_id, 0) % len(held)])
        return chosen

    def _sample_fresh(self, indices: Sequence[int], step: int, student: Any) -> list[Rollout]:
        self.sampler.engine.update(student)
        return self.sampler.complete(
            [self.problems[index] for index in indices],
            sampling=dataclasses.replace(self.config.rollouts, num_samples=1),
            draw=f"stage {self.stage_number} step {step}",
            source=self.config.problems.path,
        )

    def _completions(self) -> dict[str, list[Rollout]]:
        return _by_problem(self.folder.references if self.stage.along == "reference" else self.folder.rollouts)

    def _example(self, index: int, completion: Rollout, weight: float) -> Example:
        return Example(
            problem_id=self.problems[index].problem_id,
            sample_index=completion.sample_index,
            student_prompt_ids=self.seen[index].token_ids,
            teacher_prompt_ids=self.shown[index].token_ids,
            completion_ids=tuple(completion.token_ids),
            unit_mean_weight=weight,
        )

    def _rates_in_order(self) -> tuple[float, ...]:
        return tuple(self.rates[problem.problem_id].pass_rate_estimate for problem in self.problems)


def _by_problem(path: Path) -> dict[str, list[Rollout]]:
    held: dict[str, list[Rollout]] = {}
    for rollout in read_records(path, Rollout):
        held.setdefault(rollout.problem_id, []).append(rollout)
    return held
