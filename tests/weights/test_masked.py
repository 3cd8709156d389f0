"""Masked arrays, numbers beyond 64 bits and seeds that are none are refused, not misread."""

from __future__ import annotations

import numpy as np
import pytest

from paced.weights import BetaKernel, fit, normalise

MASKED = np.ma.array([3, 99, 1], mask=[False, True, False])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(MASKED, 8), "fit: num_passed must not have masked entries, got 1 of 3"),
        (lambda: fit([1, 2, 3], MASKED), "fit: num_rollouts must not have masked entries"),
        (lambda: BetaKernel()(MASKED, 8), "num_passed must not have masked entries"),
        (lambda: BetaKernel().at(MASKED / 100), "pass_rate must not have masked entries"),
        (lambda: normalise(MASKED), "normalise: weights must not have masked entries"),
        (lambda: fit([1, 2, 3], [8, 8, 1e301]), r"num_rollouts must be below 2\^63, got 1e\+301 at index 2"),
        (lambda: fit([1, 2], np.array([8, 2**64 - 1], dtype=np.uint64)), r"num_rollouts must be below 2\^63"),
        (lambda: fit([1, 2, 5, 3], 8).gof(seed=-1), "FitResult.gof: seed must be a whole number >= 0, got -1"),
        (
            lambda: fit([1, 2, 5, 3], 8).conf_int(method="bootstrap", seed=-1),
            "FitResult.conf_int: seed must be a whole number >= 0, got -1",
        ),
    ],
)
def test_what_numpy_would_misread_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_masked_array_without_masked_entries_is_an_array():
    whole = np.ma.array([3, 5, 1], mask=False)
    assert fit(whole, 8).law == fit([3, 5, 1], 8).law
