"""Runs side by side: what each gained, what each forgot, and which differences are larger than the noise.

Every number is paired by problem against the same base student, or against another method, so that the spread between
problems cancels. A problem that one of the two lacks cannot be paired, and is named. Intervals are over problems for
these students; they do not cover the spread between students or seeds, which a reader learns by running other seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from paced.analysis.results.denominators import Denominator, denominator, listed, remarks
from paced.analysis.results.intervals import (
    LEVEL,
    Estimate,
    accuracies,
    holm,
    mean_with_interval,
    paired_difference,
)
from paced.errors import RunFolderError, check_choice
from paced.records import PassRate, Table
from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.presets import set_sampling
from paced.run.storage import read_parquet

BASE, FINAL = "base", "final"
"""Checkpoints that are evaluated: the student before training and after the last stage."""


def runs_by_method(run: RunFolder) -> Mapping[str, RunFolder]:
    """The compared methods that have begun by name, or the run itself under its own name."""
    return run.methods() or {run.config().name: run}


def report_method(run: RunFolder, methods: Sequence[str]) -> str:
    """Which of these methods the report holds against the others: the one that ``report.method`` names, or the first.

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
    behind: Mapping[str, Mapping[str, Denominator]]
    """Checkpoint -> set name -> what the accuracy is a share of."""
    remarks: tuple[str, ...] = ()
    """Sentences on completions that were cut, and on problems that are in no mean or in no pair."""


def read_result(run: RunFolder, method: str) -> MethodResult:
    """Held-out results of a finished run.

    Raises:
        RunFolderError: an evaluation is missing; the message says which command makes it.
    """
    config = run.config()
    rates = {
        checkpoint: {item.name: _read(run, checkpoint, item.name) for item in config.evaluation.sets}
        for checkpoint in (BASE, FINAL)
    }
    per_set = {
        item.name: (accuracies(rates[BASE][item.name]), accuracies(rates[FINAL][item.name]))
        for item in config.evaluation.sets
    }
    before, after = _by_role(config, per_set, 0), _by_role(config, per_set, 1)
    behind = {
        checkpoint: {name: denominator(counts) for name, counts in of_sets.items()}
        for checkpoint, of_sets in rates.items()
    }
    return MethodResult(
        method=method,
        base={name: _mean(run, BASE, name, pair[0]) for name, pair in per_set.items()},
        final={name: _mean(run, FINAL, name, pair[1]) for name, pair in per_set.items()},
        change={name: _paired(run, name, pair[1], pair[0]) for name, pair in per_set.items()},
        gain=_change(after, before, "plasticity"),
        forgetting=_change(before, after, "stability"),
        accuracy=after,
        behind=behind,
        remarks=tuple(_remarks(config, method, behind, per_set)),
    )


class Compared(NamedTuple):
    """The methods of a run, with results or without."""

    results: list[MethodResult]
    """Of every method that has been evaluated."""
    unfinished: list[str]
    """One sentence for each of the others: what is missing and which command makes it."""


def compare(run: RunFolder) -> Compared:
    """Results of every compared method, or of the run itself when it compares none.

    Edges: a method whose evaluation is missing does not cost the others theirs.
    """
    config = run.config()
    compared = Compared([], [])
    for name, folder in ({name: run.method(name) for name in config.methods} or {config.name: run}).items():
        try:
            compared.results.append(read_result(folder, name))
        except RunFolderError as error:
            compared.unfinished.append(str(error))
    return compared


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

    Returns: columns ``method``, ``role``, ``difference``, ``difference_low``, ``difference_high`` (one 95 % interval
        each), ``p_value``, ``p_holm`` (adjusted for the family: all methods on one skill), ``num_problems``, and
        ``verdict``: *higher*, *lower*, or *inside the noise* when ``p_holm`` is 0.05 or more.
    """
    by_method = {result.method: result for result in results}
    check_choice("difference_table", "reference", reference, by_method)
    chosen = by_method[reference]
    rows: dict[tuple[str, str], tuple[Estimate, float]] = {}
    for role in ("plasticity", "stability"):
        others = [result for result in results if result is not chosen and result.accuracy.get(role)]
        pairs = [(chosen.accuracy[role], result.accuracy[role]) for result in others]
        family = {
            result.method: paired_difference(*pair)
            for result, pair in zip(others, pairs, strict=True)
            if pair[0].keys() & pair[1].keys()
        }
        adjusted = holm([estimate.p_value or 0.0 for estimate in family.values()])
        rows |= {
            (name, role): row for name, row in zip(family, zip(family.values(), adjusted, strict=True), strict=True)
        }
    ordered = [(name.method, role) for name in results for role in ("plasticity", "stability")]
    kept = [(key, *rows[key]) for key in ordered if key in rows]
    return {
        "method": [name for (name, _), _, _ in kept],
        "role": [role for (_, role), _, _ in kept],
        "difference": [estimate.value for _, estimate, _ in kept],
        "difference_low": [estimate.low for _, estimate, _ in kept],
        "difference_high": [estimate.high for _, estimate, _ in kept],
        "p_value": [estimate.p_value for _, estimate, _ in kept],
        "p_holm": [p_holm for _, _, p_holm in kept],
        "num_problems": [estimate.num_problems for _, estimate, _ in kept],
        "verdict": [in_words(estimate.value, p_holm) for _, estimate, p_holm in kept],
    }


def in_words(difference: float, p_value: float) -> str:
    """What a p-value, adjusted for its family, allows one to say of a difference.

    Example:
        >>> in_words(0.01, 0.2), in_words(0.01, 0.003), in_words(-0.01, 0.003)
        ('inside the noise', 'higher', 'lower')
    """
    if p_value >= 1 - LEVEL:
        return "inside the noise"
    return "higher" if difference > 0 else "lower"


def unpaired(results: Sequence[MethodResult], reference: str) -> list[str]:
    """A sentence for each method that lacks problems which ``reference`` has, or has others: they cannot be paired."""
    chosen = next(result for result in results if result.method == reference)
    said = []
    for result in results:
        for role, accuracy in chosen.accuracy.items():
            apart = sorted(accuracy.keys() ^ result.accuracy.get(role, {}).keys())
            if apart:
                said.append(
                    f"{reference} against {result.method}: {len(apart):,} problems have a grade in one of them only "
                    f"and are in no difference: {listed(apart)}."
                )
    return said


def _read(run: RunFolder, checkpoint: str, name: str) -> list[PassRate]:
    file = run.counts(checkpoint, name)
    if not file.exists():
        raise RunFolderError(
            f"{run.root}: has no evaluation of '{checkpoint}' on '{name}'. Run: paced evaluate {run.root}"
        )
    return read_parquet(file, PassRate)


def _mean(run: RunFolder, checkpoint: str, name: str, accuracy: Mapping[str, float]) -> Estimate:
    if not accuracy:
        raise RunFolderError(
            f"{run.root}: no completion of '{checkpoint}' on '{name}' could be graded. The reasons are in "
            f"{run.evaluation_grades(checkpoint, name)}."
        )
    return mean_with_interval(list(accuracy.values()))


def _paired(run: RunFolder, name: str, after: Mapping[str, float], before: Mapping[str, float]) -> Estimate:
    if not after.keys() & before.keys():
        raise RunFolderError(
            f"{run.root}: '{BASE}' and '{FINAL}' share no graded problem of '{name}'. Run: paced evaluate {run.root}"
        )
    return paired_difference(after, before)


def _remarks(
    config: RunConfig,
    method: str,
    behind: Mapping[str, Mapping[str, Denominator]],
    per_set: Mapping[str, tuple[dict[str, float], dict[str, float]]],
) -> list[str]:
    """What a reader of this method's accuracies must know, see ``denominators.py``."""
    said = []
    for item in config.evaluation.sets:
        limit = set_sampling(config, item).max_new_tokens
        for checkpoint, whose in ((BASE, f"{method}, before training"), (FINAL, f"{method}, after training")):
            said += remarks(f"{whose}, on '{item.name}'", behind[checkpoint][item.name], limit)
        before, after = per_set[item.name]
        graded_once = sorted(before.keys() ^ after.keys())
        if graded_once:
            said.append(
                f"{method}, change on '{item.name}': {len(graded_once):,} problems have a grade before or after "
                f"training only and are in no pair: {listed(graded_once)}."
            )
    return said


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
