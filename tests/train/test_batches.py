"""Which problems make up which step: every problem once an epoch, zeros as the rule says, drawing in proportion."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.train.batches import number_of_steps, plan_batches

WEIGHTS = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=1, max_size=20)


def plan(weights, batching="weight", *, batch_size=3, num_steps=8, first_step=0, seed=1, stage_number=1):
    return plan_batches(
        weights, batching=batching, batch_size=batch_size, num_steps=num_steps, first_step=first_step, seed=seed,
        stage_number=stage_number,
    )  # fmt: skip


@given(WEIGHTS, st.integers(1, 7))
def test_a_slot_for_every_problem_in_every_epoch_and_its_own_weight(weights, batch_size):
    epochs = batch_size  # this many epochs fill whole batches
    batches = plan(weights, batch_size=batch_size, num_steps=len(weights))
    taken = Counter(index for batch in batches for index in batch.indices)
    assert taken == {index: epochs for index, weight in enumerate(weights) if weight > 0}
    assert sum(batch.num_slots for batch in batches) == epochs * len(weights)
    for batch in batches:
        assert batch.weights == tuple(weights[index] for index in batch.indices)


@given(WEIGHTS.filter(any), st.integers(1, 7))
def test_refill_gives_every_slot_to_a_problem_that_counts_with_unit_mean_weight(weights, batch_size):
    counted = [weight for weight in weights if weight > 0]
    batches = plan(weights, "refill", batch_size=batch_size, num_steps=len(counted))
    taken = Counter(index for batch in batches for index in batch.indices)
    assert taken == {index: batch_size for index, weight in enumerate(weights) if weight > 0}
    assert all(len(batch.indices) == batch_size for batch in batches)
    assert np.mean([w for batch in batches for w in batch.weights]) == pytest.approx(1.0)


def test_sample_draws_in_proportion_to_the_weight():
    batches = plan([0.0, 1.0, 3.0], "sample", batch_size=50, num_steps=80)
    counts = Counter(index for batch in batches for index in batch.indices)
    assert counts[0] == 0
    assert set(batches[0].weights) == {1.0}
    # 4,000 draws at 3/4: a standard deviation of 27; five of them.
    assert abs(counts[2] - 3000) < 5 * 27.4


@pytest.mark.parametrize("batching", ["weight", "refill", "sample"])
def test_a_plan_can_be_taken_up_in_the_middle_and_depends_on_seed_and_stage(batching):
    weights = [0.5, 0.0, 1.0, 2.0, 1.5]
    whole = plan(weights, batching)
    assert plan(weights, batching, first_step=5, num_steps=3) == whole[5:]
    assert plan(weights, batching, seed=2) != whole
    assert plan(weights, batching, stage_number=2) != whole


@pytest.mark.parametrize("batching", ["refill", "sample"])
def test_nothing_that_counts_is_an_error_where_slots_must_be_filled(batching):
    with pytest.raises(ValueError, match="needs a problem of positive weight, got 2 zeros"):
        plan([0.0, 0.0], batching)
    assert [batch.indices for batch in plan([0.0, 0.0])] == [()] * 8


@pytest.mark.parametrize("weights", [[], [-1.0], [float("nan")], [[1.0]]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="finite and >= 0"):
        plan(weights)


def test_steps_of_a_stage():
    assert number_of_steps(100, batch_size=32, num_epochs=1.0, num_steps=0) == 4
    assert number_of_steps(96, batch_size=32, num_epochs=1.5, num_steps=0) == 5
    assert number_of_steps(3, batch_size=32, num_epochs=0.01, num_steps=0) == 1
    assert number_of_steps(100, batch_size=32, num_epochs=1.0, num_steps=7) == 7
