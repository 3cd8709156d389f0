"""What the training loop is given: one record for each problem, all in token ids, and where such records come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One problem as the loss sees it: two prompts of different length before the same completion.

    The student reads ``student_prompt_ids + completion_ids``, the teacher ``teacher_prompt_ids + completion_ids``;
    the loss compares the two next-token distributions at each token of the completion.
    """

    problem_id: str
    """The problem."""
    sample_index: int
    """Which rollout or reference the completion is."""
    student_prompt_ids: tuple[int, ...]
    """Tokens of the problem alone, in the student's chat template; at least one."""
    teacher_prompt_ids: tuple[int, ...]
    """Tokens of the problem with the expert solution, in the teacher's chat template; at least one."""
    completion_ids: tuple[int, ...]
    """The teacher's reference or the student's rollout, with its end-of-sequence token if it has one."""
    unit_mean_weight: float
    """w̃ >= 0 of the problem; mean 1 over the stage's training set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratings:
    """What is known of the stage's problems at one moment, in the stage's order of problems."""

    unit_mean_weights: tuple[float, ...]
    """w̃ of each problem; mean 1, or all 0."""
    pass_rates: tuple[float, ...] = ()
    """p̂ of each problem in [0, 1], NaN where none could be graded; empty when there are no pass rates."""


class ExampleSource(Protocol):
    """The problems of one stage, as the loop asks for them."""

    def ratings(self) -> Ratings:
        """Weights and pass rates with which the stage begins; the order of problems is that of every index."""
        ...

    def examples(self, indices: Sequence[int], *, step: int, student: Any) -> list[Example]:
        """The examples of these problems for optimiser step ``step``; fresh rollouts are sampled from ``student``."""
        ...

    @property
    def samples_on_every_rank(self) -> bool:
        """Whether each rank samples with a model of its own; else the first rank asks an engine for all of them."""
        ...

    def sample_share(self, *, step: int, student: Any, index: int, count: int) -> None:
        """Before :meth:`refresh`, on rank ``index`` of ``count`` side by side: make this rank's part of the samples."""
        ...

    def refresh(self, *, step: int, student: Any) -> Ratings:
        """Renew pass rates and weights before ``step``; a call for a step that was renewed repeats its answer.

        ``student`` is None for a step of the past, which a resumed run reads back.
        """
        ...


class FixedExamples:
    """Examples known before the stage begins: references, or the rollouts that gave the pass rates."""

    samples_on_every_rank = True

    def __init__(self, examples: Sequence[Example], pass_rates: Sequence[float] = ()) -> None:
        """Take one example for each problem, and the pass rates in the same order if there are any."""
        if not examples:
            raise ValueError("FixedExamples: examples must hold at least one example, got none.")
        if pass_rates and len(pass_rates) != len(examples):
            raise ValueError(
                f"FixedExamples: pass_rates must be one for each example, got {len(pass_rates)} for {len(examples)}."
            )
        self._examples = tuple(examples)
        self._pass_rates = tuple(pass_rates)

    def ratings(self) -> Ratings:
        """The weights that the examples carry."""
        return Ratings(
            unit_mean_weights=tuple(example.unit_mean_weight for example in self._examples),
            pass_rates=self._pass_rates,
        )

    def examples(self, indices: Sequence[int], *, step: int, student: Any) -> list[Example]:
        """The same examples at every step."""
        return [self._examples[index] for index in indices]

    def sample_share(self, *, step: int, student: Any, index: int, count: int) -> None:
        """Nothing to sample."""

    def refresh(self, *, step: int, student: Any) -> Ratings:
        """Nothing to renew."""
        return self.ratings()
