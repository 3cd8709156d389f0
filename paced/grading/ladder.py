"""The rungs from one completion to its verdict, in order: finish reason, thinking, extraction, boxes, comparison.

Each rung either passes a text on to the next or ends with an outcome and a reason. An exception in any of them is
the verdict ``grader_error`` and never ``incorrect``, and a truncated completion is ``truncated`` whatever it says,
because its last number is not its answer. Model output is only ever searched and compared; nothing here evaluates it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from paced.errors import ConfigError
from paced.grading.compare import Comparison, shown
from paced.grading.comparisons import comparison_of
from paced.grading.extract import EXTRACTIONS, THINKING, other_boxes
from paced.grading.latex import one_spelling
from paced.grading.math import Undecided
from paced.records import Problem, Rollout
from paced.run.config import GradingConfig

MAX_SEARCHED = 100_000
"""Characters at the end of a completion that are searched for an answer."""
Say = Callable[[str, str], None]
"""Told the name of a rung and what it did."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the rungs of this process made of one completion."""

    extracted: str
    """The answer in it; empty when there is none."""
    outcome: Comparison | Undecided
    """The verdict, or what a worker has to decide."""


def judge(problem: Problem, rollout: Rollout, config: GradingConfig, say: Say = lambda rung, what: None) -> Draft:
    """The outcome of one completion, as far as this process decides it.

    Args:
        problem: the task with its gold answer.
        rollout: a completion of that task.
        config: the recipe's section ``grading``.
        say: told of each rung; by default nobody is.

    Raises:
        ConfigError: an unknown answer format or type.

    Example:
        >>> task = Problem(problem_id="a", problem="2+2", answer="4", answer_type="integer")
        >>> said = Rollout(problem_id="a", sample_index=0, token_ids=(7,), text="5", finish_reason="stop", seed=1)
        >>> judge(task, said, GradingConfig()).outcome.reason
        '5 is not 4.'
    """
    answer_format = config.answer_format.name
    if answer_format not in EXTRACTIONS:
        raise ConfigError(f"grading.answer_format must be one of {', '.join(EXTRACTIONS)}, got {answer_format!r}.")
    compare = comparison_of(problem.answer_type)
    say("finish", rollout.finish_reason + _after(rollout, " after"))
    if rollout.finish_reason == "length":
        return Draft("", Comparison(verdict="truncated", reason="Cut by the limit" + _after(rollout, " at") + "."))
    extracted = ""
    try:
        text = THINKING[config.thinking](rollout.text)
        say(
            "thinking",
            f"{config.thinking}: {len(text or ''):,} of {len(rollout.text):,} characters may hold the answer",
        )
        text = (text or "")[-MAX_SEARCHED:]
        answer = EXTRACTIONS[answer_format](text)
        say("extraction", f"{answer_format}: {shown(answer) if answer is not None else 'nothing'}")
        if answer is None:
            return Draft("", Comparison(verdict="no_answer", reason=f"No answer in the form '{answer_format}'."))
        extracted = answer
        if answer_format == "boxed" and config.several_boxes == "must_agree":
            others = [box for box in other_boxes(text) if one_spelling(box) != one_spelling(extracted)]
            say("boxes", f"must_agree: {len(others)} differ from the last")
            if others:
                reason = f"The box {shown(others[-1])!r} disagrees with the last one."
                return Draft(extracted, Comparison(verdict="no_answer", reason=reason))
        outcome = compare(extracted=extracted, answer=problem.answer)
        say("comparison", f"{problem.answer_type} with {shown(problem.answer)}")
    except Exception as error:  # a fault of the grader must never count against the student
        reason = f"{type(error).__name__}: {shown(str(error))}"
        return Draft(extracted, Comparison(verdict="grader_error", reason=reason))
    return Draft(extracted, outcome)


def _after(rollout: Rollout, word: str) -> str:
    """How long a completion is; nothing where another tool gave its text alone."""
    return f"{word} {len(rollout.token_ids)} tokens" if rollout.token_ids else ""
