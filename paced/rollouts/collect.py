"""Sample completions of many prompts into a JSONL file, a batch at a time, so that a kill costs one batch.

The batches are fixed by the prompts and the settings, never by where an earlier attempt ended: prompts sorted by
length, ``max_rows`` completions a batch. A resumed file is therefore the same, byte for byte, as one written at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paced.errors import RunFolderError
from paced.problems.prompts import Prompt
from paced.records import Rollout
from paced.rollouts.engines import Sampler
from paced.run.config import SamplingConfig
from paced.run.progress import Progress
from paced.run.seeds import sample_keys
from paced.run.signals import stop_if_requested
from paced.run.storage import append_lines, read_lines, truncate_lines


def collect_rollouts(
    path: Path,
    *,
    sampler: Sampler,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    sampling: SamplingConfig,
    run_seed: int,
    draw: int | str,
    label: str,
    progress: Progress,
) -> None:
    """Write K rollouts of each prompt to ``path``; complete batches that are there already are kept.

    Args:
        path: JSONL of Rollout.
        sampler: the engine.
        tokenizer: decodes the completions.
        prompts: one for each problem, ids unique.
        sampling: K, temperature, limits.
        run_seed: the run's seed.
        draw: which draw of the run this is; with the seed and the problem's id it fixes the noise.
        label: what the progress bar says.
        progress: where to show it.

    Raises:
        StopRequested: a signal came; the batches sampled so far are on the disk.
        RunFolderError: the file holds rollouts of other problems.
    """
    per_batch = max(1, sampling.max_rows // sampling.num_samples)
    ordered = sorted(prompts, key=lambda prompt: len(prompt.token_ids))
    batches = [ordered[start : start + per_batch] for start in range(0, len(ordered), per_batch)]
    finished = _finished_batches(path, batches, sampling.num_samples)
    if finished == len(batches):
        return
    with progress.track(label, len(ordered)) as advance:
        advance(sum(len(batch) for batch in batches[:finished]))
        for batch in batches[finished:]:
            stop_if_requested()
            append_lines(path, _sample(sampler, tokenizer, batch, sampling, run_seed, draw))
            advance(len(batch))


def _sample(
    sampler: Sampler,
    tokenizer: Any,
    batch: Sequence[Prompt],
    sampling: SamplingConfig,
    run_seed: int,
    draw: int | str,
) -> list[Rollout]:
    keys = sample_keys(
        run_seed=run_seed,
        stage=draw,
        problem_ids=[prompt.problem_id for prompt in batch],
        num_samples=sampling.num_samples,
    )
    sampled = sampler.sample([prompt.token_ids for prompt in batch], keys, sampling)
    flat = [(row, index) for row in range(len(batch)) for index in range(sampling.num_samples)]
    # The end-of-sequence token is cut by place, not by name: some tokenizers do not mark theirs as special.
    texts = tokenizer.batch_decode(
        [
            completion.token_ids[:-1] if completion.finish_reason == "stop" else completion.token_ids
            for of_prompt in sampled
            for completion in of_prompt
        ],
        skip_special_tokens=True,
    )
    return [
        Rollout(
            problem_id=batch[row].problem_id,
            sample_index=index,
            token_ids=sampled[row][index].token_ids,
            text=text,
            finish_reason=sampled[row][index].finish_reason,
            seed=int(keys[row, index]),
        )
        for (row, index), text in zip(flat, texts, strict=True)
    ]


def _finished_batches(path: Path, batches: Sequence[Sequence[Prompt]], num_samples: int) -> int:
    """How many whole batches the file holds; what follows them, the trace of a kill, is cut off."""
    held = [str(line.get("problem_id")) for line in read_lines(path)]
    position = finished = 0
    for batch in batches:
        wanted = [prompt.problem_id for prompt in batch for _ in range(num_samples)]
        found = held[position : position + len(wanted)]
        if found != wanted[: len(found)]:
            raise RunFolderError(f"{path}: holds rollouts of other problems than the run's. Delete it to sample anew.")
        if len(found) < len(wanted):
            break
        position += len(wanted)
        finished += 1
    truncate_lines(path, position)
    return finished
