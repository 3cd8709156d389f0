"""The divergences from their definitions, in float64 by plain autograd; imports no ``paced``.

Every function takes teacher and student logits [..., V] and returns the value of each token [...], differentiable for
the student. Slow and obvious on purpose: sums over probabilities, sorts in full, no tricks.
"""

from __future__ import annotations

import torch


def _logs(teacher, student, temperature=1.0):
    return (
        torch.log_softmax(teacher.double() / temperature, -1),
        torch.log_softmax(student.double() / temperature, -1),
    )


def _kl(log_a, log_b):
    """Σ a (log a − log b), with 0·log 0 = 0."""
    a = log_a.exp()
    return torch.where(a > 0, a * (log_a - log_b), torch.zeros_like(a)).sum(-1)


def forward_kl(teacher, student):
    log_q, log_p = _logs(teacher, student)
    return _kl(log_q, log_p)


def reverse_kl(teacher, student):
    log_q, log_p = _logs(teacher, student)
    return _kl(log_p, log_q)


def mixed_kl(teacher, student, forward_share=0.5):
    return forward_share * forward_kl(teacher, student) + (1 - forward_share) * reverse_kl(teacher, student)


def jsd(teacher, student, beta=0.5):
    log_q, log_p = _logs(teacher, student)
    log_m = torch.log(beta * log_q.exp() + (1 - beta) * log_p.exp())
    return beta * _kl(log_q, log_m) + (1 - beta) * _kl(log_p, log_m)


def akl(teacher, student, head_mass=0.5):
    """Official rule: sort by teacher probability; head = first token and every token whose cumulative mass is <= μ."""
    log_q, log_p = _logs(teacher, student)
    q, order = log_q.exp().sort(dim=-1, descending=True)
    gaps = (log_q.exp() - log_p.exp()).abs().gather(-1, order)
    head = q.cumsum(-1) <= head_mass
    head[..., 0] = True
    return _adaptive(log_q, log_p, gaps, head)


def akl_ascending(teacher, student, tail_mass=0.5):
    """DSKD's rule: sort ascending; tail = tokens whose cumulative mass from below is <= a."""
    log_q, log_p = _logs(teacher, student)
    q, order = log_q.exp().sort(dim=-1)
    gaps = (log_q.exp() - log_p.exp()).abs().gather(-1, order)
    tail = q.cumsum(-1) <= tail_mass
    return _adaptive(log_q, log_p, gaps, ~tail)


def _adaptive(log_q, log_p, gaps, head):
    total = gaps.sum(-1)
    share = torch.where(total > 0, (gaps * head).sum(-1) / total.clamp(min=1e-300), 0.0).detach()
    return share * _kl(log_q, log_p) + (1 - share) * _kl(log_p, log_q)


def adakd(teacher, student, inner="forward_kl", strength=0.5, base_temperature=1.0, reference_score=0.1):
    log_q, log_p = _logs(teacher, student)
    score = ((log_p.exp().sqrt() - log_q.exp().sqrt()).square().sum(-1) / 2).sqrt().detach()
    tau = base_temperature * torch.exp(-strength * torch.tanh(torch.log(score / reference_score)))
    tau = tau.unsqueeze(-1)
    tempered_q, tempered_p = _logs(teacher, student, tau)
    value = _kl(tempered_q, tempered_p) if inner == "forward_kl" else _kl(tempered_p, tempered_q)
    return tau.squeeze(-1).square() * value


def token_multipliers(weights, counts, reduction, normaliser):
    """The table of the four reductions, one entry at a time."""
    B = len(weights)
    out = []
    for w, T in zip(weights, counts, strict=True):
        numerator = 0.0 if T == 0 else (w / T if reduction == "sequence_mean" else w)
        if reduction == "sequence_mean":
            bottom = B if normaliser == "dataset" else sum(w for w, T in zip(weights, counts, strict=True) if T)
        else:
            pairs = list(zip(weights, counts, strict=True))
            bottom = sum(counts) if normaliser == "dataset" else sum(w * T for w, T in pairs)
        out.append(numerator / bottom if bottom else 0.0)
    return out
