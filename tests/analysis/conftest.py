"""A small finished run whose model output tries to break out of the page."""

from __future__ import annotations

import numpy as np
import pytest

from paced.records import Grade, PassRate, Problem, ProblemWeight, Rollout
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.storage import append_lines, write_parquet

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31mred\x1b[0m"


@pytest.fixture
def small_run(tmp_path):
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
