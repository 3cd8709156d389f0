"""What a problem set holds, before anything is asked: adapter, counts, types, conflicts, golds that fail, two rows.

The set is read in quarantine, so that everything that is wrong with it is seen at once.
Left out: judgements on how hard or how clean the problems are.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.errors import BadRow
from paced.pipeline.preflight_problems import gold_faults
from paced.problems.adapters import AUTO, DATASETS
from paced.problems.columns import HEAD
from paced.problems.files import ProblemFile, read_problems
from paced.problems.sources import files_of, first_rows
from paced.records import Problem
from paced.run.config import GradingConfig
from paced.run.schema import Choice

SHOWN = 5
"""Bad rows and failing golds that are shown."""
HALF_AN_AIME = 15
"""Problems of AIME I or AIME II: of some copies one half is easily taken for the whole."""


@dataclass(frozen=True)
class Inspection:
    """A problem set as it was read, and what its own grader says of it."""

    path: str
    file: ProblemFile
    answer_types: dict[str, int]
    """Answer type -> problems."""
    failing: list[BadRow]
    """Golds that are graded wrong when a completion says exactly them."""
    samples: list[tuple[dict[str, Any], Problem]]
    """Two rows before and after."""

    @property
    def conflicting(self) -> int:
        """Rows put aside because their problem has two different golds."""
        return sum(any("gives the same problem" in fault.fix for fault in one.faults) for one in self.file.quarantined)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return self.file.counts() | {
            "file": self.path,
            "roles": dict(self.file.roles),
            "answer_types": self.answer_types,
            "conflicting": self.conflicting,
            "failing_golds": [{"row": one.row, "found": one.found, "fix": one.fix} for one in self.failing],
            "bad_rows": [one.as_json() | {"record": None} for one in self.file.quarantined],
            "notes": list(self.file.notes),
        }

    def report(self) -> str:
        """The same as lines of text."""
        file, counts = self.file, self.file.counts()
        lines = [f"{self.path}: {file.adapter}, {DATASETS[file.adapter].about}"]
        lines += [f"  {role:<12} from {column!r}" for role, column in file.roles.items()]
        lines.append(
            f"{counts['rows']:,} rows = {counts['problems']:,} problems + {counts['repeated']:,} repeats + "
            f"{counts['quarantined']:,} bad rows"
        )
        types = ", ".join(f"{name} {count:,}" for name, count in self.answer_types.items())
        lines.append(f"answer types: {types}")
        solved = sum(bool(problem.solution) for problem in file.problems)
        lines.append(f"expert solutions: {solved:,} of {len(file.problems):,}")
        for name in ("subject", "level"):
            values = Counter(getattr(problem, name) for problem in file.problems if getattr(problem, name))
            if values:
                most = ", ".join(f"{value} {count:,}" for value, count in values.most_common(8))
                lines.append(f"{name}s: {most}" + (f" and {len(values) - 8} more" if len(values) > 8 else ""))
        lines.append(f"conflicting golds: {self.conflicting:,} rows")
        lines.append(f"golds that fail their own grading: {len(self.failing):,}")
        lines += [f"  {fault}" for fault in self.failing[:SHOWN]]
        if file.quarantined:
            lines.append(f"bad rows: {len(file.quarantined):,}")
            lines += [f"  {fault}" for one in file.quarantined[:SHOWN] for fault in one.faults]
        lines += [f"note: {note}" for note in file.notes if "read as" not in note and "quarantined" not in note]
        if len(file.problems) == HALF_AN_AIME and set(self.answer_types) == {"integer"}:
            lines.append("note: 15 problems with integers for answers: if this is AIME, it is one of its two halves")
        for number, (before, after) in enumerate(self.samples, start=1):
            lines.append(f"row {number} before: {_cut(json.dumps(before, ensure_ascii=False, default=str))}")
            known = {name: getattr(after, name) for name in after.__slots__ if getattr(after, name)}
            lines += [f"row {number} after:", *(f"  {name}: {_cut(value)}" for name, value in known.items())]
        return "\n".join(lines)


def inspect_problems(path: str | Path, *, adapter: str = AUTO, answer_format: str = "boxed") -> Inspection:
    """Read a set in quarantine and grade its golds against themselves.

    Args:
        path: as for :func:`paced.problems.files.read_problems`.
        adapter: a name, or ``auto``.
        answer_format: how a completion would say the answer.

    Raises:
        ConfigError: no such file or adapter, or columns that no adapter knows.
        BadRows: no row can be used.
    """
    file = read_problems(path, adapter=adapter, on_bad_row="quarantine")
    failing = gold_faults(file.problems, GradingConfig(answer_format=Choice(answer_format)), rows=file.rows)
    first = files_of(path)[0]
    head = first_rows(first, HEAD)
    by_row = dict(zip(file.rows, file.problems, strict=True))
    samples = [(row, by_row[number]) for number, row in head if number in by_row]
    types = Counter(problem.answer_type for problem in file.problems)
    return Inspection(str(path), file, dict(types.most_common()), failing, samples[:2])


def _cut(text: str) -> str:
    return text if len(text) <= 400 else f"{text[:397]}..."
