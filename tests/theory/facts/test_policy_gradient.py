"""The score-function gradient by simulation and by its own definition, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import F64, MC_SE

from paced.theory.facts.policy_gradient import (
    bandit_moments,
    fisher_signal,
    score_signal_and_moment,
    sequence_signal_table,
    snr_profile_table,
)


@pytest.mark.parametrize(("baseline", "exponents"), [("pass_rate", (1, 1)), (0.0, (1, 2)), (0.5, (2, 2))])
def test_the_profile_has_these_exponents_at_the_ends(baseline, exponents):
    p = np.array([1e-6, 2e-6, 1 - 2e-6, 1 - 1e-6])
    signal, moment = score_signal_and_moment(p, baseline=baseline)
    ratio = signal / moment
    assert np.log2(ratio[1] / ratio[0]) == pytest.approx(exponents[0], abs=1e-4)
    assert np.log2(ratio[2] / ratio[3]) == pytest.approx(exponents[1], abs=1e-4)


@pytest.mark.parametrize("baseline", ["pass_rate", 0.0, 0.7])
def test_bandit_moments_are_those_of_simulated_gradients(baseline):
    rng = np.random.default_rng(5)
    pi, reward = np.array([0.1, 0.25, 0.3, 0.35]), np.array([1, 0, 1, 0])
    actions = rng.choice(4, size=100_000, p=pi)
    b = pi @ reward if baseline == "pass_rate" else baseline
    gradients = (reward[actions] - b)[:, None] * (np.eye(4)[actions] - pi)
    squares = np.sum(gradients**2, axis=1)
    signal, moment = bandit_moments(pi, reward, baseline=baseline)
    assert abs(squares.mean() - moment) < MC_SE * squares.std() / np.sqrt(squares.size)
    exact = sum(p * (r - b) * (np.eye(4)[a] - pi) for a, (p, r) in enumerate(zip(pi, reward, strict=True)))
    assert signal == pytest.approx(float(exact @ exact), rel=F64)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 7), st.integers(1, 4))
def test_no_policy_has_more_signal_than_p_times_one_minus_p(seed, answers, parameters):
    rng = np.random.default_rng(seed)
    pi = rng.dirichlet(np.ones(answers))
    reward = rng.integers(0, 2, answers)
    scores = rng.normal(size=(answers, parameters))
    scores -= pi @ scores
    p = float(pi @ reward)
    assert fisher_signal(pi, reward, scores) <= p * (1 - p) + 1e-12
    assert fisher_signal(pi, reward) == pytest.approx(p * (1 - p), abs=1e-12)


def test_the_fisher_signal_is_that_of_the_matrix():
    pi, reward = np.array([0.2, 0.3, 0.5]), np.array([1, 0, 1])
    scores = np.array([[1.0, 0.0], [-1.0, 2.0], [0.2, -1.2]])
    gradient, fisher = scores.T @ (pi * reward), scores.T @ (pi[:, None] * scores)
    assert np.allclose(pi @ scores, 0)
    expected = gradient @ np.linalg.solve(fisher, gradient)
    assert fisher_signal(pi, reward, scores) == pytest.approx(expected, rel=1e-10)


def test_the_signal_of_a_sequence_is_that_of_its_one_logit():
    """∇p = p L (1-t) and F = L t (1-t) for p = t^L."""
    table = sequence_signal_table(size=7)
    p = np.array(table["p"])
    for column, length in (("1 token", 1), ("2 tokens", 2), ("8 tokens", 8)):
        assert table[column] == pytest.approx(p**2 * length * (p ** (-1 / length) - 1), rel=1e-10)


def test_each_bell_is_drawn_over_its_own_largest_value():
    columns = snr_profile_table(size=2000)
    peaks = {name: columns["p"][int(np.argmax(column))] for name, column in columns.items() if name != "p"}
    assert peaks == pytest.approx({"baseline p": 1 / 2, "none": 1 / 3, "1/2": 1 / 2}, abs=1e-3)
    assert [max(columns[name]) for name in peaks] == pytest.approx([1.0] * 3, abs=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bandit_moments([0.5, 0.6], [1, 0]), "probabilities must sum to 1"),
        (lambda: bandit_moments([0.5, 0.5], [1, 2]), "passed must be 0 or 1"),
        (lambda: fisher_signal([0.5, 0.5], [1, 0], [[1.0], [1.0]]), "scores must have mean 0"),
        (lambda: fisher_signal([0.5, 0.5], [1, 0], [1.0, 1.0]), "scores must be"),
        (lambda: score_signal_and_moment(1.5), "pass_rate"),
        (lambda: score_signal_and_moment(0.5, spread=0), "spread must be finite and > 0"),
    ],
)
def test_what_is_outside_the_domain_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
