"""What Eq. (8) shows of an SNR profile: the floor of K rollouts under it, end over peak (``eq8.tracking``).

Pooled over many rollouts, ‖ḡ‖² has mean |m|² + tr Σ/K, so Eq. (8) shows √(S + 1/K) for SNR² = S, up to a factor that
the rescaling to a largest value of 1 removes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from paced.arrays import Floats
from paced.errors import check_number, check_whole
from paced.theory.facts.domains import reals
from paced.weights.kernels import check_pass_rate


def measured_profile(snr_squared: ArrayLike, num_rollouts: int) -> Floats:
    """√(S + 1/K), as Eq. (8) shows it.

    Args:
        snr_squared: S >= 0, any shape.
        num_rollouts: K >= 2.

    Example:
        >>> measured_profile([0.0, 0.1], 8).round(6).tolist()
        [0.353553, 0.474342]
    """
    s = reals("measured_profile", "snr_squared", snr_squared, low=0)
    return np.asarray(np.sqrt(s + 1 / check_whole("measured_profile", "num_rollouts", num_rollouts, low=2)))


def end_over_peak(largest_snr_squared: ArrayLike, num_rollouts: int) -> Floats:
    """1/√(K S + 1): the least that Eq. (8) can fall from its peak, of SNR² = S, to an end without signal.

    Args:
        largest_snr_squared: S >= 0 at the peak.
        num_rollouts: K >= 2.

    Example:
        >>> end_over_peak([0.1, 1.0], 8).round(6).tolist()
        [0.745356, 0.333333]
    """
    s = reals("end_over_peak", "largest_snr_squared", largest_snr_squared, low=0)
    K = check_whole("end_over_peak", "num_rollouts", num_rollouts, low=2)
    return np.asarray(1 / np.sqrt(K * s + 1))


def snr_squared_for_end(ratio: float, num_rollouts: int) -> float:
    """(1/ratio² - 1)/K: the SNR² at the peak that an end of ``ratio`` times the peak needs at least.

    Args:
        ratio: in (0, 1].
        num_rollouts: K >= 2.

    Example:
        >>> round(snr_squared_for_end(1 / 3, 8), 6)
        1.0
    """
    check_number("snr_squared_for_end", "ratio", ratio, low=0, low_open=True, high=1)
    return (1 / ratio**2 - 1) / check_whole("snr_squared_for_end", "num_rollouts", num_rollouts, low=2)


def distance_from_kernel(pass_rate: ArrayLike, largest_snr_squared: float, num_rollouts: int) -> float:
    """Largest gap between p(1-p) and Eq. (8) for SNR = √S 4p(1-p), both over their largest value.

    Args:
        pass_rate: centres of the bins, in [0, 1].
        largest_snr_squared: S > 0.
        num_rollouts: K >= 2.

    Example:
        >>> round(distance_from_kernel([1 / 16, 1 / 2], 0.1, 8), 3)
        0.527
    """
    p = check_pass_rate("distance_from_kernel", pass_rate)
    check_number("distance_from_kernel", "largest_snr_squared", largest_snr_squared, low=0, low_open=True)
    kernel = 4 * p * (1 - p)
    shown = measured_profile(largest_snr_squared * kernel**2, num_rollouts)
    return float(np.max(np.abs(shown / shown.max() - kernel / kernel.max())))


def tracking_table(*, size: int = 99) -> dict[str, list[float]]:
    """p(1-p) and what Eq. (8) shows of SNR = √S 4p(1-p) at K = 8, for three S, each over its largest value.

    Example:
        >>> {name: round(column[0], 3) for name, column in tracking_table(size=3).items()}
        {'p': 0.01, 'p(1-p)': 0.04, 'S = 0.1': 0.746, 'S = 1': 0.335, 'S = 10': 0.118}
    """
    p = np.linspace(0.01, 0.99, size)
    kernel = 4 * p * (1 - p)
    columns = {"p": p.tolist(), "p(1-p)": (kernel / kernel.max()).tolist()}
    for largest in (0.1, 1, 10):
        shown = measured_profile(largest * kernel**2, 8)
        columns[f"S = {largest:g}"] = (shown / shown.max()).tolist()
    return columns
