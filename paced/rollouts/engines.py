"""Sampling engines behind one small interface: prompts and keys in, completions out.

Left out: engines in other processes. They are another entry of :data:`SAMPLERS` with the same three facts: one
completion for each key, the noise of that key alone, and a finish reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from paced.errors import ConfigError
from paced.models.tokens import absent_ids, end_tokens, padding_token, vocabulary_size
from paced.records import SampledCompletion
from paced.rollouts.hf import sample_completions
from paced.run.config import SamplingConfig
from paced.run.schema import Choice


class Sampler(Protocol):
    """One way to sample completions."""

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> list[list[SampledCompletion]]:
        """For each prompt, in order, one completion for each of its keys [num_prompts, K]."""
        ...


class HfSampler:
    """Samples in this process with transformers."""

    def __init__(self, model: Any, tokenizer: Any, end_of_answer: str = "") -> None:
        self.model = model
        self.ends = end_tokens(model, tokenizer, end_of_answer)
        self.padding = padding_token(tokenizer, self.ends)
        self.vocab_size = vocabulary_size(tokenizer)
        self.absent_ids = absent_ids(tokenizer)

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> list[list[SampledCompletion]]:
        """Sample as ``sampling`` says; see :func:`paced.rollouts.hf.sample_completions`."""
        return sample_completions(
            self.model,
            prompts=prompts,
            keys=keys,
            max_new_tokens=sampling.max_new_tokens,
            sampling_temperature=sampling.sampling_temperature,
            top_p=sampling.top_p,
            eos_token_id=self.ends,
            pad_token_id=self.padding,
            max_rows=sampling.max_rows,
            vocab_size=self.vocab_size,
            absent_ids=self.absent_ids,
        )


SAMPLERS: dict[str, Callable[[Any, Any, str], Sampler]] = {"hf": HfSampler}
"""``engine.name`` in a recipe -> a sampler from (model, tokenizer, end of answer)."""


def make_sampler(engine: Choice, model: Any, tokenizer: Any, end_of_answer: str = "") -> Sampler:
    """The sampler that a recipe chose, or a sentence with those there are."""
    if engine.name not in SAMPLERS:
        raise ConfigError(f"engine must be one of {', '.join(SAMPLERS)}, got {engine.name!r}.")
    return SAMPLERS[engine.name](model, tokenizer, end_of_answer)
