"""LoRA students: adapters on a frozen base, by PEFT; and the self-teacher that is the same base with them off.

One copy of the weights then serves both models. What later steps load is a plain model: the adapters merged into the
float32 weights; the adapters alone are written beside it.
Left out: DoRA and quantised bases, whose forward is not the base plus a product of two matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paced.errors import ConfigError, MissingExtraError
from paced.installed import is_installed
from paced.models.loading import writing_weights
from paced.run.config import ModelConfig, StudentConfig
from paced.run.seeds import text_key
from paced.train.inputs import StageInputs
from paced.train.team import copy_whole, whole_tensor

ALL = "all-linear"
ADAPTER = "default"
"""PEFT's name of the one adapter that is trained."""
WEIGHTS = "adapter_model.safetensors"
"""PEFT's file of an adapter's matrices."""
AdapterSource = Callable[[str, torch.Size], Tensor]
"""Name of an adapter's matrix, as in PEFT's files, and its shape -> the whole matrix."""


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
        if not is_installed("peft"):
            return [str(MissingExtraError("student.adapter", "peft", "lora"))]
        linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) or _is_conv(module)]
        known = sorted({name.rpartition(".")[2] for name in linear})
        faults = [
            f"student.adapter.targets must name linear layers of the student, got {target!r}. "
            f"It has {', '.join(known)}."
            for target in self.targets
            if target != ALL and not any(_matches(name, target) for name in linear)
        ]
        heads = [target for target in self.targets for name in _tied_heads(model) if _matches(name, target)]
        return faults + [
            f"student.adapter.targets must leave out {target!r}: the head of this student is its embedding, into "
            "which an adapter cannot be merged."
            for target in heads
        ]


def lora_of(student: StudentConfig) -> Lora | None:
    """The adapters that a recipe asks for; None where all weights are trained."""
    adapter = student.adapter
    if adapter is None:
        return None
    return Lora(rank=adapter.rank, alpha=adapter.alpha or 2 * adapter.rank, targets=adapter.targets)


def is_base(teacher: ModelConfig, student: StudentConfig) -> bool:
    """Whether a teacher is what remains of a student with its adapters off, computed in the same type."""
    keys = ("path", "revision", "dtype", "attention")
    return all(getattr(teacher, key) == getattr(student, key) for key in keys)


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _tied_heads(model: Any) -> list[str]:
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or table is None or head.weight is not table.weight:
        return []
    return [name for name, module in model.named_modules() if module is head]


def _is_conv(module: nn.Module) -> bool:
    """GPT-2 writes its linear layers so."""
    return type(module).__name__ == "Conv1D"


def add_adapters(model: Any, lora: Lora, source: AdapterSource) -> Any:
    """``model`` with adapters from ``source``; its own weights are frozen.

    Args:
        model: a causal language model; changed in place. Adapters of one on the meta device stay empty until
            :func:`fill_adapters`.
        lora: shape and places.
        source: :func:`new_adapters` or :func:`saved_adapters`.
    """
    from peft import LoraConfig, get_peft_model

    targets: str | list[str] = ALL if ALL in lora.targets else list(lora.targets)
    settings = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng():  # PEFT draws numbers that are not used
        adapted = get_peft_model(model, settings).eval()
    if not any(parameter.is_meta for parameter in trained(adapted)):
        fill_adapters(adapted, source)
    return adapted


@torch.no_grad()
def fill_adapters(model: Any, source: AdapterSource) -> None:
    """Write the adapters' matrices into ``model``, of sharded ones this rank's part."""
    for name, parameter in _adapters(model):
        copy_whole(source(name, parameter.shape), parameter)


def new_adapters(seed: int) -> AdapterSource:
    """Adapters that compute nothing yet: B = 0, and A uniform as PEFT draws it.

    Each matrix has a seed of its own, so it is the same on any number of ranks.
    """

    def start(name: str, shape: torch.Size) -> Tensor:
        if ".lora_B." in name:
            return torch.zeros(shape)  # [outputs, r]
        generator = torch.Generator().manual_seed((seed + text_key(f"lora {name}")) % 2**63)
        bound = shape[1] ** -0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)  # [r, inputs]

    return start


def saved_adapters(folder: Path) -> AdapterSource:
    """The adapters that an earlier stage left in ``folder``.

    Raises:
        ConfigError: there are none.
    """
    from safetensors.torch import load_file

    file = folder / WEIGHTS
    if not file.exists():
        raise ConfigError(f"{folder}: holds no adapters ({file.name}). Train the stage before it anew.")
    tensors = load_file(file)

    def saved(name: str, shape: torch.Size) -> Tensor:
        matrix = tensors.get(name)
        if matrix is None or matrix.shape != shape:
            raise ConfigError(f"{file}: must hold {name} of shape {list(shape)}. Train the stage before it anew.")
        return matrix

    return saved


def stage_adapters(stage: StageInputs) -> AdapterSource:
    """What the adapters of a stage start from: those of the stage before, in the first stage new ones.

    Raises:
        ConfigError: the stage before left none.
    """
    if stage.stage_number == 1:
        return new_adapters(stage.config.seed)
    return saved_adapters(stage.run.stage(stage.stage_number - 1).adapter)


def has_adapters(model: Any) -> bool:
    """Whether PEFT wraps the model."""
    return hasattr(model, "peft_config") and hasattr(model, "get_base_model")


@contextmanager
def adapters_off(model: Any) -> Iterator[None]:
    """Within it the model computes what its base does.

    PEFT's own ``disable_adapter`` also switches the adapters' gradients off and on, which FSDP would see as other
    parameters; here every layer skips its adapters and nothing else changes.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    before = [layer._disable_adapters for layer in layers]
    try:
        for layer in layers:
            layer._disable_adapters = True
        yield
    finally:
        for layer, was_off in zip(layers, before, strict=True):
            layer._disable_adapters = was_off


def trained(model: Any) -> Iterable[nn.Parameter]:
    """The parameters that training changes: all of a plain model, the adapters of another."""
    return (parameter for parameter in model.parameters() if parameter.requires_grad)


def plain_weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Every parameter of the plain model, whole, by its name there: adapters are merged, none is left.

    One at a time, so that memory holds one whole matrix; ranks that share a model must ask together.
    """
    layers = {f"{_plain(name)}.weight": module for name, module in model.named_modules() if hasattr(module, "lora_A")}
    for name, parameter in base_parameters(model):
        weight = whole_tensor(parameter)
        yield name, weight + _product(layers[name]) if name in layers else weight


def base_parameters(model: Any) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters of the plain model, or of the base of one with adapters, by their names in the plain model."""
    if not has_adapters(model):
        yield from model.named_parameters()
        return
    for name, parameter in model.named_parameters():
        if ".lora_" not in name:
            yield _plain(name), parameter


def _plain(name: str) -> str:
    """The name that a parameter or module of a model with adapters has without them."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def _product(layer: Any) -> Tensor:
    """alpha/rank · B A of one layer, whole, in the layout of its weight."""
    a, b = (whole_tensor(matrix[ADAPTER].weight) for matrix in (layer.lora_A, layer.lora_B))
    product = b @ a  # [outputs, inputs]
    return (product.T if layer.fan_in_fan_out else product) * layer.scaling[ADAPTER]


def save_adapters(folder: Path, model: Any, *, base: str, is_first: bool = True) -> None:
    """Write the adapters alone, in PEFT's format; ranks that share a model call it together.

    Args:
        folder: where they go.
        model: a student with adapters.
        base: what their configuration calls the model that they belong to.
        is_first: whether this rank writes.
    """
    whole = {name: whole_tensor(parameter).detach().contiguous() for name, parameter in _adapters(model)}
    if not is_first:
        return
    for settings in model.peft_config.values():
        settings.base_model_name_or_path = base
    with writing_weights(folder / WEIGHTS):
        model.save_pretrained(folder, state_dict=whole, save_embedding_layers=False)  # the vocabulary is the base's


def merged(model: Any) -> Any:
    """The plain model, its weights those of the base and the adapters together; the adapters are gone afterwards."""
    return model.merge_and_unload()


def _adapters(model: Any) -> Iterator[tuple[str, nn.Parameter]]:
    """The adapters' matrices by their names in PEFT's files."""
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            yield name.replace(f".{ADAPTER}.", "."), parameter
