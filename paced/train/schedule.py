"""What changes from step to step: the learning rate, and the mixture of the two KLs under continuous interpolation.

λ(t) = (m_t / m_0)^γ, m the share of problems inside the zone of proximal development ε <= p̂ <= 1−ε, clipped to [0, 1]
(``x8``): training begins with forward KL and moves to reverse KL as the zone empties. The two-stage schedule of
the paper is λ in {1, 0}, and is written as two stages.
Left out: pass rates themselves. They are renewed by the example source (``pipeline/sources.py``) every so many steps.
"""

from __future__ import annotations

import math

from paced.errors import check_number
from paced.run.config import StageConfig, TrainingConfig
from paced.train.examples import Ratings
from paced.train.loss import Divergence, make_divergence
from paced.zone import Zone


def learning_rate(step: int, *, num_steps: int, training: TrainingConfig, stage: StageConfig | None = None) -> float:
    """AdamW's step size at ``step`` (from 0): linear warm-up, then constant (the paper) or a cosine that ends near 0.

    A stage with a learning rate of its own takes that in place of ``training.learning_rate``.

    Example:
        >>> warm = TrainingConfig(learning_rate=1.0, warmup_steps=4)
        >>> [learning_rate(step, num_steps=9, training=warm) for step in (0, 1, 3, 8)]
        [0.25, 0.5, 1.0, 1.0]
    """
    scale = min(1.0, (step + 1) / training.warmup_steps) if training.warmup_steps else 1.0
    if training.schedule == "cosine":
        scale *= 0.5 * (1 + math.cos(math.pi * step / num_steps))
    return ((stage.learning_rate if stage else 0) or training.learning_rate) * scale


def renewal_due(step: int, stage: StageConfig) -> bool:
    """Whether pass rates and weights are renewed before ``step``; never before the first."""
    return stage.recompute_every > 0 and step > 0 and step % stage.recompute_every == 0


def forward_share(mass: float, first_mass: float, power: float) -> float:
    """λ = clip(m_t/m_0, 0, 1)^γ, the share of forward KL; a zone that was empty from the start gives 0.

    Example:
        >>> [round(forward_share(mass, 0.51, 1.0), 6) for mass in (0.51, 0.32, 0.24, 0.21)]  # Table 9
        [1.0, 0.627451, 0.470588, 0.411765]
    """
    check_number("forward_share", "power", power, low=0)
    if first_mass == 0:
        return 0.0
    return min(1.0, max(0.0, mass / first_mass)) ** power


def divergence_at(stage: StageConfig, training: TrainingConfig, *, first: Ratings, now: Ratings) -> Divergence:
    """The divergence of a step, from the pass rates with which the stage began and those in force."""
    if training.interpolation == "none" or stage.divergence.name != "mixed_kl":
        return make_divergence(stage.divergence.name, **stage.divergence.parameters)
    zone = Zone.of(training.zpd_epsilon)
    share = forward_share(zone.share(now.pass_rates), zone.share(first.pass_rates), training.interpolation_power)
    return make_divergence("mixed_kl", forward_share=share)
