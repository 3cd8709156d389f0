"""The cells of one row of a table that may be wrong: each fault becomes a :class:`paced.errors.BadRow`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable
from typing import Any

from paced.errors import BadRow
from paced.records import UNGRADABLE
from paced.run.tablefile.cells import fault_of_text, is_missing, number_of, shown
from paced.weights.counts import MOST_ROLLOUTS
from paced.weights.table.spellings import Layout

PASS_WORDS = {"true", "yes", "correct", "pass", "passed", "t", "y"}
FAIL_WORDS = {"false", "no", "incorrect", "wrong", "fail", "failed", "f", "n", "no_answer", "truncated"}


RATE_ROUNDING = 5.1e-5
"""How far a written pass rate may be from s/K: half of the fourth decimal."""


def name_of(record: dict[str, Any], layout: Layout, row: int, bad: list[BadRow]) -> Hashable:
    """The problem's name in the type that the file gives it, or None after noting why there is none."""
    assert layout.problem_id is not None
    value = record.get(layout.problem_id)
    fix = ""
    if is_missing(value):
        fix = "Give every problem a name of its own."
    elif isinstance(value, (bool, bytes)):
        fix = "Name the problem by text or a number."
    elif isinstance(value, (list, dict)):
        value = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str):
        fix = fix or fault_of_text(value)
    if fix:
        bad.append(BadRow(row=row, column=layout.problem_id, found=shown(value), fix=fix))
        return None
    return value


def count_of(record: dict[str, Any], column: str, row: int, bad: list[BadRow], *, smallest: int) -> int | None:
    """A count, or None after noting why it is none."""
    value = record.get(column)
    number = number_of(value)
    fix = ""
    if number is None:
        fix = "Write a whole number in digits."
        if is_missing(value):
            fix = "Write the count, or remove the row."
        elif isinstance(value, bool):
            fix = "Write a whole number, not true or false."
    elif isinstance(number, float) and not math.isfinite(number):
        fix = "Write a finite count, or remove the row."
    elif not isinstance(number, int):
        fix = "Write the number of passes, not a rate or a mean." if 0 < number < 1 else "Write a whole number."
    elif number < smallest:
        fix = "A count cannot be negative."
        if smallest and number == 0:
            fix = "A problem needs at least one rollout: remove the row."
    elif number > MOST_ROLLOUTS:
        fix = f"No problem has more than {MOST_ROLLOUTS:,} rollouts: check the number, a time stamp is not a count."
    if fix:
        bad.append(BadRow(row=row, column=column, found=shown(value), fix=fix))
        return None
    assert isinstance(number, int)
    return number


def passes_of_rate(
    record: dict[str, Any], layout: Layout, row: int, rollouts: int | None, bad: list[BadRow]
) -> int | None:
    """s = rate · K if that is whole, up to the fourth digit of the rate; None after noting that it is not."""
    value = record.get(layout.first)
    rate, fix = number_of(value), ""
    if rate is None or not math.isfinite(rate):
        fix = "Write the pass rate, or remove the row." if is_missing(value) else "Write the pass rate as a number."
    elif not 0 <= rate <= 1:
        fix = "A pass rate is between 0 and 1; write passes as num_passed."
    elif rollouts is None:
        return None
    elif abs(rate - round(rate * rollouts) / rollouts) > RATE_ROUNDING:
        fix = f"{rate:g} of {rollouts} rollouts is {rate * rollouts:g} passes: write the passes as num_passed."
    if fix:
        bad.append(BadRow(row=row, column=layout.first, found=shown(value), fix=fix))
        return None
    assert rate is not None
    assert rollouts is not None
    return round(rate * rollouts)


def outcome_in(value: object) -> str | None:
    """passed, failed or ungradable, or None for a value that is not an outcome.

    Example:
        >>> [outcome_in(value) for value in (1, "0.0", True, "no_answer", "grader_error", 0.5)]
        ['passed', 'failed', 'passed', 'failed', 'ungradable', None]
    """
    word = str(value).strip().lower()
    if word in PASS_WORDS or number_of(value) == 1:
        return "passed"
    if word in FAIL_WORDS or number_of(value) == 0:
        return "failed"
    return "ungradable" if word in UNGRADABLE else None


def outcome_of(record: dict[str, Any], column: str, row: int, bad: list[BadRow]) -> str | None:
    """passed, failed or ungradable, or None after noting why it is none of them."""
    value = record.get(column)
    outcome = None if is_missing(value) else outcome_in(value)
    if outcome is None:
        fix = "Write 1 or 0, true or false, or a verdict such as correct or incorrect."
        if is_missing(value):
            fix = "Write the outcome, or remove the row if the rollout was not graded."
        elif number_of(value) == -1:
            fix = "Write 0 for a failed rollout; scores of ±1 have no meaning as a mean."
        bad.append(BadRow(row=row, column=column, found=shown(value), fix=fix))
    return outcome


def sample_of(record: dict[str, Any], layout: Layout, row: int, bad: list[BadRow]) -> Hashable:
    """Which rollout of its problem a row is, or None after noting that it does not say; 1, 1.0 and '1' are the same."""
    value = record.get(layout.sample_index)
    if is_missing(value) or isinstance(value, (bool, bytes, list, dict)):
        fix = "Write which rollout of its problem this is, by a number or a name."
        bad.append(BadRow(row=row, column=layout.sample_index, found=shown(value), fix=fix))
        return None
    number = number_of(value)
    return str(value).strip() if number is None else number


def looks_like_row(layout: Layout) -> Callable[[dict[str, str]], bool]:
    """Whether the cells of one line of CSV hold counts, or an outcome, where the layout has them."""

    def counts(cells: dict[str, str]) -> bool:
        first = number_of(cells.get(layout.first))
        return isinstance(number_of(cells.get(layout.second)), int) and (layout.rate or isinstance(first, int))

    def outcome(cells: dict[str, str]) -> bool:
        return outcome_in(cells.get(layout.first)) is not None

    if layout.kind == "samples":
        return outcome
    return counts if layout.kind == "counts" else lambda cells: counts(cells) or outcome(cells)
