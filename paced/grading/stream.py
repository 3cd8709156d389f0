"""Grades of completions too many for memory: the verdicts of ``grade_all``, a few hundred problems at a time.

What is kept of a problem is five integers. The verdicts are written as they come, to a file that appears when it is
whole.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np

from paced.grading.grade import count_passes, grade_all
from paced.grading.workers import Workers
from paced.records import Grade, PassRate, Problem, Rollout, Verdict
from paced.run.config import GradingConfig
from paced.run.recordfile import Places
from paced.run.storage import write_records

PROBLEMS_AT_ONCE = 256
"""Problems whose completions are in memory together."""


@dataclass(frozen=True)
class Graded:
    """What grading has counted."""

    rates: tuple[PassRate, ...]
    """Of each problem, in their order."""
    verdicts: Counter[Verdict]
    """Verdict -> number of completions."""


def grade_stream(
    problems: Sequence[Problem], rollouts: Iterable[Rollout], config: GradingConfig, *, file: Path | None = None
) -> Graded:
    """Grade every rollout and count; with a file, write the grades to it in the order of the rollouts.

    Args:
        problems: all the problems that were asked, ids unique; read by their place, so they may be on the disk.
        rollouts: at least one completion of each problem, each (problem, sample index) once, those of one problem
            behind each other.
        config: the recipe's section ``grading``.
        file: JSONL of Grade, replaced in one step.

    Raises:
        ValueError: the rollouts name a problem that is not among ``problems``, lack one, hold a sample twice, or come
            back to a problem; the file is then as it was.
        ConfigError, MissingExtraError: as :func:`paced.grading.grade.grade_all`.

    Example:
        >>> tasks = [Problem(problem_id=name, problem="?", answer="4") for name in "ab"]
        >>> said = [
        ...     Rollout(problem_id=name, sample_index=0, token_ids=(7,), text=text, finish_reason="stop", seed=1)
        ...     for name, text in [("b", "5"), ("a", "4")]
        ... ]
        >>> graded = grade_stream(tasks, said, GradingConfig())
        >>> [rate.num_passed for rate in graded.rates], dict(graded.verdicts)
        ([1, 0], {'incorrect': 1, 'correct': 1})
    """
    counts = _Counts(problems)
    with Workers() as workers:
        grades = counts.grades(rollouts, config, workers)
        if file is None:
            for _ in grades:
                pass
        else:
            write_records(file, grades)
    return Graded(counts.rates(), counts.verdicts)


class _Counts:
    """Counts of each problem, filled while its grades go by."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = problems
        self.places = Places(problem.problem_id for problem in problems)
        self.verdicts: Counter[Verdict] = Counter()
        self._counts = np.full((len(problems), 4), -1, dtype=np.int32)  # [num_problems, 4]; -1 before it is graded

    def grades(self, rollouts: Iterable[Rollout], config: GradingConfig, workers: Workers) -> Iterator[Grade]:
        """The grades in order; whether every problem has had one is checked at the end."""
        by_problem = itertools.groupby(rollouts, key=attrgetter("problem_id"))
        while chosen := [(name, list(some)) for name, some in itertools.islice(by_problem, PROBLEMS_AT_ONCE)]:
            yield from self._grade(chosen, config, workers)
        absent = np.flatnonzero(self._counts[:, 0] < 0)
        if len(absent):
            names = ", ".join(repr(self.problems[place].problem_id) for place in absent[:3].tolist())
            raise ValueError(
                f"grade_stream: {len(absent):,} of {len(self.problems):,} problems have no rollout ({names}"
                f"{', ...' if len(absent) > 3 else ''}). Grade rollouts with the problems that they were sampled from."
            )

    def _grade(
        self, chosen: Sequence[tuple[str, list[Rollout]]], config: GradingConfig, workers: Workers
    ) -> list[Grade]:
        places = [place for name, _ in chosen if (place := self.places.get(name)) is not None]
        again = [name for name, _ in chosen if self._is_graded(name)]
        if again or len(set(places)) < len(places):
            ((name, _),) = Counter([*again, *(name for name, _ in chosen)]).most_common(1)
            raise ValueError(
                f"grade_stream: the rollouts of a problem must be behind each other, got {name!r} twice. Sort the file."
            )
        problems = [self.problems[place] for place in places]
        grades = grade_all(problems, [one for _, some in chosen for one in some], config, workers=workers)
        for place, rate in zip(places, count_passes(problems, grades), strict=True):
            self._counts[place] = rate.num_passed, rate.num_rollouts, rate.num_truncated, rate.num_ungradable
        self.verdicts.update(grade.verdict for grade in grades)
        return grades

    def _is_graded(self, name: str) -> bool:
        place = self.places.get(name)
        return place is not None and bool(self._counts[place, 0] >= 0)

    def rates(self) -> tuple[PassRate, ...]:
        """Of each problem, in their order."""
        return tuple(
            PassRate(
                problem_id=problem.problem_id,
                num_passed=passed,
                num_rollouts=rollouts,
                num_truncated=truncated,
                num_ungradable=ungradable,
            )
            for problem, (passed, rollouts, truncated, ungradable) in zip(self.problems, self._rows(), strict=True)
        )

    def _rows(self) -> Iterator[tuple[int, int, int, int]]:
        return (tuple(row.tolist()) for row in self._counts)
