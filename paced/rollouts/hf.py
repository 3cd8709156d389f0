"""Sampling from any Hugging Face causal language model, with noise that no batching can change.

Prompts are sorted by length and padded on the left, each is read once and its cache repeated K times, and rows that
have ended leave the batch. A token is the inverse CDF of the model's distribution, in float64, at the uniform of
(sample key, position) from ``seeds.py``. What remains of the batch's composition is floating-point: padded and
unpadded logits differ by about 1e-6 in float32, so a token differs only when its uniform falls that close to an edge
of the CDF (0 of 19,200 completions of the embedded lab). In bfloat16 and on GPUs logits depend more on the shape of
the batch: there the noise is the same, the text need not be.
Left out: ``model.generate`` (a third of the speed here, its noise depends on the batch, and it adopts a model's own
top_k, top_p and penalties silently); continuous batching (that is vLLM's task).
:class:`HfEngine` is the engine ``hf``: this sampler on a model that it loads itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paced.errors import check_number
from paced.models.loading import context_limit, load_config, load_model, load_tokenizer, pick_device
from paced.models.tokens import absent_ids, end_tokens, padding_token, vocabulary_size
from paced.records import SampledCompletion
from paced.rollouts.causal_calls import CausalCalls
from paced.rollouts.context import refuse_too_long
from paced.rollouts.grouped_attention import grouped_attention
from paced.run.config import ModelConfig, SamplingConfig
from paced.run.seeds import uniforms

COMPACT_BELOW = 0.8
"""Copy the cache without the ended rows when fewer than this share of its rows still run."""
CDF_ELEMENTS = 1 << 24
"""Largest float64 block of probabilities held at once: 128 MiB, whatever the vocabulary."""


class HfEngine:
    """The engine ``hf``: samples with transformers in this process, on this process's accelerator."""

    gives_token_ids = takes_new_weights = True
    reproducibility = (
        "A completion follows from its prompt, key and settings: in float32 on CPUs whatever the batch, but where a "
        "uniform falls within about 1e-6 of an edge of the CDF; in bfloat16 and on GPUs the noise is the same, and the "
        "text where the batches are."
    )

    def __init__(self, model: ModelConfig, *, end_of_answer: str = "", max_rows: int = 1024) -> None:
        """Name the model to be loaded at the first prompt.

        Args:
            model: folder or hub name, type of the weights and attention kernel.
            end_of_answer: text of one token that ends a completion besides the model's own; empty for none.
            max_rows: completions decoded side by side, an integer >= 1; memory depends on it, results do not.

        Raises:
            ValueError: ``max_rows`` is not an integer >= 1.
        """
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
            raise ValueError(f"hf: max_rows must be an integer >= 1, got {max_rows!r}.")
        self.model, self.end_of_answer, self.batch_rows = model, end_of_answer, max_rows
        self._network: Any = None
        self._tokenizer: Any = None
        self._vocabulary: dict[str, Any] = {}

    @property
    def facts(self) -> dict[str, Any]:
        """Nothing: it computes in this process, which environment.json describes."""
        return {}

    @property
    def context_tokens(self) -> int | None:
        """Positions of the model's configuration."""
        return context_limit(load_config(self.model))

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> Iterator[tuple[int, list[SampledCompletion]]]:
        """(row, its K completions), batch after batch in order of the prompts' lengths; see ``sample_batches``."""
        refuse_too_long("hf", prompts, max_new_tokens=sampling.max_new_tokens, context_tokens=self.context_tokens)
        if self._tokenizer is None:
            self._tokenizer = tokenizer = load_tokenizer(self.model)
            self._vocabulary = {"vocab_size": vocabulary_size(tokenizer), "absent_ids": absent_ids(tokenizer)}
        if self._network is None:
            self._network = load_model(self.model, device=pick_device())
        ends = end_tokens(self._network, self._tokenizer, self.end_of_answer)
        yield from sample_batches(
            self._network,
            prompts=prompts,
            keys=keys,
            max_new_tokens=sampling.max_new_tokens,
            sampling_temperature=sampling.sampling_temperature,
            top_p=sampling.top_p,
            eos_token_id=ends,
            pad_token_id=padding_token(self._tokenizer, ends),
            max_rows=self.batch_rows,
            **self._vocabulary,
        )

    def update(self, student: Any) -> None:
        """Sample from ``student``: a module as it is at each call, or a folder, loaded at the next prompt."""
        if isinstance(student, (str, Path)):
            self.model, self._network = dataclasses.replace(self.model, path=str(student), revision=""), None
        else:
            self._network = student

    def close(self) -> None:
        """Forget the model."""
        self._network = self._tokenizer = None


def sample_completions(
    model: Any, *, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], **settings: Any
) -> list[list[SampledCompletion]]:
    """All completions at once: for each prompt, in the order given, its K in the order of its keys.

    Args, errors and edges are those of :func:`sample_batches`.
    """
    completions = dict(sample_batches(model, prompts=prompts, keys=keys, **settings))
    return [completions[row] for row in range(len(prompts))]


@torch.no_grad()
def sample_batches(
    model: Any,
    *,
    prompts: Sequence[Sequence[int]],
    keys: NDArray[np.uint64],
    max_new_tokens: int,
    sampling_temperature: float,
    eos_token_id: int | Iterable[int] | None,
    pad_token_id: int,
    max_rows: int,
    top_p: float = 1.0,
    vocab_size: int | None = None,
    absent_ids: Sequence[int] = (),
) -> Iterator[tuple[int, list[SampledCompletion]]]:
    """Sample K completions of each prompt from softmax(logits / sampling_temperature), a batch of prompts at a time.

    Args:
        model: a transformers causal LM with a key-value cache; put into eval mode meanwhile.
        prompts: token ids of each prompt, at least one token each.
        keys: uint64 [num_prompts, K], from :func:`paced.run.seeds.sample_keys`.
        max_new_tokens: length limit >= 1 of a completion, its end-of-sequence token included.
        sampling_temperature: > 0; 0 takes the most probable token (the first of equals) and uses no noise.
        eos_token_id: the token or tokens that end a completion; None for none.
        pad_token_id: fills the left of short prompts; masked, so any valid id will do.
        max_rows: completions decoded side by side; sets memory and speed, not results.
        top_p: nucleus mass in (0, 1]: the smallest set of most probable tokens that holds it.
        vocab_size: of the tokenizer, when the head has padding rows: tokens that nobody can read are never chosen.
            None for every row of the head.
        absent_ids: ids below it that no token has, in a tokenizer whose ids have gaps; never chosen either.

    Yields:
        (place of a prompt, its K completions in the order of its keys), shorter prompts first.

    Raises:
        ValueError: an empty prompt, an argument out of range, or keys of another shape.
        FloatingPointError: the model's logits hold NaN or +inf.
        TypeError: the model keeps a state that cannot be repeated over samples (e.g. recurrent layers).

    Edges: on sharded models every rank must decode rows of equal number and length; this function does not see to it.
    """
    place = "sample_completions"
    check_number(place, "sampling_temperature", sampling_temperature, low=0)
    check_number(place, "top_p", top_p, low=0, high=1, low_open=True)
    check_number(place, "max_new_tokens", max_new_tokens, low=1)
    check_number(place, "max_rows", max_rows, low=1)
    keys = np.asarray(keys, dtype=np.uint64)
    if keys.ndim != 2 or keys.shape[0] != len(prompts) or keys.shape[1] < 1:
        raise ValueError(f"{place}: keys must have shape [{len(prompts)}, K >= 1], got {keys.shape}.")
    empty = [index for index, prompt in enumerate(prompts) if len(prompt) == 0]
    if empty:
        raise ValueError(f"{place}: prompts must hold a token each, got {len(empty)} empty, the first at {empty[0]}.")
    if eos_token_id is None:
        ends: tuple[int, ...] = ()
    else:
        ends = (eos_token_id,) if isinstance(eos_token_id, int) else tuple(eos_token_id)

    num_samples = keys.shape[1]
    samples_at_once = min(num_samples, max_rows)
    prompts_at_once = max_rows // samples_at_once
    by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))  # stable: equal lengths keep order
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(prompts), prompts_at_once):
            chosen = by_length[start : start + prompts_at_once]
            completions: list[list[SampledCompletion]] = [[] for _ in chosen]
            for first in range(0, num_samples, samples_at_once):
                with grouped_attention(model):
                    sampled = _decode(
                        CausalCalls(model),
                        prompts=[prompts[index] for index in chosen],
                        keys=keys[chosen, first : first + samples_at_once],
                        max_new_tokens=max_new_tokens,
                        sampling_temperature=sampling_temperature,
                        top_p=top_p,
                        ends=ends,
                        pad_token_id=pad_token_id,
                        vocab_size=vocab_size,
                        absent_ids=absent_ids,
                    )
                for earlier, of_prompt in zip(completions, sampled, strict=True):
                    earlier.extend(of_prompt)
            yield from zip(chosen, completions, strict=True)
    finally:
        if was_training:
            model.train()


def known_logits(logits: Tensor, *, vocab_size: int | None, absent_ids: Sequence[int] = ()) -> Tensor:
    """The logits of tokens that exist: padding rows of the head are cut off, gaps below them get -inf.

    Args:
        logits: [num_rows, rows of the head].
        vocab_size: of the tokenizer; None for every row of the head.
        absent_ids: ids below it that no token has.

    Returns:
        [num_rows, vocab_size].
    """
    known = logits[:, :vocab_size]  # [num_rows, V]
    if absent_ids:
        absent = torch.tensor(absent_ids, device=known.device)  # [num_absent]
        known = known.index_fill(-1, absent, -torch.inf)  # [num_rows, V]
    return known


def choose_tokens(
    logits: Tensor, noise: NDArray[np.float64] | None, *, sampling_temperature: float, top_p: float = 1.0
) -> Tensor:
    """The token of each row at its uniform: inverse CDF over the vocabulary in index order, in float64.

    Args:
        logits: [num_rows, vocab_size], any float type.
        noise: float64 [num_rows] in (0, 1); may be None at temperature 0.
        sampling_temperature: > 0, or 0 for the most probable token.
        top_p: nucleus mass in (0, 1]; a token stays iff the mass of those before it, in order of falling probability
            (equals by index), is below top_p.

    Returns:
        int64 [num_rows], on the device of the logits.

    Example:
        >>> choose_tokens(torch.log(torch.tensor([[0.5, 0.25, 0.25]])), np.array([0.6]), sampling_temperature=1.0)
        tensor([1])
    """
    if sampling_temperature == 0:
        return logits.argmax(dim=-1)
    assert noise is not None
    if not bool((logits < torch.inf).all()):  # False for NaN as well
        raise FloatingPointError("choose_tokens: logits must be < +inf and not NaN. Did the model diverge?")
    rows_at_once = max(1, CDF_ELEMENTS // logits.shape[-1])
    chosen = []
    for start in range(0, logits.shape[0], rows_at_once):
        block = logits[start : start + rows_at_once].double() / sampling_temperature  # [n, V]
        uniform = torch.from_numpy(noise[start : start + rows_at_once]).to(block.device)  # [n]
        probability = block.softmax(dim=-1)  # [n, V]
        if top_p < 1:
            # torch.sort, not Tensor.sort: only the former takes stable together with descending.
            ranked, order = torch.sort(probability, dim=-1, descending=True, stable=True)  # [n, V] each
            outside = ranked.cumsum(dim=-1) - ranked >= top_p  # [n, V], by rank
            outside[:, 0] = False
            cut = torch.zeros_like(outside).scatter(-1, order, outside)  # [n, V], by token
            probability = probability.masked_fill(cut, 0.0)  # [n, V]
        cdf = probability.cumsum(dim=-1)  # [n, V]
        # The first index whose CDF reaches u·total: its own probability is positive, since the CDF rose there.
        chosen.append(torch.searchsorted(cdf, uniform[:, None] * cdf[:, -1:]).squeeze(-1))  # [n]
    return torch.cat(chosen)  # [num_rows]


def _decode(
    calls: CausalCalls,
    *,
    prompts: Sequence[Sequence[int]],
    keys: NDArray[np.uint64],
    max_new_tokens: int,
    sampling_temperature: float,
    top_p: float,
    ends: tuple[int, ...],
    pad_token_id: int,
    vocab_size: int | None,
    absent_ids: Sequence[int],
) -> list[list[SampledCompletion]]:
    """Decode one batch: prefill, repeat, then token by token until every row has ended."""
    num_samples = keys.shape[1]
    tokens, mask = _pad_left(prompts, pad_token_id)  # [num_prompts, longest] each
    logits = calls.prefill(tokens, mask, num_samples, max_new_tokens)  # [num_prompts * K, rows of the head]
    row_keys = keys.reshape(-1)  # [num_prompts * K]
    # [num_prompts * K, room], room doubles up to max_new_tokens
    sampled = np.full((len(row_keys), min(max_new_tokens, 256)), pad_token_id, dtype=np.int64)
    lengths = np.zeros(len(row_keys), dtype=np.int64)  # [num_prompts * K]
    stopped = np.zeros(len(row_keys), dtype=bool)  # [num_prompts * K]
    rows = np.arange(len(row_keys))  # [num_rows], which completion each row of the batch is
    for position in range(max_new_tokens):
        noise = uniforms(row_keys[rows], position) if sampling_temperature > 0 else None  # [num_rows]
        known = known_logits(logits, vocab_size=vocab_size, absent_ids=absent_ids)  # [num_rows, V]
        tokens = choose_tokens(known, noise, sampling_temperature=sampling_temperature, top_p=top_p)  # [num_rows]
        ids = tokens.cpu().numpy()  # [num_rows]
        if position == sampled.shape[1]:
            sampled = np.pad(sampled, ((0, 0), (0, position)), constant_values=pad_token_id)
        running = ~stopped[rows]  # [num_rows]
        sampled[rows[running], position] = ids[running]
        lengths[rows[running]] += 1
        stopped[rows[running]] = np.isin(ids[running], ends)
        running = ~stopped[rows]
        if position + 1 == max_new_tokens or not running.any():
            break
        if running.mean() < COMPACT_BELOW:
            keep = torch.from_numpy(np.flatnonzero(running)).to(tokens.device)  # [num_kept]
            calls.keep_rows(keep)
            rows = rows[running]  # [num_kept]
            tokens = tokens[keep]  # [num_kept]
        logits = calls.step(tokens)  # [num_rows, rows of the head]
    completions = [
        SampledCompletion(tuple(sampled[row, : lengths[row]].tolist()), "stop" if stopped[row] else "length")
        for row in range(len(row_keys))
    ]
    return [completions[start : start + num_samples] for start in range(0, len(completions), num_samples)]


def _pad_left(prompts: Sequence[Sequence[int]], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask [num_prompts, longest], each prompt at the right edge."""
    longest = max(len(prompt) for prompt in prompts)
    tokens = np.full((len(prompts), longest), pad_token_id, dtype=np.int64)  # [num_prompts, longest]
    mask = np.zeros_like(tokens)  # [num_prompts, longest]
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = prompt
        mask[row, longest - len(prompt) :] = 1
    return torch.from_numpy(tokens), torch.from_numpy(mask)
