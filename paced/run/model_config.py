"""The sections of a recipe that name a model: the student with its adapters, and the teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from paced.run.schema import NonNegativeInt, PositiveInt, Section


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """A Hugging Face causal language model on disk."""

    path: str = ""
    """Folder with safetensors weights and a tokenizer, or a hub name; for the teacher, empty means the student."""
    revision: str = ""
    """Commit of a hub repository; part of every cache key."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights during forward passes; the optimiser always holds float32 master weights."""
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    """Attention kernel asked of transformers."""


@dataclass(frozen=True, kw_only=True)
class AdapterConfig(Section):
    """LoRA: W + alpha/rank · B A on every target, W frozen; needs the extra ``lora``."""

    rank: PositiveInt = 16
    """r: rows of A and columns of B."""
    alpha: NonNegativeInt = 0
    """alpha/rank multiplies the product B A; 0 takes 2·rank."""
    targets: Annotated[tuple[str, ...], Meta(min_length=1, description="a list of one name or more")] = ("all-linear",)
    """Linear layers that get an adapter, by name, such as ``q_proj``; ``all-linear`` alone is all but the head."""


@dataclass(frozen=True, kw_only=True)
class StudentConfig(ModelConfig):
    """The model that is trained."""

    adapter: AdapterConfig | None = None
    """Train LoRA adapters on the frozen student instead of all its weights, e.g. ``{rank: 16, targets: [q_proj]}``; the
    backends native and transformers do. A stage leaves the adapters and a student with the adapters merged."""
