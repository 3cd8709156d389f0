"""Table 9 from counts: shares with intervals, flow with the noise that sampling alone would show."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis.results.curriculum import curriculum_table, flow_table
from paced.records import PassRate
from paced.zone import REGIONS, TABLE_9


def rates(pass_rates, rng, num_rollouts=8):
    passed = rng.binomial(num_rollouts, pass_rates)
    return [PassRate(problem_id=str(k), num_passed=int(s), num_rollouts=num_rollouts) for k, s in enumerate(passed)]


@pytest.mark.parametrize(("value", "name"), [(0.0, "low"), (0.19, "low"), (0.2, "zpd"), (0.8, "zpd"), (0.81, "high")])
def test_the_thresholds_of_table_9_belong_to_its_zone(value, name):
    assert TABLE_9.region(value) == name


def test_shares_add_up_and_a_better_student_moves_right():
    rng = np.random.default_rng(0)
    skill = rng.beta(0.5, 0.5, size=400)
    table = curriculum_table({"before": rates(skill, rng), "after": rates(np.sqrt(skill), rng)})
    for row in range(2):
        assert sum(table[name][row] for name in REGIONS) == pytest.approx(1.0)
        for name in REGIONS:
            assert table[f"{name}_low"][row] <= table[name][row] <= table[f"{name}_high"][row]
    assert table["high"][1] > table["high"][0]
    assert table["mean_pass_rate"][1] > table["mean_pass_rate"][0]
    assert table["zpd_left"][0] == 1.0


def test_the_effective_share_is_that_of_the_default_kernel():
    # Counts 0, 4, 4, 8 of 8 weigh 0, 1/4, 1/4, 0: two of four problems carry all, so ESS/N = 1/2.
    counts = [PassRate(problem_id=str(k), num_passed=s, num_rollouts=8) for k, s in enumerate((0, 4, 4, 8))]
    assert curriculum_table({"now": counts})["effective_share"] == [0.5]
    extremes = [counts[0], counts[3]]
    assert curriculum_table({"now": extremes})["effective_share"] == [0.0]


def test_an_unchanged_student_shows_the_flow_that_chance_predicts():
    rng = np.random.default_rng(1)
    skill = rng.uniform(size=3000)
    table = flow_table(rates(skill, rng), rates(skill, rng))
    for share, chance in zip(table["share"], table["expected_flow_by_chance"], strict=True):
        # Pooling two draws sharpens the estimate of p, not perfectly: within 0.08 on 3,000 problems.
        assert abs(share - chance) < 0.08
    diagonal = [
        share
        for share, start, end in zip(table["share"], table["from_region"], table["to_region"], strict=True)
        if start == end
    ]
    assert max(diagonal) < 1.0


def test_a_student_that_learns_flows_beyond_chance():
    rng = np.random.default_rng(2)
    skill = rng.uniform(0.2, 0.6, size=1000)
    table = flow_table(rates(skill, rng), rates(np.minimum(skill + 0.35, 1), rng))
    row = next(
        index
        for index, pair in enumerate(zip(table["from_region"], table["to_region"], strict=True))
        if pair == ("zpd", "high")
    )
    assert table["share_low"][row] > table["expected_flow_by_chance"][row]


def test_every_problem_flows_somewhere():
    rng = np.random.default_rng(3)
    before = rates(rng.uniform(size=200), rng)
    table = flow_table(before, rates(rng.uniform(size=200), rng))
    assert sum(table["num_problems"]) == 200


def test_renewals_of_stage_one_are_checkpoints_between_before_and_after(small_run):
    from paced.analysis.results.curriculum import curriculum_checkpoints
    from paced.records import PassRate
    from paced.run.storage import read_parquet, write_parquet

    before = read_parquet(small_run.stage(1).pass_rates, PassRate)
    for step in (20, 100, 3):
        folder = small_run.stage(1).root / "renewed" / f"step-{step:06d}"
        folder.mkdir(parents=True)
        write_parquet(folder / "pass_rates.parquet", before[:25], PassRate)
    found = curriculum_checkpoints(small_run)
    assert list(found) == ["before", "step 3", "step 20", "step 100", "after"]
    assert {len(rates) for rates in found.values()} == {25}
    assert len(curriculum_table(found)["zpd"]) == 5
