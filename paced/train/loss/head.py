"""The lm_head of a Hugging Face causal model as data: weight, bias, softcap, scale, rows that the tokenizer has.

The fused loss needs the head as a matrix, not as a module. Reading it wrongly (a LoRA adapter, a scale or a softcap
left out) would train towards other probabilities than the model samples from, so :func:`head_of` refuses what it does
not know and :func:`check_head` compares with the model's own logits.
Left out: heads of several layers and heads split by tensor parallelism.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from paced.errors import ArgumentTypeError, ConfigError, check_number


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """logits = softcap · tanh(scale · (W h + b) / softcap), or scale · (W h + b) without a softcap."""

    weight: Tensor
    """W [rows, d], d the hidden size, in the model's own dtype; rows >= V."""
    bias: Tensor | None = None
    """b [rows], or none."""
    softcap: float | None = None
    """Bound of the final logits (Gemma), > 0."""
    scale: float = 1.0
    """Multiplier of the raw logits (Cohere; one over Granite's), > 0."""
    vocab_size: int | None = None
    """Tokens that the tokenizer has, when W has padding rows beyond them."""

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise ValueError(f"HeadSpec: weight must be [rows, hidden size], got shape {tuple(self.weight.shape)}.")
        if self.bias is not None and self.bias.shape != self.weight.shape[:1]:
            raise ValueError(f"HeadSpec: bias must be [{self.weight.shape[0]}], got {tuple(self.bias.shape)}.")
        check_number("HeadSpec", "scale", self.scale, low=0, low_open=True)
        if self.softcap is not None:
            check_number("HeadSpec", "softcap", self.softcap, low=0, low_open=True)
        if self.vocab_size is not None and not 1 <= self.vocab_size <= self.weight.shape[0]:
            raise ValueError(
                f"HeadSpec: vocab_size must be in [1, {self.weight.shape[0]}], got {self.vocab_size}. "
                "A tokenizer with more tokens than the head has rows does not belong to this model."
            )

    def logits(self, hidden: Tensor) -> Tensor:
        """The definition, for tests and small inputs: logits [..., vocab_size] in float32 (float64 stays)."""
        dtype = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        logits = hidden.to(dtype) @ self.weight[: self.vocab_size].to(dtype).T  # [..., V]
        if self.bias is not None:
            logits = logits + self.bias[: self.vocab_size].to(dtype)
        logits = logits * self.scale
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)


def head_of(model: Any, *, vocab_size: int | None = None) -> HeadSpec:
    """Return the output head of a Hugging Face causal language model.

    Args:
        model: a ``PreTrainedModel`` with ``get_output_embeddings()`` and ``config``, plain or wrapped by PEFT.
        vocab_size: ``vocabulary_size(tokenizer)``, when the head may have padding rows.

    Edges: a tied head is the embedding's own parameter, so its gradient adds to the embedding's. A LoRA adapter on
        the head is merged into a weight through which autograd reaches the adapter.

    Raises:
        TypeError: a head that is not one linear layer, or an adapter that cannot be written as one weight.
    """
    layer = model.get_output_embeddings()
    if layer is None:
        raise ArgumentTypeError(f"head_of: {type(model).__name__} has no output head. Pass a causal language model.")
    weight, bias = _linear(layer)
    config = model.config.get_text_config()
    softcap = getattr(config, "final_logit_softcapping", None)
    return HeadSpec(weight=weight, bias=bias, softcap=softcap, scale=_scale(config), vocab_size=vocab_size)


def _linear(layer: Any) -> tuple[Tensor, Tensor | None]:
    if hasattr(layer, "modules_to_save"):  # PEFT trains a full copy of the layer
        layer = layer.modules_to_save[layer.active_adapter]
    if hasattr(layer, "base_layer") and hasattr(layer, "get_delta_weight"):
        return _merged(layer), getattr(layer.base_layer, "bias", None)
    if not isinstance(layer, nn.Linear) or type(layer).forward is not nn.Linear.forward:
        raise ArgumentTypeError(
            f"head_of: the output head must be a plain nn.Linear, got {type(layer).__name__}. "
            "Merge or remove what wraps the head, or train with the head unwrapped."
        )
    return layer.weight, layer.bias


def _merged(layer: Any) -> Tensor:
    """W + Σ scaling·B A of a PEFT LoRA layer; refused where the layer's forward is not that linear map."""
    if getattr(layer, "merged", False) or getattr(layer, "disable_adapters", False):
        return layer.base_layer.weight
    weight = layer.base_layer.weight
    for adapter in layer.active_adapters:
        if adapter not in layer.lora_A:
            continue
        dropout = layer.lora_dropout[adapter]
        if layer.training and not isinstance(dropout, nn.Identity) and dropout.p > 0:
            raise ArgumentTypeError(
                f"head_of: LoRA adapter '{adapter}' on the output head has dropout {dropout.p}, which cannot be "
                "merged into one weight. Set lora_dropout=0 or leave lm_head out of target_modules."
            )
        if getattr(layer, "use_dora", {}).get(adapter, False):
            raise ArgumentTypeError(
                f"head_of: adapter '{adapter}' on the output head uses DoRA, which is not supported. "
                "Leave lm_head out of target_modules."
            )
        weight = weight + layer.get_delta_weight(adapter)
    return weight


def _scale(config: Any) -> float:
    """Multiplier of the final logits under the names that transformers' models use."""
    for name in ("logit_scale", "lm_head_multiplier", "output_multiplier"):
        if getattr(config, name, None) is not None:
            return float(getattr(config, name))
    scaling = getattr(config, "logits_scaling", None)
    return 1.0 if scaling is None else 1.0 / float(scaling)


@torch.no_grad()
def check_head(model: Any, *, num_tokens: int = 4) -> None:
    """Compare the head as read with the model's own logits on a few tokens, once, before a run.

    Raises:
        ValueError: they differ by more than the rounding of the model's dtype, or are not finite.
    """
    spec = head_of(model)
    tokens = torch.arange(num_tokens, device=spec.weight.device).unsqueeze(0) % spec.weight.shape[0]
    was_training = model.training
    model.eval()
    try:
        hidden = trunk_of(model)(input_ids=tokens, use_cache=False).last_hidden_state  # [1, num_tokens, d]
        theirs = model(input_ids=tokens, use_cache=False).logits  # [1, num_tokens, rows]
    finally:
        model.train(was_training)
    if not bool(torch.isfinite(theirs).all()):
        raise ValueError(
            f"check_head: logits of {type(model).__name__} must be finite, got NaN or infinities for the first tokens. "
            "The weights are damaged, or too large for their dtype."
        )
    ours = spec.logits(hidden)
    worst = float((ours - theirs.to(ours.dtype)).abs().max())
    allowed = 8 * torch.finfo(theirs.dtype).eps * max(1.0, float(ours.abs().max()))
    if not worst <= max(allowed, 1e-4):
        raise ValueError(
            f"check_head: logits computed from the head of {type(model).__name__} must equal the model's own, "
            f"got a difference of {worst:.3g}. The model transforms its logits in a way that head_of does not know."
        )


def check_loaded_head(model: Any, *, who: str) -> None:
    """:func:`check_head` in one sentence that names the model's role.

    Raises:
        ConfigError: the loss would read the head wrongly.
    """
    try:
        check_head(model)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{who}: {error}") from error


def trunk_of(model: Any) -> nn.Module:
    """The model without its head: token ids in, final hidden states out (``last_hidden_state``)."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    trunk = getattr(inner, inner.base_model_prefix, None)
    if trunk is None:  # Llama 4's text model has a prefix that is none of its attributes
        trunk = getattr(inner, "model", None)
    if trunk is None or trunk is inner:
        raise ArgumentTypeError(
            f"trunk_of: {type(inner).__name__} has no attribute '{inner.base_model_prefix}' without the head. "
            "Pass a causal language model of transformers."
        )
    return trunk
