"""``torch.compile`` of the student's trunk under the fused loss: the same loss and gradients, and how much faster."""

from __future__ import annotations

import shutil

import torch
from training_setup import make_examples

from gpu_check.gates import CannotRunError, Gate, Measured, best_seconds, relative_error
from gpu_check.stages import random_qwen3
from paced.train.examples import Example
from paced.train.loss import DistillationStudent, LossTargets, head_of, make_divergence, trunk_of
from paced.train.micro_batches import pack_for_student
from paced.train.teacher import Teacher, hidden_of
from paced.train.team import Team

SIZES = {"cuda": {"hidden": 1024, "layers": 8, "vocab": 32_768}, "cpu": {"hidden": 32, "layers": 1, "vocab": 300}}


def run(device: torch.device) -> Measured:
    """One micro-batch, forward and backward, eager and compiled; and a second length, which may compile again."""
    if device.type == "cpu" and shutil.which("g++") is None and shutil.which("clang++") is None:
        raise CannotRunError("torch.compile on a CPU needs a C++ compiler, and there is none on the path.")
    model, teacher = (random_qwen3(seed=seed, device=device, **SIZES[device.type]) for seed in (0, 1))
    team = Team(device=device)
    asked = Teacher(hidden_of(teacher), head_of(teacher), team)
    student = DistillationStudent(model)
    longest = 12 if device.type == "cpu" else 200
    batches = [make_examples(4, weights=[1.0] * 4, longest=longest), make_examples(4, weights=[1.0] * 4, longest=9)]

    def step(examples: list[Example]) -> tuple[float, torch.Tensor]:
        model.zero_grad(set_to_none=True)
        packed = pack_for_student(examples, torch.full((len(examples),), 0.25, dtype=torch.float64), team)
        targets = LossTargets(
            positions=packed.positions,
            teacher_hidden=asked.states(examples),
            teacher_head=asked.head,
            token_weights=packed.token_weights,
            divergence=make_divergence("reverse_kl"),
        )
        loss = student(targets, **packed.inputs).loss
        loss.backward()
        gradient = torch.cat([one.grad.flatten() for one in model.parameters()])  # [parameters]
        return float(loss.detach()), gradient

    eager = [step(batch) for batch in batches]
    eager_seconds = best_seconds(lambda: step(batches[0]), device, repeats=3)
    trunk_of(model).compile()
    measured = Measured()
    for place, batch in enumerate(batches):
        loss, gradient = step(batch)
        name = ("one length", "another length")[place]
        measured.gates.append(Gate(f"loss, {name}", abs(loss / eager[place][0] - 1), 1e-5))
        measured.gates.append(Gate(f"gradient, {name}", relative_error(gradient, eager[place][1]), 1e-4))
    measured.facts["eager time over compiled"] = eager_seconds / best_seconds(
        lambda: step(batches[0]), device, repeats=3
    )
    return measured
