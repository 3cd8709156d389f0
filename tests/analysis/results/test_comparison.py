"""Methods are compared problem by problem against the same base, and noise is called noise."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis.report.results import differences, results_section, results_table
from paced.analysis.report.terminal import print_results
from paced.analysis.results.comparison import (
    compare,
    difference_table,
    gain_table,
    in_words,
    read_result,
    report_method,
    unfinished,
)
from paced.analysis.results.intervals import Estimate
from paced.errors import RunFolderError
from paced.records import PassRate
from paced.run.configfile import build_config, with_method
from paced.run.folder import RunFolder
from paced.run.storage import write_parquet


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
    uniform, _, paced = compare(run)
    assert uniform.gain.value < 0 < paced.gain.value
    # 300 graded problems gain 0.15, 60 unseen ones nothing: 0.125 over all.
    assert paced.gain.value == pytest.approx(0.125, abs=0.03)
    assert uniform.forgetting.value == pytest.approx(0.3, abs=0.03)
    assert paced.change["unseen"].value == 0.0


def test_a_difference_inside_the_noise_is_called_that(run):
    table = difference_table(compare(run), "paced")
    rows = list(zip(table["method"], table["role"], table["verdict"], strict=True))
    assert ("uniform", "plasticity", "higher") in rows
    assert ("drop-zero", "plasticity", "inside the noise") in rows
    assert not any(method == "paced" for method, _, _ in rows)


def test_a_reference_that_was_not_run_is_refused(run):
    with pytest.raises(ValueError, match="reference must be one of uniform, drop-zero, paced"):
        difference_table(compare(run), "akl")


def test_tables_for_people_show_every_set_with_its_interval(run):
    results = compare(run)
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
    assert title in [name for name, _ in results_section(run).tables]
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
    assert unfinished(run) == []
    (run.method("uniform").evaluation / "final-prior.parquet").unlink()
    assert [result.method for result in compare(run)] == ["drop-zero", "paced"]
    (sentence,) = unfinished(run)
    assert "uniform" in sentence
    assert "'final' on 'prior'" in sentence


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.01, 0.03, "higher"), (-0.03, -0.01, "lower"), (-0.01, 0.03, "inside the noise")]
)
def test_words_follow_the_interval(low, high, words):
    assert in_words(Estimate(value=(low + high) / 2, low=low, high=high, num_problems=9)) == words
