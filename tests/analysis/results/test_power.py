"""Power agrees with simulated evaluations; what is needed is the fewest that is enough; counts give the spreads."""

from __future__ import annotations

import numpy as np
import pytest

from paced.analysis.report.power import PowerQuestion, power_of_tables, power_text, smallest_gain
from paced.analysis.results.intervals import paired_difference
from paced.analysis.results.power import (
    Spread,
    power,
    problems_needed,
    samples_needed,
    spread_of_base,
    spread_of_pair,
)
from paced.errors import ConfigError
from paced.records import PassRate

GAIN, DEVIATION = 0.06, 0.05


def students(num_problems, num_samples, rng, *, gain=GAIN):
    """Counts of a base student and of one whose gain is normal over problems."""
    before = rng.uniform(0.2, 0.7, num_problems)
    after = np.clip(before + gain + rng.normal(0, DEVIATION, num_problems), 0, 1)
    return [
        [
            PassRate(problem_id=str(k), num_passed=int(s), num_rollouts=num_samples)
            for k, s in enumerate(rng.binomial(num_samples, skill))
        ]
        for skill in (before, after)
    ]


def spread_of_these():
    """The truth of :func:`students`: mean p(1 - p) of both by quadrature."""
    grid = np.linspace(0.2, 0.7, 20001)
    after = grid + GAIN
    return Spread(between=DEVIATION**2, within=float((grid * (1 - grid) + after * (1 - after)).mean()) - DEVIATION**2)


@pytest.mark.parametrize(("num_problems", "num_samples"), [(30, 8), (120, 4)])
def test_the_predicted_power_is_that_of_simulated_evaluations(num_problems, num_samples):
    rng = np.random.default_rng(num_problems)
    shown = 0
    for _ in range(400):
        before, after = students(num_problems, num_samples, rng)
        estimate = paired_difference(
            {rate.problem_id: rate.pass_rate_estimate for rate in after},
            {rate.problem_id: rate.pass_rate_estimate for rate in before},
        )
        shown += estimate.excludes_zero()
    predicted = power(GAIN, spread_of_these(), num_problems, num_samples)
    assert shown / 400 == pytest.approx(predicted, abs=5 * (0.25 / 400) ** 0.5)
    assert 0.2 < predicted < 0.99  # a power of nearly 0 or 1 would agree with anything


def test_both_parts_of_the_spread_come_back_from_counts():
    before, after = students(20_000, 8, np.random.default_rng(0))
    spread, truth = spread_of_pair(before, after), spread_of_these()
    assert spread.within == pytest.approx(truth.within, abs=0.005)
    assert spread.between == pytest.approx(truth.between, abs=0.001)


def test_equal_students_have_a_gain_without_spread():
    rng = np.random.default_rng(3)
    skill = rng.uniform(0.2, 0.7, 20_000)
    before, after = (
        [PassRate(problem_id=str(k), num_passed=int(s), num_rollouts=8) for k, s in enumerate(rng.binomial(8, skill))]
        for _ in range(2)
    )
    assert spread_of_pair(before, after).between == pytest.approx(0, abs=0.001)


def test_the_base_alone_gives_its_samples_noise_twice():
    rates = [
        PassRate(problem_id="a", num_passed=1, num_rollouts=2),
        PassRate(problem_id="b", num_passed=0, num_rollouts=2),
    ]
    assert spread_of_base(rates, gain=0.1) == Spread(between=pytest.approx(0.01), within=0.5)
    assert spread_of_base(rates, gain=0.1, gain_spread=0.3).between == pytest.approx(0.09)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
def test_what_is_needed_is_the_fewest_that_is_enough(target):
    spread = Spread(between=0.001, within=0.3)
    problems = problems_needed(0.04, spread, 8, target=target)
    assert power(0.04, spread, problems, 8) >= target > power(0.04, spread, problems - 1, 8)
    samples = samples_needed(0.04, spread, 100, target=target)
    assert power(0.04, spread, 100, samples) >= target
    assert samples == 1 or power(0.04, spread, 100, samples - 1) < target


def test_no_number_of_samples_helps_against_the_spread_of_the_gain():
    assert samples_needed(0.03, Spread(between=0.04, within=0.2), 30) is None
    text = power_text("x", PowerQuestion(gain=0.03, gain_spread=0.4), students(30, 8, np.random.default_rng(1))[0])
    assert "no number of samples shows a gain of 3 points with 30 problems" in text


def test_the_power_at_no_gain_is_the_level_and_that_of_a_family_is_lower():
    spread = Spread(between=0.001, within=0.3)
    assert power(0.0, spread, 30, 8) == pytest.approx(0.05)
    assert power(0.04, spread, 30, 8, level=0.05 / 4) < power(0.04, spread, 30, 8)


def test_the_smallest_gain_has_the_chance_that_was_asked():
    spread, question = Spread(between=0.001, within=0.3), PowerQuestion(gain=0.1, target=0.9)
    assert power(smallest_gain(spread, 200, 8, question), spread, 200, 8) == pytest.approx(0.9, abs=0.001)


def test_tables_of_two_students_are_joined_by_problem(tmp_path):
    before, after = students(50, 8, np.random.default_rng(4))
    files = []
    for name, rates in (("base", before), ("after", after[::-1])):
        files.append(tmp_path / f"{name}.csv")
        rows = "".join(f"{rate.problem_id},{rate.num_passed},{rate.num_rollouts}\n" for rate in rates)
        files[-1].write_text("problem_id,num_passed,num_rollouts\n" + rows)
    question = PowerQuestion(gain=0.05)
    text = power_of_tables(*files, question)
    assert text == power_text("base.csv", question, before, after)
    assert "from both students" in text
    assert "gain assumed" in power_of_tables(files[0], None, question)


@pytest.mark.parametrize("gain", [0.0, -0.1, 3.0, float("nan")])
def test_a_gain_that_is_not_a_share_is_refused(gain):
    with pytest.raises(ConfigError, match="gain must be > 0 and <= 1"):
        PowerQuestion(gain=gain)


def test_one_sample_of_each_problem_cannot_tell_noise_from_skill():
    rates = [PassRate(problem_id="a", num_passed=1, num_rollouts=1)]
    with pytest.raises(ValueError, match="at least two samples"):
        spread_of_base(rates, gain=0.1)
    with pytest.raises(ValueError, match="answered at least twice, got 0"):
        spread_of_pair(rates, rates)
