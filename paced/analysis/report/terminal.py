"""The results of a run on the terminal: the tables of the report as text."""

from __future__ import annotations

from collections.abc import Sequence

from paced.analysis.report.evaluation import cut_table, evaluation_remarks, evaluation_table, part_tables
from paced.analysis.report.results import differences, remarks, results_table
from paced.analysis.results.comparison import compare, report_method
from paced.records import Table
from paced.run.folder import RunFolder
from paced.run.inert import inert, say


def print_results(run: RunFolder) -> None:
    """Print the tables of the report on the terminal: every method with intervals, and the paired differences."""
    results, unfinished = compare(run)
    if results:
        print("\nHeld-out accuracy in per cent, gain and forgetting in points, [95 % interval over problems]")
        say(as_text(results_table(results)))
        reference = report_method(run, [result.method for result in results])
        if len(results) > 1:
            print(f"\n{reference} minus the others, paired by problem, in points; p by Holm over the other methods")
            say(as_text(differences(results, reference)))
        print()
        if any(
            one.num_truncated for result in results for of_sets in result.behind.values() for one in of_sets.values()
        ):
            print("Completions that the token limit cut, which count as failed, in per cent")
            say(as_text(cut_table(results)))
        else:
            print("The token limit cut no held-out completion.")
        for sentence in remarks(results, reference):
            say(sentence)
    for sentence in unfinished:
        say(sentence)
    print()


def print_evaluation(run: RunFolder, checkpoints: Sequence[str]) -> None:
    """Print what the checkpoints of one run got on its held-out sets, whole and by part."""
    print("in per cent, [95 % interval over problems]; cut: completions that the token limit cut, counted as failed")
    say(as_text(evaluation_table(run, checkpoints)))
    for caption, table in part_tables(run, checkpoints=checkpoints):
        print(f"\n{caption}")
        say(as_text(table))
    for sentence in evaluation_remarks(run, checkpoints):
        say(sentence)


def as_text(table: Table) -> str:
    """A table in columns of equal width, numbers whole: a narrow terminal wraps lines and cuts nothing.

    Example:
        >>> print(as_text({"method": ["base", "paced"], "gain": ["", "+8.4"]}))
        method  gain
        base
        paced   +8.4
    """
    columns = [[name, *(inert(cell) for cell in cells)] for name, cells in table.items()]
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
