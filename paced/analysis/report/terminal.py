"""The results of a run on the terminal: the tables of the report as text."""

from __future__ import annotations

from collections.abc import Sequence

from paced.analysis.report.results import differences, results_table
from paced.analysis.results.comparison import compare, report_method, unfinished
from paced.analysis.results.intervals import accuracies, mean_with_interval
from paced.records import PassRate, Table
from paced.run.folder import RunFolder
from paced.run.inert import say
from paced.run.storage import read_parquet


def print_results(run: RunFolder) -> None:
    """Print the tables of the report on the terminal: every method with intervals, and the paired differences."""
    results = compare(run)
    if results:
        print("\nHeld-out accuracy in per cent, gain and forgetting in points, [95 % interval over problems]")
        say(as_text(results_table(results)))
    if len(results) > 1:
        reference = report_method(run, [result.method for result in results])
        say(f"\n{reference} minus the others, paired by problem, in points")
        say(as_text(differences(results, reference)))
    for sentence in unfinished(run):
        say(sentence)
    print()


def evaluation_table(run: RunFolder, checkpoints: Sequence[str]) -> Table:
    """Formatted table of one run: a row for each checkpoint and held-out set, mean@k with its interval."""
    table: dict[str, list[str]] = {column: [] for column in ("student", "set", "problems", "mean@k")}
    for checkpoint in checkpoints:
        for item in run.config().evaluation.sets:
            rates = accuracies(read_parquet(run.counts(checkpoint, item.name), PassRate))
            mean = mean_with_interval(list(rates.values()))
            table["student"].append(checkpoint)
            table["set"].append(item.name)
            table["problems"].append(f"{len(rates):,}")
            table["mean@k"].append(mean.points())
    return table


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
