"""Where a bell in p comes from when rewards are verifiable: the score-function gradient, its Fisher norm (``x17``).

An answer y is drawn from the policy, R in {0, 1} says whether it passes, p = P(R = 1), and the gradient estimate is
g = (R - b) ∇log π(y) with baseline b. Scores have mean 0, so their means given R are q Δ and -p Δ for one vector Δ.
Left out: distillation. Its gradient is not a score times a reward, and nothing here proves Assumption 3(b) for it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from paced.arrays import Floats
from paced.theory.facts.domains import positives, reals
from paced.weights.kernels import check_pass_rate

Baseline = Literal["pass_rate"] | float
"""b: the pass rate itself, or a number, 0 for none."""


def score_signal_and_moment(
    pass_rate: ArrayLike,
    *,
    baseline: Baseline = "pass_rate",
    spread: ArrayLike = 1.0,
    passed_moment: ArrayLike = 1.0,
    failed_moment: ArrayLike = 1.0,
) -> tuple[Floats, Floats]:
    """s2 = p² q² Δ² and M2 = p (1-b)² τ1² + q b² τ0² of the score-function gradient (``x17``).

    Args:
        pass_rate: p in [0, 1], any shape.
        baseline: "pass_rate" for b = p, or a number.
        spread: Δ² > 0, squared distance of the scores' means given R.
        passed_moment: τ1² > 0, E‖score‖² given R = 1.
        failed_moment: τ0² > 0, E‖score‖² given R = 0.

    Example:
        >>> [x.tolist() for x in score_signal_and_moment(0.5)]
        [0.0625, 0.25]
    """
    place = "score_signal_and_moment"
    p = check_pass_rate(place, pass_rate)
    b = p if baseline == "pass_rate" else reals(place, "baseline", baseline)
    gap, first, second = (
        positives(place, name, x)
        for name, x in (("spread", spread), ("passed_moment", passed_moment), ("failed_moment", failed_moment))
    )
    q = 1 - p
    return p**2 * q**2 * gap, p * (1 - b) ** 2 * first + q * b**2 * second


def bandit_moments(
    probabilities: ArrayLike, passed: ArrayLike, *, baseline: Baseline = "pass_rate"
) -> tuple[float, float]:
    """s2 = ‖E g‖² and M2 = E‖g‖² of the softmax bandit, by enumeration of its actions; score = e_a - π.

    Args:
        probabilities: π > 0, summing to 1, shape [num_actions].
        passed: R of each action, 0 or 1.
        baseline: "pass_rate" or a number.

    Example:
        >>> [round(x, 6) for x in bandit_moments([0.5, 0.5], [1, 0])]
        [0.125, 0.125]
    """
    pi, reward = _policy("bandit_moments", probabilities, passed)
    b = float(pi @ reward) if baseline == "pass_rate" else float(baseline)
    gradients = (reward - b)[:, None] * (np.eye(pi.size) - pi)  # [num_actions, num_actions]
    mean = pi @ gradients  # [num_actions]
    return float(mean @ mean), float(pi @ np.sum(gradients**2, axis=1))


def fisher_signal(probabilities: ArrayLike, passed: ArrayLike, scores: ArrayLike | None = None) -> float:
    """∇p' F⁺ ∇p: squared signal in the policy's own metric; at most p(1-p), equal for a tabular softmax (``x18``).

    Args:
        probabilities: π > 0 of each answer, summing to 1, shape [num_answers].
        passed: R of each answer, 0 or 1.
        scores: ∇log π of each answer, of mean 0, shape [num_answers, num_parameters]; by default of its own logit.

    Raises:
        ValueError: probabilities that do not sum to 1, rewards other than 0 and 1, or scores without mean 0.

    Example:
        >>> round(fisher_signal([0.2, 0.3, 0.5], [1, 0, 0]), 12)
        0.16
    """
    place = "fisher_signal"
    pi, reward = _policy(place, probabilities, passed)
    table = np.eye(pi.size) - pi if scores is None else reals(place, "scores", scores)
    if table.ndim != 2 or table.shape[0] != pi.size or not table.size:
        raise ValueError(f"{place}: scores must be [num_answers, num_parameters], got shape {table.shape}.")
    if not np.allclose(pi @ table, 0, atol=1e-9 * max(1.0, float(np.abs(table).max()))):
        raise ValueError(f"{place}: scores must have mean 0 under the policy, as gradients of log π have.")
    root = np.sqrt(pi)
    # F = S'S with rows √π score and ∇p = S'√π R: the squared length of √π R inside the span of S's columns
    coordinates, *_ = np.linalg.lstsq(root[:, None] * table, root * reward, rcond=None)
    inside = (root[:, None] * table) @ coordinates
    return float(inside @ inside)


def snr_profile_table(*, size: int = 99) -> dict[str, list[float]]:
    """s2/M2 over its largest value against p for three baselines, equal score moments.

    Example:
        >>> {name: round(column[0], 3) for name, column in snr_profile_table(size=3).items()}
        {'p': 0.01, 'baseline p': 0.04, 'none': 0.066, '1/2': 0.002}
    """
    p = np.linspace(0.01, 0.99, size)
    columns = {"p": p.tolist()}
    baselines: dict[str, Baseline] = {"baseline p": "pass_rate", "none": 0.0, "1/2": 0.5}
    largest = {"baseline p": 1 / 4, "none": 4 / 27, "1/2": 1 / 4}
    for name, baseline in baselines.items():
        signal, moment = score_signal_and_moment(p, baseline=baseline)
        columns[name] = (signal / moment / largest[name]).tolist()
    return columns


def sequence_signal_table(*, size: int = 49) -> dict[str, list[float]]:
    """∇p' F⁺ ∇p against p when all of L = 1, 2, 8 tokens from one Bernoulli softmax must be right.

    It is p² L (p^(-1/L) - 1). The number of right tokens is all that reward and score depend on, so it is the answer.

    Example:
        >>> {name: [round(x, 4) for x in column] for name, column in sequence_signal_table(size=1).items()}
        {'p': [0.5], '1 token': [0.25], '2 tokens': [0.2071], '8 tokens': [0.181]}
    """
    p = np.arange(1, size + 1) / (size + 1)
    columns: dict[str, list[float]] = {"p": p.tolist()}
    for length in (1, 2, 8):
        right = np.arange(length + 1)
        signals = []
        for token in p ** (1 / length):
            mass = stats.binom.pmf(right, length, token)
            signals.append(fisher_signal(mass, right == length, (right - length * token)[:, None]))
        columns["1 token" if length == 1 else f"{length} tokens"] = signals
    return columns


def _policy(place: str, probabilities: ArrayLike, passed: ArrayLike) -> tuple[Floats, Floats]:
    pi, reward = positives(place, "probabilities", probabilities), reals(place, "passed", passed)
    if pi.ndim != 1 or pi.shape != reward.shape or not np.isclose(pi.sum(), 1.0, atol=1e-9):
        raise ValueError(f"{place}: probabilities must sum to 1, one for each entry of passed.")
    if not np.isin(reward, (0, 1)).all():
        raise ValueError(f"{place}: passed must be 0 or 1 for each answer.")
    return pi, reward
