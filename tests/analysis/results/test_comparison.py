"""Methods are compared problem by problem against the same base, and noise is called noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from paced.analysis.report.evaluation import cut_table
from paced.analysis.report.results import differences, results_section, results_table
from paced.analysis.report.terminal import print_results
from paced.analysis.results.comparison import (
    MethodResult,
    compare,
    difference_table,
    gain_table,
    read_result,
    report_method,
)
from paced.errors import RunFolderError
from paced.records import PassRate
from paced.run.configfile import build_config, with_method
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet, write_parquet


def rates(skill, rng, num_samples=8):
    passed = rng.binomial(num_samples, np.clip(skill, 0, 1))
    return [PassRate(problem_id=str(k), num_passed=int(s), num_rollouts=num_samples) for k, s in enumerate(passed)]


@pytest.fixture
def run(tmp_path):
    """A run of three methods: one equal to another, one clearly better; all forget differently."""
    sets = [
        {"name": "graded", "path": "g.jsonl"},
        {"name": "unseen", "path": "u.jsonl"},
        {"name": "prior", "path": "p.jsonl", "role": "stability"},
    ]
    methods = {"uniform": {"weights": "uniform"}, "drop-zero": {"weights": "drop_zero"}, "paced": {}}
    config = build_config(
        {"name": "three", "problems": {"path": "x.jsonl"}, "evaluation": {"sets": sets}, "methods": methods}
    )
    folder = RunFolder(tmp_path / "three")
    folder.claim(config)
    rng = np.random.default_rng(0)
    skill = {"graded": rng.uniform(0.2, 0.7, 300), "unseen": np.zeros(60), "prior": np.full(200, 0.95)}
    before = {name: rates(values, rng) for name, values in skill.items()}
    for method, gain, loss in (("uniform", -0.05, 0.3), ("drop-zero", 0.15, 0.02), ("paced", 0.15, 0.02)):
        one = folder.method(method)
        one.claim(with_method(config, method))
        for name, values in skill.items():
            after = rates(values - loss if name == "prior" else values + gain * (name == "graded"), rng)
            write_parquet(one.evaluation / f"base-{name}.parquet", before[name], PassRate)
            write_parquet(one.evaluation / f"final-{name}.parquet", after, PassRate)
    return folder


def test_gain_and_forgetting_have_the_right_sign_and_size(run):
    uniform, _, paced = compare(run).results
    assert uniform.gain.value < 0 < paced.gain.value
    # 300 graded problems gain 0.15, 60 unseen ones nothing: 0.125 over all.
    assert paced.gain.value == pytest.approx(0.125, abs=0.03)
    assert uniform.forgetting.value == pytest.approx(0.3, abs=0.03)
    assert paced.change["unseen"].value == 0.0


def test_a_difference_inside_the_noise_is_called_that(run):
    table = difference_table(compare(run).results, "paced")
    rows = list(zip(table["method"], table["role"], table["verdict"], strict=True))
    assert ("uniform", "plasticity", "higher") in rows
    assert ("drop-zero", "plasticity", "inside the noise") in rows
    assert not any(method == "paced" for method, _, _ in rows)


def test_a_reference_that_was_not_run_is_refused(run):
    with pytest.raises(ValueError, match="reference must be one of uniform, drop-zero, paced"):
        difference_table(compare(run).results, "akl")


def test_tables_for_people_show_every_set_with_its_interval(run):
    results = compare(run).results
    table = results_table(results)
    assert table["method"] == ["base", "uniform", "drop-zero", "paced"]
    assert list(table) == ["method", "gain", "forgetting", "graded", "unseen", "prior"]
    assert all("[" in cell for cell in table["graded"])
    assert differences(results, "drop-zero")["verdict"]
    assert gain_table(results)["method"] == ["uniform", "drop-zero", "paced"]


@pytest.mark.parametrize(("named", "shown"), [("", "uniform"), ("drop-zero", "drop-zero"), ("paced", "paced")])
def test_the_report_holds_the_method_that_the_recipe_names_against_the_others_or_the_first(run, capsys, named, shown):
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("method: ''", f"method: {named}") if named else text)
    assert run.config().report.method == named
    title = f"{shown} minus the others, paired by problem, in points"
    assert any(name.startswith(title) for name, _ in results_section(run).tables)
    print_results(run)
    assert title in capsys.readouterr().out


def test_a_named_method_without_results_yet_leaves_its_place_to_the_first_that_has_some(run):
    run.config_file.write_text(run.config_file.read_text().replace("method: ''", "method: paced"))
    assert report_method(run, ["uniform", "paced"]) == "paced"
    assert report_method(run, ["uniform", "drop-zero"]) == "uniform"


def test_a_missing_evaluation_names_the_command(run):
    (run.method("paced").evaluation / "final-graded.parquet").unlink()
    with pytest.raises(RunFolderError, match="no evaluation of 'final' on 'graded'. Run: paced evaluate"):
        read_result(run.method("paced"), "paced")


def test_one_unfinished_method_does_not_cost_the_others_their_results(run):
    assert compare(run).unfinished == []
    (run.method("uniform").evaluation / "final-prior.parquet").unlink()
    assert [result.method for result in compare(run).results] == ["drop-zero", "paced"]
    (sentence,) = compare(run).unfinished
    assert "uniform" in sentence
    assert "'final' on 'prior'" in sentence


def test_among_several_methods_the_verdict_goes_by_the_p_value_of_the_family():
    """One of four comparisons has p = 0.02 alone, which is not below 0.05 among four."""
    rng = np.random.default_rng(2)
    reference = {str(k): 0.5 for k in range(40)}
    noise = rng.normal(0, 0.2, 40)
    noise -= noise.mean()
    shift = stats.t.isf(0.01, 39) * noise.std(ddof=1) / np.sqrt(40)  # p = 0.02, two-sided
    others = [dict(zip(reference, 0.5 + noise - by, strict=True)) for by in (shift, 0.0, 0.0, 0.0)]
    results = [result_of(name, one) for name, one in zip("abcde", [reference, *others], strict=True)]
    table = difference_table(results, "a")
    assert table["p_value"][0] == pytest.approx(0.02)
    assert table["difference_low"][0] > 0  # its own interval excludes zero
    assert table["p_holm"][0] == pytest.approx(0.08)
    assert table["verdict"] == ["inside the noise"] * 4
    assert difference_table(results[:2], "a")["verdict"] == ["higher"]
    shown = differences(results, "a")
    assert (shown["p (Holm)"][0], shown["verdict"][0]) == ("0.080", "inside the noise")


def test_a_problem_that_could_not_be_graded_is_named_where_the_accuracy_is(run, capsys):
    folder = run.method("paced")
    counts = read_parquet(folder.counts("final", "graded"), PassRate)
    counts[7] = PassRate(problem_id="7", num_passed=0, num_rollouts=0, num_ungradable=8)
    write_parquet(folder.counts("final", "graded"), counts, PassRate)
    (result,) = [result for result in compare(run).results if result.method == "paced"]
    assert result.final["graded"].num_problems == result.change["graded"].num_problems == 299
    sentences = [
        "paced, after training, on 'graded': 1 of 300 problems could not be graded and are in no mean and no "
        "difference: 7.",
        "paced, change on 'graded': 1 problems have a grade before or after training only and are in no pair: 7.",
        "uniform against paced: 1 problems have a grade in one of them only and are in no difference: graded/7.",
    ]
    prose = results_section(run).prose
    print_results(run)
    printed = capsys.readouterr().out
    for sentence in sentences:
        assert sentence in prose
        assert sentence in printed


def test_a_set_of_which_nothing_could_be_graded_says_so_instead_of_a_number(run):
    folder = run.method("paced")
    counts = read_parquet(folder.counts("final", "graded"), PassRate)
    nothing = [PassRate(problem_id=one.problem_id, num_passed=0, num_rollouts=0, num_ungradable=8) for one in counts]
    write_parquet(folder.counts("final", "graded"), nothing, PassRate)
    assert [result.method for result in compare(run).results] == ["uniform", "drop-zero"]
    assert "no completion of 'final' on 'graded' could be graded" in compare(run).unfinished[0]


@pytest.mark.parametrize(("passed", "cut", "share"), [(0, 8, "100.0"), (2, 6, "75.0"), (3, 1, "12.5")])
def test_completions_that_the_limit_cut_are_in_the_table_the_report_and_the_terminal(run, capsys, passed, cut, share):
    folder = run.method("uniform")
    counts = [PassRate(problem_id=str(k), num_passed=passed, num_rollouts=8, num_truncated=cut) for k in range(200)]
    write_parquet(folder.counts("final", "prior"), counts, PassRate)
    table = cut_table(compare(run).results)
    assert table["prior"] == ["0.0", share, "0.0", "0.0"]
    assert table in [shown for _, shown in results_section(run).tables]
    print_results(run)
    printed = capsys.readouterr().out
    assert "Completions that the token limit cut" in printed
    assert ("every completion was cut by max_new_tokens=30000" in printed) == (cut == 8)
    assert ("more about the limit than about the student" in printed) == (cut == 6)


def test_a_run_without_any_cut_completion_says_that(run, capsys):
    print_results(run)
    assert "The token limit cut no held-out completion." in capsys.readouterr().out


def result_of(name, accuracy):
    keyed = {f"set/{key}": value for key, value in accuracy.items()}
    return MethodResult(
        method=name, base={}, final={}, change={}, gain=None, forgetting=None, accuracy={"plasticity": keyed}, behind={}
    )
