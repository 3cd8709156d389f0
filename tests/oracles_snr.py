"""Independent oracles of the gradient SNR: from gradient vectors and from plain autograd; never imports paced."""

from __future__ import annotations

import itertools
import math

import numpy as np


def signal_and_noise(gradients: np.ndarray) -> tuple[float, float]:
    """U as the mean inner product of distinct pairs, V as the mean squared deviation over K−1."""
    K = len(gradients)
    pairs = [float(gradients[i] @ gradients[j]) for i, j in itertools.permutations(range(K), 2)]
    deviations = gradients - gradients.mean(axis=0)
    return math.fsum(pairs) / (K * (K - 1)), math.fsum((deviations**2).ravel()) / (K - 1)


def paper_snr(gradients: np.ndarray) -> float:
    """Eq. (8) read literally, with 1/K under the root."""
    mean = gradients.mean(axis=0)
    spread = math.fsum(((gradients - mean) ** 2).ravel()) / len(gradients)
    return math.sqrt(float(mean @ mean) / spread)


def jackknife_of_squared_mean(gradients: np.ndarray) -> float:
    """The bias-corrected jackknife of ‖ḡ‖²: K θ − (K−1) mean of the delete-one values."""
    K = len(gradients)
    whole = float(gradients.mean(axis=0) @ gradients.mean(axis=0))
    parts = []
    for k in range(K):
        mean = np.delete(gradients, k, axis=0).mean(axis=0)
        parts.append(float(mean @ mean))
    return K * whole - (K - 1) * math.fsum(parts) / K


def covariance_moments(gradients: np.ndarray) -> tuple[float, float]:
    """m'Σm and tr Σ² by listing all ordered tuples of distinct indices (K >= 4, small K)."""
    K = len(gradients)
    G = gradients @ gradients.T
    a2 = np.mean([G[i, j] ** 2 for i, j in itertools.permutations(range(K), 2)])
    a3 = np.mean([G[i, j] * G[i, k] for i, j, k in itertools.permutations(range(K), 3)])
    a4 = np.mean([G[i, j] * G[k, m] for i, j, k, m in itertools.permutations(range(K), 4)])
    return float(a3 - a4), float(a2 - 2 * a3 + a4)


def split_half_cosine(gradients: np.ndarray) -> float:
    """Mean cosine over all ordered choices of a first half (small K)."""
    K = len(gradients)
    cosines = []
    for half in itertools.combinations(range(K), K // 2):
        rest = [k for k in range(K) if k not in half]
        first, second = gradients[list(half)].mean(axis=0), gradients[rest].mean(axis=0)
        cosines.append(float(first @ second) / math.sqrt(float(first @ first) * float(second @ second)))
    return math.fsum(cosines) / len(cosines)
