"""The sizes of a model that a plan counts with, from its configuration alone.

A configuration comes from the model's folder (``config.json`` is enough, weights need not be there), from this package
(``models.yaml``), or from the hub's local cache. The model is built on the meta device, so its parameters are counted
and never held.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paced.errors import ConfigError, did_you_mean
from paced.models.loading import build_empty, context_limit, load_config
from paced.run.config import ModelConfig
from paced.run.yamltext import parse_yaml

if TYPE_CHECKING:
    from paced.train.lora import Lora

FOUR = 4
"""Bytes of a float32 number: master weights, gradients, moments, logits."""
BYTES = {"float32": FOUR, "bfloat16": 2}
"""Type of a model's forward passes -> bytes of a number."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A causal language model's sizes, in numbers (not bytes) where nothing else is said."""

    name: str
    """Path in the recipe."""
    settings: Any
    """Its transformers configuration."""
    parameters: int
    """All parameters, tied ones once."""
    layer_parameters: int
    """Those of the largest decoder layer."""
    root_parameters: int
    """Those outside the layers: embeddings, final norm, head."""
    num_layers: int
    """Decoder layers."""
    hidden_size: int
    """Width d of the hidden states."""
    head_rows: int
    """Rows V of the head."""
    largest_parameter: int
    """Numbers of the largest tensor of weights."""
    is_tied: bool
    """Whether head and embedding are one tensor."""
    attention_width: int
    """Query heads times head size a, summed over layers by the work of attention."""
    kv_width: int
    """Numbers that one token leaves in the cache of keys and values, all layers together."""
    num_positions: int | None
    """Positions that the model was made for; None where its configuration does not say."""
    trained_parameters: int
    """Those that training changes: all, or with LoRA those of the adapters, which are beside ``parameters``."""
    trained_layer_parameters: int
    """Those of the largest layer."""
    largest_trained: int
    """Numbers of the largest tensor that is trained."""
    lora: Lora | None = None
    """The adapters of a student whose own weights are frozen."""

    @property
    def adapter_parameters(self) -> int:
        """Numbers of all adapters; 0 where all weights are trained."""
        return self.trained_parameters if self.lora else 0

    @property
    def adapter_layer_parameters(self) -> int:
        """Those of the largest layer."""
        return self.trained_layer_parameters if self.lora else 0

    @property
    def head_parameters(self) -> int:
        """Numbers of the head's matrix V·d."""
        return self.head_rows * self.hidden_size

    @property
    def multiplied_parameters(self) -> int:
        """Parameters that a token is multiplied with: an untied embedding is read, not multiplied."""
        return self.parameters - (0 if self.is_tied else self.head_parameters)


def shape_of(model: ModelConfig, *, who: str, lora: Lora | None = None) -> Shape:
    """The sizes of a model.

    Args:
        model: a folder with ``config.json``, a name in ``models.yaml``, or a hub name in the local cache.
        who: ``student`` or ``teacher``, for an error's sentence.
        lora: adapters that are trained on the frozen model, if any.

    Raises:
        ConfigError: no configuration is known, transformers cannot build a model from it, or it has no layers for
            the adapters.

    Example:
        >>> shape_of(ModelConfig(path="Qwen/Qwen3-8B"), who="student").parameters
        8190735360
    """
    settings = settings_of(model, who=who)
    built, faults = build_empty(settings, attention=model.attention, who=who)
    if built is None:
        raise ConfigError(" ".join(faults))
    if lora is not None:
        faults = lora.faults(built)
        if faults:
            raise ConfigError(" ".join(faults))
    return _measured(model.path, settings, built, lora)


def settings_of(model: ModelConfig, *, who: str) -> Any:
    """A model's transformers configuration; see :func:`shape_of`."""
    from transformers import AutoConfig

    folder = Path(model.path)
    shipped = shipped_models()
    if model.path and (folder / "config.json").is_file():
        try:
            return AutoConfig.from_pretrained(folder)
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise ConfigError(f"{model.path}: transformers cannot read config.json ({error}).") from error
    if model.path in shipped:
        keys = dict(shipped[model.path])
        return AutoConfig.for_model(keys.pop("model_type"), **keys)
    try:
        return load_config(model)
    except ConfigError as error:
        known = ", ".join(shipped)
        raise ConfigError(
            f"{who}.path: must be a folder with config.json or one of {known}, got {model.path!r} ({error})."
            f"{did_you_mean(model.path, shipped)}"
        ) from error


@lru_cache(maxsize=1)
def shipped_models() -> dict[str, dict[str, Any]]:
    """Name on the hub -> the keys of its configuration that ship with this package."""
    text = files("paced.pipeline.plan").joinpath("models.yaml").read_text(encoding="utf-8")
    models: dict[str, dict[str, Any]] = parse_yaml(text, "models.yaml")
    return models


def with_adapters(model: Any, lora: Lora) -> Any:
    """A model on the meta device with adapters, frozen but for these; changed in place."""
    import torch

    from paced.train.lora import add_adapters, new_adapters

    with torch.device("meta"):
        return add_adapters(model, lora, new_adapters(0))


def _measured(name: str, settings: Any, built: Any, lora: Lora | None) -> Shape:
    from paced.train.layers import layers_of
    from paced.train.loss import head_of

    text = settings.get_text_config()
    layers = layers_of(built)
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    total = sum(parameter.numel() for parameter in built.parameters())
    largest = max(parameter.numel() for parameter in built.parameters())
    head = head_of(built).weight
    is_tied = built.get_input_embeddings().weight is head
    heads = text.num_attention_heads
    head_size = getattr(text, "head_dim", None) or text.hidden_size // heads
    kv_heads = getattr(text, "num_key_value_heads", None) or heads
    if lora is not None:
        with_adapters(built, lora)
    trained = [one.numel() for one in built.parameters() if one.requires_grad]
    by_layer = [sum(one.numel() for one in layer.parameters() if one.requires_grad) for layer in layers]
    return Shape(
        name=name,
        settings=settings,
        parameters=total,
        layer_parameters=max(sizes),
        root_parameters=total - sum(sizes),
        num_layers=len(layers),
        hidden_size=head.shape[1],
        head_rows=head.shape[0],
        largest_parameter=largest,
        is_tied=is_tied,
        attention_width=heads * head_size,
        kv_width=2 * kv_heads * head_size * len(layers),
        num_positions=context_limit(text),
        trained_parameters=sum(trained),
        trained_layer_parameters=max(by_layer),
        largest_trained=max(trained),
        lora=lora,
    )
