"""The report's section on the pass rates of stage 1 and the weights made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from paced.analysis.page import Section, draw_picture
from paced.analysis.results.comparison import report_method, runs_by_method
from paced.analysis.results.pass_rates import histogram_table, weight_table
from paced.records import PassRate, ProblemWeight, Table
from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet
from paced.weights import WEIGHTS, normalise


def pass_rates_section(run: RunFolder) -> Section:
    """The histogram of pass rates before training, and what each method's weights make of it."""
    from paced.analysis.report import figures_run

    runs = runs_by_method(run)
    drawn = report_method(run, list(runs))
    file = run.stage(1).pass_rates
    if not file.exists():
        file = next((other.stage(1).pass_rates for other in runs.values() if other.stage(1).pass_rates.exists()), file)
    if not file.exists():
        return Section(title="Pass rates and weights", missing=(f"No pass rates yet. Run: paced grade {run.root}",))
    rates = read_parquet(file, PassRate)
    table = histogram_table(rates)
    kernel = _kernel_table(runs[drawn].config())
    pictures = [
        draw_picture(
            run,
            "pass-rates",
            lambda rows: figures_run.pass_rate_histogram(rows, kernel),
            table,
            "Pass rates of the student before training, with the kernel",
        )
    ]
    prose = [_ungradable(rates)]
    weights: dict[str, list[str]] = {
        key: [] for key in ("method", "ESS / N", "share at weight zero", "largest unit-mean weight")
    }
    for method, other in runs.items():
        if other.stage(1).weights.exists():
            rows = read_parquet(other.stage(1).weights, ProblemWeight)
            summary = normalise([row.weight for row in rows])
            weights["method"].append(method)
            weights["ESS / N"].append(f"{summary.ess_fraction:.3f}")
            weights["share at weight zero"].append(f"{100 * summary.share_zero:.1f} %")
            weights["largest unit-mean weight"].append(f"{summary.largest:.2f}")
            if method == drawn:
                profile = weight_table(rates, rows)
                title = f"Where the training weight goes ({method})"
                pictures.append(draw_picture(run, "weight-profile", figures_run.weight_profile, profile, title))
    tables = (("Weights of stage 1", weights),) if weights["method"] else ()
    return Section(title="Pass rates and weights", prose=tuple(prose), tables=tables, pictures=tuple(pictures))


def _kernel_table(config: RunConfig) -> Table | None:
    function = WEIGHTS[config.weights.name](**config.weights.parameters)
    at: Callable | None = getattr(function, "at", None)
    if at is None:
        return None
    grid = np.linspace(0.0, 1.0, 201)
    return {"pass_rate": grid.tolist(), "weight": np.asarray(at(grid), dtype=float).tolist()}


def _ungradable(rates: Sequence[PassRate]) -> str:
    rollouts = sum(rate.num_rollouts + rate.num_ungradable for rate in rates)
    truncated = sum(rate.num_truncated for rate in rates)
    ungradable = sum(rate.num_ungradable for rate in rates)
    return (
        f"{rollouts:,} rollouts; {100 * truncated / rollouts:.1f} % were cut by the token limit and count as failed, "
        f"{100 * ungradable / rollouts:.1f} % could not be graded and left the denominator."
    )
