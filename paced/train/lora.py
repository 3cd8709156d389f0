"""LoRA students: adapters on a frozen base, by PEFT; and the self-teacher that is the same base with them off.

One copy of the weights then serves both models. What later steps load is a plain model: the adapters merged into the
float32 weights; the adapters alone are written beside it.
Left out: DoRA and quantised bases, whose forward is not the base plus a product of two matrices.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from paced.errors import ConfigError, MissingExtraError
from paced.run.seeds import text_key

ALL = "all-linear"


@dataclass(frozen=True, kw_only=True)
class Lora:
    """The shape of the adapters: W + alpha/rank · B A on every target."""

    rank: int
    """r >= 1."""
    alpha: int
    """>= 1; alpha/rank multiplies the product."""
    targets: tuple[str, ...]
    """Names of linear layers, such as ``q_proj``; or ``all-linear`` alone: all but the head."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1:
            raise ValueError(f"Lora: rank and alpha must be >= 1, got {self.rank} and {self.alpha}.")
        if not self.targets:
            raise ValueError("Lora: targets must name at least one linear layer, got none. 'all-linear' takes all.")

    def faults(self, model: Any) -> list[str]:
        """What is wrong with these adapters on a model, which may be empty: targets that it does not have."""
        if importlib.util.find_spec("peft") is None:
            return [str(MissingExtraError("training.backend: lora_rank", "peft", "lora"))]
        linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) or _is_conv(module)]
        known = sorted({name.rpartition(".")[2] for name in linear})
        return [
            f"training.backend: lora_targets must name linear layers of the student, got {target!r}. "
            f"It has {', '.join(known)}."
            for target in self.targets
            if target != ALL and not any(name == target or name.endswith(f".{target}") for name in linear)
        ]


def _is_conv(module: nn.Module) -> bool:
    """GPT-2 writes its linear layers so."""
    return type(module).__name__ == "Conv1D"


def add_adapters(model: Any, lora: Lora, *, seed: int) -> Any:
    """``model`` with new adapters that compute nothing yet (B = 0); its own weights are frozen.

    Args:
        model: a causal language model; changed in place.
        lora: shape and places.
        seed: of the random A.
    """
    from peft import LoraConfig, get_peft_model

    targets: str | list[str] = ALL if ALL in lora.targets else list(lora.targets)
    settings = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng():
        torch.manual_seed((seed + text_key("lora")) % 2**63)
        return get_peft_model(model, settings).eval()


def load_adapters(model: Any, folder: Path) -> Any:
    """``model`` with the adapters of an earlier stage, to be trained further."""
    from peft import PeftModel

    if not (folder / "adapter_config.json").exists():
        raise ConfigError(f"{folder}: holds no adapters (no adapter_config.json). Train the stage before it anew.")
    loaded = PeftModel.from_pretrained(model, str(folder), is_trainable=True).eval()
    _name_base(loaded, model.name_or_path)
    return loaded


def has_adapters(model: Any) -> bool:
    """Whether PEFT wraps the model."""
    return hasattr(model, "peft_config") and hasattr(model, "get_base_model")


def adapters_off(model: Any) -> AbstractContextManager[Any]:
    """Within it the model computes what its base does."""
    context: AbstractContextManager[Any] = model.disable_adapter()
    return context


def trained(model: Any) -> Iterable[nn.Parameter]:
    """The parameters that training changes: all of a plain model, the adapters of another."""
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


def save_adapters(folder: Path, model: Any, *, base: str) -> None:
    """Write the adapters alone; ``base`` is what their configuration calls the model they belong to."""
    _name_base(model, base)
    model.save_pretrained(folder, save_embedding_layers=False)  # the vocabulary is the base's


def _name_base(model: Any, base: str) -> None:
    for settings in model.peft_config.values():
        settings.base_model_name_or_path = base


def merged(model: Any) -> Any:
    """The plain model, its weights those of the base and the adapters together; the adapters are gone afterwards."""
    return model.merge_and_unload()
