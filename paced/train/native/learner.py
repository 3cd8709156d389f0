"""The student as the loop sees it: a module that returns the loss, its optimiser, and its weights in full on request.

Master weights and AdamW's moments are float32 whatever the forward's type, sharded over the ranks when there are
several. The student stays in evaluation mode: dropout noise belongs to no seed of a run and would be part of the
divergence. With LoRA the float32 base is frozen and sharded like the rest; gradients and moments are the adapters'.
Left out: optimisers other than AdamW, with which the paper trains.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from paced.models.in_parts import WeightFiles
from paced.models.loading import DTYPES
from paced.run.config import RunConfig
from paced.train.layers import layers_of, recompute_activations
from paced.train.lora import (
    AdapterSource,
    fill_adapters,
    has_adapters,
    merged,
    plain_weights,
    save_adapters,
    trained,
)
from paced.train.loss import DistillationStudent
from paced.train.loss.head import check_loaded_head
from paced.train.native.parallel import give_memory, read_weights, shard_module
from paced.train.optimizer import make_adamw
from paced.train.redirect import call_inside
from paced.train.team import Team


@dataclass(frozen=True, kw_only=True)
class StudentSource:
    """Where the weights of a student are that is spread before it has them."""

    files: WeightFiles
    """Those of the plain model."""
    adapters: AdapterSource | None = None
    """Those of its adapters, if it has any."""


class Learner:
    """A student that is being trained."""

    def __init__(self, model: Any, config: RunConfig, team: Team, source: StudentSource | None = None) -> None:
        """Spread ``model``, a causal language model in float32, plain or with adapters, over the ranks, in place.

        Args:
            model: on a device with its weights, or on the meta device.
            config: the run's.
            team: the ranks.
            source: where the weights of a model on the meta device are.
        """
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
        if source is not None:
            self._read(source, offload=parallel.offload)
        self.optimizer = make_adamw(trained(self.loss_of), training, rate=training.learning_rate)
        self._sampling_copy: Any = None

    def _read(self, source: StudentSource, *, offload: bool) -> None:
        """This rank's part of the weights and adapters; then one look at whether the loss reads the head rightly."""
        give_memory(self.loss_of, self.team, offload=offload)
        self.plain.tie_weights()
        read_weights(self.model, source.files)
        if source.adapters is not None:
            fill_adapters(self.model, source.adapters)
        with torch.no_grad():
            self.inside(check_loaded_head, self.model, who="student")
        self._let_go()

    def _let_go(self) -> None:
        """Leave the shards as the parameters: FSDP keeps the root gathered after a forward that no backward follows."""
        if isinstance(self.loss_of, FSDPModule):
            self.loss_of.reshard()

    @property
    def num_parameters(self) -> int:
        """Parameters over all ranks, tied ones once, that training changes."""
        return sum(parameter.numel() for _, parameter in self.trained())

    @property
    def plain(self) -> Any:
        """The causal language model itself; adapters, if any, are inside its layers."""
        return self.model.get_base_model() if has_adapters(self.model) else self.model

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that training changes, by name."""
        return ((name, one) for name, one in self.model.named_parameters() if one.requires_grad)

    def inside(self, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Call a function that reads the student's weights, while they are gathered; all ranks call it together."""
        if self.team.mesh is None:
            return function(*given, **named)
        return call_inside(self.loss_of, self.loss_of, function, *given, **named)

    def gradient_norm(self) -> Tensor:
        """Global norm of the gradient over all parameters and ranks, before clipping; 0 without any gradient."""
        gradients = [parameter.grad for parameter in self.loss_of.parameters() if parameter.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def update(self, *, norm: Tensor, clip_norm: float, learning_rate: float) -> None:
        """One AdamW step with the gradient scaled to at most ``clip_norm`` (0 for no clipping), then forget it."""
        if clip_norm:
            torch.nn.utils.clip_grads_with_norm_(trained(self.loss_of), clip_norm, norm)
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
            return self.plain
        if self._sampling_copy is None:
            self._sampling_copy = self._empty_copy(self.dtype, self.team.device)
        return self._filled(self._sampling_copy)

    def save_adapters(self, folder: Path, *, base: str) -> None:
        """Write the adapters alone, if there are any; ``base`` is what they call their model. All ranks together."""
        if has_adapters(self.model):
            save_adapters(folder, self.model, base=base, is_first=self.team.is_first)

    def for_export(self) -> Any:
        """The master weights in full on rank 0, in host memory; None on the others. All ranks must ask together.

        Adapters are merged, in one process in place: training is over.
        """
        if self.team.mesh is None:
            return merged(self.model) if has_adapters(self.model) else self.model
        target = self._empty_copy(torch.float32, torch.device("cpu")) if self.team.is_first else None
        return self._filled(target)

    def _empty_copy(self, dtype: torch.dtype, device: torch.device) -> Any:
        """A plain model of the same class whose weights are yet to be written; attention as it was configured."""
        config = copy.deepcopy(self.plain.config)
        config._attn_implementation = self.attention
        with torch.device("meta"):
            empty = type(self.plain)._from_config(config, dtype=dtype)
        empty = empty.to_empty(device=device).eval().requires_grad_(False)
        empty.tie_weights()
        empty.generation_config = copy.deepcopy(self.plain.generation_config)
        return empty

    @torch.no_grad()
    def _filled(self, target: Any) -> Any:
        """Gather every parameter, adapters merged, and copy it and every buffer into ``target`` where there is one."""
        self._let_go()  # gathered weights are in the type of the forward passes, not the master weights
        parameters = {} if target is None else dict(target.named_parameters())
        for name, weight in plain_weights(self.model):
            if target is not None:
                parameters[name].copy_(weight)
        if target is not None:
            buffers = dict(target.named_buffers())
            for name, buffer in self.plain.named_buffers():
                buffers[name].copy_(buffer)
        return target
