"""The report is made from whatever a run folder holds: what is missing or damaged is named, the rest is shown."""

from __future__ import annotations

import json

import pytest

from paced.analysis.report.report import write_report


def test_the_page_shows_what_is_there_and_names_what_is_not(small_run):
    page = write_report(small_run).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4  # histogram, weights, two of the curriculum
    assert "No optimiser step yet" in page
    assert "paced snr" in page
    assert sorted(path.stem for path in small_run.figures.glob("*.png")) == sorted(
        path.stem for path in small_run.figures.glob("*.csv")
    )


def test_hostile_model_output_stays_text(small_run):
    page = write_report(small_run).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; \\x1b[31mred" in page
    assert "\x1b" not in page


def test_a_damaged_file_costs_its_own_section_only(small_run):
    small_run.stage(1).pass_rates.write_bytes(b"not parquet")
    page = write_report(small_run).read_text(encoding="utf-8")
    assert page.count("Could not be made") == 3  # pass rates, curriculum, samples
    assert "mean@k in per cent" in page


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(small_run):
    assert write_report(small_run).read_bytes() == write_report(small_run).read_bytes()


@pytest.mark.slow
def test_long_texts_are_cut_with_their_length_so_that_the_page_opens(small_run):
    before = len(write_report(small_run).read_bytes())
    file = small_run.stage(1).rollouts
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[:8] = [line | {"text": "x" * 10_000_000} for line in lines[:8]]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    page = write_report(small_run).read_text()
    assert "the first 3,000 of 10,000,000 characters" in page
    assert len(page) < before + 100_000


@pytest.mark.slow
def test_a_tracked_snr_has_its_curve(small_run):
    steps = [{"stage": 1, "step": k, "loss": 1.0, "grad_norm": 1.0, "head_snr_squared": 0.1 * k} for k in range(1, 20)]
    small_run.metrics.write_text("".join(f"{json.dumps(step)}\n" for step in steps))
    page = write_report(small_run).read_text()
    assert "SNR² of the head&#39;s gradient over the problems of a step" in page
    assert (small_run.figures / "tracked-snr.csv").read_text().count("\n") == 20
