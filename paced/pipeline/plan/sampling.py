"""Memory of sampling: weights, keys and values, and logits of the completions that are decoded side by side.

The engine ``hf`` decodes as many rows as its setting says, every one grown to its limit at worst; the others take the
memory that there is (``ENGINE_SHARE`` of it) and decode as many completions as fit, so they only need room for one.
Left out: prefix sharing, which saves prompts' keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass

from paced.pipeline.plan.devices import Device
from paced.pipeline.plan.memory import Phase
from paced.pipeline.plan.shapes import BYTES, Shape
from paced.run.config import ModelConfig, SamplingConfig

ENGINE_SHARE = 0.9
"""Share of a GPU that vLLM takes by default (``gpu_memory_utilization``)."""
HF_ROWS = 1024
"""Rows of the engine ``hf`` unless its parameters say otherwise."""
CDF_BYTES = 4 * (1 << 27)
"""Four float64 blocks of probabilities that the sampler ``hf`` holds at most: they are 128 MiB each."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How one task of sampling runs on one device."""

    phase: Phase
    """Its memory."""
    rows: int
    """Completions decoded side by side."""
    rows_that_fit: int
    """The most that the device has room for; 0 where not even one does."""
    step_bytes: float
    """Bytes that are read for one token of every row: weights, keys and values half grown."""


def decoding(
    name: str,
    *,
    model: ModelConfig,
    shape: Shape,
    sampling: SamplingConfig,
    prompt: float,
    num_completions: float,
    device: Device,
    usable: float,
) -> Decoding:
    """The memory of sampling from one model.

    Args:
        name: the task.
        model: type of the weights.
        shape: its sizes.
        sampling: engine and limit of tokens.
        prompt: tokens of a prompt.
        num_completions: completions of the whole task; no more are decoded side by side.
        device: what samples.
        usable: bytes of it that a run may use.
    """
    number = BYTES[model.dtype]
    weights = float(number * shape.parameters)
    sequence = prompt + sampling.max_new_tokens
    each = number * shape.kv_width * sequence
    own = sampling.engine.name == "hf"
    growth = 1 + 1 / shape.num_layers if own else 1.0  # a layer's cache is copied when it grows
    logits = float(4 * shape.head_rows + number * shape.head_rows) if own else 0.0
    fixed = min(CDF_BYTES, 32 * shape.head_rows * num_completions) if own else 0.0
    room = usable if own else ENGINE_SHARE * device.memory_bytes
    fit = max(0, int((room - weights - fixed) / (growth * each + logits)))
    wanted = int(sampling.engine.parameters.get("max_rows", HF_ROWS)) if own else max(1, fit)  # type: ignore[arg-type]
    rows = max(1, min(wanted, int(num_completions)))
    parts = {"engine": weights + fixed + rows * logits, "keys and values": rows * growth * each}
    return Decoding(
        phase=Phase(name=name, device=parts),
        rows=rows,
        rows_that_fit=fit,
        step_bytes=weights + min(rows, max(1, fit)) * number * shape.kv_width * (prompt + sampling.max_new_tokens / 2),
    )
