"""The results of a run on the terminal: the tables of the report as text."""

from __future__ import annotations

from paced.analysis.report.results import differences, reference_method, results_table
from paced.analysis.results.comparison import compare, unfinished
from paced.records import Table
from paced.run.folder import RunFolder


def print_results(run: RunFolder) -> None:
    """Print the tables of the report on the terminal: every method with intervals, and the paired differences."""
    results = compare(run)
    if results:
        print("\nHeld-out accuracy in per cent, gain and forgetting in points, [95 % interval over problems]")
        print(as_text(results_table(results)))
    if len(results) > 1:
        reference = reference_method(results)
        print(f"\n{reference} minus the others, paired by problem, in points")
        print(as_text(differences(results, reference)))
    for sentence in unfinished(run):
        print(sentence)
    print()


def as_text(table: Table) -> str:
    """A table in columns of equal width, numbers whole: a narrow terminal wraps lines and cuts nothing.

    Example:
        >>> print(as_text({"method": ["base", "paced"], "gain": ["", "+8.4"]}))
        method  gain
        base
        paced   +8.4
    """
    columns = [[name, *map(str, cells)] for name, cells in table.items()]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
