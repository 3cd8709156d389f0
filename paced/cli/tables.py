"""Weights from a table of pass rates, without any model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from paced.cli.app import app
from paced.cli.arguments import NORMAL, Count, JsonFile, Method, Root, Seed, Stage, Verbosity
from paced.cli.endings import FAILED
from paced.cli.extras import need_extra
from paced.cli.running import do_step, say_result, write_json_text
from paced.run.inert import say


@app.command(group="Weights from a table")
def fit(
    file: Path,
    *,
    zpd: Annotated[float | None, Parameter(validator=Number(gte=0, lt=0.5))] = None,
    level: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.95,
    figure: bool = True,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    budget: Count | None = None,
    num_resamples: Count = 199,
    seed: Seed = 0,
    json: JsonFile = None,
) -> int:
    """Fit the law of pass rates to a table and print the kernel exponents, by three methods, with intervals.

    Parameters
    ----------
    file
        CSV, JSON or parquet, gzipped or not, with (num_passed, num_rollouts), or one row for each graded rollout.
    zpd
        Epsilon: keep problems with epsilon <= pass rate <= 1 - epsilon (the paper's method takes 0.1 when not told).
    level
        Coverage of the intervals, > 0 and < 1.
    figure
        Draw the histogram with the fitted curves as PNG, and the CSV of it.
    output
        Name of the PNG; by default FILE with the suffix .fit.png.
    budget
        Rollouts to spend on as many problems; prints what each policy costs and how good its weights are.
    num_resamples
        Replicates of the goodness of fit.
    seed
        Seed of the replicates.
    json
        Write the fits as one JSON object to this file; `-` prints it instead of the text.
    """
    from paced.weights.table.report import fit_file

    text, as_json, results = fit_file(file, zpd=zpd, level=level, num_resamples=num_resamples, seed=seed, budget=budget)
    printed = write_json_text(json, as_json)
    if not printed:
        say(text)
    if figure:
        from paced.figures import save_figure
        from paced.weights.table.figure import fit_figure, fit_table

        table = fit_table(results)
        path = save_figure(fit_figure(table), table, output or file.with_suffix(".fit.png"))
        if not printed:
            print(f"figure: {path}")
    return 0 if results[0].success else FAILED


@app.command(group="Weights from a table")
def weigh(
    target: Path,
    *parameters: str,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    weight: str = "beta",
    fitted: Annotated[bool, Parameter(negative="")] = False,
    stage: Stage = 1,
    method: Method = "",
    root: Root = Path("runs"),
    verbosity: Verbosity = NORMAL,
) -> int:
    """Turn pass rates into weights, with unit mean over all problems: of a table, or of a stage of a run.

    Parameters
    ----------
    target
        A table of counts or graded rollouts (CSV, JSON, parquet); or a recipe (YAML) or run folder, whose own
        weight function is used.
    parameters
        Settings of the weight function, as alpha=1 beta=2 estimator=posterior.
    output
        Where to write the weights, .parquet or .csv.
    weight
        One of beta, uniform, hard_filter, drop_zero, target_difficulty, saturated, minimax or teacher_ceiling.
    fitted
        Take the beta kernel with the exponents that `paced fit` finds in the same table.
    """
    if target.is_dir() or target.suffix in {".yaml", ".yml"}:
        need_extra("weigh", "train")
        from paced.pipeline import steps
        from paced.pipeline.open import open_run

        folder = open_run(target, parameters, root=root, method=method, progress=verbosity.progress())
        do_step(steps.weigh, folder, stage, verbosity=verbosity)
        return say_result("weigh", folder.stage(stage).weights)
    from paced.weights.table.report import fitted_kernel, weigh_file, weight_function

    if output is None:
        raise ValueError("weigh: --output is needed for a table. Say where the weights go: -o weights.parquet.")
    if fitted and (parameters or weight != "beta"):
        raise ValueError(
            "weigh: --fitted chooses the beta kernel and its exponents. Leave out --weight and parameters."
        )
    function = fitted_kernel(target) if fitted else weight_function(weight, parameters)
    say(weigh_file(target, output, weight=function))
    return 0
