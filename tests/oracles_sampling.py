"""Sampling from the definition, one row and one token at a time, without a cache, padding or batch."""

from __future__ import annotations

import math

import torch

MASK_64 = (1 << 64) - 1


def splitmix64(state: int) -> int:
    """splitmix64 on Python integers, as published (Steele, Lea and Flood 2014)."""
    z = (state + 0x9E3779B97F4A7C15) & MASK_64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK_64
    return z ^ (z >> 31)


def uniform(key: int, position: int) -> float:
    """The uniform of one token."""
    state = key ^ (((position + 1) * 0xD1342543DE82EF95) & MASK_64)
    return ((splitmix64(state) >> 12) + 0.5) / 2**52


def nucleus(probabilities: list[float], top_p: float) -> list[float]:
    """Probabilities of the smallest set of most probable tokens that holds mass ``top_p``, renormalised."""
    order = sorted(range(len(probabilities)), key=lambda index: (-probabilities[index], index))
    kept, mass = [], 0.0
    for index in order:
        if kept and mass >= top_p:
            break
        kept.append(index)
        mass += probabilities[index]
    return [probability / mass if index in kept else 0.0 for index, probability in enumerate(probabilities)]


def distribution(logits: list[float], temperature: float, top_p: float) -> list[float]:
    """The probabilities that sampling follows."""
    top = max(logits)
    masses = [math.exp((value - top) / temperature) for value in logits]
    return nucleus([mass / math.fsum(masses) for mass in masses], top_p)


def choose(logits: list[float], noise: float, temperature: float, top_p: float) -> int:
    """Inverse CDF in index order."""
    probabilities = distribution(logits, temperature, top_p)
    for index in range(len(probabilities)):
        if math.fsum(probabilities[: index + 1]) >= noise:
            return index
    return max(index for index, probability in enumerate(probabilities) if probability > 0)


def distance_to_edge(logits: list[float], noise: float, temperature: float, top_p: float) -> float:
    """How far the choice is from another one: of the noise to the CDF, and of the nucleus to its threshold."""
    probabilities = distribution(logits, temperature, top_p)
    edges = [abs(math.fsum(probabilities[: index + 1]) - noise) for index in range(len(probabilities) - 1)]
    if top_p < 1:
        ranked = sorted(distribution(logits, temperature, 1.0), reverse=True)
        edges += [abs(math.fsum(ranked[: index + 1]) - top_p) for index in range(len(ranked))]
    return min(edges)


def complete(model, prompt, key: int, *, max_new_tokens: int, temperature: float, top_p: float, ends) -> tuple:
    """One completion, why it ended, and the smallest distance to another choice on its way.

    The whole sequence is read again for every token.
    """
    ids, completion, margin = list(prompt), [], math.inf
    for position in range(max_new_tokens):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double().tolist()
        if temperature == 0:
            token = max(range(len(logits)), key=lambda index: (logits[index], -index))
        else:
            noise = uniform(key, position)
            token = choose(logits, noise, temperature, top_p)
            margin = min(margin, distance_to_edge(logits, noise, temperature, top_p))
        completion.append(token)
        ids.append(token)
        if token in ends:
            return tuple(completion), "stop", margin
    return tuple(completion), "length", margin
