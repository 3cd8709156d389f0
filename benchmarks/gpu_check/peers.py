"""The fused loss beside peers' own kernels: Liger's Triton and chunked losses, TRL's chunked loss.

A peer must agree with float64 to what its arithmetic allows (then both compute the same thing), and ours must be at
least as close. Times are facts without a limit: nobody has run them on a card yet.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
from loss_contenders import BETA, Problem, liger, ours, reference, trl_chunked
from torch import Tensor

from gpu_check.gates import CannotRunError, Gate, Measured, best_seconds, relative_error
from gpu_check.heads import NAMES, in_float64, leaves, make_heads

Loss = Callable[[Problem, str], Tensor]


def run(device: torch.device) -> Measured:
    """Every peer that is installed and runs on the device, in float32 and on CUDA in bfloat16 too."""
    measured = Measured()
    peers = _peers(device, measured.left_out)
    if not peers:
        raise CannotRunError(" ".join(measured.left_out))
    for dtype in (torch.float32,) if device.type == "cpu" else (torch.float32, torch.bfloat16):
        for name in NAMES:
            problem = leaves(make_heads(device, dtype=dtype, ones=True))
            exact = in_float64(problem)
            _, true = exact.gradients(reference(exact, name))
            _, own = problem.gradients(ours(problem, name))
            error = relative_error(own, true)
            own_seconds = best_seconds(lambda p=problem, n=name: p.gradients(ours(p, n)), device, repeats=3)
            for peer, loss in peers.items():
                _, theirs = problem.gradients(loss(problem, name))
                where = f"{name}, {str(dtype).removeprefix('torch.')}, {peer}"
                distance = relative_error(theirs, true)
                measured.gates.append(Gate(f"{where}: its dW", distance, 1e-3 if dtype == torch.float32 else 0.3))
                measured.gates.append(Gate(f"{where}: ours over it", error / max(distance, 1e-5), 1.5))
                seconds = best_seconds(lambda p=problem, n=name, f=loss: p.gradients(f(p, n)), device, repeats=3)
                measured.facts[f"{where}: its time over ours"] = seconds / own_seconds
    return measured


def _peers(device: torch.device, left_out: list[str]) -> dict[str, Loss]:
    """Name -> loss, of those that run here; why the others do not goes to ``left_out``."""
    found: dict[str, Loss] = {}
    if importlib.util.find_spec("trl"):
        found["TRL chunked"] = trl_chunked
    else:
        left_out.append("TRL is not installed: pip install 'paced[test]'.")
    if importlib.util.find_spec("liger_kernel") is None:
        left_out.append("Liger is not on the path: `make gpu-check` puts it into .venv/peers.")
        return found
    found["Liger chunked"] = _liger_on(device)
    if device.type == "cuda" and importlib.util.find_spec("triton"):
        found["Liger Triton"] = liger_triton
    else:
        left_out.append("Liger's fused kernel is Triton's, which a CPU does not run.")
    return found


def _liger_on(device: torch.device) -> Loss:
    def loss(problem: Problem, name: str) -> Tensor:
        with torch.device(device):  # its labels are made where tensors are by default
            return liger(problem, name)

    return loss


def liger_triton(problem: Problem, name: str) -> Tensor:
    """``LigerFusedLinearJSDFunction``: the mean over tokens, which is ours for weights of 1/N."""
    from liger_kernel.ops.fused_linear_jsd import LigerFusedLinearJSDFunction

    return LigerFusedLinearJSDFunction.apply(
        problem.hidden, problem.weight, problem.teacher_hidden, problem.teacher_weight, None, BETA[name], -100, 1.0
    )
