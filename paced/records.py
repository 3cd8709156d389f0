"""What one stage hands to the next: frozen records, keyword-only, one docstring and unit for each field.

The order of the classes is the order of the data flow: problems, references and rollouts, grades, pass rates,
weights. Every record is one line of a JSONL file or one row of a parquet file in the run folder.
Left out: methods that compute. A derived quantity is another record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length"]
"""``stop``: the model ended its completion; ``length``: the token limit cut it."""

Verdict = Literal[
    "correct", "incorrect", "no_answer", "truncated", "gold_unparseable", "grader_timeout", "grader_error"
]
"""The outcome of grading one completion; never a bare 0 or 1."""

UNGRADABLE: frozenset[Verdict] = frozenset({"gold_unparseable", "grader_timeout", "grader_error"})
"""Verdicts that say nothing about the student: they leave the denominator of the pass rate."""

OPTIONAL = "optional"
"""Metadata of a field that has no column in a file in which no record sets it."""

Table = Mapping[str, Sequence[Any]]
"""Columns of equal length by name: what a figure is drawn from and what its CSV holds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A task with a checkable answer."""

    problem_id: str
    """Unique within the run; by default a hash of the bare text."""
    problem: str
    """Bare text of the task, without any prompt wrapper."""
    answer: str
    """The gold answer as text."""
    answer_type: str = "exact"
    """How the grader compares: ``exact`` by text, ``integer`` by value, ``choice`` by option, ``math`` by the rules of
    docs/grading.md, ``numeric`` within a tolerance, or a type of the user's own (``paced.grading.register``)."""
    solution: str = ""
    """The expert solution shown to the teacher; empty when there is none."""
    source: str = ""
    """Where the problem came from: a file, a data set, a kind of the lab."""
    subject: str = field(default="", metadata={OPTIONAL: True})
    """Its field, as its data set names it, for evaluation by subject; empty when there is none."""
    level: str = field(default="", metadata={OPTIONAL: True})
    """Its difficulty, as its data set names it, for evaluation by difficulty; empty when there is none."""
    messages: str = field(default="", metadata={OPTIONAL: True})
    """The problem set's own messages as JSON, ``[{"role": "user", "content": …}]``; empty when there are none."""


@dataclass(frozen=True, slots=True)
class SampledCompletion:
    """One completion as an engine gives it, before it is decoded and has a problem's name."""

    token_ids: tuple[int, ...]
    """Its tokens, without the prompt; with the end-of-sequence token when ``finish_reason`` is stop."""
    finish_reason: FinishReason
    """``stop``: the model ended it; ``length``: the limit cut it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One completion sampled on one problem; also the form of a teacher's reference."""

    problem_id: str
    """The problem it answers."""
    sample_index: int
    """Which of the K samples, 0 <= sample_index < K; part of the seed, so topping up K adds new samples only."""
    token_ids: tuple[int, ...]
    """The completion's tokens, without the prompt, with the end-of-sequence token when ``finish_reason`` is stop."""
    text: str
    """The decoded completion, special tokens left out."""
    finish_reason: FinishReason
    """Whether the model stopped or the limit cut it."""
    seed: int
    """The 64-bit seed of this sample, derived from (run seed, stage, problem id, sample index)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grade:
    """The verdict on one rollout, with the reason."""

    problem_id: str
    """The problem."""
    sample_index: int
    """The rollout."""
    verdict: Verdict
    """The outcome."""
    extracted: str
    """The answer found in the completion; empty when there was none."""
    reason: str
    """One sentence that a person can check."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRate:
    """Counts of one problem; the estimate is ``num_passed / num_rollouts``.

    Example:
        >>> PassRate(problem_id="q1", num_passed=2, num_rollouts=8).pass_rate_estimate
        0.25
    """

    problem_id: str
    """The problem."""
    num_passed: int
    """s: rollouts graded correct."""
    num_rollouts: int
    """K: rollouts that could be graded (truncated ones count as failed)."""
    num_truncated: int = 0
    """Rollouts cut by the token limit, counted among the failures."""
    num_ungradable: int = 0
    """Rollouts left out of K because the grader, not the student, failed."""

    @property
    def pass_rate_estimate(self) -> float:
        """p̂ = s/K in [0, 1]; NaN when no rollout could be graded."""
        return self.num_passed / self.num_rollouts if self.num_rollouts else float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemWeight:
    """The multiplier of one problem's loss."""

    problem_id: str
    """The problem."""
    weight: float
    """w >= 0, as the weight function gave it."""
    unit_mean_weight: float
    """w̃: the weight divided by its mean over the training set."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentScore:
    """What one student got on one document of a task of lm-eval."""

    task: str
    """lm-eval's name of the task, not of its group."""
    document: str
    """Number and hash of the document, the same for both students."""
    metric: str
    """Which score: acc, exact_match, ..."""
    score: float
    """In [0, 1]."""
