"""The student as the loop sees it: a module that returns the loss, its optimiser, and its weights in full on request.

Master weights and AdamW's moments are float32 whatever the forward's type, sharded over the ranks when there are
several. The student stays in evaluation mode: dropout noise belongs to no seed of a run and would be part of the
divergence.
Left out: optimisers other than AdamW, with which the paper trains.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from paced.models.loading import DTYPES
from paced.run.config import RunConfig
from paced.train.layers import layers_of, recompute_activations
from paced.train.loss import DistillationStudent
from paced.train.native.parallel import shard_module
from paced.train.optimizer import make_adamw
from paced.train.team import Team, whole_tensor


class Learner:
    """A student that is being trained."""

    def __init__(self, model: Any, config: RunConfig, team: Team) -> None:
        """Spread ``model``, a causal language model in float32, over the ranks of ``team``, in place."""
        parallel, training = config.parallel, config.training
        self.team, self.model = team, model.eval()
        self.dtype = DTYPES[config.student.dtype]
        self.attention = model.config._attn_implementation
        if parallel.gradient_checkpointing:
            recompute_activations(layers_of(model))
        if team.degree > 1:
            from paced.train.native.sequence_parallel import share_sequences

            share_sequences(model, team, who="student")
        self.loss_of = DistillationStudent(model)
        if team.mesh is not None:
            shard_module(self.loss_of, layers_of(model), team, compute_dtype=self.dtype, offload=parallel.offload)
        self.optimizer = make_adamw(self.loss_of.parameters(), training, rate=training.learning_rate)
        self._sampling_copy: Any = None

    @property
    def num_parameters(self) -> int:
        """Parameters over all ranks, tied ones once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def gradient_norm(self) -> Tensor:
        """Global norm of the gradient over all parameters and ranks, before clipping; 0 without any gradient."""
        gradients = [parameter.grad for parameter in self.loss_of.parameters() if parameter.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def update(self, *, norm: Tensor, clip_norm: float, learning_rate: float) -> None:
        """One AdamW step with the gradient scaled to at most ``clip_norm`` (0 for no clipping), then forget it."""
        if clip_norm:
            torch.nn.utils.clip_grads_with_norm_(self.loss_of.parameters(), clip_norm, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def for_sampling(self) -> Any:
        """A causal language model with the weights as they are now, in the type of the forward passes.

        All ranks must ask together. In a plain process it is the student itself; else a copy that is kept for the next
        call, one whole model on every rank.
        """
        if self.team.mesh is None:
            return self.model
        if self._sampling_copy is None:
            self._sampling_copy = self._empty_copy(self.dtype, self.team.device)
        return self._filled(self._sampling_copy)

    def for_export(self) -> Any:
        """The master weights in full on rank 0, in host memory; None on the others. All ranks must ask together."""
        if self.team.mesh is None:
            return self.model
        target = self._empty_copy(torch.float32, torch.device("cpu")) if self.team.is_first else None
        return self._filled(target)

    def _empty_copy(self, dtype: torch.dtype, device: torch.device) -> Any:
        """A model of the same class whose weights are yet to be written; attention as it was configured."""
        config = copy.deepcopy(self.model.config)
        config._attn_implementation = self.attention
        with torch.device("meta"):
            empty = type(self.model)._from_config(config, dtype=dtype)
        empty = empty.to_empty(device=device).eval().requires_grad_(False)
        empty.tie_weights()
        empty.generation_config = copy.deepcopy(self.model.generation_config)
        return empty

    @torch.no_grad()
    def _filled(self, target: Any) -> Any:
        """Gather every parameter, and copy it and every buffer into ``target`` where there is one."""
        parameters = {} if target is None else dict(target.named_parameters())
        for name, parameter in self.model.named_parameters():
            full = whole_tensor(parameter)
            if target is not None:
                parameters[name].copy_(full)
        if target is not None:
            buffers = dict(target.named_buffers())
            for name, buffer in self.model.named_buffers():
                buffers[name].copy_(buffer)
        return target
