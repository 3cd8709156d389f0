"""Which column of someone else's file is meant: the names that the field gives to the same few quantities."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

PASSED = (
    "num_passed", "passed", "passes", "num_passes", "n_passed", "n_passes", "pass_count", "passed_count",
    "num_correct", "n_correct", "correct_count", "count_correct", "corrects", "num_success", "num_successes",
    "n_success", "n_successes", "successes", "success_count", "num_solved", "n_solved", "solved", "s", "c",
)  # fmt: skip
ROLLOUTS = (
    "num_rollouts", "rollouts", "n_rollouts", "rollout_count", "num_samples", "n_samples", "samples", "sample_count",
    "num_trials", "n_trials", "trials", "num_attempts", "n_attempts", "attempts", "num_total", "total", "total_count",
    "group_size", "n",
)  # fmt: skip
IDS = (
    "problem_id", "id", "uid", "unique_id", "question_id", "prompt_id", "task_id", "item_id", "example_id",
    "problem", "question", "prompt", "index", "idx", "name",
)  # fmt: skip
OUTCOME = (
    "correct", "is_correct", "passed", "is_passed", "pass", "success", "is_success", "solved", "verdict", "acc",
    "accuracy", "score", "reward", "grade", "label", "outcome", "result",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """What a file holds and in which of its columns."""

    kind: Literal["counts", "samples"]
    """counts: one row for each problem; samples: one row for each graded rollout."""
    problem_id: str | None
    """Column of the problem's name; None in a file of counts means that rows are numbered from 0."""
    first: str
    """Column of num_passed, or of the outcome of one rollout."""
    second: str
    """Column of num_rollouts; empty for samples."""


def find_layout(file: str, names: Sequence[str]) -> Layout:
    """Recognise the columns of a file.

    Case, spaces and hyphens do not matter. ``k`` is the number of rollouts beside ``s`` and of passes beside ``n``.

    Raises:
        ValueError: one name twice, or columns that cannot be recognised; the message says what was found and what to
            rename.

    Example:
        >>> find_layout("a.csv", ["Problem ID", "n-correct", "n_samples"])
        Layout(kind='counts', problem_id='Problem ID', first='n-correct', second='n_samples')
        >>> find_layout("a.csv", ["k", "n"]).first, find_layout("a.csv", ["s", "K"]).first
        ('k', 's')
        >>> find_layout("a.csv", ["id", "is_correct"]).kind
        'samples'
    """
    by_name: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[\s\-.]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).lower()
        if plain in by_name:
            raise ValueError(
                f"{file}: column '{name}' stands twice (as '{by_name[plain]}' too). Rename one of the two."
            )
        by_name[plain] = name
    problem_id = _first(by_name, IDS)
    passed, rollouts = _first(by_name, PASSED), _first(by_name, ROLLOUTS)
    if "k" in by_name:
        if passed is None and rollouts is not None:
            passed = by_name["k"]
        elif rollouts is None and passed is not None:
            rollouts = by_name["k"]
    if passed is not None and rollouts is not None:
        return Layout("counts", problem_id, passed, rollouts)
    outcome = _first(by_name, OUTCOME)
    if outcome is not None and problem_id is not None:
        return Layout("samples", problem_id, outcome, "")
    raise ValueError(_unknown(file, names, by_name, passed, rollouts, outcome))


def _first(by_name: dict[str, str], spellings: Sequence[str]) -> str | None:
    return next((by_name[name] for name in spellings if name in by_name), None)


def _unknown(
    file: str,
    names: Sequence[str],
    by_name: dict[str, str],
    passed: str | None,
    rollouts: str | None,
    outcome: str | None,
) -> str:
    found = ", ".join(f"'{name}'" for name in names) or "none"
    wanted = "Columns (num_passed, num_rollouts), or (problem_id, correct) with one row for each rollout, are needed"
    hint = "Rename the columns."
    if passed is not None or rollouts is not None:
        missing, have = ("num_rollouts", passed) if rollouts is None else ("num_passed", rollouts)
        hint = f"Column '{have}' is understood, its partner '{missing}' is missing: add or rename it."
    elif outcome is not None:
        hint = f"Column '{outcome}' is understood, 'problem_id' is missing: add it so that rollouts can be grouped."
    known = {*PASSED, *ROLLOUTS, *OUTCOME, *IDS}
    for plain, name in by_name.items():
        near = difflib.get_close_matches(plain, [one for one in known if len(one) > 3], n=1, cutoff=0.8)
        if plain not in known and near:
            hint += f" Did you mean '{near[0]}' by '{name}'?"
    if any("rate" in plain for plain in by_name):
        hint += " A pass rate alone is not enough: the number of rollouts decides how much it can be trusted."
    return f"{file}: columns found: {found}. {wanted}. {hint}"
