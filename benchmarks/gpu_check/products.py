"""Products of bfloat16 operands with float32 results (``out_dtype``), alone and as the head's three products.

On CUDA ``paced/train/loss/gemm.py`` takes this path for bfloat16 weights; a CPU has neither, and checks the arithmetic
of the split into two bfloat16 terms by which the gradient's factor keeps its precision.
"""

from __future__ import annotations

import torch

from gpu_check.gates import Gate, Measured, best_seconds, relative_error
from gpu_check.heads import SIZES
from paced.train.loss.blocks import BlockSizes
from paced.train.loss.gemm import Product, _split
from paced.train.loss.head import HeadSpec
from paced.train.loss.rows import Scratch

ROUNDING = 2e-5
"""Two bfloat16 terms keep 16 bits; float32 sums over V columns add about as much."""


def run(device: torch.device) -> Measured:
    """The split's arithmetic everywhere; tensor cores where there are some."""
    tokens, vocab, width = SIZES[device.type]
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(tokens, width, generator=generator).bfloat16().to(device)  # [N, d]
    weight = (torch.randn(vocab, width, generator=generator) * 3 / width**0.5).bfloat16().to(device)  # [V, d]
    delta = torch.randn(tokens, vocab, generator=generator).to(device)  # [N, V]
    high, low = _split(delta)
    terms, wide = high.double() + low.double(), weight.double()  # [N, V], [V, d]
    error = relative_error(terms @ wide, delta.double() @ wide)
    measured = Measured(
        gates=[
            Gate("two bfloat16 terms of a float32 factor", relative_error(terms, delta), 1e-5),
            Gate("product of the two terms", error, 1e-5),
        ]
    )
    if device.type == "cpu":
        measured.left_out.append("A CPU has no tensor cores, and torch has no out_dtype there; CUDA alone runs them.")
        return measured
    measured.gates += _one_product(hidden, weight)
    measured.gates += _head_products(hidden, weight, delta)
    measured.facts |= _rates(hidden, weight, delta, device)
    return measured


def _one_product(hidden: torch.Tensor, weight: torch.Tensor) -> list[Gate]:
    """``torch.mm(out_dtype=float32)``, also into columns of a larger tensor, against the usual rounded result."""
    exact = hidden.double() @ weight.double().T  # [N, V]
    whole = torch.mm(hidden, weight.T, out_dtype=torch.float32)  # [N, V]
    into = torch.empty_like(whole)
    half = weight.shape[0] // 2
    for rows in (slice(0, half), slice(half, None)):
        torch.mm(hidden, weight[rows].T, out_dtype=torch.float32, out=into[:, rows])
    rounded = relative_error((hidden @ weight.T).float(), exact)
    return [
        Gate("out_dtype=float32", relative_error(whole, exact), 1e-5),
        Gate("the same into columns (out=)", relative_error(into, exact), 1e-5),
        Gate("control: a result rounded to bfloat16 is worse", rounded, 1e-4, at_least=True),
    ]


def _head_products(hidden: torch.Tensor, weight: torch.Tensor, delta: torch.Tensor) -> list[Gate]:
    """Logits and both gradients of one bfloat16 head, at two temperatures."""
    gates = []
    blocks, scratch = BlockSizes.fitting(weight.shape[0], weight.device), Scratch()
    for temperature in (1.0, 1.7):
        spec = HeadSpec(weight=weight)
        product = Product(spec, weight, None, vocab=weight.shape[0], temperature=temperature, dtype=torch.float32)
        assert product.tensor_cores
        scaled = product.scaled(hidden)  # [N, d]
        logits = torch.empty_like(delta)  # [N, V]
        product.logits(scaled, logits, blocks, scratch)
        hidden_grad = product.hidden_grad(delta, blocks, scratch)  # [N, d]
        weight_grad = torch.empty(weight.shape, device=weight.device)  # [V, d]
        product.add_weight_grad(delta, scaled, weight_grad, blocks, first=True)
        wide, factor = weight.double(), 1 / temperature
        gates += [
            Gate(f"logits, T={temperature}", relative_error(logits, factor * (hidden.double() @ wide.T)), 1e-5),
            Gate(f"dh, T={temperature}", relative_error(hidden_grad, factor * (delta.double() @ wide)), ROUNDING),
            Gate(
                f"dW, T={temperature}",
                relative_error(weight_grad, factor * (delta.double().T @ hidden.double())),
                ROUNDING,
            ),
        ]
    return gates


def _rates(hidden: torch.Tensor, weight: torch.Tensor, delta: torch.Tensor, device: torch.device) -> dict[str, float]:
    operations = 2 * delta.numel() * hidden.shape[1]
    seconds = best_seconds(lambda: torch.mm(hidden, weight.T, out_dtype=torch.float32), device)
    plain = best_seconds(lambda: torch.mm(hidden, weight.T), device)
    return {"out_dtype TFLOP/s": operations / seconds / 1e12, "bfloat16 TFLOP/s": operations / plain / 1e12}
