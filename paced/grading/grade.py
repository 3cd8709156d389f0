"""From a completion to a verdict with a reason: cut, extract, compare; and from verdicts to counts.

Each rung is small and total: extraction finds a string or says why there is none, comparison gives a verdict. An
exception in either is the verdict ``grader_error`` and never ``incorrect``, and a truncated completion is
``truncated`` whatever it says, because its last number is not its answer.
Model output is only ever searched and compared; nothing here evaluates it.
"""

from __future__ import annotations

from collections.abc import Sequence

from paced.errors import ConfigError
from paced.grading.compare import COMPARISONS, Comparison, shown
from paced.grading.extract import EXTRACTIONS
from paced.records import UNGRADABLE, Grade, PassRate, Problem, Rollout, Verdict

MAX_SEARCHED = 100_000
"""Characters at the end of a completion that are searched for an answer."""


def grade_rollout(problem: Problem, rollout: Rollout, *, answer_format: str) -> Grade:
    """The verdict on one rollout.

    Args:
        problem: the task with its gold answer.
        rollout: a completion of that task.
        answer_format: name in :data:`EXTRACTIONS`.

    Raises:
        ConfigError: an answer format that there is not.

    Edges: a completion cut by the token limit is ``truncated`` even when it holds the gold answer.

    Example:
        >>> task = Problem(problem_id="a", problem="2+2", answer="4", answer_type="integer")
        >>> said = Rollout(problem_id="a", sample_index=0, token_ids=(7,), text="It is 5", finish_reason="stop", seed=1)
        >>> grade_rollout(task, said, answer_format="last_number").reason
        '5 is not 4.'
    """
    if answer_format not in EXTRACTIONS:
        raise ConfigError(f"grading.answer_format must be one of {', '.join(EXTRACTIONS)}, got {answer_format!r}.")
    extracted = ""
    if rollout.finish_reason == "length":
        outcome = Comparison(verdict="truncated", reason=f"Cut by the limit at {len(rollout.token_ids)} tokens.")
    else:
        try:
            found = EXTRACTIONS[answer_format](rollout.text[-MAX_SEARCHED:])
            if found is None:
                outcome = Comparison(verdict="no_answer", reason=f"No answer in the form '{answer_format}'.")
            else:
                extracted = found
                outcome = COMPARISONS[problem.answer_type](extracted=extracted, answer=problem.answer)
        except Exception as error:  # a fault of the grader must never count against the student
            outcome = Comparison(verdict="grader_error", reason=f"{type(error).__name__}: {shown(str(error))}")
    return Grade(
        problem_id=problem.problem_id,
        sample_index=rollout.sample_index,
        verdict=outcome.verdict,
        extracted=shown(extracted),
        reason=outcome.reason,
    )


def count_passes(problems: Sequence[Problem], grades: Sequence[Grade]) -> list[PassRate]:
    """Counts of each problem, Eq. (1): p̂ = correct / (all − ungradable), in the order of ``problems``.

    Truncated completions count as failures and are counted apart as well; ungradable ones leave the denominator.
    """
    verdicts: dict[str, list[Verdict]] = {problem.problem_id: [] for problem in problems}
    for grade in grades:
        verdicts[grade.problem_id].append(grade.verdict)
    rates = []
    for problem_id, of_problem in verdicts.items():
        ungradable = sum(verdict in UNGRADABLE for verdict in of_problem)
        rates.append(
            PassRate(
                problem_id=problem_id,
                num_passed=of_problem.count("correct"),
                num_rollouts=len(of_problem) - ungradable,
                num_truncated=of_problem.count("truncated"),
                num_ungradable=ungradable,
            )
        )
    return rates
