"""What a request carries of our noise, and the one token that is left of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paced.rollouts.hf import choose_tokens
from paced.rollouts.noise import Draw, leave_chosen
from paced.run.seeds import uniforms

DRAWS = st.builds(
    Draw,
    key=st.integers(0, 2**64 - 1),
    sampling_temperature=st.floats(0, 10),
    top_p=st.floats(0, 1, exclude_min=True),
    vocab_size=st.just(12),
    absent_ids=st.sets(st.integers(0, 11), max_size=4).map(lambda ids: tuple(sorted(ids))),
)


@given(DRAWS)
def test_a_draw_is_read_as_it_was_written(draw):
    assert Draw.parse(draw.as_list()) == draw


@pytest.mark.parametrize(
    "values",
    [
        None, "paced", {}, [], [1], [1, 1.0, 1.0], [-1, 1.0, 1.0, 9], [2**64, 1.0, 1.0, 9], [1.5, 1.0, 1.0, 9],
        [1, -0.1, 1.0, 9], [1, float("nan"), 1.0, 9], [1, float("inf"), 1.0, 9], [1, 1.0, 0, 9], [1, 1.0, 1.1, 9],
        [1, 1.0, 1.0, 0], [1, 1.0, 1.0, 9, 9], [1, 1.0, 1.0, 9, -1], [True, 1.0, 1.0, 9], ["1", 1.0, 1.0, 9],
    ],
)  # fmt: skip
def test_a_draw_that_cannot_be_read_is_refused(values):
    with pytest.raises(ValueError, match=r"paced: must be \[key, temperature, top_p, vocab_size, absent ids"):
        Draw.parse(values)


@given(st.lists(DRAWS, min_size=1, max_size=6), st.integers(0, 50))
def test_each_row_keeps_the_token_that_the_hf_sampler_would_have_taken_and_others_are_left_alone(draws, position):
    logits = torch.randn(len(draws) + 1, 16, generator=torch.Generator().manual_seed(0))
    left = logits.clone()
    rows = list(range(1, len(draws) + 1))
    leave_chosen(left, rows, draws, [position] * len(draws))
    assert torch.equal(left[0], logits[0])
    for row, draw in zip(rows, draws, strict=True):
        known = logits[row : row + 1, : draw.vocab_size].clone()
        known[:, list(draw.absent_ids)] = -torch.inf
        expected = choose_tokens(
            known, uniforms(np.array([draw.key], dtype=np.uint64), position),
            sampling_temperature=draw.sampling_temperature, top_p=draw.top_p,
        )  # fmt: skip
        assert torch.isfinite(left[row]).nonzero().flatten().tolist() == expected.tolist()
