"""Where a function of `paced/weights` ends: outside its domain it says what is wrong, on the edge it answers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from paced.weights import (
    BetaKernel,
    HardFilter,
    MinimaxKernel,
    SaturatedKernel,
    TargetDifficulty,
    TeacherCeilingKernel,
    fit,
    normalise,
)
from paced.weights.budget.allocation import screened_weight
from paced.weights.counts import CountHistogram
from paced.weights.estimates import bayes_optimal, unbiased
from paced.weights.fit.moments import Moments, beta_from_moments, corrected_moments
from paced.weights.snr_exponents import fit_exponents, regressors

OUTSIDE = (
    (
        lambda: screened_weight([0], [1], num_first=1, num_all=4),
        "screened_weight: alpha + beta <= num_first < num_all is needed",
    ),
    (
        lambda: screened_weight([2], [4], num_first=2, num_all=5, alpha=0.5),
        "screened_weight: alpha must be a whole number >= 1",
    ),
    (lambda: BetaKernel().at(1.01), "BetaKernel.at: pass_rate must be in [0, 1], got 1.01"),
    (lambda: BetaKernel().at(-0.01), "BetaKernel.at: pass_rate must be in [0, 1], got -0.01"),
    (lambda: BetaKernel().at(float("nan")), "BetaKernel.at: pass_rate must be in [0, 1], got nan"),
    (lambda: BetaKernel(-0.1, 1), "BetaKernel: alpha must be finite and >= 0"),
    (lambda: BetaKernel(1, -0.1), "BetaKernel: beta must be finite and >= 0"),
    (
        lambda: corrected_moments(CountHistogram.of([0, 1, 1], 1)),
        "corrected_moments: some problem must have K >= 2 rollouts",
    ),
    (lambda: beta_from_moments(Moments(0.5, 0.25, np.zeros((2, 2)))), "beta_from_moments: variance must be > 0"),
    (lambda: fit([1, 1, 1, 1, 6], 10, "paper").kernel, "FitResult.kernel: exponents must be finite and >= 0"),
    (lambda: BetaKernel(-0.4, 1.4), "BetaKernel: alpha must be finite and >= 0"),
    (
        lambda: fit_exponents(regressors([0.25, 0.5]), [0.25, 0.5]),
        "fit_exponents: at least three bins of different pass rate with SNR² > 0 are",
    ),
    (
        lambda: fit_exponents(regressors([0.5, 0.5, 0.5]), [0.25, 0.5, 0.75]),
        "fit_exponents: at least three bins of different pass rate with SNR² > 0 are",
    ),
    (lambda: regressors([0.0]), "regressors: pass_rate must be inside (0, 1), got an end"),
    (lambda: regressors([1.0]), "regressors: pass_rate must be inside (0, 1), got an end"),
    (lambda: fit([1, 2], 4, zpd=0.5), "fit: zpd must be finite and >= 0 and < 0.5"),
    (lambda: fit([1, 2], 4, zpd=-0.1), "fit: zpd must be finite and >= 0 and < 0.5"),
    (
        lambda: unbiased(np.array([1]), np.array([2]), alpha=1, beta=2),
        "unbiased: num_rollouts must be >= alpha + beta = 3",
    ),
    (
        lambda: unbiased(np.array([1]), np.array([2]), alpha=0, beta=3),
        "unbiased: num_rollouts must be >= alpha + beta = 3",
    ),
    (
        lambda: bayes_optimal(
            np.array([0]),
            np.array([2]),
            second_moment_exponents=(-1.0, 0.0),
            signal_exponents=(0.5, 0.5),
            prior=(1.0, 1.0),
        ),
        "bayes_optimal: prior plus second_moment_exponents must stay positive",
    ),
    (
        lambda: bayes_optimal(
            np.array([2]),
            np.array([2]),
            second_moment_exponents=(0.0, -1.0),
            signal_exponents=(0.5, 0.5),
            prior=(1.0, 1.0),
        ),
        "bayes_optimal: prior plus second_moment_exponents must stay positive",
    ),
    (lambda: SaturatedKernel(amplitude=0.0), "SaturatedKernel: amplitude must be finite and > 0"),
    (lambda: SaturatedKernel(alpha=-0.1), "SaturatedKernel: alpha must be finite and >= 0"),
    (lambda: SaturatedKernel(beta=-0.1), "SaturatedKernel: beta must be finite and >= 0"),
    (lambda: MinimaxKernel(delta=-0.1), "MinimaxKernel: delta must be finite and >= 0"),
    (lambda: MinimaxKernel(alpha=-0.1), "MinimaxKernel: alpha must be finite and >= 0"),
    (lambda: MinimaxKernel(beta=-0.1), "MinimaxKernel: beta must be finite and >= 0"),
    (lambda: MinimaxKernel(amplitude=0.0), "MinimaxKernel: amplitude must be finite and > 0"),
    (lambda: TeacherCeilingKernel(ceiling=0.0), "TeacherCeilingKernel: ceiling must be finite and > 0 and <= 1"),
    (lambda: TeacherCeilingKernel(ceiling=1.01), "TeacherCeilingKernel: ceiling must be finite and > 0 and <= 1"),
    (lambda: TeacherCeilingKernel(alpha=-0.1), "TeacherCeilingKernel: alpha must be finite and >= 0"),
    (lambda: TeacherCeilingKernel(beta=0.0), "TeacherCeilingKernel: beta must be finite and > 0"),
    (lambda: HardFilter(low=-0.1), "HardFilter: low must be finite and >= 0 and <= 1"),
    (lambda: HardFilter(1.1, 1.5), "HardFilter: low must be finite and >= 0 and <= 1"),
    (lambda: HardFilter(high=1.1), "HardFilter: high must be finite and >= 0.2 and <= 1"),
    (lambda: HardFilter(0.5, 0.4), "HardFilter: high must be finite and >= 0.5 and <= 1"),
    (lambda: TargetDifficulty(target=-0.1), "TargetDifficulty: target must be finite and >= 0 and <= 1"),
    (lambda: TargetDifficulty(target=1.1), "TargetDifficulty: target must be finite and >= 0 and <= 1"),
    (lambda: TargetDifficulty(width=0.0), "TargetDifficulty: width must be finite and > 0"),
    (lambda: normalise([0.0, 0.0]), "normalise: weights must not all be 0"),
    (lambda: normalise([1.0, -1.0]), "normalise: weights must be >= 0"),
    (lambda: normalise([float("inf")]), "normalise: weights must be finite"),
)

EDGES = (
    lambda: screened_weight([0], [2], num_first=2, num_all=3),
    lambda: BetaKernel(0, 0).at([0.0, 1.0]),
    lambda: corrected_moments(CountHistogram.of([0, 1, 1], [1, 1, 2])),
    lambda: beta_from_moments(Moments(0.5, 0.25 + 1e-9, np.zeros((2, 2)))),
    lambda: fit([1, 1, 1, 1, 6], 10, "paper").message,
    lambda: BetaKernel(0, 1.4),
    lambda: fit_exponents(regressors([0.25, 0.5, 0.75]), [0.25, 0.5, 0.75]),
    lambda: fit([1, 2], 4, zpd=0.49),
    lambda: unbiased(np.array([1]), np.array([2]), alpha=1, beta=1),
    lambda: bayes_optimal(
        np.array([0]), np.array([2]), second_moment_exponents=(-0.5, 0.0), signal_exponents=(0.5, 0.5), prior=(1.0, 1.0)
    ),
    lambda: SaturatedKernel(0.0, 0.0, 1e-9),
    lambda: MinimaxKernel(0.0, 0.0, 0.0, 1e-9),
    lambda: TeacherCeilingKernel(0.01, 0.0, 0.01),
    lambda: HardFilter(0.0, 1.0),
    lambda: HardFilter(0.5, 0.5),
    lambda: TargetDifficulty(0.0, 0.01),
    lambda: TargetDifficulty(1.0, 0.01),
    lambda: normalise([1.0]),
)


@pytest.mark.parametrize(("call", "message"), OUTSIDE)
def test_outside_its_domain_a_function_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("call", EDGES)
def test_on_the_edge_of_its_domain_a_function_answers(call):
    assert call() is not None
