"""The training curves of one run or of several, read from their metrics files into one table."""

from __future__ import annotations

from collections.abc import Mapping

from paced.records import Table
from paced.run.folder import RunFolder
from paced.run.storage import read_lines


def training_table(runs: Mapping[str, RunFolder]) -> Table:
    """One row for each optimiser step of each run.

    Args:
        runs: method name -> run folder.

    Returns: columns ``method``, ``stage``, ``step``, ``loss`` (weighted, nats per token), ``grad_norm`` (before
        clipping); empty columns when no run has trained.
    """
    table: dict[str, list] = {key: [] for key in ("method", "stage", "step", "loss", "grad_norm")}
    for method, run in runs.items():
        for row, line in enumerate(read_lines(run.metrics), start=1):
            table["method"].append(method)
            table["stage"].append(line["stage"])
            table["step"].append(row)
            table["loss"].append(line["loss"])
            table["grad_norm"].append(line["grad_norm"])
    return table
