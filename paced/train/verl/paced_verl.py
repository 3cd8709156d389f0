"""Losses of verl multiplied by each problem's weight, the column ``paced_weight`` of the training file.

verl imports this file where ``VERL_USE_EXTERNAL_MODULES=paced_verl`` is set and its folder is in ``PYTHONPATH``.
It needs verl 0.9 and torch, and nothing of ``paced``. Denominators stay verl's own, over the whole optimiser step:
``token-mean`` divides by all tokens, ``seq-mean-token-mean`` by all sequences, so that weights of unit mean over the
training set are not cancelled in a micro-batch.
"""

from types import SimpleNamespace
from typing import Any

import torch
from verl.trainer.distillation.losses import (
    DistillationLossSettings,
    compute_distillation_loss_reverse_kl_estimator,
    compute_forward_kl_topk,
    register_distillation_loss,
)

COLUMN = "paced_weight"


def times_weight(losses: torch.Tensor, data: Any) -> torch.Tensor:
    """Token losses [B, T], each row times the weight of its problem."""
    if COLUMN not in data.keys():  # noqa: SIM118 - a TensorDict iterates over its rows
        raise ValueError(f"paced_verl: the training file must have a column {COLUMN!r}, and this batch has none of it.")
    weights = torch.tensor([float(weight) for weight in data[COLUMN]], dtype=losses.dtype, device=losses.device)  # [B]
    return losses * weights[:, None]


@register_distillation_loss(DistillationLossSettings(names=["paced_forward_kl_topk"], use_topk=True))
def forward_kl_topk(config: Any, distillation_config: Any, model_output: Any, data: Any) -> Any:
    """KL(teacher‖student) over the teacher's k most probable tokens, times w."""
    losses, metrics = compute_forward_kl_topk(config, distillation_config, model_output, data)
    return times_weight(losses, data), metrics


@register_distillation_loss(DistillationLossSettings(names=["paced_k1"], use_estimator=True))
def k1(config: Any, distillation_config: Any, model_output: Any, data: Any) -> Any:
    """log(student/teacher) of the sampled token, times w: an advantage for the policy gradient of the reverse KL."""
    if not distillation_config.distillation_loss.use_policy_gradient:
        raise ValueError(
            "paced_verl: paced_k1 must be used with distillation_loss.use_policy_gradient=True: the gradient of its "
            "value does not depend on the teacher."
        )
    return _estimator("k1", config, model_output, data)


@register_distillation_loss(DistillationLossSettings(names=["paced_k3"], use_estimator=True))
def k3(config: Any, distillation_config: Any, model_output: Any, data: Any) -> Any:
    """The k3 estimate of KL(student‖teacher) at the sampled token, times w."""
    return _estimator("k3", config, model_output, data)


def no_reward(data_source: Any, solution_str: Any, ground_truth: Any, extra_info: Any = None, **more: Any) -> float:
    """A reward for verl, which asks for one even where ``use_task_rewards`` is false; it enters no loss."""
    return 0.0


def _estimator(name: str, config: Any, model_output: Any, data: Any) -> Any:
    # verl's function reads its own name from the settings, to choose the estimator.
    plain = SimpleNamespace(distillation_loss=SimpleNamespace(loss_mode=name))
    losses, metrics = compute_distillation_loss_reverse_kl_estimator(config, plain, model_output, data)
    return times_weight(losses, data), metrics
