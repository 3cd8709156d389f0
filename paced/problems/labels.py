"""Difficulty and subject of problems, as their adapter read them: kept for evaluation, never needed by a run.

MATH and MATH-500 have ``level`` and ``subject`` or ``type``, MMLU has ``subject``. Left out: a guess at the difficulty
of problems that say none, e.g. from the base student's own pass rates, which would regress to the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

from paced.problems.files import ProblemFile

KINDS = ("level", "subject")
LONGEST = 80
"""Characters of a label that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemLabels:
    """What a problem file says about one problem besides its text and answer."""

    problem_id: str
    """The problem."""
    level: str = ""
    """Its difficulty as the set writes it, ``Level 5`` as 5; empty when there is none."""
    subject: str = ""
    """Its subject; empty when there is none."""


def read_labels(file: ProblemFile) -> list[ProblemLabels]:
    """The labels of the problems of a set, in their order; empty when no problem has any.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from paced.problems.files import read_problems
        >>> path = Path(tempfile.mkdtemp()) / "math.jsonl"
        >>> _ = path.write_text('{"problem": "2+2", "answer": "4", "problem_id": "a", "level": 1, "type": "Sums"}\\n')
        >>> read_labels(read_problems(path))
        [ProblemLabels(problem_id='a', level='1', subject='Sums')]
    """
    labels = [
        ProblemLabels(problem_id=one.problem_id, level=one.level[:LONGEST], subject=one.subject[:LONGEST])
        for one in file.problems
    ]
    return labels if any(one.level or one.subject for one in labels) else []
