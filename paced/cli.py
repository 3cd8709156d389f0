"""The command line: one subcommand for each step of the data flow, and no logic of its own.

Every command imports what it needs when it runs, so that ``paced --help`` answers at once and ``paced fit`` or
``paced verify`` never load torch. A TARGET is a recipe (YAML) or the folder of a run that has begun.
Exit codes: 0 done, 1 a claim or check failed, 2 wrong input, 75 stopped by a signal and ready to go on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from paced import __version__
from paced.errors import ConfigError, MissingExtraError, RunFolderError

if TYPE_CHECKING:
    from paced.config import RunConfig
    from paced.runfolder import RunFolder

app = App(name="paced", version=__version__, help="Distillation at the frontier of student competence.")

FAILED, WRONG_INPUT, STOPPED = 1, 2, 75


def main() -> None:
    """Run the command line; errors of the caller are one sentence and an exit code, not a traceback."""
    try:
        result = app()
    except (ConfigError, RunFolderError, MissingExtraError, ValueError, FileNotFoundError) as error:
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True, soft_wrap=True).print(Text(f"error: {error}", style="red"))
        sys.exit(WRONG_INPUT)
    sys.exit(result if isinstance(result, int) else 0)


@app.command(group="Whole jobs")
def run(
    config: Path,
    *overrides: str,
    seed: int | None = None,
    root: Path = Path("runs"),
    dry_run: bool = False,
) -> int:
    """Run a recipe from rollouts to report; finished steps are kept, so the same command goes on after a kill.

    Parameters
    ----------
    config: recipe, a YAML file.
    overrides: settings as section.field=value.
    seed: the run's seed; every other seed is derived from it.
    root: folder that holds the run folders.
    dry_run: show the first prompts and the estimated cost, train nothing.
    """
    from paced.analysis.job import run_job

    folder, settings = _open(config, overrides, seed=seed, root=root)
    return run_job(folder, settings, dry_run=dry_run)


@app.command(group="Weights from a table")
def fit(
    file: Path,
    *,
    zpd: float | None = None,
    level: float = 0.95,
    figure: bool = True,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    budget: int | None = None,
    num_resamples: int = 199,
    seed: int = 0,
    json: bool = False,
) -> int:
    """Fit the law of pass rates to a table and print the kernel exponents, by three methods, with intervals.

    Parameters
    ----------
    file
        CSV, JSONL or parquet with (num_passed, num_rollouts), or one row for each graded rollout.
    zpd
        epsilon; keep problems with epsilon <= pass rate <= 1 - epsilon (the paper's method takes 0.1 when not told).
    level
        of the intervals.
    figure
        draw the histogram with the fitted curves as PNG, and the CSV of it.
    output
        name of the PNG; by default FILE with the suffix .fit.png.
    budget
        rollouts to spend on as many problems; prints what each policy costs and how good its weights are.
    num_resamples
        replicates of the goodness of fit.
    seed
        of the replicates.
    json
        print one JSON object.
    """
    from paced.analysis.fit_report import fit_file

    text, results = fit_file(
        file, zpd=zpd, level=level, num_resamples=num_resamples, seed=seed, budget=budget, as_json=json
    )
    print(text)
    if figure:
        from paced.analysis.figures import save_figure
        from paced.analysis.figures_fit import fit_figure, fit_table

        table = fit_table(results)
        path = save_figure(fit_figure(table), table, output or file.with_suffix(".fit.png"))
        if not json:
            print(f"figure: {path}")
    return 0 if results[0].success else FAILED


@app.command(group="Weights from a table")
def weigh(
    target: Path,
    *parameters: str,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    weight: str = "beta",
    fitted: bool = False,
) -> int:
    """Turn pass rates into weights, with unit mean over all problems.

    Parameters
    ----------
    target
        a table of counts or graded rollouts (CSV, JSONL, parquet).
    parameters
        of the weight function, as alpha=1 beta=2 estimator=posterior.
    output
        where to write the weights, .parquet or .csv.
    weight
        beta, uniform, hard_filter, drop_zero, target_difficulty, saturated, minimax or teacher_ceiling.
    fitted
        beta kernel with the exponents that `paced fit` finds in the same table.
    """
    from paced.analysis.fit_report import fitted_kernel, weigh_file, weight_function

    if output is None:
        raise ValueError("weigh: --output is needed for a table. Say where the weights go: -o weights.parquet.")
    if fitted and (parameters or weight != "beta"):
        raise ValueError(
            "weigh: --fitted chooses the beta kernel and its exponents. Leave out --weight and parameters."
        )
    function = fitted_kernel(target) if fitted else weight_function(weight, parameters)
    print(weigh_file(target, output, weight=function))
    return 0


@app.command(group="Theory")
def verify(
    *,
    claim: tuple[str, ...] = (),
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    explain: str | None = None,
    strict: Annotated[bool, Parameter(negative="")] = False,
    json: Path | None = None,
    html: Path | None = None,
    docs: Path | None = None,
    workers: int | None = None,
) -> int:
    """Check every claim of the paper and every extension by machine, in under a minute and without torch.

    Parameters
    ----------
    claim
        only this claim and those below it (thm6 takes thm6.i to thm6.iii); may be given more than once.
    list_
        show the claims and their verdicts, run nothing.
    explain
        show one claim: statement, proof sketch, counterexample, repair, checks and controls.
    strict
        exit with 1 when any outcome differs from the recorded one, or a check crashes.
    json
        write every outcome to this file.
    html
        write one page with the dependency graph, the counterexample figures and every outcome.
    docs
        write the Markdown pages of the theory to this folder, run nothing.
    workers
        processes; by default one for each core.
    """
    from rich.console import Console

    from paced.theory import console as terminal

    out = terminal.console()
    if list_ or explain is not None:
        terminal.show_claim(explain, out) if explain is not None else terminal.show_list(claim, out)
        return 0
    if docs is not None:
        from paced.analysis.theory_pages import write_docs

        print(f"{len(write_docs(docs))} files in {docs}")
        return 0
    report = terminal.run_with_bar(claim, workers=workers, console=Console(stderr=True))
    terminal.show_report(report, out)
    if json is not None:
        from paced.theory.runner import write_json

        write_json(report, json)
    if html is not None:
        from paced.analysis.theory_pages import write_html

        write_html(report, html)
    return FAILED if strict and report.failures else 0
