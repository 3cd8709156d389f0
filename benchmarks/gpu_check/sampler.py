"""The engine ``hf`` on the device: the CPU's completions in float32, whatever the order, and the right distribution."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import chi2
from training_setup import build_student

from gpu_check.gates import Gate, Measured, best_seconds
from gpu_check.stages import random_qwen3
from paced.rollouts.hf import sample_completions
from paced.run.seeds import sample_keys

PROMPTS = [[4 + (7 * row + place) % 250 for place in range(2 + row % 5)] for row in range(24)]
SETTINGS = {"max_new_tokens": 24, "eos_token_id": 0, "pad_token_id": 0, "vocab_size": 260, "max_rows": 64}
SPEED = {"cuda": {"hidden": 1024, "layers": 12, "vocab": 32_768}, "cpu": {"hidden": 64, "layers": 2, "vocab": 300}}


def run(device: torch.device) -> Measured:
    """Equality with the CPU and between orders, a chi-square of first tokens, and useful tokens a second."""
    model = build_student().eval()
    keys = sample_keys(
        run_seed=1, stage=1, problem_ids=[str(row) for row in range(len(PROMPTS))], num_samples=8, first_sample=0
    )  # [24, 8]
    host = sample_completions(model, prompts=PROMPTS, keys=keys, sampling_temperature=1.0, **SETTINGS)
    model = model.to(device)
    ours = sample_completions(model, prompts=PROMPTS, keys=keys, sampling_temperature=1.0, **SETTINGS)
    turned = sample_completions(model, prompts=PROMPTS[::-1], keys=keys[::-1], sampling_temperature=1.0, **SETTINGS)
    nucleus = {"sampling_temperature": 0.6, "top_p": 0.95, **SETTINGS}
    cool = sample_completions(model, prompts=PROMPTS, keys=keys, **nucleus)
    cool_host = sample_completions(model.cpu(), prompts=PROMPTS, keys=keys, **nucleus)
    measured = Measured(
        gates=[
            Gate("completions equal to the CPU's", _equal(ours, host), 0.98, at_least=True),
            Gate("the same with top_p", _equal(cool, cool_host), 0.98, at_least=True),
            Gate("completions equal in another order", _equal(turned[::-1], ours), 0.98, at_least=True),
            Gate("first tokens, chi-square p", _first_tokens(model.to(device)), 1e-4, at_least=True),
        ]
    )
    measured.facts |= _speed(device)
    if device.type == "cpu":
        measured.left_out.append("On a CPU the device is the host, so its completions are equal to themselves.")
    return measured


def _equal(ours: list, theirs: list) -> float:
    pairs = [
        one.token_ids == other.token_ids
        for mine, others in zip(ours, theirs, strict=True)
        for one, other in zip(mine, others, strict=True)
    ]
    return sum(pairs) / len(pairs)


def _first_tokens(model: torch.nn.Module, count: int = 2000) -> float:
    """p-value of the first tokens of one prompt against the model's probabilities; rare tokens share a cell."""
    prompt = PROMPTS[3]
    keys = sample_keys(run_seed=2, stage=1, problem_ids=["one"], num_samples=count, first_sample=0)  # [1, count]
    settings = SETTINGS | {"max_new_tokens": 1, "max_rows": count}
    (samples,) = sample_completions(model, prompts=[prompt], keys=keys, sampling_temperature=1.0, **settings)
    with torch.no_grad():
        logits = model(torch.tensor([prompt], device=next(model.parameters()).device)).logits[0, -1, :260]  # [V]
    expected = count * logits.double().softmax(-1).cpu().numpy()  # [V]
    seen = np.bincount([one.token_ids[0] for one in samples], minlength=260)  # [V]
    common = expected >= 5
    cells = [*zip(seen[common], expected[common], strict=True), (seen[~common].sum(), expected[~common].sum())]
    statistic = sum((observed - mean) ** 2 / mean for observed, mean in cells if mean > 0)
    return float(chi2.sf(statistic, len(cells) - 1))


def _speed(device: torch.device) -> dict[str, float]:
    """Tokens a second of a model of some size, 64 rows side by side, in bfloat16 on a card."""
    model = random_qwen3(seed=0, device=device, **SPEED[device.type])
    if device.type == "cuda":
        model = model.bfloat16()
    keys = sample_keys(run_seed=1, stage=2, problem_ids=[str(i) for i in range(8)], num_samples=8, first_sample=0)
    settings = SETTINGS | {"max_new_tokens": 128 if device.type == "cuda" else 8, "eos_token_id": None}

    def sample() -> None:
        sample_completions(model, prompts=PROMPTS[:8], keys=keys, sampling_temperature=1.0, **settings)

    return {"tokens/s, 64 rows": 64 * settings["max_new_tokens"] / best_seconds(sample, device, repeats=2)}
