"""The variance of the debiased SNR against the same formula in rationals, at moments where no factor is 1."""

from __future__ import annotations

from fractions import Fraction

import pytest
from tolerances import F64

from paced.theory.facts.estimation import debiased_snr_variance

MEAN, COVARIANCE = [1, 2], [[2, 1], [1, 3]]


@pytest.mark.parametrize("K", [2, 3, 8])
def test_delta_method_variance_of_the_debiased_snr_in_rationals(K):
    quadratic = sum(Fraction(MEAN[i] * COVARIANCE[i][j] * MEAN[j]) for i in range(2) for j in range(2))
    trace, square = Fraction(5), Fraction(4 + 1 + 1 + 9)
    want = (4 * quadratic / K + 2 * square / K**2) / trace**2
    want += (5 + trace / K) ** 2 * 2 * square / ((K - 1) * trace**4)
    assert debiased_snr_variance(MEAN, COVARIANCE, K) == pytest.approx(float(want), rel=F64)
