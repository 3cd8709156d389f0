"""Ratios of Gamma and Beta functions without the cancellation of their logarithms.

log Γ(a+x) - log Γ(a) as a difference of two log-gammas has lost nine digits at a = 10⁹. By Stirling's series the large
parts cancel on paper:

    log Γ(a+x)/Γ(a) = x log a + (a + x - 1/2) log(1 + x/a) - x + σ(a+x) - σ(a),   σ(z) = 1/(12z) - 1/(360z³) + …

for a and a+x of at least ten; below, the recurrence Γ(z+1) = zΓ(z) goes up first. Left out: negative arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats

SHIFT = 10
"""Steps of the recurrence, from which on the series below has an error under 1e-16."""
SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
"""Coefficients of z^-1, z^-3, ... in σ."""


def log_rising(a: ArrayLike, x: ArrayLike) -> Floats:
    """log of Γ(a+x)/Γ(a), which is a(a+1)…(a+x-1) for whole x.

    Args:
        a: > 0.
        x: with a + x > 0. Shapes broadcast.

    Edges: the error is a rounding of the result, so that exp of it has 1e-16 |x log a| as relative error.

    Example:
        >>> round(float(np.exp(log_rising(3.0, 2.0))), 12), float(log_rising(1e9, 1.0)) == float(np.log(1e9))
        (12.0, True)
    """
    a, x = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(x, dtype=np.float64))
    small = np.minimum(a, a + x) < SHIFT
    low = np.where(small, a + SHIFT, a)
    near = (low + x - 0.5) * np.log1p(x / low) - x
    result = np.asarray(x * np.log(low) + near + (_sigma(low + x) - _sigma(low)))
    if small.any():
        at, by = a[small], x[small]
        result[small] -= sum(np.log((at + by + step) / (at + step)) for step in range(SHIFT))
    return result


def log_beta_ratio(a: ArrayLike, b: ArrayLike, x: ArrayLike, y: ArrayLike) -> Floats:
    """log of B(a+x, b+y)/B(a, b), the log of E[p^x (1-p)^y] under Beta(a, b).

    Args:
        a: > 0.
        b: > 0.
        x: with a + x > 0.
        y: with b + y > 0. Shapes broadcast.

    Example:
        >>> round(float(np.exp(log_beta_ratio(1.0, 1.0, 1.0, 1.0))) * 6, 12)
        1.0
    """
    a, b, x, y = (np.asarray(value, dtype=np.float64) for value in (a, b, x, y))
    return np.asarray(log_rising(a, x) + log_rising(b, y) - log_rising(a + b, x + y))


def _sigma(z: Floats) -> Floats:
    square = 1 / (z * z)
    total = np.zeros_like(z)
    for coefficient in reversed(SERIES):
        total = total * square + coefficient
    return total / z
