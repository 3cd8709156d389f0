"""Step sizes, renewal and the continuous interpolation of ``x8``, against what is written down."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_cosine_schedule_with_warmup

from paced.run.config import StageConfig, TrainingConfig
from paced.run.schema import Choice
from paced.train.examples import Ratings
from paced.train.schedule import divergence_at, forward_share, learning_rate, renewal_due

FRACTIONS = st.floats(0, 1)


def test_constant_is_the_papers_and_warm_up_ends_at_the_full_step_size():
    training = TrainingConfig(learning_rate=2.0)
    assert {learning_rate(step, num_steps=5, training=training) for step in range(5)} == {2.0}
    warm = TrainingConfig(learning_rate=2.0, warmup_steps=3)
    assert [learning_rate(step, num_steps=5, training=warm) for step in range(4)] == pytest.approx([2 / 3, 4 / 3, 2, 2])


def test_cosine_is_that_of_transformers():
    training = TrainingConfig(learning_rate=0.5, schedule="cosine")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    peer = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=0, num_training_steps=9)
    for step in range(9):
        assert learning_rate(step, num_steps=9, training=training) == pytest.approx(peer.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        peer.step()


def test_pass_rates_are_renewed_after_every_so_many_steps_and_never_before_the_first():
    stage = StageConfig(recompute_every=3)
    assert [step for step in range(10) if renewal_due(step, stage)] == [3, 6, 9]
    assert not any(renewal_due(step, StageConfig()) for step in range(10))


@given(FRACTIONS, FRACTIONS, FRACTIONS, st.floats(0, 5))
def test_the_forward_share_falls_with_the_zone_and_never_leaves_0_to_1(mass, other, first, power):
    low, high = sorted((mass, other))
    shares = forward_share(low, first, power), forward_share(high, first, power)
    assert 0 <= shares[0] <= shares[1] <= 1
    if first:
        assert forward_share(first, first, power) == 1


def test_the_mixture_of_a_step_follows_from_both_ratings():
    stage = StageConfig(divergence=Choice("mixed_kl", {"forward_share": 0.9}), recompute_every=2)
    weights = (1.0,) * 4
    first = Ratings(unit_mean_weights=weights, pass_rates=(0.5, 0.4, 0.3, 0.0))
    now = Ratings(unit_mean_weights=weights, pass_rates=(0.5, 0.9, 1.0, 0.0))
    fixed = divergence_at(stage, TrainingConfig(), first=first, now=now)
    assert fixed.forward_share == 0.9
    training = TrainingConfig(interpolation="zpd_mass", interpolation_power=2.0)
    assert divergence_at(stage, training, first=first, now=now).forward_share == pytest.approx((1 / 3) ** 2)
    assert divergence_at(stage, training, first=first, now=first).forward_share == 1
