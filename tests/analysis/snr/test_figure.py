"""The SNR figure, its table read back from a run folder, and the report's section."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paced.analysis.anatomy.rows import AnatomyRow, anatomy_row
from paced.analysis.report.report import write_report
from paced.analysis.snr import bins
from paced.analysis.snr.command import fit_or_reason
from paced.analysis.snr.exponents import KernelExponents, fit_kernel
from paced.analysis.snr.figure import snr_figure
from paced.analysis.snr.rows import ProblemGram, summarise
from paced.analysis.snr.tables import fit_text, measured_losses, measured_table
from paced.records import PassRate
from paced.run.storage import write_json, write_parquet


@pytest.fixture
def measured_run(small_run):
    rng = np.random.default_rng(0)
    p = np.repeat(np.linspace(0.05, 0.95, 10), 6)
    grams = []
    for index, x in enumerate(p):
        g = rng.normal(size=(8, 40)) / np.sqrt(40) + np.sqrt(x * (1 - x) / 40)
        gram = tuple(map(tuple, (g @ g.T).tolist()))
        grams.append(ProblemGram(problem_id=str(index), num_tokens=8, rounding=1e-13, gram=gram))
    rates = {str(i): PassRate(problem_id=str(i), num_passed=round(20 * x), num_rollouts=20) for i, x in enumerate(p)}
    curve = bins.snr_curve(summarise(grams), rates)
    small_run.snr.mkdir()
    write_parquet(small_run.snr / "forward_kl-curve.parquet", curve, bins.BinSnr)
    one = bins.cross_bin(np.eye(6), low=curve[0].low, high=curve[0].high, pass_rate=0.05)
    write_parquet(small_run.snr / "forward_kl-cross.parquet", [one], bins.CrossBin)
    fit = fit_kernel(summarise(grams), rates, resamples=20)
    write_parquet(small_run.snr / "forward_kl-kernel.parquet", [fit], KernelExponents)
    write_json(small_run.snr / "settings.json", {"num_samples": 16, "split": True, "token_reduction": "sum"})
    return small_run


def test_the_figure_draws_every_form_with_its_interval(measured_run):
    table = measured_table(measured_run, "forward_kl")
    left, right = snr_figure(table).axes
    names = [text.get_text() for axes in (left, right) for text in axes.get_legend().get_texts()]
    assert {
        "Eq. (8)",
        "guarded",
        "Eq. (8), signs flipped",
        "floor 1/√(K−1)",
        "between problems",
        "fitted kernel",
    } <= set(names)
    assert any(name.startswith("debiased") for name in names)
    assert len(left.containers) == 2  # error bars of both forms
    assert np.isfinite(table["cross_debiased_snr_squared"][0])
    assert np.isnan(table["cross_debiased_snr_squared"][1:]).all()
    raw, _ = snr_figure(table, normalise=False).axes
    drawn = raw.containers[0].lines[0].get_ydata()
    assert drawn == pytest.approx(table["paper_snr"])


@pytest.mark.slow
def test_the_report_shows_the_section_and_is_the_same_twice(measured_run):
    assert measured_losses(measured_run) == ["forward_kl"]
    first = write_report(measured_run).read_bytes()
    assert write_report(measured_run).read_bytes() == first
    text = first.decode()
    assert "Gradient SNR, forward_kl" in text
    assert text.count("Not measured") == 2  # the anatomy, and tasks of lm-eval
    assert (measured_run.figures / "snr-forward_kl.csv").exists()


@pytest.mark.slow
def test_the_report_shows_the_anatomy_when_it_was_measured(small_run):
    rows = [
        anatomy_row(np.random.default_rng(0).normal(size=(6, 9)), loss="forward_kl, references", group=group)
        for group in ("p̂ = 0", "p̂ = 1")
    ]
    folder = small_run.stage(1).root / "anatomy"
    folder.mkdir()
    write_parquet(folder / "rows.parquet", rows, AnatomyRow)
    text = write_report(small_run).read_text(encoding="utf-8")
    assert "student that enters stage 1, by pass-rate group" in text
    assert (small_run.figures / "anatomy-stage-1.csv").exists()


def test_the_report_names_the_command_when_nothing_was_measured(small_run):
    assert "Run: paced snr" in write_report(small_run).read_text(encoding="utf-8")


def without_fit(run, rows, rates):
    fit, reason = fit_or_reason(rows, rates)
    assert fit is None
    write_parquet(run.snr / "forward_kl-kernel.parquet", [], KernelExponents)
    write_json(run.snr / "forward_kl-no-kernel.json", {"reason": reason})


@pytest.mark.slow
def test_the_report_says_why_no_kernel_was_fitted(measured_run):
    rng = np.random.default_rng(3)
    grams = rng.normal(size=(60, 8, 40))  # pure noise
    rows = summarise(
        [
            ProblemGram(problem_id=str(i), num_tokens=8, rounding=1e-13, gram=tuple(map(tuple, (g @ g.T).tolist())))
            for i, g in enumerate(grams)
        ]
    )
    rates = {str(i): PassRate(problem_id=str(i), num_passed=1 + i % 19, num_rollouts=20) for i in range(60)}
    without_fit(measured_run, rows[:5], rates)
    few = write_report(measured_run).read_text(encoding="utf-8")
    assert "no kernel fitted: at least 10 measured problems" in few
    assert "got 5 with 5" in few
    without_fit(measured_run, rows, {name: replace(rate, num_passed=10) for name, rate in rates.items()})
    assert "got 60 with 1" in write_report(measured_run).read_text(encoding="utf-8")
    without_fit(measured_run, [replace(row, signal=-abs(row.signal)) for row in rows], rates)
    weak = write_report(measured_run).read_text(encoding="utf-8")
    assert "no power law fits the 60 problems that were solved sometimes; their pooled SNR² is -" in weak


def test_a_folder_that_does_not_say_why_blames_nothing():
    assert fit_text(None) == "no kernel fitted"
