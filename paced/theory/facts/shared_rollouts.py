"""Weights and gradients from the same rollouts: what the gradient is then the mean of (``sec5.shared``).

With mean gradients g1 of passed and g0 of failed rollouts, E[h(s) ḡ] = E[h p̂] g1 + E[h q̂] g0: passes count with the
share E[h p̂]/E[h], which is p only if weight and gradient come from different rollouts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from paced.arrays import Floats
from paced.errors import check_whole
from paced.theory.facts.domains import reals
from paced.weights.kernels import check_pass_rate


def shared_pass_share(weights: ArrayLike, pass_rate: ArrayLike) -> Floats:
    """E[h(s) s/K]/E[h(s)]: share of the passed rollouts' gradient when weight and gradient share K rollouts.

    Args:
        weights: h(0), ..., h(K) >= 0, not all 0.
        pass_rate: p in (0, 1), any shape.

    Raises:
        ValueError: weights that are all 0, or a pass rate at which the weight is always 0.

    Example:
        >>> shared_pass_share([0, 1, 0], [0.1, 0.5]).tolist()
        [0.5, 0.5]
    """
    h = reals("shared_pass_share", "weights", weights, low=0)
    if h.ndim != 1 or h.size < 2 or not h.any():
        raise ValueError("shared_pass_share: weights must be h(0), ..., h(K), K >= 1, not all 0.")
    p = check_pass_rate("shared_pass_share", pass_rate)
    s = np.arange(h.size)
    mass = stats.binom.pmf(s, h.size - 1, p[..., None]) * h  # [..., K + 1]
    total = mass.sum(axis=-1)
    if not (total > 0).all():
        raise ValueError("shared_pass_share: pass_rate must give some weight, got one at which h is always 0.")
    return np.asarray((mass @ s) / (h.size - 1) / total)


def default_pass_share(pass_rate: ArrayLike, num_rollouts: int) -> Floats:
    """p + (1 - 2p)/K: the same for the default weight p̂(1-p̂), drawn towards 1/2.

    Args:
        pass_rate: p in [0, 1], any shape.
        num_rollouts: K >= 2.

    Example:
        >>> default_pass_share([0.25, 0.5], 8).tolist()
        [0.3125, 0.5]
    """
    p = check_pass_rate("default_pass_share", pass_rate)
    return p + (1 - 2 * p) / check_whole("default_pass_share", "num_rollouts", num_rollouts, low=2)


def pass_share_table(*, size: int = 51) -> dict[str, list[float]]:
    """The share of passes against p for K = 2, 4, 8, and with weights from other rollouts.

    Example:
        >>> {name: column[0] for name, column in pass_share_table(size=3).items()}
        {'p': 0.0, 'K = 2': 0.5, 'K = 4': 0.25, 'K = 8': 0.125, 'other rollouts': 0.0}
    """
    p = np.linspace(0, 1, size)
    columns = {f"K = {K}": default_pass_share(p, K).tolist() for K in (2, 4, 8)}
    return {"p": p.tolist(), **columns, "other rollouts": p.tolist()}
