"""Sample completions of many prompts into a JSONL file that a kill cannot spoil.

Lines are in one order, prompts by length and samples by index, whatever order an engine finished them in. They are
appended a whole batch of the engine at a time, so that a kill costs one batch, and a resumed file is the same, byte for
byte, as one written at once: batches follow from the prompts, never from where an earlier attempt ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from paced.errors import RunFolderError
from paced.problems.prompts import Prompt
from paced.records import Rollout
from paced.rollouts.engine import Engine
from paced.run.config import SamplingConfig
from paced.run.progress import Progress
from paced.run.seeds import sample_keys
from paced.run.signals import stop_if_requested
from paced.run.storage import append_lines, cut_broken_tail, read_lines, write_atomic

Line = tuple[str, int]
"""Problem id and sample index of one line of the file."""


def sample_rollouts(
    prompts: Sequence[Prompt],
    *,
    engine: Engine,
    tokenizer: Any,
    sampling: SamplingConfig,
    run_seed: int,
    draw: int | str,
) -> Iterator[tuple[int, list[Rollout]]]:
    """(place of a prompt, its K rollouts) as the engine finishes them.

    Args:
        prompts: one for each problem.
        engine: makes the completions.
        tokenizer: decodes them.
        sampling: K, temperature, limits.
        run_seed: the run's seed.
        draw: which draw of the run this is; with the seed and the problem's id it fixes the noise.
    """
    keys = sample_keys(
        run_seed=run_seed,
        stage=draw,
        problem_ids=[prompt.problem_id for prompt in prompts],
        num_samples=sampling.num_samples,
    )
    for row, completions in engine.sample([prompt.token_ids for prompt in prompts], keys, sampling):
        # The end-of-sequence token is cut by place, not by name: some tokenizers do not mark theirs as special.
        texts = tokenizer.batch_decode(
            [one.token_ids[:-1] if one.finish_reason == "stop" else one.token_ids for one in completions],
            skip_special_tokens=True,
        )
        yield (
            row,
            [
                Rollout(
                    problem_id=prompts[row].problem_id,
                    sample_index=index,
                    token_ids=completion.token_ids,
                    text=text,
                    finish_reason=completion.finish_reason,
                    seed=int(keys[row, index]),
                )
                for index, (completion, text) in enumerate(zip(completions, texts, strict=True))
            ],
        )


def collect_rollouts(
    path: Path,
    *,
    engine: Engine,
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
        engine: makes the completions.
        tokenizer: decodes them.
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
    per_batch = max(1, engine.batch_rows // sampling.num_samples)
    ordered = sorted(prompts, key=lambda prompt: len(prompt.token_ids))
    finished = _keep_batches(path, ordered, per_batch, sampling.num_samples)
    left = [prompt for prompt in ordered if prompt.problem_id not in finished]
    if not left:
        return
    written = [prompt.problem_id for prompt in ordered if prompt.problem_id in finished]
    with progress.track(label, len(ordered)) as advance:
        advance(len(written))
        stop_if_requested()
        batch: list[list[Rollout]] = []
        sampled = sample_rollouts(
            left, engine=engine, tokenizer=tokenizer, sampling=sampling, run_seed=run_seed, draw=draw
        )
        for _, rollouts in sampled:
            batch.append(rollouts)
            if len(batch) == per_batch or len(written) + len(batch) == len(ordered):
                append_lines(path, [rollout for of_prompt in batch for rollout in of_prompt])
                written += [of_prompt[0].problem_id for of_prompt in batch]
                advance(len(batch))
                batch = []
                if len(written) < len(ordered):
                    stop_if_requested()
    if written != [prompt.problem_id for prompt in ordered]:
        _rewrite(path, _lines_of(ordered, sampling.num_samples))


def _keep_batches(path: Path, ordered: Sequence[Prompt], per_batch: int, num_samples: int) -> set[str]:
    """Cut the file to the batches that it holds in whole, and return their problems' ids."""
    if not path.exists():
        return set()
    cut_broken_tail(path)
    held: list[Line] = [(str(line.get("problem_id")), int(line.get("sample_index", -1))) for line in read_lines(path)]
    there = set(held)
    if there - set(_lines_of(ordered, num_samples)):
        raise RunFolderError(f"{path}: holds rollouts of other problems than the run's. Delete it to sample anew.")
    batches = [ordered[start : start + per_batch] for start in range(0, len(ordered), per_batch)]
    whole = [prompt for batch in batches if there.issuperset(_lines_of(batch, num_samples)) for prompt in batch]
    keep = _lines_of(whole, num_samples)
    if held != keep:  # the trace of a kill
        _rewrite(path, keep)
    return {prompt.problem_id for prompt in whole}


def _lines_of(prompts: Sequence[Prompt], num_samples: int) -> list[Line]:
    return [(prompt.problem_id, index) for prompt in prompts for index in range(num_samples)]


def _rewrite(path: Path, order: Sequence[Line]) -> None:
    """Keep these lines of the file, in this order."""
    text: dict[Line, bytes] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        row = json.loads(line)
        text.setdefault((row["problem_id"], row["sample_index"]), line)
    write_atomic(path, b"".join(text[one] for one in order))
