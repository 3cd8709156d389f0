"""A training set for another trainer: the problems with their pass rates and weights, in the form that it reads.

The table of rates, or of weights as ``paced weigh`` writes it, is joined with the problem file by id. Weights are
those of the whole table; ``unit_mean_weight`` is the weight divided by its mean over the problems that are exported,
since these are the set that will be trained on. Texts are copied as they are, never parsed.
Left out: completions and teachers. These trainers make their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paced.errors import BadRow, BadRows, ConfigError, did_you_mean
from paced.pipeline.export_chats import WITHOUT_WEIGHTS
from paced.pipeline.export_forms import FORMS
from paced.pipeline.export_rows import ExportedProblem, ExportOptions
from paced.pipeline.rate_state import settings_beside
from paced.problems.files import ProblemFile, read_problems
from paced.run.storage import write_atomic
from paced.run.tablefile import column_names, read_rows
from paced.run.tablefile.cells import number_of, shown
from paced.weights import WeightFunction, normalise
from paced.weights.table.read import CountTable, read_counts
from paced.weights.table.report import weights_text

WEIGHT = "weight"
"""Column of the table of ``paced weigh`` that is taken where no weight function is named."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote."""

    output: Path
    """The file."""
    num_problems: int
    """Its rows."""
    report: str
    """The same and what was left out, as lines for a person."""


def export_training_set(
    table: str | Path,
    problems: str | Path,
    output: str | Path,
    *,
    to: str,
    weight: WeightFunction | None = None,
    min_weight: float = 0.0,
    drop_zero: bool = False,
    options: ExportOptions | None = None,
    adapter: str = "auto",
) -> Exported:
    """Join rates with problems, weigh, filter, and write.

    Args:
        table: counts of passes with ids of problems, or the table that ``paced weigh`` made of them.
        problems: the problem file that was rated.
        output: .parquet, or .jsonl for trl and hf.
        to: a name in :data:`paced.pipeline.export_forms.FORMS`.
        weight: weight function; None takes the weights of the table, where it has none an error.
        min_weight: keep problems with at least this weight w >= 0, as the function gives it.
        drop_zero: leave out problems of weight 0.
        options: prompts and names; the plain problem text by default.
        adapter: how the columns of ``problems`` are read.

    Raises:
        ConfigError: files or names that cannot be used together; a set without a problem.
        BadRows: weights that are none.
    """
    table, problems, output, options = Path(table), Path(problems), Path(output), options or ExportOptions()
    if to in WITHOUT_WEIGHTS:
        raise ConfigError(
            f"export: {to} reads no weight of a problem from a file, as {WITHOUT_WEIGHTS[to]}. Without a weight in the "
            "loss, --to hf gives a set to draw from in proportion to its column weight."
        )
    if to not in FORMS:
        raise ConfigError(f"export: to must be one of {', '.join(FORMS)}, got {to!r}.{did_you_mean(to, FORMS)}")
    form = FORMS[to]
    if output.suffix.lower() not in form.suffixes:
        raise ConfigError(f"{output}: {to} reads {' and '.join(form.suffixes)}. Rename the output.")
    for source in (table, problems):
        if source.exists() and output.exists() and output.samefile(source):
            raise ConfigError(f"export: the output must not be an input, got {output}. Give another name with -o.")
    if not np.isfinite(min_weight) or min_weight < 0:
        raise ConfigError(f"export: min_weight must be finite and >= 0, got {min_weight}.")
    counts, file = read_counts(table), read_problems(problems, adapter=adapter)
    weights = _weights(table, counts, weight)
    places = _places(table, problems, counts, file)
    rated = [row for row, problem in enumerate(file.problems) if problem.problem_id in places]
    kept = [row for row in rated if _is_kept(weights[places[file.problems[row].problem_id]], min_weight, drop_zero)]
    if not kept:
        raise ConfigError(
            f"export: no problem is left of {len(rated):,} (largest weight {weights.max():g}). Lower --min-weight, or "
            "take another weight function."
        )
    at = np.array([places[file.problems[row].problem_id] for row in kept])
    if not weights[at].any():
        raise ConfigError("export: every weight is 0, so that there is nothing to train on. Take another --weight.")
    unit = normalise(weights[at])
    exported = [
        ExportedProblem(
            problem=file.problems[row],
            row=file.rows[row],
            num_passed=int(counts.num_passed[place]),
            num_rollouts=int(counts.num_rollouts[place]),
            weight=float(weights[place]),
            unit_mean_weight=float(unit_mean_weight),
        )
        for row, place, unit_mean_weight in zip(kept, at.tolist(), unit.unit_mean_weights, strict=True)
    ]
    write_atomic(output, form.encode(form.table(exported, problems, options), output.suffix.lower()))
    lines = [*file.notes, f"{len(kept):,} of {len(file.problems):,} problems of {problems}, weight: "]
    lines[-1] += "that of the table" if weight is None else str(weight)
    if len(rated) < len(file.problems):
        lines.append(f"left out: {len(file.problems) - len(rated):,} problems without a pass rate in {table}")
    if len(kept) < len(rated):
        lines.append(f"left out: {len(rated) - len(kept):,} problems by their weight")
    lines += [weights_text(unit), *_prompt_notes(table, to, options), f"written: {output}"]
    return Exported(output=output, num_problems=len(kept), report="\n".join(lines))


def has_weights(table: Path) -> bool:
    """Whether a table brings weights of its own, as ``paced weigh`` writes them."""
    return WEIGHT in column_names(table)


def _is_kept(weight: float, min_weight: float, drop_zero: bool) -> bool:
    return weight >= min_weight and not (drop_zero and weight == 0)


def _weights(table: Path, counts: CountTable, function: WeightFunction | None) -> Any:
    """float64 [num_problems], in the order of the counts: computed, or those that the table brings."""
    if function is not None:
        return function(counts.num_passed, counts.num_rollouts)
    if not has_weights(table):
        raise ConfigError(f"{table}: has no column 'weight'. Name a weight function, or weigh the table first.")
    of: dict[str, float] = {}
    bad: list[BadRow] = []
    for row, record in read_rows(table, bad):
        value = number_of(record.get(WEIGHT))
        if value is None or not np.isfinite(value) or value < 0:
            found = shown(record.get(WEIGHT))
            bad.append(BadRow(row=row, column=WEIGHT, found=found, fix="Write a finite number >= 0."))
        else:
            of[str(record.get(counts.layout.problem_id or ""))] = float(value)
    if bad:
        raise BadRows(str(table), bad)
    return np.array([of[str(name)] for name in counts.problem_ids.to_pylist()])


def _places(table: Path, problems: Path, counts: CountTable, file: ProblemFile) -> Mapping[str, int]:
    """Problem id -> its place in the table, every one of which is in the problem file."""
    if counts.layout.problem_id is None:
        raise ConfigError(f"{table}: has no column of problem ids to join it with {problems}. Add 'problem_id'.")
    places = {str(name): place for place, name in enumerate(counts.problem_ids.to_pylist())}
    known = {problem.problem_id for problem in file.problems}
    strangers = [name for name in places if name not in known]
    if strangers:
        names = ", ".join(map(shown, strangers[:3])) + (", ..." if len(strangers) > 3 else "")
        raise ConfigError(
            f"{table}: {len(strangers):,} of {len(places):,} problem ids are not in {problems} ({names}). Give the "
            "problem file that was rated; a problem without an id of its own has one of its text."
        )
    return places


def _prompt_notes(table: Path, to: str, options: ExportOptions) -> Sequence[str]:
    """Say when the rates are of another prompt than the one that will be trained on."""
    rated = settings_beside(table)
    given = {"prompts.student": options.prompt, "prompts.system": options.system}
    other = [f"{key}={rated[key]!r}" for key in given if key in rated and rated[key] != given[key]]
    if not other or to == "hf":
        return []
    return [f"the rates were measured with {' and '.join(other)}: --prompt and --system write the same here"]
