"""The report is made from whatever a run folder holds: what is missing or damaged is named, the rest is shown."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis.report import write_report
from paced.configfile import build_config
from paced.records import Grade, PassRate, Problem, ProblemWeight, Rollout
from paced.runfolder import RunFolder
from paced.storage import append_lines, write_parquet

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31mred\x1b[0m"


@pytest.fixture
def run(tmp_path):
    """A run of thirty problems, rolled out, graded, weighted and evaluated; model output tries to break out."""
    sets = [
        {"name": "heldout", "path": "h.jsonl"},
        {"name": "prior", "path": "p.jsonl", "role": "stability"},
    ]
    folder = RunFolder(tmp_path / "small")
    folder.claim(build_config({"name": "small", "problems": {"path": "x.jsonl"}, "evaluation": {"sets": sets}}))
    rng = np.random.default_rng(0)
    names = [f"p{index:02d}" for index in range(30)]
    problems = [Problem(problem_id=name, problem=HOSTILE, answer="4", source=HOSTILE) for name in names]
    write_parquet(folder.problems, problems, Problem)
    passed = rng.integers(0, 9, size=30)
    rates = [
        PassRate(problem_id=name, num_passed=int(s), num_rollouts=8) for name, s in zip(names, passed, strict=True)
    ]
    stage = folder.stage(1)
    rollouts = [
        Rollout(problem_id=name, sample_index=0, token_ids=(1,), text=HOSTILE, finish_reason="stop", seed=1)
        for name in names
    ]
    grades = [
        Grade(problem_id=name, sample_index=0, verdict="incorrect", extracted=HOSTILE, reason=HOSTILE) for name in names
    ]
    append_lines(stage.rollouts, rollouts)
    append_lines(stage.grades, grades)
    write_parquet(stage.pass_rates, rates, PassRate)
    weights = [
        ProblemWeight(problem_id=rate.problem_id, weight=p * (1 - p), unit_mean_weight=p * (1 - p) / 0.15)
        for rate in rates
        for p in [rate.pass_rate_estimate]
    ]
    write_parquet(stage.weights, weights, ProblemWeight)
    for checkpoint in ("base", "final"):
        for name in ("heldout", "prior"):
            write_parquet(folder.evaluation / f"{checkpoint}-{name}.parquet", rates, PassRate)
    write_parquet(folder.evaluation / "final-training.parquet", rates, PassRate)
    return folder


def test_the_page_shows_what_is_there_and_names_what_is_not(run):
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4  # histogram, weights, two of the curriculum
    assert "No optimiser step yet" in page
    assert "paced snr" in page
    assert sorted(path.stem for path in run.figures.glob("*.png")) == sorted(
        path.stem for path in run.figures.glob("*.csv")
    )


def test_hostile_model_output_stays_text(run):
    page = write_report(run).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt; \\x1b[31mred" in page
    assert "\x1b" not in page


def test_a_damaged_file_costs_its_own_section_only(run):
    run.stage(1).pass_rates.write_bytes(b"not parquet")
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count("Could not be made") == 3  # pass rates, curriculum, samples
    assert "mean@k in per cent" in page


def test_the_same_run_gives_the_same_bytes(run):
    assert write_report(run).read_bytes() == write_report(run).read_bytes()
