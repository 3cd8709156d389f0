"""AdamW, with which the paper trains, as a recipe sets it. Left out: other optimisers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from paced.run.config import TrainingConfig


def make_adamw(parameters: Iterable[nn.Parameter], training: TrainingConfig, *, rate: float) -> torch.optim.AdamW:
    """AdamW over ``parameters``, all of them decayed, with ``rate`` as its first step size."""
    return torch.optim.AdamW(
        parameters,
        lr=rate,
        betas=training.adam_betas,
        eps=training.adam_epsilon,
        weight_decay=training.weight_decay,
    )
