"""Peak memory of sampling, grading and rating as the number of problems grows.

    OMP_NUM_THREADS=1 python benchmarks/memory.py --problems 10000 100000 1000000

Each size runs in a process of its own; its peak resident set is what the kernel counts (``ru_maxrss``), less that of
the same process before the first problem. Jobs:

- *collect*: K rollouts of every prompt from an engine that computes nothing, killed prompts' order and all: sampled
  in random order, appended, put into the canonical order (``collect.py``);
- *grade*: these rollouts graded and counted, verdicts written (``stream.py``);
- *read*: ``read_problems`` on a problem file, and a table of rates beside it, which are in memory as a whole;
- *completions*: ``paced rate --completions`` on a dump of K rows for each problem, in random order.

Problems are short (about 40 characters), completions have 32 tokens and 100 characters.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paced.pipeline.rate import rate_completions
from paced.pipeline.rate_config import read_grading_config
from paced.problems.files import read_problems
from paced.problems.prompts import Prompt
from paced.records import PassRate, Problem, Rollout, SampledCompletion
from paced.rollouts.collect import collect_rollouts
from paced.run.config import GradingConfig, SamplingConfig
from paced.run.progress import Silent
from paced.run.recordfile import RecordFile, Spool

JOBS = ("collect", "grade", "read", "completions")
TEXT = "so the answer must be near to the one that was asked for, and it is what follows here, namely: "


class Instant:
    """An engine whose completions follow from their keys and cost nothing; prompts finish in random order."""

    batch_rows, context_tokens, gives_token_ids, takes_new_weights = 1024, None, True, False
    reproducibility, facts = "Completions follow from their keys.", {}

    def sample(
        self, prompts: Sequence[Sequence[int]], keys: NDArray[np.uint64], sampling: SamplingConfig
    ) -> Iterator[tuple[int, list[SampledCompletion]]]:
        """One completion of 32 tokens for each key."""
        for row in np.random.default_rng(0).permutation(len(prompts)).tolist():
            yield (
                row,
                [SampledCompletion((*(int(key) % 97 + place for place in range(31)), 0), "stop") for key in keys[row]],
            )

    def update(self, student: Any) -> None:
        """Nothing is trained here."""

    def close(self) -> None:
        """There is nothing to close."""


class Words:
    """A tokenizer that reads every completion as one text with a number at its end."""

    all_special_ids: tuple[int, ...] = ()
    all_special_tokens: tuple[str, ...] = ()

    def batch_decode(self, rows: Sequence[Sequence[int]], skip_special_tokens: bool = True) -> list[str]:
        """A text of about 100 characters each."""
        return [f"{TEXT}{row[0] % 4}" for row in rows]


def make_problems(count: int) -> Sequence[Problem]:
    """Short problems, on the disk: what is measured is not their own text."""
    spool = Spool(Problem)
    for number in range(count):
        spool.append(
            Problem(
                problem_id=f"problem-{number}",
                problem=f"What is {number} modulo 4? Say it.",
                answer=str(number % 4),
                answer_type="integer",
            )
        )
    return spool.records()


def make_prompts(problems: Sequence[Problem]) -> Sequence[Prompt]:
    """Prompts of 8 to 40 tokens, on the disk as well."""
    spool = Spool(Prompt)
    for number, problem in enumerate(problems):
        spool.append(
            Prompt(problem_id=problem.problem_id, text=problem.problem, token_ids=(7,) * (8 + number * 7 % 33))
        )
    return spool.records()


def write_dump(folder: Path, count: int, num_samples: int) -> tuple[Path, Path]:
    """A problem file and a dump of completions, as another tool writes them."""
    problems, dump = folder / "problems.jsonl", folder / "dump.jsonl"
    with problems.open("w") as file:
        file.writelines(
            json.dumps(
                {"problem_id": f"problem-{number}", "problem": f"What is {number} modulo 4?", "answer": number % 4}
            )
            + "\n"
            for number in range(count)
        )
    order = np.random.default_rng(0).permutation(count * num_samples)
    with dump.open("w") as file:
        for one in order:
            number, sample = divmod(int(one), num_samples)
            file.write(
                json.dumps({"uid": f"problem-{number}", "response": f"{TEXT}{sample % 4}", "n": sample, "why": "stop"})
                + "\n"
            )
    return problems, dump


def peak() -> int:
    """Bytes of the largest resident set so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(job: str, count: int, num_samples: int) -> dict[str, float]:
    """Bytes at the peak above those at the start, and seconds, of one job in this process."""
    sampling = SamplingConfig(num_samples=num_samples)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if job == "read":
            problems_file, _ = write_dump(folder, count, 0)
            before, start = peak(), time.perf_counter()
            file = read_problems(problems_file)
            rates = tuple(
                PassRate(problem_id=problem.problem_id, num_passed=1, num_rollouts=num_samples)
                for problem in file.problems
            )
            assert len(rates) == count
        elif job == "completions":
            problems_file, dump = write_dump(folder, count, num_samples)
            columns = {"problem_id": "uid", "text": "response", "sample_index": "n", "finish_reason": "why"}
            config = read_grading_config({"problems.path": str(problems_file), "grading.answer_format": "last_number"})
            before, start = peak(), time.perf_counter()
            rate_completions(config, dump, folder / "rates.parquet", columns=columns)
        else:
            problems = make_problems(count)
            prompts = make_prompts(problems)
            before, start = peak(), time.perf_counter()
            collect_rollouts(
                folder / "rollouts.jsonl", engine=Instant(), tokenizer=Words(), prompts=prompts, sampling=sampling,
                run_seed=1, draw=1, label="", progress=Silent(),
            )  # fmt: skip
            if job == "grade":
                from paced.grading.stream import grade_stream
                from paced.run.schema import Choice

                grading = GradingConfig(answer_format=Choice("last_number"))
                start = time.perf_counter()
                grade_stream(
                    problems, RecordFile.read(folder / "rollouts.jsonl", Rollout), grading, file=folder / "grades.jsonl"
                )
        return {"bytes": peak() - before, "seconds": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--num-samples", type=int, default=2)
    parser.add_argument("--job", choices=JOBS, nargs="+", default=list(JOBS))
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)  # one job, of one size, in this process
    arguments = parser.parse_args()
    K = arguments.num_samples
    if arguments.measure:
        job, count = arguments.measure
        print(json.dumps(measure(job, int(count), K)))
        return
    print(f"K = {K}; {sys.platform}, Python {sys.version.split()[0]}; load {os.getloadavg()[0]:.1f}")
    print("\n| job | problems | peak above the start | bytes per further problem | completions a second |")
    print("|---|---|---|---|---|")
    for job in arguments.job:
        before: tuple[int, float] | None = None
        for count in sorted(arguments.problems):
            command = [sys.executable, __file__, "--num-samples", str(K), "--measure", job, str(count)]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            growth = "-" if before is None else f"{(result['bytes'] - before[1]) / (count - before[0]):,.0f}"
            rate = count * K / result["seconds"]
            print(f"| {job} | {count:,} | {result['bytes'] / 1e6:,.0f} MB | {growth} | {rate:,.0f} |", flush=True)
            before = count, result["bytes"]


if __name__ == "__main__":
    main()
