"""Exact facts at the ends p → 0 and p → 1: gradients of the two losses, the SNR of a finite population, Eq. (9).

A gradient population is an array [num_problems, dim]: the per-problem gradients at one pass rate. Its SNR is the
amplitude ‖mean‖ / sqrt(tr Cov), with the spread *across problems*, as in Definition 2; the SNR across the rollouts of
one problem, Eq. (8), is another quantity (``eq8``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax

from paced.arrays import Floats
from paced.errors import check_number


def forward_kl_gradient(*, teacher_logits: ArrayLike, student_logits: ArrayLike) -> Floats:
    """∂KL(P_T‖P_S)/∂z_S = P_S - P_T, shape [..., vocabulary]: linear in the discrepancy.

    Example:
        >>> forward_kl_gradient(teacher_logits=[0.0, 0.0], student_logits=[np.log(3.0), 0.0]).round(6).tolist()
        [0.25, -0.25]
    """
    teacher, student = _logits("forward_kl_gradient", teacher_logits, student_logits)
    return np.asarray(softmax(student, axis=-1) - softmax(teacher, axis=-1))


def reverse_kl_gradient(*, teacher_logits: ArrayLike, student_logits: ArrayLike) -> Floats:
    """∂KL(P_S‖P_T)/∂z_S = P_S (log(P_S/P_T) - KL(P_S‖P_T)), shape [..., vocabulary]; not linear in P_S - P_T.

    Example:
        >>> reverse_kl_gradient(teacher_logits=[0.0, 0.0], student_logits=[np.log(3.0), 0.0]).round(6).tolist()
        [0.20599, -0.20599]
    """
    teacher, student = _logits("reverse_kl_gradient", teacher_logits, student_logits)
    log_ratio = log_softmax(student, axis=-1) - log_softmax(teacher, axis=-1)
    probability = softmax(student, axis=-1)
    return np.asarray(probability * (log_ratio - np.sum(probability * log_ratio, axis=-1, keepdims=True)))


def population_snr(gradients: ArrayLike) -> float:
    """‖mean gradient‖ / sqrt(mean ‖g - mean‖²) over a finite population, an amplitude.

    Args:
        gradients: g, shape [num_problems, dim], all equally likely.

    Edges: 0 when the mean is 0; infinite when all gradients are equal and not 0.

    Raises:
        ValueError: all gradients are 0: signal over noise is 0/0 there, as happens at mastery (``prop2.ii``).

    Example:
        >>> population_snr([[1.0], [3.0]]), population_snr([[1.0], [-1.0]]), population_snr([[1.0], [1.0]])
        (2.0, 0.0, inf)
    """
    g = np.asarray(gradients, dtype=np.float64)
    if g.ndim != 2 or g.size == 0:
        raise ValueError(f"population_snr: gradients must have shape [num_problems, dim], got {g.shape}.")
    largest = float(np.abs(g).max())
    if largest == 0:
        raise ValueError("population_snr: gradients must not all be 0, where SNR is 0/0. Ask for a pass rate below 1.")
    g = g / 2.0 ** np.floor(np.log2(largest))
    mean = g.mean(axis=0)
    noise = float(np.sqrt(np.mean(np.sum((g - mean) ** 2, axis=1))))
    signal = float(np.linalg.norm(mean))
    return signal / noise if noise else float("inf")


def mastery_population(pass_rate: float) -> Floats:
    """g = (1-p)(μ + ξ) with μ = (1, 0), ξ = ±(0, 2): gradients vanish as p → 1, their SNR stays 1/2 (``prop2.ii``).

    Example:
        >>> population_snr(mastery_population(0.5)), population_snr(mastery_population(1 - 1e-9))
        (0.5, 0.5)
    """
    gap = 1.0 - check_number("mastery_population", "pass_rate", pass_rate, low=0, high=1)
    return gap * np.array([[1.0, 2.0], [1.0, -2.0]])


def signal_quality(pass_rate: ArrayLike, snr: ArrayLike, *, snr_power: float = 1.0) -> Floats:
    """Q(p) = SNR(p)^m (1-p), Eq. (9); m = 1 as restored, m = 2 if the information gain is meant.

    Args:
        pass_rate: p in [0, 1].
        snr: amplitude SNR at these rates, >= 0.
        snr_power: m > 0.

    Example:
        >>> signal_quality([0.25, 0.5], [0.4, 0.4]).round(6).tolist()
        [0.3, 0.2]
    """
    check_number("signal_quality", "snr_power", snr_power, low=0, low_open=True)
    p, s = np.asarray(pass_rate, dtype=np.float64), np.asarray(snr, dtype=np.float64)
    if np.any(~((p >= 0) & (p <= 1))) or np.any(~(s >= 0)):
        raise ValueError("signal_quality: pass_rate must be in [0, 1] and snr >= 0. Give rates and amplitudes.")
    return s**snr_power * (1.0 - p)


def signal_quality_peak(snr_exponents: tuple[float, float], *, snr_power: float = 1.0) -> float:
    """Where Q is largest for SNR ∝ p^a' (1-p)^b': m a' / (m a' + m b' + 1), below the kernel's peak (``prop1``).

    Example:
        >>> signal_quality_peak((0.5, 0.5)), round(signal_quality_peak((0.5, 0.5), snr_power=2), 6)
        (0.25, 0.333333)
    """
    a, b = (
        check_number("signal_quality_peak", f"snr_exponents[{i}]", x, low=0, low_open=True)
        for i, x in enumerate(snr_exponents)
    )
    m = check_number("signal_quality_peak", "snr_power", snr_power, low=0, low_open=True)
    return m * a / (m * a + m * b + 1.0)


def _logits(place: str, teacher: ArrayLike, student: ArrayLike) -> tuple[Floats, Floats]:
    t, s = np.asarray(teacher, dtype=np.float64), np.asarray(student, dtype=np.float64)
    if t.shape != s.shape or t.ndim == 0:
        raise ValueError(
            f"{place}: teacher_logits and student_logits must have one shape, got {t.shape} and {s.shape}."
        )
    return t, s
