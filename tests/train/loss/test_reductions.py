"""The four reductions, and that cutting the step into pieces cannot change it."""

from __future__ import annotations

import itertools

import oracles_loss as oracle
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tolerances import F64

from paced.train.loss.reductions import token_weights

FOUR = list(itertools.product(("sequence_mean", "token_mean"), ("dataset", "self")))
batches = st.lists(st.tuples(st.floats(0, 5, allow_subnormal=False), st.integers(0, 40)), min_size=1, max_size=8)


def step_loss(weights, losses, reduction, normaliser):
    """L = Σ_i m_i Σ_t ℓ_it for one list of sequences."""
    multipliers = token_weights(
        problem_weights=weights, token_counts=[len(row) for row in losses], reduction=reduction, normaliser=normaliser
    )
    return float(sum(m * sum(row) for m, row in zip(multipliers.tolist(), losses, strict=True)))


@pytest.mark.parametrize(("reduction", "normaliser"), FOUR)
@given(batch=batches)
def test_multipliers_are_those_of_the_table(reduction, normaliser, batch):
    weights, counts = map(list, zip(*batch, strict=True))
    ours = token_weights(problem_weights=weights, token_counts=counts, reduction=reduction, normaliser=normaliser)
    theirs = oracle.token_multipliers(weights, counts, reduction, normaliser)
    torch.testing.assert_close(ours, torch.tensor(theirs, dtype=torch.float64), rtol=F64, atol=1e-15)


@pytest.mark.parametrize(("reduction", "normaliser"), FOUR)
def test_ranks_that_average_see_the_sum(reduction, normaliser):
    weights, counts = [0.5, 1.5, 1.0], [3, 9, 4]
    one = token_weights(problem_weights=weights, token_counts=counts, reduction=reduction, normaliser=normaliser)
    four = token_weights(
        problem_weights=weights, token_counts=counts, reduction=reduction, normaliser=normaliser, num_averaged_ranks=4
    )
    torch.testing.assert_close(four / 4, one, rtol=F64, atol=0)


def pieces(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


WEIGHTS = [0.2, 3.0, 0.0, 1.1, 0.7, 2.0, 0.4, 0.6]
LOSSES = [[0.3] * 4, [1.0, 2.0], [5.0] * 3, [0.1] * 9, [0.7], [0.2] * 5, [2.0] * 2, [0.9] * 6]


@pytest.mark.parametrize(("reduction", "normaliser"), FOUR)
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_micro_batch_only_sums(reduction, normaliser, size):
    """The law that the loop keeps: multipliers of the whole step, any cut."""
    multipliers = token_weights(
        problem_weights=WEIGHTS,
        token_counts=[len(row) for row in LOSSES],
        reduction=reduction,
        normaliser=normaliser,
    ).tolist()
    cut = sum(
        sum(m * sum(row) for m, row in part) for part in pieces(list(zip(multipliers, LOSSES, strict=True)), size)
    )
    assert cut == pytest.approx(step_loss(WEIGHTS, LOSSES, reduction, normaliser), rel=F64)


@pytest.mark.parametrize(("reduction", "normaliser"), [pair for pair in FOUR if pair != ("sequence_mean", "dataset")])
def test_normalising_inside_a_micro_batch_breaks_the_law(reduction, normaliser):
    """The fault in the wild: each piece divides by its own weights or tokens, and the pieces are averaged."""

    def wrong(size):
        parts = pieces(list(zip(WEIGHTS, LOSSES, strict=True)), size)
        return sum(step_loss(*map(list, zip(*part, strict=True)), reduction, normaliser) for part in parts) / len(parts)

    assert wrong(8) == pytest.approx(step_loss(WEIGHTS, LOSSES, reduction, normaliser), rel=F64)
    assert abs(wrong(1) - wrong(8)) > 0.05 * abs(wrong(8))


def test_self_normalised_pieces_of_one_sequence_lose_the_weights():
    """With one sequence a piece, Σ wℓ/Σ w = ℓ: the weights cancel, as in the public code of the paper's authors."""
    for weight in (0.1, 1.0, 7.0):
        assert step_loss([weight], [[0.3, 0.5]], "sequence_mean", "self") == pytest.approx(0.4, rel=F64)


def test_unit_mean_weights_average_to_the_weighted_objective():
    """Eq. (4): the mean over all batches of the dataset-normalised loss is the mean of w̃ℓ over the training set."""
    weights = [w / (sum(WEIGHTS) / len(WEIGHTS)) for w in WEIGHTS]
    both = list(zip(weights, LOSSES, strict=True))
    parts = [step_loss(*map(list, zip(*part, strict=True)), "sequence_mean", "dataset") for part in pieces(both, 2)]
    whole = sum(w * sum(row) / len(row) for w, row in both) / len(both)
    assert sum(parts) / len(parts) == pytest.approx(whole, rel=F64)


def test_all_weights_zero_is_a_step_that_does_nothing():
    for reduction, normaliser in FOUR:
        out = token_weights(problem_weights=[0, 0], token_counts=[3, 4], reduction=reduction, normaliser=normaliser)
        assert out.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_weights": [1.0, -1.0]}, "finite and >= 0, got -1.0 at index 1"),
        ({"problem_weights": [1.0, float("nan")]}, "finite and >= 0"),
        ({"token_counts": [1, -2]}, "token_counts must be >= 0"),
        ({"token_counts": [1]}, "of one length"),
        ({"num_problems": 1}, "num_problems must be at least"),
        ({"num_averaged_ranks": 0}, "num_averaged_ranks must be >= 1"),
        ({"reduction": "mean"}, "reduction must be"),
        ({"normaliser": "batch"}, "normaliser must be"),
    ],
)
def test_wrong_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        token_weights(**({"problem_weights": [1.0, 2.0], "token_counts": [3, 4]} | changes))
