"""Sample completions of many prompts into a JSONL file that a kill cannot spoil.

Lines are in one order, prompts by length and samples by index, whatever order an engine finished them in. They are
appended a whole batch of the engine at a time, so that a kill costs one batch, and a resumed file is the same, byte for
byte, as one written at once: batches follow from the prompts, never from where an earlier attempt ended.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from paced.errors import RunFolderError
from paced.problems.prompts import Prompt
from paced.records import Rollout
from paced.rollouts.decoding import decoded
from paced.rollouts.engine import Engine
from paced.rollouts.missing import with_names
from paced.run.config import SamplingConfig
from paced.run.progress import Progress
from paced.run.seeds import sample_keys
from paced.run.signals import stop_if_requested
from paced.run.storage import append_lines, cut_broken_tail, read_lines, truncate_lines, write_atomic

Line = tuple[str, int]
"""Problem id and sample index of one line of the file."""


@dataclass(frozen=True)
class LineFault:
    """The first line of a file of rollouts that cannot be what was written there."""

    line: int
    """Counted from 1."""
    reason: str
    """What is wrong with it."""

    def __str__(self) -> str:
        return f"line {self.line} {self.reason}"


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
    keys = sample_keys(
        run_seed=run_seed,
        stage=draw,
        problem_ids=[prompt.problem_id for prompt in prompts],
        num_samples=len(indices),
        first_sample=indices.start,
    )  # [num_prompts, len(indices)]
    sampled = engine.sample([prompt.token_ids for prompt in prompts], keys, sampling)
    for row, completions in with_names(sampled, [prompt.problem_id for prompt in prompts]):
        # The end-of-sequence token is cut by place, not by name: some tokenizers do not mark theirs as special.
        texts = decoded(
            tokenizer, [one.token_ids[:-1] if one.finish_reason == "stop" else one.token_ids for one in completions]
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
    ordered = sorted(prompts, key=lambda prompt: len(prompt.token_ids))

    def sample_into(file: Path, indices: range) -> None:
        per_batch = max(1, engine.batch_rows // len(indices))
        finished = _keep_batches(file, ordered, per_batch, indices)
        left = [prompt for prompt in ordered if prompt.problem_id not in finished]
        if not left:
            return
        written = [prompt.problem_id for prompt in ordered if prompt.problem_id in finished]
        with progress.track(label, len(ordered), done=len(written)) as advance:
            stop_if_requested()
            batch: list[list[Rollout]] = []
            sampled = sample_rollouts(
                left,
                engine=engine,
                tokenizer=tokenizer,
                sampling=sampling,
                run_seed=run_seed,
                draw=draw,
                indices=indices,
            )
            for _, rollouts in sampled:
                batch.append(rollouts)
                if len(batch) == per_batch or len(written) + len(batch) == len(ordered):
                    append_lines(file, [rollout for of_prompt in batch for rollout in of_prompt])
                    written += [of_prompt[0].problem_id for of_prompt in batch]
                    advance(len(batch))
                    batch = []
                    if len(written) < len(ordered):
                        stop_if_requested()
        if written != [prompt.problem_id for prompt in ordered]:
            _rewrite(file, _lines_of(ordered, indices))

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
    first, num_samples = "", 0
    for line in read_lines(path):
        if num_samples and line["problem_id"] != first:
            return num_samples
        first, num_samples = line["problem_id"], num_samples + 1
    return num_samples if num_prompts == 1 else 0


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


def _keep_batches(path: Path, ordered: Sequence[Prompt], per_batch: int, indices: range) -> set[str]:
    """Cut the file to the batches that it holds in whole, and return their problems' ids."""
    if not path.exists():
        return set()
    cut_broken_tail(path)
    held: list[Line] = [(str(line.get("problem_id")), int(line.get("sample_index", -1))) for line in read_lines(path)]
    there = set(held)
    if there - set(_lines_of(ordered, indices)):
        raise RunFolderError(f"{path}: holds rollouts of other problems than the run's. Delete it to sample anew.")
    batches = [ordered[start : start + per_batch] for start in range(0, len(ordered), per_batch)]
    whole = [prompt for batch in batches if there.issuperset(_lines_of(batch, indices)) for prompt in batch]
    keep = _lines_of(whole, indices)
    if held != keep:  # the trace of a kill
        _rewrite(path, keep)
    return {prompt.problem_id for prompt in whole}


def _lines_of(prompts: Sequence[Prompt], indices: range) -> list[Line]:
    return [(prompt.problem_id, index) for prompt in prompts for index in indices]


def _rewrite(path: Path, order: Sequence[Line]) -> None:
    """Keep these lines of the file, in this order."""
    text: dict[Line, bytes] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        row = json.loads(line)
        text.setdefault((row["problem_id"], row["sample_index"]), line)
    write_atomic(path, b"".join(text[one] for one in order))
