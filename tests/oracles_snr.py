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


def token_losses(name: str, student, teacher, targets, offsets):
    """Sum over tokens of a named loss, from its definition, as a differentiable torch scalar for each rollout.

    The score function is the gradient of Σ_n log p(y_n)·(reward-to-go held constant).
    """
    import torch

    log_p = torch.log_softmax(student, -1)
    log_q = torch.log_softmax(teacher, -1) if teacher is not None else None
    p = log_p.exp()
    if name == "forward_kl":
        values = (log_q.exp() * (log_q - log_p)).sum(-1)
    elif name == "reverse_kl":
        values = (p * (log_p - log_q)).sum(-1)
    elif name == "mixed_kl":
        values = ((log_q.exp() - p) * (log_q - log_p)).sum(-1) / 2
    elif name == "jsd":
        m = (p + log_q.exp()) / 2
        values = ((p * (log_p - m.log())).sum(-1) + (log_q.exp() * (log_q - m.log())).sum(-1)) / 2
    elif name == "akl":
        forward = (log_q.exp() * (log_q - log_p)).sum(-1)
        reverse = (p * (log_p - log_q)).sum(-1)
        q, order = log_q.exp().detach().sort(-1, descending=True)
        gap = (log_q.exp() - p).detach().abs().gather(-1, order)
        head = q.cumsum(-1) <= 0.5
        head[..., 0] = True
        share = (gap * head).sum(-1) / gap.sum(-1)
        values = share * forward + (1 - share) * reverse
    elif name == "cross_entropy":
        values = -log_p.gather(-1, targets[:, None]).squeeze(-1)
    else:
        assert name == "reverse_kl_sampled"
        chosen = log_p.gather(-1, targets[:, None]).squeeze(-1)
        reward = (chosen - log_q.gather(-1, targets[:, None]).squeeze(-1)).detach()
        return [
            sum(chosen[n] * reward[n:b].sum() for n in range(a, b)) if b > a else chosen.sum() * 0
            for a, b in itertools.pairwise(offsets)
        ]
    return [values[a:b].sum() for a, b in itertools.pairwise(offsets)]


def head_gradients(name, weight, logits_of, teacher_logits, targets, offsets, *, mean=False):
    """Flat gradients [K, V·d], one autograd call per rollout; ``logits_of(weight)`` makes the student's logits."""
    import torch

    weight = weight.detach().clone().requires_grad_(True)
    losses = token_losses(name, logits_of(weight), teacher_logits, targets, offsets)
    rows = []
    for k, loss in enumerate(losses):
        (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
        length = max(offsets[k + 1] - offsets[k], 1)
        rows.append((gradient / length if mean else gradient).double().flatten().numpy())
    return np.stack(rows)
