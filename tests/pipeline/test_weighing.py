"""Weights follow from pass rates, and where none is left the message names what really happened."""

from __future__ import annotations

import pytest

from paced.errors import ConfigError
from paced.pipeline.weighing import weights_of
from paced.records import PassRate
from paced.run.configfile import build_config


def config(weights="beta"):
    return build_config(
        {
            "name": "tiny",
            "student": {"path": "m"},
            "problems": {"path": "p.jsonl"},
            "rollouts": {"max_new_tokens": 64},
            "weights": weights,
        }
    )


def rates(passed, *, rollouts=8, truncated=0, ungradable=0):
    return [
        PassRate(
            problem_id=str(index),
            num_passed=number,
            num_rollouts=rollouts,
            num_truncated=truncated,
            num_ungradable=ungradable,
        )
        for index, number in enumerate(passed)
    ]


def test_a_problem_between_never_and_always_has_weight_and_the_others_have_none():
    weights = weights_of(rates([0, 4, 8]), config())
    assert [weight.weight > 0 for weight in weights] == [False, True, False]
    assert weights[1].unit_mean_weight == pytest.approx(3.0)


def test_completions_that_ended_ask_for_other_problems_and_for_nothing_else():
    with pytest.raises(
        ConfigError, match="2 were never solved, 1 always. There is no frontier .* Take other"
    ) as caught:
        weights_of(rates([0, 0, 8], truncated=4), config())
    assert "end_of_answer" not in str(caught.value)
    assert "graded" not in str(caught.value)


def test_completions_that_were_cut_ask_for_the_end_token_and_the_limit_and_not_for_other_problems():
    with pytest.raises(ConfigError, match=r"62 % of the completions were cut by rollouts.max_new_tokens=64") as caught:
        weights_of(rates([0, 0], truncated=5), config())
    assert "prompts.end_of_answer" in str(caught.value)
    assert "Take other problems" not in str(caught.value)


@pytest.mark.parametrize(("rollouts", "ungradable", "share"), [(0, 8, 100), (3, 5, 62)])
def test_completions_that_could_not_be_graded_ask_for_a_look_at_the_reasons(rollouts, ungradable, share):
    with pytest.raises(ConfigError, match=f"{share} % of the completions could not be graded.*grades.jsonl") as caught:
        weights_of(rates([0, 0], rollouts=rollouts, ungradable=ungradable), config())
    assert "Take other problems" not in str(caught.value)


def test_both_causes_are_named_together():
    with pytest.raises(ConfigError, match="100 % of the completions were cut .* and 50 % of .* could not be graded"):
        weights_of(rates([0], rollouts=4, truncated=4, ungradable=4), config())


def test_a_problem_without_a_graded_completion_has_weight_0_beside_others():
    graded = PassRate(problem_id="graded", num_passed=4, num_rollouts=8, num_truncated=0, num_ungradable=0)
    weights = weights_of([graded, *rates([0], rollouts=0, ungradable=8)], config("uniform"))
    assert [weight.weight for weight in weights] == [1.0, 0.0]
