"""The lines of a file of rollouts: where each (problem, sample) is, what is wrong with them, and their order.

Memory holds integers alone, 24 bytes a line; lines are copied from the old file to the new one as they are.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from paced.errors import RunFolderError
from paced.records import Rollout
from paced.run.recordfile import Integers, Places, integers
from paced.run.seeds import text_key
from paced.run.storage import read_lines, write_parts


@dataclass(frozen=True)
class LineFault:
    """The first line of a file of rollouts that cannot be what was written there."""

    line: int
    """Counted from 1."""
    reason: str
    """What is wrong with it."""

    def __str__(self) -> str:
        return f"line {self.line} {self.reason}"


@dataclass(frozen=True, eq=False)
class Lines:
    """Which sample of which prompt each line of a file holds."""

    codes: Integers
    """[num_lines], place of the prompt times the number of samples, plus the sample counted from the first."""
    starts: Integers
    """[num_lines], first byte of each line."""
    num_prompts: int
    """How many there are, whether they have lines or not."""
    num_samples: int
    """Lines that each prompt is to have."""

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Whether each prompt has all of its samples, [num_prompts]."""
        there = np.zeros(self.num_prompts * self.num_samples, dtype=bool)
        there[self.codes] = True
        return np.asarray(there.reshape(self.num_prompts, self.num_samples).all(axis=1))

    def first_of(self, prompts: Integers) -> Integers:
        """The first line of each sample of these prompts, which are complete: [len(prompts) * num_samples]."""
        first = np.full(self.num_prompts * self.num_samples, -1)
        first[self.codes[::-1]] = np.arange(len(self))[::-1]
        lines: Integers = first.reshape(self.num_prompts, self.num_samples)[prompts].reshape(-1)
        return lines


class _Sample(msgspec.Struct):
    """What a line is of; its other fields are passed over."""

    problem_id: str
    sample_index: int


def lines_of(path: Path, places: Places, indices: range) -> Lines:
    """Look through a file of rollouts that has no damaged line.

    Args:
        path: JSONL of Rollout.
        places: where the prompt of each problem is.
        indices: the samples that it may hold.

    Raises:
        RunFolderError: it holds another problem or another sample.
    """
    decode = msgspec.json.Decoder(_Sample).decode
    codes, starts, end = array("q"), array("q"), 0
    with path.open("rb") as file:
        for line in file:
            sample = decode(line)
            place = places.get(sample.problem_id)
            if place is None or sample.sample_index not in indices:
                raise RunFolderError(
                    f"{path}: holds rollouts of other problems than the run's. Delete it to sample anew."
                )
            codes.append(place * len(indices) + sample.sample_index - indices.start)
            starts.append(end)
            end += len(line)
    return Lines(integers(codes), integers(starts), len(places), len(indices))


def write_lines(path: Path, lines: Lines, order: Integers) -> None:
    """Replace a file by these lines of it, in this order."""

    def parts() -> Iterator[bytes]:
        with path.open("rb") as file:
            for start in lines.starts[order].tolist():
                file.seek(start)
                yield file.readline()

    write_parts(path, parts())


def merge_samples(path: Path, more: Path, num_old: int, num_new: int) -> None:
    """Put the added samples of each problem behind those that it has; both files have the same order of problems."""

    def parts() -> Iterator[bytes]:
        with path.open("rb") as old, more.open("rb") as new:
            while of_problem := list(itertools.islice(old, num_old)):
                yield from of_problem
                yield from itertools.islice(new, num_new)

    write_parts(path, parts())
    more.unlink()


def samples_held(path: Path, num_prompts: int) -> int:
    """The K with which a file was begun: the samples of its first problem, once it has a second; 0 when unknown."""
    first, num_samples = "", 0
    for line in read_lines(path):
        if num_samples and line["problem_id"] != first:
            return num_samples
        first, num_samples = line["problem_id"], num_samples + 1
    return num_samples if num_prompts == 1 else 0


def first_fault(path: Path) -> LineFault | None:
    """The first line of a file of rollouts that is not a record, or repeats or leaves out a sample; None when whole.

    A last line that a kill cut short is not a fault: it is cut off before the next is written.
    """
    if not path.exists():
        return None
    begins, keys = array("q"), array("Q")  # of each group of lines of one problem: its first line, the hash of its id
    fault = _fault_by_itself(path, begins, keys)
    order = np.argsort(np.array(keys, dtype=np.uint64), kind="stable")  # [num_groups]
    sorted_keys = np.array(keys, dtype=np.uint64)[order]  # [num_groups]
    again = order[1:][sorted_keys[1:] == sorted_keys[:-1]]  # groups of a problem that had one before
    if len(again) and (fault is None or begins[again.min()] < fault.line):
        line = begins[again.min()]
        with path.open("rb") as file:
            rollout = msgspec.json.decode(next(itertools.islice(file, line - 1, None)), type=Rollout)
        return LineFault(line, _REPEATS.format(rollout.problem_id))
    return fault


_REPEATS = "repeats or leaves out a sample of problem {}"


def _fault_by_itself(path: Path, begins: array[int], keys: array[int]) -> LineFault | None:
    """The first line that is at fault whatever problems came before it; the groups of lines before are noted down."""
    decoder = msgspec.json.Decoder(Rollout)
    before: Rollout | None = None
    first = 0
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
            if rollout.sample_index != expected:
                return LineFault(number, _REPEATS.format(rollout.problem_id))
            if not same:
                begins.append(number)
                keys.append(text_key(rollout.problem_id))
            before = rollout
    return None
