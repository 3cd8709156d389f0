"""What maximum likelihood leaves: the bias of the beta-binomial fit for finitely many problems (``x2``)."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, polygamma

from paced.arrays import Pair
from paced.theory.facts.domains import positives, whole_numbers
from paced.weights.betabinomial import log_pmf


def likelihood_bias(law: Pair, *, num_rollouts: int, num_problems: int) -> Pair:
    """E[â] - a and E[b̂] - b of the fitted law to first order in 1/N; the kernel exponents have the same bias.

    Cox and Snell: b_r = Σ_{s,t,u} κ^{rs} κ^{tu} (κ_{stu}/2 + κ_{st,u}) / N, κ the cumulants of the derivatives of
    log P(s), here sums over s = 0..K, and κ^{rs} the inverse of the information of one problem.

    Args:
        law: (a, b) > 0, the truth.
        num_rollouts: K >= 2, the same for all problems.
        num_problems: N >= 1. The next order, 1/N², is left out: trust the value where it is small against the law.

    Example:
        >>> [round(x, 4) for x in likelihood_bias((2.0, 2.0), num_rollouts=8, num_problems=100)]
        [0.1115, 0.1115]
    """
    place = "likelihood_bias"
    a, b = positives(place, "law", law).tolist()
    rollouts = int(whole_numbers(place, "num_rollouts", num_rollouts, low=2))
    problems = int(whole_numbers(place, "num_problems", num_problems, low=1))
    s = np.arange(rollouts + 1)
    mass = np.exp(log_pmf(rollouts, a, b))  # [K + 1]

    def derivatives(order: int) -> tuple[np.ndarray, np.ndarray, float]:
        """∂^order of log P(s): in a alone, in b alone, and the part that depends on a + b only, in any mix."""
        f = digamma if order == 1 else (lambda x: polygamma(order - 1, x))
        return f(a + s) - f(a), f(b + rollouts - s) - f(b), float(f(a + b) - f(a + b + rollouts))

    in_a, in_b, both = derivatives(1)
    score = np.stack([in_a + both, in_b + both])  # [2, K + 1]
    in_a, in_b, both = derivatives(2)
    second = np.stack([np.stack([in_a + both, 0 * s + both]), np.stack([0 * s + both, in_b + both])])  # [2, 2, K + 1]
    in_a, in_b, both = derivatives(3)
    third = np.full((2, 2, 2), both)
    third[0, 0, 0] += mass @ in_a
    third[1, 1, 1] += mass @ in_b
    inverse = np.linalg.inv(-second @ mass)  # [2, 2]
    mixed = np.einsum("stk,uk,k->stu", second, score, mass)  # [2, 2, 2]
    bias = np.einsum("rs,tu,stu->r", inverse, inverse, third / 2 + mixed) / problems
    return float(bias[0]), float(bias[1])
