"""Run by an interpreter with vLLM: the second interface of the logits processor, on tables made by hand."""

import json
from types import SimpleNamespace

import numpy as np
import torch
from vllm import SamplingParams
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor

from paced.rollouts.noise import Draw
from paced.rollouts.vllm_noise import PacedNoise

assert issubclass(PacedNoise, LogitsProcessor)
tables = SimpleNamespace(prompt_len=SimpleNamespace(np=np.array([3, 5, 2, 0])))
processor = PacedNoise(None, tables)
draws = {0: Draw(11, 1.0, 1.0, 12), 2: Draw(12, 0.0, 1.0, 12, (4,))}
took = [
    processor.add_request(slot, SamplingParams(temperature=0, extra_args={"paced": draw.as_list()}))
    for slot, draw in draws.items()
]
took.append(processor.add_request(1, SamplingParams(temperature=0)))
logits = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
rows = SimpleNamespace(expanded_idx_mapping=torch.tensor([2, 1, 0]), pos=torch.tensor([4, 9, 2]))
left = processor.apply(logits.clone(), rows)
processor.add_request(0, SamplingParams(temperature=0))  # another request takes the slot
again = processor.apply(logits.clone(), rows)
refused = []
for values, temperature in (([1], 0), ([1, 1.0, 1.0, 12], 1.0)):
    try:
        PacedNoise.validate_params(SamplingParams(temperature=temperature, extra_args={"paced": values}))
    except ValueError as error:
        refused.append(str(error))
print(
    json.dumps(
        {
            "took": took,
            "left": [torch.isfinite(row).nonzero().flatten().tolist() for row in left],
            "again": [int(torch.isfinite(row).sum()) for row in again],
            "refused": refused,
        }
    )
)
