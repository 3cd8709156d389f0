"""``paced fit`` and ``paced weigh FILE`` as a user meets them: output, files, exit codes."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from commands import paced

from paced.weights import WEIGHTS, BetaKernel, fit
from paced.weights.table.figure import fit_figure, fit_table
from paced.weights.table.report import fit_file, fitted_kernel, weigh_file, weight_function

PASSED = np.random.default_rng(0).binomial(8, np.random.default_rng(1).beta(3, 3, 300))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("id,n_correct,n_samples\n" + "".join(f"p{i},{s},8\n" for i, s in enumerate(PASSED)))
    return path


def test_fit_prints_both_estimators_with_intervals_and_draws_the_figure(table):
    done = paced("fit", table, "--num-resamples", 19)
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
        done = paced(*arguments)
        assert done.returncode == 2
        assert "row 2, column 'num_passed': found 9" in done.stderr
        assert "row 3, column 'num_passed': found 'x'" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "w.csv").exists()


def test_a_table_without_an_estimate_is_exit_code_one_and_says_why(tmp_path):
    path = tmp_path / "zeros.csv"
    path.write_text("num_passed,num_rollouts\n0,8\n0,8\n")
    done = paced("fit", path, "--no-figure")
    assert done.returncode == 1
    assert "No rollout passed" in done.stdout
    assert not path.with_suffix(".fit.png").exists()


def test_weigh_writes_unit_mean_weights(table, tmp_path):
    done = paced("weigh", table, "-o", tmp_path / "w.parquet", "alpha=1", "beta=2", "estimator=posterior")
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
    assert "What a rollout buys" in text
    assert "only if training on one costs more than" in text


def test_fitted_kernel_is_the_fit_of_the_same_table(table):
    assert fitted_kernel(table) == fit(PASSED, 8).kernel


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_weight_function_can_be_named(name, table, tmp_path):
    text = weigh_file(table, tmp_path / "w.csv", weight=weight_function(name, []))
    assert "300 problems" in text


@pytest.mark.parametrize(
    ("parameters", "kernel"),
    [
        (["alpha=5e-1"], BetaKernel(0.5)),
        (["alpha=.5", "beta= 2. "], BetaKernel(0.5, 2)),
        (["alpha=1E0", "beta=010"], BetaKernel(1, 10)),
        (["prior=[5e-1, 1]"], BetaKernel(prior=(0.5, 1))),
        (["prior=(.5,1)"], BetaKernel(prior=(0.5, 1))),
        (["prior=empirical", "estimator='posterior'"], BetaKernel(prior="empirical", estimator="posterior")),
    ],
)
def test_numbers_are_read_as_everyone_writes_them(parameters, kernel):
    assert weight_function("beta", parameters) == kernel


@pytest.mark.parametrize("parameter", ["alpha=big", "alpha=", "prior=3", "second_moment_exponents=x"])
def test_a_wrong_parameter_is_one_sentence_and_no_traceback(table, tmp_path, parameter):
    done = paced("weigh", table, "-o", tmp_path / "w.csv", parameter)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("gauss", [], "--weight must be one of uniform, beta"),
        ("beta", ["gamma=1"], "field=value with fields alpha, beta, estimator.*got 'gamma=1'"),
        ("beta", ["alpha"], "got 'alpha'"),
        ("beta", ["alpha=-1"], "alpha must be finite and >= 0, got -1"),
        ("beta", ["alpha=big"], "alpha must be a number, got 'big'"),
        ("beta", ["alpha="], "parameter 'alpha' of 'beta' has no value"),
        ("beta", ["alpha=[1, 2]"], r"alpha must be a number, got \(1, 2\)"),
        ("beta", ["alpha=nan"], "alpha must be finite and >= 0, got nan"),
        ("beta", ["alpha=1e999"], "alpha must be finite and >= 0, got inf"),
        ("beta", ["alpha=1", "alpha=2"], "parameter 'alpha' of 'beta' is given twice"),
        ("beta", ["prior=3"], "prior must be two numbers, got 3"),
        ("beta", ["prior=[1]"], r"prior must be two numbers, got \(1,\)"),
        ("beta", ["prior=[1, x]"], r"prior\[1\] must be a number, got 'x'"),
        ("beta", ["prior=3, 4"], "prior must be .*got '3, 4'"),
        ("beta", ["second_moment_exponents=1"], "second_moment_exponents must be two numbers, got 1"),
        ("beta", ["estimator=5"], "estimator must be one of .*got 5"),
        ("hard_filter", ["low=true"], "low must be a number, got 'true'"),
        ("target_difficulty", ["width=0x10"], "width must be a number, got '0x10'"),
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


def test_what_was_left_out_or_doubtful_is_printed_and_in_the_json(tmp_path):
    path = tmp_path / "rollouts.csv"
    rows = [f"p{i},{k},{int(k < i)}" for i in range(8) for k in range(8)]
    path.write_text("problem_id,sample_index,correct\n" + "\n".join([*rows, *rows[:12]]) + "\n")
    note = "left out: 12 repeated rows, with problem_id and sample_index of an earlier row"
    done = paced("weigh", path, "-o", tmp_path / "w.csv")
    assert note in done.stdout
    assert "8 problems, 64 rollouts (K = 8)" in done.stdout
    _, as_json, _ = fit_file(path, num_resamples=9)
    assert json.loads(as_json)["notes"] == [note]


def test_gzipped_and_pretty_files_go_through_both_commands(table, tmp_path):
    rows = [{"id": f"p{i}", "correct": int(s), "total": 8} for i, s in enumerate(PASSED)]
    pretty, packed = tmp_path / "counts.json", tmp_path / "counts.csv.gz"
    pretty.write_text(json.dumps(rows, indent=2))
    packed.write_bytes(gzip.compress(table.read_bytes()))
    for path in (pretty, packed):
        assert fitted_kernel(path) == fit(PASSED, 8).kernel
        assert "300 problems" in weigh_file(path, tmp_path / "w.parquet", weight=BetaKernel())


def test_a_time_stamp_as_a_count_is_refused_before_anything_is_allocated(tmp_path):
    path = tmp_path / "stamped.csv"
    path.write_text("id,s,K\na,3,8\nb,3,1735689600\n")
    for arguments in (("fit", path), ("weigh", path, "-o", tmp_path / "w.csv")):
        done = paced(*arguments)
        assert done.returncode == 2
        assert "row 3, column 'K': found '1735689600'. No problem has more than 100,000 rollouts" in done.stderr


def test_a_figure_of_many_pass_rates_is_drawn_as_lines(tmp_path):
    cells = fit(np.arange(0, 5001, 10), 5000)
    figure = fit_figure(fit_table([cells]))
    assert not figure.axes[0].patches
    assert len(figure.axes[0].collections) == 1
    assert fit_figure(fit_table([fit(PASSED, 8)])).axes[0].patches


def test_the_json_has_the_level_and_the_plan_that_were_asked_for(table):
    text, as_json, results = fit_file(table, num_resamples=9, level=0.8, budget=2400)
    data = json.loads(as_json)
    ends = results[0].conf_int(0.8)
    assert data["fits"][0]["conf_int"] == {"level": 0.8, "alpha": list(ends.alpha), "beta": list(ends.beta)}
    assert data["plan"]["budget"] == 2400
    assert data["plan"]["law"] == list(results[0].law)
    for policy in data["plan"]["policies"]:
        line = next(x for x in text.splitlines() if x.startswith(policy["policy"]) and policy["weight"] in x)
        assert f"{policy['efficiency']:.4f}" in line
    for name, share in data["plan"]["rollout_value"]["efficiency"].items():
        assert f"{name} {share:.3f}" in text
    assert "plan" not in json.loads(fit_file(table, num_resamples=9)[1])


@pytest.mark.parametrize("zpd", [0.6, 0.5, -0.1, float("nan")])
def test_a_zone_that_is_none_is_refused(table, zpd):
    with pytest.raises(ValueError, match="fit: zpd must be finite and >= 0 and < 0.5"):
        fit_file(table, zpd=zpd)
