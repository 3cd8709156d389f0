"""Distillation losses: divergences with closed-form gradients, the fused lm_head loss, and named reductions."""

from paced.train.loss.divergences import (
    DIVERGENCES,
    akl,
    forward_kl,
    jsd,
    make_divergence,
    reverse_kl,
    token_divergence,
)
from paced.train.loss.fused import FusedLoss, fused_divergence
from paced.train.loss.head import HeadSpec, check_head, head_of, trunk_of
from paced.train.loss.reductions import token_weights
from paced.train.loss.rows import Divergence
from paced.train.loss.student import DistillationStudent, LossTargets

__all__ = [
    "DIVERGENCES",
    "DistillationStudent",
    "Divergence",
    "FusedLoss",
    "HeadSpec",
    "LossTargets",
    "akl",
    "check_head",
    "forward_kl",
    "fused_divergence",
    "head_of",
    "jsd",
    "make_divergence",
    "reverse_kl",
    "token_divergence",
    "token_weights",
    "trunk_of",
]
