"""Formatted tables on what stands behind the accuracies: metrics at k, completions cut, accuracy by part of a set."""

from __future__ import annotations

from collections.abc import Sequence

from paced.analysis.results.at_k import at_k
from paced.analysis.results.breakdown import breakdowns
from paced.analysis.results.comparison import BASE, FINAL, MethodResult, runs_by_method
from paced.analysis.results.denominators import Denominator, denominator, remarks
from paced.problems.labels import ProblemLabels
from paced.records import Grade, PassRate, Table
from paced.run.folder import RunFolder
from paced.run.presets import set_sampling
from paced.run.storage import read_parquet, read_records


def cut_table(results: Sequence[MethodResult]) -> Table:
    """Share of completions that the token limit cut, in per cent: a row for each method, a column for each set."""
    sets = list(results[0].final)
    rows: dict[str, list[str]] = {column: [] for column in ("method", *sets)}
    behind = [("base", results[0].behind[BASE]), *((result.method, result.behind[FINAL]) for result in results)]
    for method, of_sets in behind:
        rows["method"].append(method)
        for name in sets:
            rows[name].append(_share(of_sets[name]))
    return rows


def metric_table(run: RunFolder, methods: Sequence[str]) -> Table:
    """mean@k, pass@k and maj@k: a row for the base and each method on each set, a column a metric."""
    runs = runs_by_method(run)
    asked = [("base", runs[methods[0]], BASE), *((method, runs[method], FINAL) for method in methods)]
    rows = []
    for method, folder, checkpoint in asked:
        for item in folder.config().evaluation.sets:
            rows.append({"method": method, "set": item.name} | _metrics(folder, checkpoint, item.name))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return {column: [row.get(column, "") for row in rows] for column in columns}


def evaluation_table(run: RunFolder, checkpoints: Sequence[str]) -> Table:
    """Formatted table of one run: a row for each checkpoint and held-out set, with all that its completions allow."""
    rows = []
    for checkpoint in checkpoints:
        for item in run.config().evaluation.sets:
            behind = denominator(read_parquet(run.counts(checkpoint, item.name), PassRate))
            row = {"student": checkpoint, "set": item.name}
            row["problems"] = f"{behind.num_problems - len(behind.ungraded):,}"
            row["cut, %"] = _share(behind)
            rows.append(row | _metrics(run, checkpoint, item.name))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return {column: [row.get(column, "") for row in rows] for column in columns}


def evaluation_remarks(run: RunFolder, checkpoints: Sequence[str]) -> list[str]:
    """Sentences on completions that were cut and problems that could not be graded, of one run."""
    config = run.config()
    return [
        sentence
        for checkpoint in checkpoints
        for item in config.evaluation.sets
        for sentence in remarks(
            f"{checkpoint} on '{item.name}'",
            denominator(read_parquet(run.counts(checkpoint, item.name), PassRate)),
            set_sampling(config, item).max_new_tokens,
        )
    ]


def part_tables(
    run: RunFolder, method: str = "", checkpoints: Sequence[str] = (BASE, FINAL)
) -> list[tuple[str, Table]]:
    """(caption, table) by difficulty and by subject of each set whose file says them; of one method or the run."""
    folder = runs_by_method(run)[method] if method else run
    tables = []
    for item in folder.config().evaluation.sets:
        file = folder.evaluation_labels(item.name)
        if not file.exists():
            continue
        counts = [read_parquet(folder.counts(checkpoint, item.name), PassRate) for checkpoint in checkpoints]
        for kind, table in breakdowns(read_parquet(file, ProblemLabels), *counts).items():
            whose = f" ({method})" if method else ""
            tables.append((f"'{item.name}' by {kind}{whose}: mean@k in per cent, change in points", table))
    return tables


def _metrics(run: RunFolder, checkpoint: str, name: str) -> dict[str, str]:
    rates = read_parquet(run.counts(checkpoint, name), PassRate)
    if not any(rate.num_rollouts for rate in rates):
        return {}
    file = run.evaluation_grades(checkpoint, name)
    grades = read_records(file, Grade) if file.exists() else []
    return {metric: estimate.points() for metric, estimate in at_k(rates, grades).items()}


def _share(behind: Denominator) -> str:
    return f"{100 * behind.truncated_share:.1f}"
