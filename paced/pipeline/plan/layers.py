"""What one decoder layer keeps for its backward pass and needs while it runs, read off the model's own code.

The layer runs forward and backward on the meta device at the sizes of the run, so any architecture is counted as it is
written, in the types that it computes in: on CPUs the bytes equal those that autograd really keeps (a test holds this
for six architectures).
Left out: layers of several kinds. The first stands for all, and a mixture of experts, whose shapes depend on what its
router chooses, is refused.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from paced.errors import ConfigError
from paced.pipeline.plan.shapes import BYTES, Shape, with_adapters

if TYPE_CHECKING:
    from paced.train.lora import Lora


@dataclass(frozen=True, kw_only=True)
class LayerBytes:
    """Bytes of one layer for the tokens of one micro-batch on one device."""

    entry: int
    """Its input, which gradient checkpointing keeps: tokens · d · bytes."""
    kept: int
    """What it keeps for the backward pass, its output included."""
    forward: int
    """Most that is alive inside its forward pass above what was there before, what it keeps included."""
    inference: int
    """The same without a gradient."""
    backward: int
    """Most that is alive inside its backward pass above what was there before, its own gradients included."""
    accumulating: int
    """The same where the gradients are added to ones that are there already."""
    around: int
    """What is kept outside the layers: inputs, rotary tables, masks, the final norm."""


def layer_bytes(shape: Shape, *, attention: str, dtype: str, rows: int, length: int) -> LayerBytes:
    """Run one layer of a model on the meta device.

    Args:
        shape: the model, with its adapters where it has any.
        attention: as the recipe asks; ``eager`` holds all scores, the others are fused.
        dtype: type of the forward passes.
        rows: sequences of the micro-batch.
        length: tokens of each on this device.

    Raises:
        ConfigError: the model's shapes depend on its numbers.
    """
    return _run(_Key(shape.settings, shape.name, shape.lora), attention == "eager", dtype, rows, length)


@dataclass(frozen=True)
class _Key:
    """A configuration that can be a key of the cache: its text takes its place."""

    settings: Any
    name: str
    lora: Lora | None

    def __hash__(self) -> int:
        return hash((self.settings.to_json_string(), self.lora))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Key) or self.lora != other.lora:
            return False
        return bool(self.settings.to_json_string() == other.settings.to_json_string())


@lru_cache(maxsize=256)
def _run(key: _Key, eager: bool, dtype: str, rows: int, length: int) -> LayerBytes:
    import torch

    from paced.models.livebytes import LiveBytes
    from paced.train.layers import layers_of

    model = _one_layer(key, eager, dtype)
    layer = layers_of(model)[0]
    width = model.get_input_embeddings().weight.shape[1]
    if key.lora is not None:
        with_adapters(model, key.lora).to(getattr(torch, dtype))  # in place; PEFT keeps adapters of bfloat16 in float32
    states = torch.empty(rows, length, width, dtype=getattr(torch, dtype), device="meta", requires_grad=True)
    marks: dict[str, int] = {}

    def peaks(*, accumulate: bool, gradients: bool) -> tuple[int, int, int, int]:
        """Bytes kept by the layer, its forward peak, its backward peak, and bytes kept around it."""
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter) if accumulate else None
        with LiveBytes() as live, torch.set_grad_enabled(gradients):
            entered = layer.register_forward_pre_hook(lambda *_: marks.update(before=live.restart()))
            left = layer.register_forward_hook(lambda *_: marks.update(after=live.now, inside=live.peak))
            try:
                out = _trunk(model)(inputs_embeds=states, use_cache=False).last_hidden_state
                forward, kept = marks["inside"] - marks["before"], marks["after"] - marks["before"]
                start = live.restart()
                if gradients:
                    out.backward(torch.empty_like(out))
                return kept, forward, live.peak - start, start - kept
            finally:
                entered.remove()
                left.remove()

    try:
        kept, forward, backward, around = peaks(accumulate=False, gradients=True)
        return LayerBytes(
            entry=rows * length * width * BYTES[dtype],
            kept=kept,
            forward=forward,
            inference=peaks(accumulate=False, gradients=False)[1],
            backward=backward,
            accumulating=peaks(accumulate=True, gradients=True)[2],
            around=around,
        )
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"{key.name}: the memory of '{key.settings.model_type}' cannot be counted without its numbers ({reason}). "
            "Plan for a dense model of the same width."
        ) from error


def _one_layer(key: _Key, eager: bool, dtype: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    from paced.models.sizeless_attention import register

    settings = copy.deepcopy(key.settings)
    text = settings.get_text_config()
    text.num_hidden_layers = 1
    if getattr(text, "layer_types", None):
        text.layer_types = list(text.layer_types)[:1]
    attention = "eager" if eager else register()
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(
            settings, dtype=getattr(torch, dtype), attn_implementation=attention
        ).eval()


def _trunk(model: Any) -> Any:
    from paced.train.loss import trunk_of

    return trunk_of(model)
