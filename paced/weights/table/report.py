"""What ``paced fit`` prints and what ``paced weigh FILE`` writes: fits and weights for a user who has only a table."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paced.errors import check_choice
from paced.run.tablefile.cells import number_of
from paced.weights import WEIGHTS, BetaKernel, NormalisedWeights, WeightFunction, fit, normalise
from paced.weights.budget.planner import PolicyPlan, plan_rollouts, plan_text
from paced.weights.budget.rollout_value import rollout_value, rollout_value_text
from paced.weights.counts import CountHistogram
from paced.weights.fit.fit import fit_cells
from paced.weights.fit.intervals import Interval
from paced.weights.fit.result import FitResult
from paced.weights.table.cells import read_cells
from paced.weights.table.read import read_counts, write_weights
from paced.weights.table.spellings import Layout


def fit_file(
    path: Path,
    *,
    zpd: float | None = None,
    level: float = 0.95,
    num_resamples: int = 199,
    seed: int = 0,
    budget: int | None = None,
) -> tuple[str, str, Sequence[FitResult]]:
    """Fit a file of counts by all three methods.

    Args:
        path: as :func:`paced.weights.table.read.read_counts`.
        zpd: ε of the zone, for "mle" and "paper".
        level: of the intervals.
        num_resamples: replicates of the goodness of fit.
        seed: of the replicates.
        budget: rollouts to plan for the same number of problems, if any.

    Returns: the text, the same as one JSON object, and the fits by mle, moments and paper.
    """
    file = read_cells(path)
    cells = file.cells
    best = fit_cells(cells, "mle", zpd)
    results = (best, fit_cells(cells, "moments", None), fit_cells(cells, "paper", zpd))
    quality = [result.gof(num_resamples=num_resamples, seed=seed) for result in results]
    fits = [{**result.to_dict(level=level), "gof": _gof(one)} for result, one in zip(results, quality, strict=True)]
    plan = None if budget is None else _plan(best, budget)
    data: dict[str, Any] = {"file": path.name, "notes": list(file.notes), "fits": fits}
    if plan is not None:
        data["plan"] = plan.to_dict()
    as_json = json.dumps(data, indent=2, allow_nan=False)
    lines = [
        _read(path, cells, file.layout, file.notes),
        "",
        best.summary(level=level),
        "",
        f"{'method':<10}{'alpha':>9}{'':>20}{'beta':>9}{'':>20}",
    ]
    lines[-1] += f"{'fit p-value':>13}"
    for result, one in zip(results, quality, strict=True):
        ends = result.conf_int(level)
        lines.append(
            f"{result.method:<10}{_number(result.alpha):>9}{_interval(ends.alpha):>20}"
            f"{_number(result.beta):>9}{_interval(ends.beta):>20}{_number(one.pvalue):>13}"
        )
    lines.append(
        f"Intervals at {100 * level:g}%. Fit p-value: parametric bootstrap of the deviance, {num_resamples} replicates;"
        "\nsmall means not a Beta law."
    )
    if results[2].success and best.success:
        lines.append(
            "The paper's interval is one for its formula, which is biased by rollout noise and the zone's cut."
        )
    if plan is not None:
        lines += ["", *plan.lines()]
    return "\n".join(lines), as_json, results


def weigh_file(path: Path, output: Path, *, weight: WeightFunction) -> str:
    """Read counts, weigh them, write ``output`` (parquet or CSV), and say what the weights are like."""
    if path.exists() and output.exists() and path.samefile(output):
        raise ValueError(f"weigh: the output must not be the input, got {output}. Give another name with -o.")
    table = read_counts(path)
    weights = weight(table.num_passed, table.num_rollouts)
    unit = normalise(weights)
    write_weights(output, table, weights, unit.unit_mean_weights)
    cells = CountHistogram.of(table.num_passed, table.num_rollouts, place="weigh")
    read = _read(path, cells, table.layout, table.all_notes)
    return "\n".join([read, f"weight: {weight}", weights_text(unit), f"written: {output}"])


def weights_text(unit: NormalisedWeights) -> str:
    """Effective sample size, share of zeros and the largest weight, in one line."""
    return (
        f"effective sample size {unit.ess:,.1f} of {unit.unit_mean_weights.size:,} ({100 * unit.ess_fraction:.1f} %), "
        f"weight zero {100 * unit.share_zero:.1f} %, largest unit-mean weight {unit.largest:.3f}"
    )


def weight_function(name: str, parameters: Sequence[str]) -> WeightFunction:
    """The weight function called ``name`` with parameters written as ``field=value``.

    Raises:
        ValueError: an unknown name, field or form.

    Example:
        >>> weight_function("beta", ["alpha=1", "beta=2", "estimator=posterior", "prior=[0.5, 0.5]"])
        BetaKernel(alpha=1, beta=2, estimator='posterior', prior=(0.5, 0.5), second_moment_exponents=(0.0, 0.0))
    """
    check_choice("weigh", "--weight", name, WEIGHTS)
    fields = [entry.name for entry in dataclasses.fields(WEIGHTS[name])]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for text in parameters:
        field, sign, value = text.partition("=")
        if not sign or field not in fields:
            known = ", ".join(fields) or "none"
            raise ValueError(f"weigh: parameters of '{name}' are field=value with fields {known}, got {text!r}.")
        if not value.strip():
            raise ValueError(
                f"weigh: parameter '{field}' of '{name}' has no value. Write {field}=VALUE, or leave it out."
            )
        if field in values:
            raise ValueError(f"weigh: parameter '{field}' of '{name}' is given twice. Give it once.")
        values[field] = _value(value)
    try:
        return WEIGHTS[name](**values)
    except TypeError as error:  # a value of another type, such as alpha=big
        raise ValueError(f"weigh: {error}") from error


def _value(text: str) -> Any:
    """A number, a pair of them in brackets, or the text itself.

    Not by YAML, which reads 5e-1 as text, 010 as eight and 1:30 as ninety.
    """
    text = text.strip()
    if text[0] in "[(" and text[-1] in "])":
        return tuple(_value(part) for part in text[1:-1].split(",") if part.strip())
    number = number_of(text)
    return text.strip("'\"") if number is None else number


def fitted_kernel(path: Path, *, zpd: float | None = None) -> BetaKernel:
    """The kernel with the exponents of a maximum-likelihood fit to the same file."""
    table = read_counts(path)
    return fit(table.num_passed, table.num_rollouts, zpd=zpd).kernel


def _read(path: Path, cells: CountHistogram, layout: Layout, notes: Sequence[str]) -> str:
    low, high = int(cells.num_rollouts.min()), int(cells.num_rollouts.max())
    text = (
        f"{path}: {cells.total:,} problems, {int(cells.num_problems @ cells.num_rollouts):,} rollouts "
        f"(K = {low if low == high else f'{low} to {high}'}), columns {', '.join(layout.columns)}"
    )
    return "\n".join([text, *notes])


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What a budget of rollouts buys under a fitted law; without policies where there is no law."""

    best: FitResult
    budget: int
    policies: tuple[PolicyPlan, ...]

    def lines(self) -> list[str]:
        if not self.policies:
            return [f"No plan for {self.budget:,} rollouts: {self.best.message}"]
        a, b = self.best.law
        title = (
            f"Policies for {self.budget:,} rollouts on {self.best.num_problems:,} problems from "
            f"Beta({a:.3g}, {b:.3g}), w = p(1-p):"
        )
        return [title, plan_text(self.policies), "", rollout_value_text(self.best.law, self._share)]

    @property
    def _share(self) -> int:
        """Rollouts of a problem."""
        return self.budget // self.best.num_problems

    def to_dict(self) -> dict[str, Any]:
        policies = [dataclasses.asdict(policy) for policy in self.policies]
        if not policies:
            return {"budget": self.budget, "policies": [], "message": self.best.message}
        kernel = {"alpha": 1.0, "beta": 1.0}
        value = rollout_value(self.best.law, self._share)
        law = list(self.best.law)
        return {"budget": self.budget, "law": law, "kernel": kernel, "policies": policies, "rollout_value": value}


def _plan(best: FitResult, budget: int) -> _Plan:
    a, b = best.law
    if not (best.success and a > 0 and b > 0):
        return _Plan(best, budget, ())
    return _Plan(best, budget, plan_rollouts((a, b), num_problems=best.num_problems, budget=budget))


def _gof(one: Any) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in one._asdict().items()
    }


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _interval(ends: Interval) -> str:
    return "" if math.isnan(ends.low) else f"[{ends.low:.3f}, {ends.high:.3f}]"
