"""A rated table: the same rows in each format, taken as it is by every reader."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from paced.records import PassRate
from paced.weights.table.rated import check_table_name, rated_rows, write_rated
from paced.weights.table.read import read_counts
from paced.weights.table.report import fit_file, weigh_file, weight_function
from paced.weights.table.summary import histogram, histogram_text, table_summary, weight_rows

RATES = [
    PassRate(problem_id=f"q{number}", num_passed=number % 9, num_rollouts=8, num_truncated=number % 2)
    for number in range(60)
]
UNGRADABLE = PassRate(problem_id="odd", num_passed=0, num_rollouts=0, num_ungradable=8)
SUFFIXES = ("parquet", "csv", "jsonl")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_fit_and_weigh_take_the_table_as_it_is_and_say_what_could_not_be_graded(tmp_path, suffix):
    file = tmp_path / f"rates.{suffix}"
    write_rated(file, [*RATES[:30], UNGRADABLE, *RATES[30:]])
    table = read_counts(file)
    assert table.problem_ids.to_pylist() == [rate.problem_id for rate in RATES]
    assert (table.num_passed == [rate.num_passed for rate in RATES]).all()
    assert (table.num_without_rollouts, table.num_ungradable) == (1, 8)
    text, _, results = fit_file(file)
    assert results[0].success
    assert "left out: 8 rollouts that could not be graded and 1 problems" in text
    weigh_file(file, tmp_path / "weights.parquet", weight=weight_function("beta", []))
    assert pq.read_table(tmp_path / "weights.parquet").num_rows == 60


def test_a_problem_without_rollouts_that_does_not_say_why_is_a_fault(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_text("problem_id,num_passed,num_rollouts,num_ungradable\na,0,0,0\nb,1,8,0\n")
    with pytest.raises(ValueError, match="row 2, column 'num_rollouts'"):
        read_counts(file)


def test_a_table_of_which_nothing_could_be_graded_says_so(tmp_path):
    write_rated(tmp_path / "rates.jsonl", [UNGRADABLE])
    with pytest.raises(ValueError, match="not one of 8 rollouts could be graded"):
        read_counts(tmp_path / "rates.jsonl")


def test_every_format_holds_the_same_rows_and_numbers_stay_numbers(tmp_path):
    for suffix in SUFFIXES:
        write_rated(tmp_path / f"rates.{suffix}", [*RATES, UNGRADABLE])
    rows = pq.read_table(tmp_path / "rates.parquet").to_pylist()
    assert rows == rated_rows([*RATES, UNGRADABLE])
    assert rows == [json.loads(line) for line in (tmp_path / "rates.jsonl").read_text().splitlines()]
    import pyarrow.csv

    assert pyarrow.csv.read_csv(tmp_path / "rates.csv").to_pylist() == rows
    assert rows[-1]["pass_rate"] is None


def test_one_rollout_is_a_pass_rate_and_none_is_not():
    rates = [PassRate(problem_id="one", num_passed=1, num_rollouts=1), UNGRADABLE]
    assert [row["pass_rate"] for row in rated_rows(rates)] == [1.0, None]


@pytest.mark.parametrize("name", ["rates.txt", "rates", "rates.csv.zip"])
def test_a_name_without_a_known_suffix_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.parquet, \.csv or \.jsonl"):
        check_table_name(tmp_path / name)


@pytest.mark.parametrize("name", ["=1+1", "@x", "+cmd|' /C calc'!A0", "-a", "\tb"])
def test_an_id_that_is_a_formula_never_reaches_a_spreadsheet_and_is_never_changed(tmp_path, name):
    rate = PassRate(problem_id=name, num_passed=1, num_rollouts=2)
    with pytest.raises(ValueError, match="as a formula of a spreadsheet"):
        write_rated(tmp_path / "rates.csv", [rate])
    assert not (tmp_path / "rates.csv").exists()
    write_rated(tmp_path / "rates.parquet", [rate])
    assert pq.read_table(tmp_path / "rates.parquet")["problem_id"].to_pylist() == [name]


def test_the_histogram_counts_every_graded_problem_once():
    assert sum(histogram([*RATES, UNGRADABLE]).values()) == 60
    mixed = [*RATES, PassRate(problem_id="more", num_passed=1, num_rollouts=2)]
    bars = histogram(mixed)
    assert sum(bars.values()) == 61
    assert bars["0"] == sum(rate.num_passed == 0 for rate in mixed)
    assert bars["0.5 to 0.6"] == sum(0.5 <= rate.pass_rate_estimate < 0.6 for rate in mixed)
    assert histogram_text(bars).count("#") > 40


def test_weights_that_are_all_zero_are_said_and_are_no_error():
    rows = {row["weight"]: row for row in weight_rows([PassRate(problem_id="a", num_passed=0, num_rollouts=8)])}
    assert rows["beta"]["ess"] is None
    assert rows["uniform"]["ess"] == 1
    assert rows["beta estimator=posterior"]["ess"] == 1


def test_screening_is_shown_beside_one_k_at_its_cost(tmp_path):
    rates = [PassRate(problem_id=str(i), num_passed=2 * (i % 2), num_rollouts=2) for i in range(40)]
    rates += [PassRate(problem_id=f"m{i}", num_passed=1 + i % 7, num_rollouts=8) for i in range(30)]
    write_rated(tmp_path / "rates.parquet", rates)
    text, data = table_summary(tmp_path / "rates.parquet", rates, screen=(2, 8))
    plans = {(plan["policy"], plan["weight"]): plan for plan in data["screening"]}
    screened = plans["screen 2, then 6 more", "posterior"]
    alike = [plan for (policy, weight), plan in plans.items() if policy.startswith("K =") and weight == "posterior"]
    assert all(abs(plan["rollouts_per_problem"] - screened["rollouts_per_problem"]) <= 1 for plan in alike)
    assert len(data["fits"]) == 1
    assert "screen 2, then 6 more" in text
