"""From completions to verdicts with reasons, the one way for all callers; and from verdicts to counts.

The rungs of ``ladder.py`` decide most completions in this process. What they leave undecided is compared in worker
processes that can be killed; these start only when there is something for them, and end with the call.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence

from paced.grading.compare import shown
from paced.grading.comparisons import refuse_unknown
from paced.grading.ladder import Say, judge
from paced.grading.math import Undecided
from paced.grading.workers import Workers
from paced.records import UNGRADABLE, Grade, PassRate, Problem, Rollout, Verdict
from paced.run.config import GradingConfig
from paced.run.schema import Choice


def grade_all(
    problems: Sequence[Problem],
    rollouts: Sequence[Rollout],
    config: GradingConfig,
    *,
    workers: Workers | None = None,
) -> list[Grade]:
    """The verdict on every rollout, in the order of ``rollouts``: the one way from completions to grades.

    Args:
        problems: all the problems that were asked.
        rollouts: at least one completion of each problem, each (problem, sample index) once.
        config: the recipe's section ``grading``.
        workers: processes to reuse over several calls; by default they are started for this call, when it needs some.

    Raises:
        ValueError: the rollouts name a problem that is not among ``problems``, lack one, or have a sample twice.
        ConfigError: an unknown answer type or format.
        MissingExtraError: a problem is of a type whose packages are absent.

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
    problem_of = {problem.problem_id: problem for problem in problems}
    _refuse_misfits(problem_of, rollouts)
    refuse_unknown(problem.answer_type for problem in problems)
    drafts = [judge(problem_of[rollout.problem_id], rollout, config) for rollout in rollouts]
    undecided = [draft.outcome for draft in drafts if isinstance(draft.outcome, Undecided)]
    with contextlib.ExitStack() as stack:
        pool = workers or stack.enter_context(Workers())
        decided = iter(pool.compare(undecided))
    grades = []
    for rollout, draft in zip(rollouts, drafts, strict=True):
        outcome = next(decided) if isinstance(draft.outcome, Undecided) else draft.outcome
        grades.append(
            Grade(
                problem_id=rollout.problem_id,
                sample_index=rollout.sample_index,
                verdict=outcome.verdict,
                extracted=shown(draft.extracted),
                reason=outcome.reason,
            )
        )
    return grades


def grade_rollout(problem: Problem, rollout: Rollout, *, answer_format: str) -> Grade:
    """The verdict on one rollout, with the other settings of grading at their defaults.

    Args:
        problem: the task with its gold answer.
        rollout: a completion of that task.
        answer_format: name in :data:`paced.grading.extract.EXTRACTIONS`.

    Raises:
        ConfigError: an unknown answer format or type.

    Edges: a completion cut by the token limit is ``truncated`` even when it contains the gold answer.

    Example:
        >>> task = Problem(problem_id="a", problem="2+2", answer="4", answer_type="integer")
        >>> said = Rollout(problem_id="a", sample_index=0, token_ids=(7,), text="It is 5", finish_reason="stop", seed=1)
        >>> grade_rollout(task, said, answer_format="last_number").reason
        '5 is not 4.'
    """
    return grade_all([problem], [rollout], GradingConfig(answer_format=Choice(answer_format)))[0]


def explain(problem: Problem, rollout: Rollout, config: GradingConfig) -> list[tuple[str, str]]:
    """Every rung that one completion took: (name of the rung, what it did), the verdict last.

    Example:
        >>> task = Problem(problem_id="a", problem="?", answer="1/2", answer_type="math")
        >>> said = Rollout(problem_id="a", sample_index=0, token_ids=(7,), text="0.5", finish_reason="stop", seed=1)
        >>> for rung, what in explain(task, said, GradingConfig()):
        ...     print(f"{rung}: {what}")
        finish: stop after 1 tokens
        thinking: strip: 3 of 3 characters may hold the answer
        extraction: whole: 0.5
        comparison: math with 1/2
        verdict: correct. Equal to the gold answer by the rule 'value'.
    """
    rungs: list[tuple[str, str]] = []
    say: Say = lambda rung, what: rungs.append((rung, what))  # noqa: E731
    if isinstance(judge(problem, rollout, config, say).outcome, Undecided):
        rungs.append(("worker", "math-verify in a process of its own"))
    grade = grade_all([problem], [rollout], config)[0]
    return [*rungs, ("verdict", f"{grade.verdict}. {grade.reason}")]


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
    """Refuse rollouts that are not the completions of these problems, with every reason in one error."""
    samples = Counter((rollout.problem_id, rollout.sample_index) for rollout in rollouts)
    asked = {problem_id for problem_id, _ in samples}
    faults: list[tuple[str, str, Sequence[object]]] = [
        ("problem has no rollout", "problems have no rollout", [one for one in problem_of if one not in asked]),
        ("problem id is unknown", "problem ids are unknown", sorted(asked - problem_of.keys())),
        ("sample is there twice", "samples are there twice", [one for one, count in samples.items() if count > 1]),
    ]
    misfits = [
        f"{len(names):,} {one if len(names) == 1 else many} ({', '.join(map(repr, names[:3]))}"
        f"{', ...' if len(names) > 3 else ''})"
        for one, many, names in faults
        if names
    ]
    if misfits:
        raise ValueError(
            f"grade_all: {'; '.join(misfits)}. Grade rollouts with the problems that they were sampled from, each once."
        )
