"""The log-linear representation of Proposition 3, log f = a' log p + b' log(1-p) + r(p), and how large r may be.

The exponents and the limits of r are fixed by the two ends; nothing bounds the shape of r inside (0, 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.errors import check_number
from paced.weights import BetaKernel


def log_remainder(pass_rate: ArrayLike, values: ArrayLike, *, exponents: tuple[float, float]) -> Floats:
    """r(p) = log f(p) - a' log p - b' log(1-p), Eq. (11).

    Args:
        pass_rate: p in (0, 1), shape [n].
        values: f(p) > 0, shape [n].
        exponents: (a', b').

    Example:
        >>> log_remainder([0.5], [0.25 * np.e], exponents=(1, 1)).round(6).tolist()
        [1.0]
    """
    p, f = np.asarray(pass_rate, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if np.any(~((p > 0) & (p < 1))) or np.any(~(f > 0)):
        raise ValueError("log_remainder: pass_rate must be in (0, 1) and values > 0. Leave out the two ends.")
    a, b = exponents
    return np.log(f) - a * np.log(p) - b * np.log1p(-p)


def smallest_delta(remainder: ArrayLike) -> float:
    """The smallest δ of Assumption 3(b') for a remainder r of log SNR: half the range of 2r (``a3b'.special``).

    The factor 2 is the square, the half the best constant: the scale of SNR² is free, so r may be centred.

    Example:
        >>> smallest_delta([-0.1, 0.0, 0.3])
        0.4
    """
    r = np.asarray(remainder, dtype=np.float64)
    if r.size == 0 or np.any(~np.isfinite(r)):
        raise ValueError("smallest_delta: remainder must be finite with at least one value. An infinite one has no δ.")
    return float(2.0 * (r.max() - r.min()) / 2.0)


def two_peak_profile(pass_rate: ArrayLike, *, bump: float = 40.0) -> Floats:
    """f(p) = p(1-p) exp(bump (p-1/2)²): meets all of Proposition 3, and has two peaks for bump > 4 (``prop3.shape``).

    log f has second derivative 2·bump - 8 at 1/2, so 1/2 turns from the peak into a valley at bump = 4.

    Example:
        >>> two_peak_profile([0.15, 0.5, 0.85]).round(3).tolist()
        [17.122, 0.25, 17.122]
    """
    check_number("two_peak_profile", "bump", bump)
    p = np.asarray(pass_rate, dtype=np.float64)
    return BetaKernel().at(p) * np.exp(bump * (p - 0.5) ** 2)


def num_peaks(values: ArrayLike) -> int:
    """How many strict local maxima a profile has on a grid, the ends left out; [n] -> a count.

    Example:
        >>> num_peaks(np.array([0.0, 2.0, 1.0, 3.0, 0.0]))
        2
    """
    rising = np.diff(np.asarray(values, dtype=np.float64)) > 0
    return int(np.sum(rising[:-1] & ~rising[1:]))
