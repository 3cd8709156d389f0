"""Difficulty and subject of problems, from the columns of their file: kept for evaluation, never needed by a run.

MATH and MATH-500 have ``level`` and ``subject`` or ``type``, MMLU has ``subject``. Left out: a guess at the difficulty
of problems that say none, e.g. from the base student's own pass rates, which would regress to the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.problems.files import ProblemFile
from paced.run.tablefile import read_rows
from paced.run.tablefile.cells import is_missing

KINDS = ("level", "subject")
COLUMNS = {"level": ("level",), "subject": ("subject", "type")}
"""What a label is called in problem files; the first column with a value counts."""
LONGEST = 80
"""Characters of a label that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProblemLabels:
    """What a problem file says about one problem besides its text and answer."""

    problem_id: str
    """The problem."""
    level: str = ""
    """Its difficulty as the file writes it; empty when there is none."""
    subject: str = ""
    """Its subject, from ``subject`` or ``type``; empty when there is none."""


def read_labels(path: str | Path, file: ProblemFile) -> list[ProblemLabels]:
    """The labels of the problems of a file, in their order; empty when the file has no such column.

    Args:
        path: where the file is.
        file: the problems that were read from it.

    Example:
        >>> import tempfile
        >>> from paced.problems.files import read_problems
        >>> path = Path(tempfile.mkdtemp()) / "math.jsonl"
        >>> _ = path.write_text('{"problem": "2+2", "answer": "4", "problem_id": "a", "level": 1, "type": "Sums"}\\n')
        >>> read_labels(path, read_problems(path))
        [ProblemLabels(problem_id='a', level='1', subject='Sums')]
    """
    rows = dict(read_rows(Path(path), []))
    labels = [
        ProblemLabels(problem_id=problem.problem_id, **{kind: _label(rows.get(number, {}), kind) for kind in KINDS})
        for problem, number in zip(file.problems, file.rows, strict=True)
    ]
    return labels if any(row.level or row.subject for row in labels) else []


def _label(row: Mapping[str, Any], kind: str) -> str:
    values = [row.get(name) for name in COLUMNS[kind]]
    written = [str(value).strip() for value in values if not (is_missing(value) or isinstance(value, (list, dict)))]
    return next((label[:LONGEST] for label in written if label), "")
