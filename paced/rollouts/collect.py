"""Sample completions of many prompts into a JSONL file that a kill cannot spoil.

Lines are in one order, prompts by length and samples by index, whatever order an engine finished them in. They are
appended a whole batch of the engine at a time, so that a kill costs one batch, and a resumed file is the same, byte for
byte, as one written at once: batches follow from the prompts, never from where an earlier attempt ended.
Memory holds a few integers for each prompt and each line, never the completions: a file is put into its order by
copying lines from where they are (``lines.py``).
"""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paced.problems.prompts import Prompt
from paced.records import Rollout
from paced.rollouts.decoding import decoded
from paced.rollouts.engine import Engine
from paced.rollouts.lines import first_fault, lines_of, merge_samples, samples_held, write_lines
from paced.rollouts.missing import with_names
from paced.run.config import SamplingConfig
from paced.run.progress import Progress
from paced.run.recordfile import Mapped, Places, take
from paced.run.seeds import sample_keys
from paced.run.signals import stop_if_requested
from paced.run.storage import append_lines, cut_broken_tail, truncate_lines

Booleans = NDArray[np.bool_]


def sample_rollouts(
    prompts: Sequence[Prompt],
    *,
    engine: Engine,
    tokenizer: Any,
    sampling: SamplingConfig,
    run_seed: int,
    draw: int | str,
    indices: range | None = None,
) -> Iterator[tuple[int, list[Rollout]]]:
    """(place of a prompt, its rollouts) as the engine finishes them.

    Args:
        prompts: one for each problem.
        engine: makes the completions.
        tokenizer: decodes them.
        sampling: K, temperature, limits.
        run_seed: the run's seed.
        draw: which draw of the run this is; with the seed and the problem's id it fixes the noise.
        indices: which of the K samples; all when not given.

    Raises:
        MissingCompletions: after all others have come, for problems whose completions an engine could not get.
    """
    indices = indices or range(sampling.num_samples)
    names: Mapped[str] = Mapped(prompts, attrgetter("problem_id"))
    keys = sample_keys(
        run_seed=run_seed,
        stage=draw,
        problem_ids=names,
        num_samples=len(indices),
        first_sample=indices.start,
    )  # [num_prompts, len(indices)]
    sampled = engine.sample(Mapped(prompts, attrgetter("token_ids")), keys, sampling)
    for row, completions in with_names(sampled, names):
        # The end-of-sequence token is cut by place, not by name: some tokenizers do not mark theirs as special.
        texts = decoded(
            tokenizer, [one.token_ids[:-1] if one.finish_reason == "stop" else one.token_ids for one in completions]
        )
        yield (
            row,
            [
                Rollout(
                    problem_id=names[row],
                    sample_index=index,
                    token_ids=completion.token_ids,
                    text=text,
                    finish_reason=completion.finish_reason,
                    seed=int(key),
                )
                for index, key, completion, text in zip(indices, keys[row], completions, texts, strict=True)
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

    A file that is whole for a smaller K keeps its samples: the missing ones are sampled into a file of their own and
    put in place in one step. A damaged line and all after it are sampled anew; the file as it was is kept beside.

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
        MissingCompletions: an engine could not get some; the others are on the disk.
    """
    lengths = np.fromiter((len(prompt.token_ids) for prompt in prompts), dtype=np.int64)  # [num_prompts]
    ordered = take(prompts, np.argsort(lengths, kind="stable"))
    places = Places(prompt.problem_id for prompt in ordered)

    def sample_into(file: Path, indices: range) -> None:
        per_batch = max(1, engine.batch_rows // len(indices))
        finished = _keep_batches(file, places, per_batch, indices)  # [num_prompts]
        left = np.flatnonzero(~finished)
        if not len(left):
            return
        written = array("q", np.flatnonzero(finished).tolist())
        with progress.track(label, len(ordered), done=len(written)) as advance:
            stop_if_requested()
            batch: list[list[Rollout]] = []
            sampled = sample_rollouts(
                take(ordered, left),
                engine=engine,
                tokenizer=tokenizer,
                sampling=sampling,
                run_seed=run_seed,
                draw=draw,
                indices=indices,
            )
            for row, rollouts in sampled:
                batch.append(rollouts)
                written.append(int(left[row]))
                if len(batch) == per_batch or len(written) == len(ordered):
                    append_lines(file, [rollout for of_prompt in batch for rollout in of_prompt])
                    advance(len(batch))
                    batch = []
                    if len(written) < len(ordered):
                        stop_if_requested()
        if (np.diff(written) != 1).any():
            lines = lines_of(file, places, indices)
            write_lines(file, lines, lines.first_of(np.arange(len(ordered))))

    num_samples = sampling.num_samples
    _cut_damage(path, progress)
    begun_with = samples_held(path, len(ordered))
    if 0 < begun_with < num_samples:
        more = path.with_name(f"{path.name}.from-{begun_with}-to-{num_samples}")
        _cut_damage(more, progress)
        sample_into(path, range(begun_with))
        sample_into(more, range(begun_with, num_samples))
        merge_samples(path, more, begun_with, num_samples - begun_with)
    sample_into(path, range(num_samples))
    for leftover in path.parent.glob(f"{path.name}.from-*"):  # of a kill inside a merge, or of a K that was given up
        leftover.unlink()


def set_aside(path: Path) -> Path:
    """Where a damaged file is kept: beside its place, with ``.damaged`` behind its name."""
    return path.with_name(f"{path.name}.damaged")


def _cut_damage(path: Path, progress: Progress) -> None:
    fault = first_fault(path)
    if fault is not None:
        shutil.copyfile(path, set_aside(path))
        truncate_lines(path, fault.line - 1)
        progress.note(f"{path}: {fault}; it and what follows is sampled anew, the file as it was is {set_aside(path)}.")


def _keep_batches(path: Path, places: Places, per_batch: int, indices: range) -> Booleans:
    """Cut the file to the batches that it holds in whole; which prompts are in these, [num_prompts]."""
    if not path.exists():
        return np.zeros(len(places), dtype=bool)
    cut_broken_tail(path)
    lines = lines_of(path, places, indices)
    complete = lines.complete  # [num_prompts]
    whole = np.logical_and.reduceat(complete, np.arange(0, len(places), per_batch))  # [num_batches]
    finished = np.repeat(whole, per_batch)[: len(places)]  # [num_prompts]
    keep = lines.first_of(np.flatnonzero(finished))
    if not np.array_equal(keep, np.arange(len(lines))):  # the trace of a kill
        write_lines(path, lines, keep)
    return finished
