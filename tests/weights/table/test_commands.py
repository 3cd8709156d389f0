"""``paced fit`` and ``paced weigh FILE`` as a user meets them: output, files, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from paced.weights import WEIGHTS, BetaKernel, fit
from paced.weights.table.report import fit_file, fitted_kernel, weigh_file, weight_function

PASSED = np.random.default_rng(0).binomial(8, np.random.default_rng(1).beta(3, 3, 300))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("id,n_correct,n_samples\n" + "".join(f"p{i},{s},8\n" for i, s in enumerate(PASSED)))
    return path


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "paced", *map(str, arguments)], capture_output=True, text=True)


def test_fit_prints_both_estimators_with_intervals_and_draws_the_figure(table):
    done = command("fit", table, "--num-resamples", 19)
    assert done.returncode == 0, done.stderr
    result, paper = fit(PASSED, 8), fit(PASSED, 8, "paper")
    for method, one in (("mle", result), ("paper", paper)):
        (line,) = [text for text in done.stdout.splitlines() if text.startswith(f"{method} ")]
        low, high = one.conf_int().alpha
        assert f"{one.alpha:.3f}" in line
        assert f"[{low:.3f}, {high:.3f}]" in line
        assert 0 < float(line.split()[-1]) <= 1
    assert table.with_suffix(".fit.png").read_bytes().startswith(b"\x89PNG")
    header = table.with_suffix(".fit.csv").read_text().splitlines()[0]
    assert header == "pass_rate_estimate,num_problems,expected_mle,expected_moments,expected_paper"


def test_a_bad_file_is_exit_code_two_and_no_traceback(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("num_passed,num_rollouts\n9,8\nx,8\n")
    for arguments in (("fit", path), ("weigh", path, "-o", tmp_path / "w.csv")):
        done = command(*arguments)
        assert done.returncode == 2
        assert "row 2, column 'num_passed': found 9" in done.stderr
        assert "row 3, column 'num_passed': found 'x'" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "w.csv").exists()


def test_a_table_without_an_estimate_is_exit_code_one_and_says_why(tmp_path):
    path = tmp_path / "zeros.csv"
    path.write_text("num_passed,num_rollouts\n0,8\n0,8\n")
    done = command("fit", path, "--no-figure")
    assert done.returncode == 1
    assert "No rollout passed" in done.stdout
    assert not path.with_suffix(".fit.png").exists()


def test_weigh_writes_unit_mean_weights(table, tmp_path):
    done = command("weigh", table, "-o", tmp_path / "w.parquet", "alpha=1", "beta=2", "estimator=posterior")
    assert done.returncode == 0, done.stderr
    back = pq.read_table(tmp_path / "w.parquet").to_pydict()
    expected = BetaKernel(1, 2, estimator="posterior")(PASSED, 8)
    assert np.array_equal(back["weight"], expected)
    assert np.mean(back["unit_mean_weight"]) == pytest.approx(1)
    assert back["problem_id"][:2] == ["p0", "p1"]
    assert "effective sample size" in done.stdout


def test_json_holds_the_three_fits(table):
    _, text, results = fit_file(table, num_resamples=9)
    data = json.loads(text)
    assert [one["method"] for one in data["fits"]] == ["mle", "moments", "paper"]
    assert data["fits"][0]["alpha"] == results[0].alpha
    assert data["fits"][0]["gof"]["num_resamples"] == 9


def test_a_budget_adds_the_plan(table):
    text, _, _ = fit_file(table, num_resamples=9, budget=2400)
    assert "Policies for 2,400 rollouts on 300 problems" in text
    assert "K = 8 for all" in text


def test_fitted_kernel_is_the_fit_of_the_same_table(table):
    assert fitted_kernel(table) == fit(PASSED, 8).kernel


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_weight_function_can_be_named(name, table, tmp_path):
    text = weigh_file(table, tmp_path / "w.csv", weight=weight_function(name, []))
    assert "300 problems" in text


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("gauss", [], "--weight must be one of uniform, beta"),
        ("beta", ["gamma=1"], "field=value with fields alpha, beta, estimator.*got 'gamma=1'"),
        ("beta", ["alpha"], "got 'alpha'"),
        ("beta", ["alpha=-1"], "alpha must be finite and >= 0, got -1"),
    ],
)
def test_parameters_that_are_not_understood_are_explained(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        weight_function(name, parameters)


def test_the_input_is_never_overwritten(table):
    before = table.read_bytes()
    with pytest.raises(ValueError, match="the output must not be the input"):
        weigh_file(table, table, weight=BetaKernel())
    assert table.read_bytes() == before
