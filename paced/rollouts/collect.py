"""Sample completions of many prompts into a JSONL file, a batch at a time, so that a kill costs one batch.

The batches are fixed by the prompts and the settings, never by where an earlier attempt ended: prompts sorted by
length, ``max_rows`` completions a batch. A resumed file is therefore the same, byte for byte, as one written at once.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from paced.errors import RunFolderError
from paced.problems.prompts import Prompt
from paced.records import Rollout
from paced.rollouts.engines import Sampler
from paced.run.config import SamplingConfig
from paced.run.progress import Progress
from paced.run.seeds import sample_keys
from paced.run.signals import stop_if_requested
from paced.run.storage import append_lines, read_lines, truncate_lines, write_atomic


@dataclass(frozen=True)
class LineFault:
    """The first line of a file of rollouts that cannot be what was written there."""

    line: int
    """Counted from 1."""
    reason: str
    """What is wrong with it."""

    def __str__(self) -> str:
        return f"line {self.line} {self.reason}"


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

    A file that is whole for a smaller K keeps its samples: the missing ones are sampled into a file of their own and
    put in place in one step. A damaged line and all after it are sampled anew; the file as it was is kept beside.

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
    ordered = sorted(prompts, key=lambda prompt: len(prompt.token_ids))

    def sample_into(file: Path, indices: range) -> None:
        per_batch = max(1, sampling.max_rows // len(indices))
        batches = [ordered[start : start + per_batch] for start in range(0, len(ordered), per_batch)]
        finished = _finished_batches(file, batches, indices)
        if finished == len(batches):
            return
        with progress.track(label, len(ordered)) as advance:
            advance(sum(len(batch) for batch in batches[:finished]))
            for batch in batches[finished:]:
                stop_if_requested()
                append_lines(file, _sample(sampler, tokenizer, batch, indices, sampling, run_seed, draw))
                advance(len(batch))

    num_samples = sampling.num_samples
    _cut_damage(path, progress)
    held = _samples_held(path, len(ordered))
    if 0 < held < num_samples:
        more = path.with_name(f"{path.name}.from-{held}-to-{num_samples}")
        _cut_damage(more, progress)
        sample_into(path, range(held))
        sample_into(more, range(held, num_samples))
        _merge(path, more, held, num_samples - held)
    sample_into(path, range(num_samples))
    for leftover in path.parent.glob(f"{path.name}.from-*"):  # of a kill inside a merge, or of a K that was given up
        leftover.unlink()


def first_fault(path: Path) -> LineFault | None:
    """The first line of a file of rollouts that is not a record, or repeats or leaves out a sample; None when whole.

    A last line that a kill cut short is not a fault: it is cut off before the next is written.
    """
    decoder = msgspec.json.Decoder(Rollout)
    before: Rollout | None = None
    first, seen = 0, set[str]()
    if not path.exists():
        return None
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return None
            try:
                rollout = decoder.decode(line)
            except msgspec.DecodeError as error:
                return LineFault(number, f"is damaged ({error})")
            if before is None:
                first = rollout.sample_index
            same = before is not None and before.problem_id == rollout.problem_id
            expected = before.sample_index + 1 if before is not None and same else first
            if not rollout.token_ids:
                return LineFault(number, f"has no tokens (problem {rollout.problem_id})")
            if rollout.sample_index != expected or (not same and rollout.problem_id in seen):
                return LineFault(number, f"repeats or leaves out a sample of problem {rollout.problem_id}")
            seen.add(rollout.problem_id)
            before = rollout
    return None


def set_aside(path: Path) -> Path:
    """Where a damaged file is kept: beside its place, with ``.damaged`` behind its name."""
    return path.with_name(f"{path.name}.damaged")


def _cut_damage(path: Path, progress: Progress) -> None:
    fault = first_fault(path)
    if fault is not None:
        shutil.copyfile(path, set_aside(path))
        truncate_lines(path, fault.line - 1)
        progress.note(f"{path}: {fault}; it and what follows is sampled anew, the file as it was is {set_aside(path)}.")


def _samples_held(path: Path, num_prompts: int) -> int:
    """The K with which a file was begun: the samples of its first problem, once it has a second; 0 when unknown."""
    ids = [str(line["problem_id"]) for line in read_lines(path)]
    first = sum(1 for _ in itertools.takewhile(lambda problem_id: problem_id == ids[0], ids))
    return first if first < len(ids) or num_prompts == 1 else 0


def _merge(path: Path, more: Path, held: int, added: int) -> None:
    """Put the added samples of each problem behind those that it has."""
    old, new = path.read_bytes().splitlines(keepends=True), more.read_bytes().splitlines(keepends=True)
    num_problems = len(old) // held
    lines = [
        line
        for row in range(num_problems)
        for line in (*old[row * held : (row + 1) * held], *new[row * added : (row + 1) * added])
    ]
    write_atomic(path, b"".join(lines))
    more.unlink()


def _sample(
    sampler: Sampler,
    tokenizer: Any,
    batch: Sequence[Prompt],
    indices: range,
    sampling: SamplingConfig,
    run_seed: int,
    draw: int | str,
) -> list[Rollout]:
    keys = sample_keys(
        run_seed=run_seed,
        stage=draw,
        problem_ids=[prompt.problem_id for prompt in batch],
        num_samples=len(indices),
        first_sample=indices.start,
    )  # [num_prompts, len(indices)]
    sampled = sampler.sample([prompt.token_ids for prompt in batch], keys, sampling)
    flat = [(row, column) for row in range(len(batch)) for column in range(len(indices))]
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
            sample_index=indices[column],
            token_ids=sampled[row][column].token_ids,
            text=text,
            finish_reason=sampled[row][column].finish_reason,
            seed=int(keys[row, column]),
        )
        for (row, column), text in zip(flat, texts, strict=True)
    ]


def _finished_batches(path: Path, batches: Sequence[Sequence[Prompt]], indices: range) -> int:
    """How many whole batches the file holds; what follows them, the trace of a kill, is cut off."""
    held = [(str(line.get("problem_id")), line.get("sample_index")) for line in read_lines(path)]
    position = finished = 0
    for batch in batches:
        wanted = [(prompt.problem_id, index) for prompt in batch for index in indices]
        found = held[position : position + len(wanted)]
        if found != wanted[: len(found)]:
            raise RunFolderError(f"{path}: holds rollouts of other problems than the run's. Delete it to sample anew.")
        if len(found) < len(wanted):
            break
        position += len(wanted)
        finished += 1
    truncate_lines(path, position)
    return finished
