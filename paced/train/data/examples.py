"""What the training loop eats: one record for each problem, all in token ids."""

from __future__ import annotations

from dataclasses import dataclass


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
