"""Accuracy by difficulty and by subject, where the problem file has such columns.

A part has fewer problems than the whole, so its interval is wider; and among many parts some look changed by chance.
These tables are for looking where a change is, and carry no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paced.analysis.results.denominators import denominator
from paced.analysis.results.intervals import accuracies, mean_with_interval, paired_difference
from paced.problems.labels import KINDS, ProblemLabels
from paced.records import PassRate, Table

MOST_PARTS = 60
"""Values of one column that are shown (MMLU has 57 subjects); a column with more is an id, or free text."""


def breakdowns(
    labels: Sequence[ProblemLabels], before: Sequence[PassRate], after: Sequence[PassRate] = ()
) -> dict[str, Table]:
    """A formatted table for each column that parts the set: mean@k of each part before, after, and the paired change.

    Args:
        labels: difficulty and subject of each problem, where the file had them.
        before: counts of the base student, or of the only one.
        after: counts of the trained student; empty without one.

    Returns: column (``level``, ``subject``) -> table with that column, ``problems`` and, in per cent, ``cut``
        (completions that the token limit cut), ``base``, ``final``, ``change``; empty where no column has two values.
    """
    tables = {}
    for kind in KINDS:
        part_of = {row.problem_id: getattr(row, kind) or "(none)" for row in labels}
        parts = sorted(set(part_of.values()), key=_order)
        if 2 <= len(parts) <= MOST_PARTS:
            tables[kind] = _table(kind, parts, part_of, before, after)
    return tables


def _table(
    kind: str, parts: Sequence[str], part_of: Mapping[str, str], before: Sequence[PassRate], after: Sequence[PassRate]
) -> Table:
    columns = (kind, "problems", "cut", "base", *(("final", "change") if after else ()))
    table: dict[str, list[str]] = {column: [] for column in columns}
    for part in parts:
        base, final = ([rate for rate in rates if part_of.get(rate.problem_id) == part] for rates in (before, after))
        one, two = accuracies(base), accuracies(final)
        if not one:
            continue
        table[kind].append(part)
        table["problems"].append(f"{len(one):,}")
        table["cut"].append(f"{100 * denominator(final or base).truncated_share:.1f}")
        table["base"].append(mean_with_interval(list(one.values())).points())
        if after:
            table["final"].append(mean_with_interval(list(two.values())).points() if two else "not graded")
            both = one.keys() & two.keys()
            table["change"].append(paired_difference(two, one).points(signed=True) if both else "not graded")
    return table


def _order(part: str) -> tuple[int, float, str]:
    """Numbers by size, other values by name: ``Level 2`` and ``2`` come before ``Level 10`` and ``10``."""
    digits = "".join(character for character in part if character.isdigit())
    return (0, float(digits), part) if digits else (1, 0.0, part)
