"""From a completion to a verdict with a reason: cut, extract, compare; and from verdicts to counts.

Each rung is small and total: extraction finds a string or says why there is none, comparison gives a verdict. An
exception in either is the verdict ``grader_error`` and never ``incorrect``, and a truncated completion is
``truncated`` whatever it says, because its last number is not its answer.
Model output is only ever searched and compared; nothing here evaluates it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from paced.errors import ConfigError
from paced.grading.compare import COMPARISONS, Comparison, shown
from paced.grading.extract import EXTRACTIONS, after_thinking
from paced.records import UNGRADABLE, Grade, PassRate, Problem, Rollout, Verdict
from paced.run.config import GradingConfig

MAX_SEARCHED = 100_000
"""Characters at the end of a completion that are searched for an answer."""


def grade_all(problems: Sequence[Problem], rollouts: Sequence[Rollout], config: GradingConfig) -> list[Grade]:
    """The verdict on every rollout, in the order of ``rollouts``: the one way from completions to grades.

    Args:
        problems: all the problems that were asked.
        rollouts: at least one completion of each problem, each (problem, sample index) once.
        config: the recipe's section ``grading``.

    Raises:
        ValueError: the rollouts name a problem that is not among ``problems``, lack one, or hold a sample twice.

    Example:
        >>> tasks = [Problem(problem_id=name, problem="?", answer="4") for name in "ab"]
        >>> said = [
        ...     Rollout(problem_id=name, sample_index=0, token_ids=(7,), text=text, finish_reason="stop", seed=1)
        ...     for name, text in [("a", "4"), ("b", "5"), ("c", "4")]
        ... ]
        >>> [grade.verdict for grade in grade_all(tasks, said[:2], GradingConfig())]
        ['correct', 'incorrect']
        >>> grade_all(tasks, said[1:], GradingConfig())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: grade_all: 1 problem has no rollout ('a'); 1 problem id is unknown ('c'). Grade ...
    """
    answer_format = config.answer_format.name
    problem_of = {problem.problem_id: problem for problem in problems}
    _refuse_misfits(problem_of, rollouts)
    return [grade_rollout(problem_of[rollout.problem_id], rollout, answer_format=answer_format) for rollout in rollouts]


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
        place = f" at {len(rollout.token_ids)} tokens" if rollout.token_ids else ""  # texts of other tools have none
        outcome = Comparison(verdict="truncated", reason=f"Cut by the limit{place}.")
    else:
        try:
            found = EXTRACTIONS[answer_format](after_thinking(rollout.text)[-MAX_SEARCHED:])
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


def _refuse_misfits(problem_of: Mapping[str, Problem], rollouts: Sequence[Rollout]) -> None:
    """All that keeps rollouts from being the completions of these problems, in one error."""
    samples = Counter((rollout.problem_id, rollout.sample_index) for rollout in rollouts)
    asked = {problem_id for problem_id, _ in samples}
    faults: list[tuple[str, str, Sequence[object]]] = [
        ("problem has no rollout", "problems have no rollout", [one for one in problem_of if one not in asked]),
        ("problem id is unknown", "problem ids are unknown", sorted(asked - problem_of.keys())),
        ("sample is there twice", "samples are there twice", [one for one, count in samples.items() if count > 1]),
    ]
    told = [
        f"{len(names):,} {one if len(names) == 1 else many} ({', '.join(map(repr, names[:3]))}"
        f"{', ...' if len(names) > 3 else ''})"
        for one, many, names in faults
        if names
    ]
    if told:
        raise ValueError(
            f"grade_all: {'; '.join(told)}. Grade rollouts with the problems that they were sampled from, each once."
        )
