"""``paced snr RUN``: roll out, grade, measure, bin and draw the head-gradient SNR of the student of one stage.

    snr/settings.json            what was asked for; other settings need another folder
    snr/rollouts.jsonl           2K fresh samples a problem at temperature 1, problems equally from every pass-rate bin
    snr/pass_rates.parquet       from the first half of them; gradients use the second half
    snr/<loss>.jsonl             one Gram matrix a problem, appended as it is measured: a kill costs one problem
    snr/<loss>.parquet           every SNR form of every problem
    snr/<loss>-curve.parquet     bins;   snr/<loss>-cross.parquet   spread between problems
    snr/<loss>-kernel.parquet    exponents that fit the problems, one row, or none
    snr/<loss>-no-kernel.json    why there are none; empty where there are
    figures/snr-<loss>.png, .csv

Left out: anything random that is not keyed by the run's seed, so that the same command gives the same files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.analysis.snr import bins
from paced.analysis.snr.exponents import KernelExponents, fit_kernel
from paced.analysis.snr.losses import make_head_loss
from paced.analysis.snr.measure import TokenReduction, lm_head_snr, problem_gram
from paced.analysis.snr.rows import ProblemGram, ProblemSnr, summarise
from paced.analysis.snr.tables import fit_text, measured_table
from paced.errors import ConfigError
from paced.grading.grade import count_passes, grade_all
from paced.models.loading import load_model, load_teacher, pick_device, quiet_transformers, student_model, teacher_model
from paced.models.tokens import vocabulary_size
from paced.pipeline.steps import rate_stage, stage_problems
from paced.problems.prompts import Prompt
from paced.records import PassRate, Problem, Rollout
from paced.rollouts.sampler import make_sampler
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.signals import stop_if_requested
from paced.run.storage import (
    append_lines,
    read_json,
    read_parquet,
    read_records,
    write_atomic,
    write_json,
    write_parquet,
)

LOSSES = ("reverse_kl_sampled", "reverse_kl", "forward_kl")
"""Measured unless others are named: two forms of the reverse KL whose gradients differ, and the forward KL."""
DRAW = "gradient snr of stage"


@dataclass(frozen=True, kw_only=True)
class SnrSettings:
    """What to measure."""

    losses: tuple[str, ...] = LOSSES
    """Named losses, see ``make_head_loss``."""
    stage: int = 1
    """The student that enters this stage."""
    num_samples: int = 64
    """Samples of each problem; with ``split`` half give the pass rate and half the gradients."""
    per_bin: int = 32
    """Most problems of each pass-rate bin."""
    num_bins: int = 10
    """Pass-rate bins of equal width."""
    split: bool = True
    """Pass rates and gradients from different samples."""
    token_reduction: TokenReduction = "sum"
    """``sum`` or ``mean`` of the token losses of a completion."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was found of one loss."""

    loss: str
    """Its name."""
    exponents: str
    """The kernel that fits SNR² with its intervals, or why there is none, as a sentence."""
    figure: Path
    """Curve and points; the numbers are beside it in a CSV of the same name."""


def measure_run(run: RunFolder, settings: SnrSettings, progress: Progress) -> list[Measured]:
    """Measure what is not there yet and return what was found of each loss.

    Raises:
        ConfigError: the folder was measured with other settings, or too few samples are asked for.
        RunFolderError: the student or teacher is no longer the one that the run has read.
        StopRequested: a signal came; the same call continues from there.
    """
    quiet_transformers()
    _claim(run, settings)
    rate_stage(run, settings.stage, progress)
    problems = _choose(run, settings)
    config, device = run.config(), pick_device()
    model = student_model(run, config, stage_number=settings.stage)
    sampling = dataclasses.replace(
        config.rollouts, num_samples=settings.num_samples, sampling_temperature=1.0, top_p=1.0
    )
    with make_sampler(
        config, model, reader="student", sampling=sampling, progress=progress, measured_by="gradient SNR"
    ) as sampler:
        rollouts = sampler.complete(
            problems,
            sampling=sampling,
            draw=f"{DRAW} {settings.stage}",
            file=run.snr / "rollouts.jsonl",
            label=f"gradient SNR: rollouts of {len(problems):,} problems x {settings.num_samples}",
            source=config.problems.path,
        )
    reader = make_sampler(config, teacher_model(config), reader="teacher", sampling=config.references)
    prompts = {
        "student": sampler.prompts(problems, source=config.problems.path),
        "teacher": reader.prompts(problems, source=config.problems.path),
    }
    rates, completions = _divide(run, settings, problems, rollouts)
    counts = _counts(run, settings, rates)
    student, teacher = load_model(model, device=device), load_teacher(config, device=device)
    found = []
    for loss in settings.losses:
        options = {
            "loss": loss,
            "token_reduction": settings.token_reduction,
            "vocab_size": vocabulary_size(sampler.tokenizer),
        }
        rows = _measure(run, student, teacher, prompts, completions, options, progress)
        cross = _cross(student, teacher, prompts, completions, rates, settings, options)
        curve = bins.snr_curve(rows, rates, num_bins=settings.num_bins)
        write_parquet(run.snr / f"{loss}-curve.parquet", curve, bins.BinSnr)
        write_parquet(run.snr / f"{loss}-cross.parquet", cross, bins.CrossBin)
        fit, reason = fit_or_reason(rows, counts)
        write_parquet(run.snr / f"{loss}-kernel.parquet", [fit] if fit else [], KernelExponents)
        write_json(run.snr / f"{loss}-no-kernel.json", {"reason": reason})
        found.append(Measured(loss=loss, exponents=fit_text(fit, reason), figure=draw(run, loss)))
        for note in bins.curve_warnings(curve, same_rollouts=not settings.split):
            progress.note(f"{loss}: {note}")
    return found


def draw(run: RunFolder, loss: str) -> Path:
    """The figure of one measured loss, from its two tables."""
    from paced.analysis.snr.figure import snr_figure
    from paced.figures import save_figure

    table = measured_table(run, loss)
    return save_figure(snr_figure(table), table, run.figures / f"snr-{loss}.png")


def _claim(run: RunFolder, settings: SnrSettings) -> None:
    per_half = settings.num_samples // 2 if settings.split else settings.num_samples
    if per_half < 2:
        raise ConfigError(
            f"snr: num_samples must leave at least 2 gradients a problem, got {settings.num_samples}. Use 8 or more."
        )
    for loss in settings.losses:
        make_head_loss(loss)
    num_stages = len(run.config().stages)
    if not 1 <= settings.stage <= num_stages:
        raise ConfigError(f"snr: stage must be between 1 and {num_stages}, got {settings.stage}.")
    requested = {k: v for k, v in dataclasses.asdict(settings).items() if k != "losses"}  # more losses may follow later
    file = run.snr / "settings.json"
    if file.exists() and (recorded := read_json(file)) != requested:
        changed = ", ".join(f"{k}: {recorded.get(k)} -> {v}" for k, v in requested.items() if recorded.get(k) != v)
        raise ConfigError(
            f"{run.snr}: was measured with other settings ({changed}). Delete the folder to measure anew."
        )
    run.snr.mkdir(parents=True, exist_ok=True)
    write_json(file, requested)


def _choose(run: RunFolder, settings: SnrSettings) -> list[Problem]:
    """Equally many problems of each bin of the stage's own pass rates."""
    rates = {rate.problem_id: rate for rate in read_parquet(run.stage(settings.stage).pass_rates, PassRate)}
    problems = [problem for problem in stage_problems(run, settings.stage) if rates[problem.problem_id].num_rollouts]
    p = [rates[problem.problem_id].pass_rate_estimate for problem in problems]
    edges = bins.bin_edges(p, num_bins=settings.num_bins)
    chosen = bins.choose_equally(p, edges=edges, per_bin=settings.per_bin, seed=run.config().seed)
    return [problems[index] for index in chosen]


def _divide(
    run: RunFolder, settings: SnrSettings, problems: Sequence[Problem], rollouts: Sequence[Rollout]
) -> tuple[dict[str, PassRate], dict[str, list[tuple[int, ...]]]]:
    """Pass rates from the first half of the samples, completions of the second half; or all of them for both."""
    half = settings.num_samples // 2 if settings.split else 0
    rated = [rollout for rollout in rollouts if rollout.sample_index < half or not settings.split]
    rates = count_passes(problems, grade_all(problems, rated, run.config().grading))
    completions: dict[str, list[tuple[int, ...]]] = {problem.problem_id: [] for problem in problems}
    for rollout in rollouts:
        if rollout.sample_index >= half:
            completions[rollout.problem_id].append(rollout.token_ids)
    write_parquet(run.snr / "pass_rates.parquet", rates, PassRate)
    return {rate.problem_id: rate for rate in rates}, completions


def _counts(run: RunFolder, settings: SnrSettings, fresh: Mapping[str, PassRate]) -> dict[str, PassRate]:
    """Counts of all problems of the stage, fresh ones added for the measured: no selection bias, more rollouts.

    Where the stage sampled in another way its pass rates are others, and the fresh counts are used alone.
    """
    rollouts = run.config().rollouts
    if not settings.split or (rollouts.sampling_temperature, rollouts.top_p) != (1.0, 1.0):
        return dict(fresh)
    counts = {rate.problem_id: rate for rate in read_parquet(run.stage(settings.stage).pass_rates, PassRate)}
    for problem_id, rate in fresh.items():
        first = counts[problem_id]
        counts[problem_id] = PassRate(
            problem_id=problem_id,
            num_passed=first.num_passed + rate.num_passed,
            num_rollouts=first.num_rollouts + rate.num_rollouts,
        )
    return counts


def fit_or_reason(rows: Sequence[ProblemSnr], counts: Mapping[str, PassRate]) -> tuple[KernelExponents | None, str]:
    """The fit and no reason, or none and the reason."""
    try:
        return fit_kernel(rows, counts), ""
    except ValueError as error:
        return None, str(error).removeprefix("fit_kernel_exponents: ")


def _measure(
    run: RunFolder,
    student: Any,
    teacher: Any,
    prompts: dict[str, list[Prompt]],
    completions: dict[str, list[tuple[int, ...]]],
    options: dict[str, Any],
    progress: Progress,
) -> list[ProblemSnr]:
    """Gram matrices of the problems that the file lacks, then every estimate of all."""
    loss = options["loss"]
    file = run.snr / f"{loss}.jsonl"
    done = {one.problem_id for one in read_records(file, ProblemGram)}
    with progress.track(f"gradient SNR: {loss}", len(completions), done=len(done)) as advance:
        for asked, shown in zip(prompts["student"], prompts["teacher"], strict=True):
            if asked.problem_id in done:
                continue
            stop_if_requested()
            lm_head_snr(
                student,
                teacher,
                student_prompts=[asked.token_ids],
                teacher_prompts=[shown.token_ids],
                completions=[completions[asked.problem_id]],
                problem_ids=[asked.problem_id],
                on_problem=lambda one: append_lines(file, [one]),
                **options,
            )
            advance(1)
    rows = summarise(read_records(file, ProblemGram))
    _write_rows(run.snr / f"{loss}.parquet", rows)
    return rows


def _cross(
    student: Any,
    teacher: Any,
    prompts: dict[str, list[Prompt]],
    completions: dict[str, list[tuple[int, ...]]],
    rates: dict[str, PassRate],
    settings: SnrSettings,
    options: dict[str, Any],
) -> list[bins.CrossBin]:
    """Spread between the mean gradients of equally many problems of each bin."""
    pairs = [
        (student_prompt, teacher_prompt)
        for student_prompt, teacher_prompt in zip(prompts["student"], prompts["teacher"], strict=True)
        if rates[student_prompt.problem_id].num_rollouts
    ]
    p = [rates[student_prompt.problem_id].pass_rate_estimate for student_prompt, _ in pairs]
    edges = bins.bin_edges(p, num_bins=settings.num_bins)
    cross_bins = []
    for one, members in bins.equal_groups(p, edges).items():
        gram = problem_gram(
            student,
            teacher,
            student_prompts=[pairs[index][0].token_ids for index in members],
            teacher_prompts=[pairs[index][1].token_ids for index in members],
            completions=[completions[pairs[index][0].problem_id] for index in members],
            **(options | {"loss": make_head_loss(options["loss"])}),
        )
        mean = sum(p[index] for index in members) / len(members)
        cross_bins.append(bins.cross_bin(gram, low=float(edges[one]), high=float(edges[one + 1]), pass_rate=mean))
    return cross_bins


def _write_rows(path: Path, rows: Sequence[ProblemSnr]) -> None:
    """Parquet with one column a field; the Gram matrix is a nested list."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        field.name: [getattr(row, field.name) for row in rows]
        for field in dataclasses.fields(ProblemSnr)
        if field.name != "gram"
    }
    columns["gram"] = [[list(line) for line in row.gram] for row in rows]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    write_atomic(path, sink.getvalue().to_pybytes())
