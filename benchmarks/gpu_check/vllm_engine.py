"""The engine ``vllm`` on the card: with our noise inside it, the completions of the engine ``hf`` in float32."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import torch
from tiny_models import byte_tokenizer

from gpu_check.gates import CannotRunError, Gate, Measured
from gpu_check.stages import random_qwen3
from paced.rollouts.hf import HfEngine
from paced.rollouts.vllm import VllmEngine, is_there
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.seeds import sample_keys

NUM_PROMPTS, NUM_SAMPLES = 24, 8


def run(device: torch.device) -> Measured:
    """One process of vLLM; new weights as well, which it takes from a folder."""
    if not is_there():
        raise CannotRunError("vLLM is not there: `pip install vllm==0.32.0` beside paced, or set PACED_VLLM_PYTHON.")
    prompts = [[4 + (5 * row + place) % 250 for place in range(3 + row % 5)] for row in range(NUM_PROMPTS)]
    ids = [str(row) for row in range(NUM_PROMPTS)]
    keys = sample_keys(run_seed=1, stage=1, problem_ids=ids, num_samples=NUM_SAMPLES, first_sample=0)  # [P, K]
    sampling = SamplingConfig(num_samples=NUM_SAMPLES, max_new_tokens=32)
    measured = Measured()
    with tempfile.TemporaryDirectory() as root:
        folders = [_write(Path(root) / str(seed), seed) for seed in (0, 1)]
        engine = VllmEngine(ModelConfig(path=str(folders[0])), gpu_memory_fraction=0.3)
        try:
            for place, folder in enumerate(folders):
                if place:
                    engine.update(folder)
                start = perf_counter()
                theirs = dict(engine.sample(prompts, keys, sampling))
                seconds = perf_counter() - start
                own = HfEngine(ModelConfig(path=str(folder)))
                ours = dict(own.sample(prompts, keys, sampling))
                own.close()
                equal = [
                    one.token_ids == other.token_ids
                    for row in range(NUM_PROMPTS)
                    for one, other in zip(ours[row], theirs[row], strict=True)
                ]
                name = ("first weights", "new weights")[place]
                measured.gates.append(Gate(f"equal to hf, {name}", sum(equal) / len(equal), 0.9, at_least=True))
                count = sum(len(one.token_ids) for row in theirs.values() for one in row)
                measured.facts[f"tokens/s, {name} (starting included)"] = count / seconds
            measured.facts |= {
                key: value for key, value in engine.facts.items() if isinstance(value, str | int | float)
            }
        finally:
            engine.close()
    return measured


def _write(folder: Path, seed: int) -> Path:
    """A model that vLLM runs on any device: its heads have 64 numbers."""
    model = random_qwen3(hidden=256, layers=2, vocab=264, seed=seed, device=torch.device("cpu"), initializer_range=0.1)
    model.save_pretrained(folder)
    byte_tokenizer(chat=False).save_pretrained(folder)
    return folder
