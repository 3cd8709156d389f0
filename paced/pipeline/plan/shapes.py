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
from typing import Any

from paced.errors import ConfigError, did_you_mean
from paced.models.loading import build_empty, context_limit, load_config
from paced.run.config import ModelConfig
from paced.run.yamltext import parse_yaml

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

    @property
    def head_parameters(self) -> int:
        """Numbers of the head's matrix V·d."""
        return self.head_rows * self.hidden_size

    @property
    def multiplied_parameters(self) -> int:
        """Parameters that a token is multiplied with: an untied embedding is read, not multiplied."""
        return self.parameters - (0 if self.is_tied else self.head_parameters)


def shape_of(model: ModelConfig, *, who: str) -> Shape:
    """The sizes of a model.

    Args:
        model: a folder with ``config.json``, a name in ``models.yaml``, or a hub name in the local cache.
        who: ``student`` or ``teacher``, for an error's sentence.

    Raises:
        ConfigError: no configuration is known, or transformers cannot build a model from it.

    Example:
        >>> shape_of(ModelConfig(path="Qwen/Qwen3-8B"), who="student").parameters
        8190735360
    """
    settings = settings_of(model, who=who)
    built, faults = build_empty(settings, attention=model.attention, who=who)
    if built is None:
        raise ConfigError(" ".join(faults))
    return _measured(model.path, settings, built)


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


def _measured(name: str, settings: Any, built: Any) -> Shape:
    from paced.train.layers import layers_of
    from paced.train.loss import head_of

    text = settings.get_text_config()
    layers = layers_of(built)
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]
    total = sum(parameter.numel() for parameter in built.parameters())
    head = head_of(built).weight
    heads = text.num_attention_heads
    head_size = getattr(text, "head_dim", None) or text.hidden_size // heads
    kv_heads = getattr(text, "num_key_value_heads", None) or heads
    return Shape(
        name=name,
        settings=settings,
        parameters=total,
        layer_parameters=max(sizes),
        root_parameters=total - sum(sizes),
        num_layers=len(layers),
        hidden_size=head.shape[1],
        head_rows=head.shape[0],
        largest_parameter=max(parameter.numel() for parameter in built.parameters()),
        is_tied=built.get_input_embeddings().weight is head,
        attention_width=heads * head_size,
        kv_width=2 * kv_heads * head_size * len(layers),
        num_positions=context_limit(text),
    )
