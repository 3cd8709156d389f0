"""The report of a run: one HTML page that opens offline, made from the files of the run folder and nothing else.

Sections follow the data flow: what was run, results, pass rates and weights, training, curriculum, gradient SNR, sample
completions. A part whose files are not there is named with the command that makes it. Each figure is also saved in
``figures/`` with the CSV it was drawn from. Nothing that differs between two equal runs (times, paths of the machine)
stands on the page, so that a resumed run ends with the same bytes as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paced.analysis import figures_run
from paced.analysis.comparison import MethodResult, compare, difference_table, gain_table, unfinished
from paced.analysis.curriculum import curriculum_table, flow_table
from paced.analysis.figures import Table
from paced.analysis.intervals import Estimate
from paced.analysis.page import Sample, Section, draw_picture, render
from paced.analysis.pass_rates import histogram_table, weight_table
from paced.analysis.report_gradients import anatomy_section, snr_section
from paced.analysis.training import training_table
from paced.config import RunConfig
from paced.configfile import with_method
from paced.errors import RunFolderError
from paced.records import Grade, PassRate, Problem, ProblemWeight, Rollout
from paced.runfolder import RunFolder, config_text
from paced.storage import read_json, read_parquet, read_records, write_atomic
from paced.weights import WEIGHTS, normalise

if TYPE_CHECKING:
    pass

NUM_SAMPLES = 6
"""Sample completions shown, one for each of so many pass rates from lowest to highest."""


def write_report(run: RunFolder) -> Path:
    """Write ``report.html`` of a run folder and its figures; return the path of the page.

    Raises:
        RunFolderError: the folder holds no run.
        MissingExtraError: jinja2 is not installed.
    """
    config = run.config()
    runs = run.methods() or {config.name: run}
    sections = [
        _section("What was run", lambda: _overview(run, config)),
        _section("Results", lambda: _results(run, config)),
        _section("Pass rates and weights", lambda: _pass_rates(run, config, runs)),
        _section("Training", lambda: _training(run, runs)),
        _section("Curriculum", lambda: _curriculum(run, runs)),
        _section("Gradient SNR", lambda: snr_section(run)),
        _section("Gradient anatomy", lambda: anatomy_section(run)),
        _section("Sample completions", lambda: _samples(run, runs)),
    ]
    problems = len(read_parquet(run.problems, Problem)) if run.problems.exists() else 0
    subtitle = f"{problems:,} problems · K = {config.rollouts.num_samples} · seed {config.seed}"
    write_atomic(run.report, render(f"paced: {config.name}", subtitle, sections))
    return run.report


def _section(title: str, make: Callable[[], Section]) -> Section:
    """The section, or what kept it from being made: one damaged file does not cost the page its other parts."""
    try:
        return make()
    except (OSError, ValueError, KeyError, RunFolderError) as error:
        return Section(title=title, missing=(f"Could not be made: {type(error).__name__}: {error}",))


def _overview(run: RunFolder, config: RunConfig) -> Section:
    prose = [
        f"Student {Path(config.student.path).name or 'not set'}; teacher "
        + (Path(config.teacher.path).name if config.teacher.path else "the initial student with the expert solution")
        + f". Batches of {config.training.batch_size}, AdamW at {config.training.learning_rate:g}, "
        f"clip {config.training.clip_norm:g}, unless a method says otherwise."
    ]
    details = [("Resolved configuration", config_text(run.written_config()))]
    if run.environment.exists():
        versions = read_json(run.environment)["versions"]
        details.append(("Versions", "\n".join(f"{name} {version}" for name, version in versions.items())))
    return Section(
        title="What was run", prose=tuple(prose), tables=(("Methods", _methods(config)),), details=tuple(details)
    )


def _methods(config: RunConfig) -> Table:
    """One row for each compared method, or one for the run itself: its weights, batches and stages."""
    methods = {name: with_method(config, name) for name in config.methods} or {config.name: config}
    table: dict[str, list[str]] = {key: [] for key in ("method", "weight function", "batching", "stages")}
    for name, one in methods.items():
        table["method"].append(name)
        table["weight function"].append(str(one.weights))
        table["batching"].append(one.training.batching)
        table["stages"].append(
            " → ".join(f"{stage.divergence} along the {stage.along} ({100 * stage.share:g} %)" for stage in one.stages)
        )
    return table


def _results(run: RunFolder, config: RunConfig) -> Section:
    if not config.evaluation.sets:
        return Section(title="Results", missing=("No held-out set is configured (evaluation.sets).",))
    results, missing = compare(run), unfinished(run)
    if not results:
        return Section(title="Results", missing=tuple(missing))
    tables = [("mean@k in per cent, with 95 % intervals over problems", results_table(results))]
    prose = [
        "Gain is the change on the taught skill, forgetting the loss on the prior skill, both paired by problem "
        "against the base student, in points with 95 % bootstrap intervals over problems. They do not cover the "
        "spread between students: another seed is another student."
    ]
    pictures = []
    if len(results) > 1:
        reference = reference_method(results)
        tables.append((f"{reference} minus the others, paired by problem, in points", differences(results, reference)))
        if all(result.gain and result.forgetting for result in results):
            table = gain_table(results)
            pictures.append(
                draw_picture(
                    run, "gain-forgetting", figures_run.gain_against_forgetting, table, "Gain against forgetting"
                )
            )
    return Section(
        title="Results", prose=tuple(prose), tables=tuple(tables), pictures=tuple(pictures), missing=tuple(missing)
    )


def results_table(results: Sequence[MethodResult]) -> Table:
    """Formatted table of methods: accuracy on each set, gain and forgetting in points with intervals."""
    sets = list(results[0].final)
    rows: dict[str, list[str]] = {column: [] for column in ("method", "gain", "forgetting", *sets)}
    rows["method"].append("base")
    rows["gain"].append("")
    rows["forgetting"].append("")
    for name in sets:
        rows[name].append(results[0].base[name].points())
    for result in results:
        rows["method"].append(result.method)
        rows["gain"].append(_points(result.gain))
        rows["forgetting"].append(_points(result.forgetting))
        for name in sets:
            rows[name].append(result.final[name].points())
    return rows


def differences(results: Sequence[MethodResult], reference: str) -> Table:
    """Formatted table of paired differences with a verdict in words."""
    table = difference_table(list(results), reference)
    estimates = [
        Estimate(value=value, low=low, high=high, num_problems=0)
        for value, low, high in zip(table["difference"], table["difference_low"], table["difference_high"], strict=True)
    ]
    return {
        "against": table["method"],
        "skill": ["taught" if role == "plasticity" else "prior" for role in table["role"]],
        "difference": [estimate.points(signed=True) for estimate in estimates],
        "verdict": table["verdict"],
    }


def reference_method(results: Sequence[MethodResult]) -> str:
    """The method that the others are held against: the one called paced, or else the first."""
    names = [result.method for result in results]
    return "paced" if "paced" in names else names[0]


def _pass_rates(run: RunFolder, config: RunConfig, runs: Mapping[str, RunFolder]) -> Section:
    file = run.stage(1).pass_rates
    if not file.exists():
        file = next((other.stage(1).pass_rates for other in runs.values() if other.stage(1).pass_rates.exists()), file)
    if not file.exists():
        return Section(title="Pass rates and weights", missing=(f"No pass rates yet. Run: paced grade {run.root}",))
    rates = read_parquet(file, PassRate)
    table = histogram_table(rates)
    kernel = _kernel_table(config)
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
            if method == ("paced" if "paced" in runs else next(iter(runs))):
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


def _training(run: RunFolder, runs: Mapping[str, RunFolder]) -> Section:
    table = training_table(runs)
    if not table["step"]:
        return Section(title="Training", missing=(f"No optimiser step yet. Run: paced distill {run.root}",))
    picture = draw_picture(
        run, "training", figures_run.training_curves, table, "Every step, and a running median over nine"
    )
    return Section(title="Training", pictures=(picture,))


def _curriculum(run: RunFolder, runs: Mapping[str, RunFolder]) -> Section:
    pictures, missing = [], []
    summary: dict[str, list[str]] = {
        key: [] for key in ("method", "checkpoint", "low", "zpd", "high", "mean p̂", "zpd left", "effective share")
    }
    for method, other in runs.items():
        checkpoints = curriculum_checkpoints(other)
        if len(checkpoints) < 2:
            missing.append(f"{method}: pass rates of the training problems after training are not here.")
            continue
        table = curriculum_table(checkpoints)
        for row, checkpoint in enumerate(table["checkpoint"]):
            summary["method"].append(method)
            summary["checkpoint"].append(checkpoint)
            for name, column in (("low", "low"), ("zpd", "zpd"), ("high", "high"), ("mean p̂", "mean_pass_rate")):
                low, high = table[f"{column}_low"][row], table[f"{column}_high"][row]
                summary[name].append(f"{100 * table[column][row]:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
            for name, column in (("zpd left", "zpd_left"), ("effective share", "effective_share")):
                summary[name].append(f"{100 * table[column][row]:.1f}")
        if method == ("paced" if "paced" in runs else next(iter(runs))):
            pictures.append(
                draw_picture(
                    run, "curriculum", figures_run.curriculum_stack, table, f"Training problems by region ({method})"
                )
            )
            first, *_, last = checkpoints.values()
            flow = flow_table(first, last)
            pictures.append(
                draw_picture(run, "curriculum-flow", figures_run.curriculum_flow, flow, f"Where they went ({method})")
            )
    caption = (
        "Shares of the training problems in per cent, by pass rate: low < 0.2 ≤ zpd ≤ 0.8 < high; what is left of the "
        "zone; the share of the problems that the default weights effectively use"
    )
    tables = ((caption, summary),) if summary["method"] else ()
    return Section(title="Curriculum", tables=tables, pictures=tuple(pictures), missing=tuple(missing))


def curriculum_checkpoints(run: RunFolder) -> dict[str, list[PassRate]]:
    """Pass rates of the training problems along a run, restricted to the problems that every checkpoint rated.

    Before training, at each renewal of stage 1 (``recompute_every``), and after training. Later stages rate problems of
    their own, which are no checkpoint of these.
    """
    found: dict[str, list[PassRate]] = {}
    stage = run.stage(1)
    if stage.pass_rates.exists():
        found["before"] = read_parquet(stage.pass_rates, PassRate)
        for renewed in sorted(stage.root.glob("renewed/step-*/pass_rates.parquet")):
            found[f"step {int(renewed.parent.name.removeprefix('step-'))}"] = read_parquet(renewed, PassRate)
    after = run.evaluation / "final-training.parquet"
    if after.exists():
        found["after"] = read_parquet(after, PassRate)
    if not found:
        return {}
    shared = set.intersection(*({rate.problem_id for rate in rates} for rates in found.values()))
    return {label: [rate for rate in rates if rate.problem_id in shared] for label, rates in found.items()}


def _samples(run: RunFolder, runs: Mapping[str, RunFolder]) -> Section:
    stages = [folder.stage(1) for folder in (run, *runs.values())]
    stage = next((stage for stage in stages if stage.rollouts.exists()), stages[0])
    if not (stage.rollouts.exists() and stage.pass_rates.exists() and run.problems.exists()):
        return Section(title="Sample completions", missing=("No rollouts yet.",))
    problems = {problem.problem_id: problem for problem in read_parquet(run.problems, Problem)}
    rates = sorted(
        read_parquet(stage.pass_rates, PassRate), key=lambda rate: (rate.pass_rate_estimate, rate.problem_id)
    )
    by_value = list({rate.pass_rate_estimate: rate for rate in reversed(rates)}.values())[::-1]  # one of each value
    shown = np.linspace(0, len(by_value) - 1, min(NUM_SAMPLES, len(by_value))).astype(int)
    picked = [by_value[index] for index in shown]
    wanted = {rate.problem_id for rate in picked}
    rollouts = {r.problem_id: r for r in reversed(read_records(stage.rollouts, Rollout)) if r.problem_id in wanted}
    grades = {(grade.problem_id, grade.sample_index): grade for grade in read_records(stage.grades, Grade)}
    references = {r.problem_id: r for r in read_records(stage.references, Rollout) if r.problem_id in wanted}
    samples = []
    for rate in picked:
        rollout = rollouts[rate.problem_id]
        grade = grades.get((rollout.problem_id, rollout.sample_index))
        lines = [
            ("problem", problems[rate.problem_id].problem),
            ("gold answer", problems[rate.problem_id].answer),
            ("student", rollout.text),
            ("verdict", f"{grade.verdict}: {grade.reason}" if grade else "not graded"),
        ]
        if rate.problem_id in references:
            lines.append(("reference", references[rate.problem_id].text))
        heading = f"p̂ = {rate.num_passed}/{rate.num_rollouts} · {problems[rate.problem_id].source}"
        samples.append(Sample(heading=heading, lines=tuple(lines)))
    return Section(title="Sample completions", samples=tuple(samples))


def _points(estimate: Estimate | None) -> str:
    return estimate.points(signed=True) if estimate else "not measured"
