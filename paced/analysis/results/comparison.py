"""Runs side by side: what each gained, what each forgot, and which differences are larger than the noise.

Every number is paired by problem against the same base student, or against another method, so that the spread between
problems cancels. Intervals are over problems for these students; they do not cover the spread between students or
seeds, which a reader learns by running other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paced.analysis.results.intervals import Estimate, accuracies, mean_with_interval, paired_difference
from paced.errors import RunFolderError
from paced.records import PassRate, Table
from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet

BASE, FINAL = "base", "final"
"""Checkpoints that are evaluated: the student before training and after the last stage."""


def runs_by_method(run: RunFolder) -> Mapping[str, RunFolder]:
    """The compared methods that have begun by name, or the run itself under its own name."""
    return run.methods() or {run.config().name: run}


def report_method(run: RunFolder, methods: Sequence[str]) -> str:
    """Which of these methods the report compares with the others: the one that ``report.method`` names, or the first.

    Args:
        run: the run folder.
        methods: those that there is something to show of, at least one, in the order of the recipe.
    """
    named = run.config().report.method
    return named if named in methods else methods[0]


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """The held-out results of one run, all differences paired by problem."""

    method: str
    """Name of the run or of the compared method."""
    base: Mapping[str, Estimate]
    """Set name -> mean@k of the student before training."""
    final: Mapping[str, Estimate]
    """Set name -> mean@k after training."""
    change: Mapping[str, Estimate]
    """Set name -> final minus base, paired."""
    gain: Estimate | None
    """Change over all plasticity sets together; None without such a set."""
    forgetting: Estimate | None
    """Base minus final over all stability sets together, positive when skill was lost; None without such a set."""
    accuracy: Mapping[str, Mapping[str, float]]
    """Role -> accuracy of each problem after training, keyed ``set/problem``, to pair methods by problem."""


def read_result(run: RunFolder, method: str) -> MethodResult:
    """Held-out results of a finished run.

    Raises:
        RunFolderError: an evaluation is missing; the message says which command makes it.
    """
    config = run.config()
    per_set: dict[str, tuple[dict[str, float], dict[str, float]]] = {}
    for item in config.evaluation.sets:
        per_set[item.name] = (_read(run, BASE, item.name), _read(run, FINAL, item.name))
    before, after = _by_role(config, per_set, 0), _by_role(config, per_set, 1)
    gain = _change(after, before, "plasticity")
    kept = _change(before, after, "stability")
    return MethodResult(
        method=method,
        base={name: mean_with_interval(list(pair[0].values())) for name, pair in per_set.items()},
        final={name: mean_with_interval(list(pair[1].values())) for name, pair in per_set.items()},
        change={name: paired_difference(pair[1], pair[0]) for name, pair in per_set.items()},
        gain=gain,
        forgetting=kept,
        accuracy=after,
    )


def compare(run: RunFolder) -> list[MethodResult]:
    """Results of every compared method that has been evaluated, or of the run itself when it compares none.

    Edges: a method whose evaluation is missing does not cost the others theirs; :func:`unfinished` names it.
    """
    return [outcome for outcome in _outcomes(run) if isinstance(outcome, MethodResult)]


def unfinished(run: RunFolder) -> list[str]:
    """One sentence for each compared method without results: what is missing and which command makes it."""
    return [outcome for outcome in _outcomes(run) if isinstance(outcome, str)]


def gain_table(results: list[MethodResult]) -> Table:
    """Gain and forgetting of each method with their intervals, as the scatter figure wants them."""
    rows = [result for result in results if result.gain is not None and result.forgetting is not None]
    table: dict[str, list] = {"method": [result.method for result in rows]}
    for column in ("gain", "forgetting"):
        estimates: list[Estimate] = [getattr(result, column) for result in rows]
        table[column] = [estimate.value for estimate in estimates]
        table[f"{column}_low"] = [estimate.low for estimate in estimates]
        table[f"{column}_high"] = [estimate.high for estimate in estimates]
    return table


def difference_table(results: list[MethodResult], reference: str) -> Table:
    """Accuracy of ``reference`` minus that of each other method, paired by problem, with the verdict in words.

    Returns: columns ``method``, ``role``, ``difference``, ``difference_low``, ``difference_high``, ``verdict``:
        *higher*, *lower*, or *inside the noise* when the interval holds zero.
    """
    chosen = next((result for result in results if result.method == reference), None)
    if chosen is None:
        names = ", ".join(result.method for result in results)
        raise ValueError(f"difference_table: reference must be one of {names}, got {reference!r}.")
    table: dict[str, list] = {
        key: [] for key in ("method", "role", "difference", "difference_low", "difference_high", "verdict")
    }
    for result in results:
        for role in ("plasticity", "stability"):
            if result is chosen or not result.accuracy.get(role):
                continue
            estimate = paired_difference(chosen.accuracy[role], result.accuracy[role])
            table["method"].append(result.method)
            table["role"].append(role)
            table["difference"].append(estimate.value)
            table["difference_low"].append(estimate.low)
            table["difference_high"].append(estimate.high)
            table["verdict"].append(in_words(estimate))
    return table


def in_words(estimate: Estimate) -> str:
    """What an interval allows one to say of a difference.

    Example:
        >>> in_words(Estimate(value=0.01, low=-0.01, high=0.03, num_problems=100))
        'inside the noise'
    """
    if not estimate.excludes_zero():
        return "inside the noise"
    return "higher" if estimate.value > 0 else "lower"


def _outcomes(run: RunFolder) -> list[MethodResult | str]:
    config = run.config()
    folders = {name: run.method(name) for name in config.methods} or {config.name: run}
    outcomes: list[MethodResult | str] = []
    for name, folder in folders.items():
        try:
            outcomes.append(read_result(folder, name))
        except RunFolderError as error:
            outcomes.append(str(error))
    return outcomes


def _read(run: RunFolder, checkpoint: str, name: str) -> dict[str, float]:
    file = run.counts(checkpoint, name)
    if not file.exists():
        raise RunFolderError(
            f"{run.root}: has no evaluation of '{checkpoint}' on '{name}'. Run: paced evaluate {run.root}"
        )
    return accuracies(read_parquet(file, PassRate))


def _by_role(
    config: RunConfig, per_set: Mapping[str, tuple[dict[str, float], dict[str, float]]], which: int
) -> dict[str, dict[str, float]]:
    roles: dict[str, dict[str, float]] = {}
    for item in config.evaluation.sets:
        merged = roles.setdefault(item.role, {})
        merged.update({f"{item.name}/{key}": value for key, value in per_set[item.name][which].items()})
    return roles


def _change(
    minuend: Mapping[str, Mapping[str, float]], subtrahend: Mapping[str, Mapping[str, float]], role: str
) -> Estimate | None:
    return paired_difference(minuend[role], subtrahend[role]) if minuend.get(role) else None
