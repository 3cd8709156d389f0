"""What keys, texts, file and grading cost beside the sampling of the same completions by the engine ``hf``.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py

Each part is timed by itself and repeated, so that it is not the small difference of two large times: CPU seconds of
this process, best of the repeats; for the file also wall seconds, most of which are ``fsync``. The model is that of
``engines.py``, a few million parameters; a larger one only makes the shares smaller.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from engines import SIZES, make_prompts, write_model
from machine import head

from paced.grading.stream import grade_stream
from paced.models.loading import load_tokenizer
from paced.records import Problem, Rollout
from paced.rollouts.decoding import decoded
from paced.rollouts.engine import make_engine
from paced.rollouts.lines import first_fault
from paced.run.config import GradingConfig, ModelConfig, SamplingConfig
from paced.run.recordfile import RecordFile
from paced.run.schema import Choice
from paced.run.seeds import sample_keys
from paced.run.storage import append_lines

Seconds = dict[str, float]


def best(work: Callable[[], object], repeats: int) -> Seconds:
    """The least CPU and wall seconds of several repeats."""
    least = {"cpu": float("inf"), "wall": float("inf")}
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        least["cpu"] = min(least["cpu"], time.process_time() - cpu)
        least["wall"] = min(least["wall"], time.perf_counter() - wall)
    return least


def measure(hidden: int, layers: int, *, num_problems: int, num_samples: int, repeats: int) -> dict[str, Seconds]:
    """Seconds of sampling and of each part, for all completions."""
    root = Path(tempfile.mkdtemp())
    folder = write_model(root / "model", hidden, layers)
    model, sampling = ModelConfig(path=str(folder)), SamplingConfig(num_samples=num_samples, max_new_tokens=192)
    engine, tokenizer, prompts = make_engine(Choice("hf"), model), load_tokenizer(model), make_prompts(num_problems)
    problems = [Problem(problem_id=f"q{row}", problem=f"{row}?", answer="1") for row in range(num_problems)]
    ids = [problem.problem_id for problem in problems]

    def keys() -> object:
        return sample_keys(run_seed=1, stage=1, problem_ids=ids, num_samples=num_samples)

    sampled = dict(engine.sample(prompts, keys(), sampling))  # loads the model as well

    def texts() -> list[list[str]]:
        return [decoded(tokenizer, [one.token_ids for one in sampled[row]]) for row in range(num_problems)]

    rollouts = [
        Rollout(problem_id=ids[row], sample_index=index, token_ids=one.token_ids, text=text,
                finish_reason=one.finish_reason, seed=1)
        for row, of_problem in enumerate(texts())
        for index, (one, text) in enumerate(zip(sampled[row], of_problem, strict=True))
    ]  # fmt: skip
    file = root / "rollouts.jsonl"

    def append() -> None:
        file.unlink(missing_ok=True)
        for start in range(0, len(rollouts), 128):
            append_lines(file, rollouts[start : start + 128])

    parts: dict[str, Callable[[], object]] = {
        "keys": keys,
        "texts": texts,
        "append, fsync each 128": append,
        "look for damage": lambda: first_fault(file),
        "read, grade, write verdicts": lambda: grade_stream(
            problems, RecordFile.read(file, Rollout), GradingConfig(), file=root / "grades.jsonl"
        ),
    }
    seconds = {name: best(work, repeats) for name, work in parts.items()}
    return {"sampling": best(lambda: dict(engine.sample(prompts, keys(), sampling)), 2)} | seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--num-samples", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--hidden", type=int, choices=list(SIZES), nargs="+", default=list(SIZES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    count = arguments.problems * arguments.num_samples
    print(f"{head('torch', 'transformers')}; {count} completions")
    for hidden in arguments.hidden:
        seconds = measure(
            hidden, SIZES[hidden], num_problems=arguments.problems, num_samples=arguments.num_samples,
            repeats=arguments.repeats,
        )  # fmt: skip
        sampling = seconds.pop("sampling")
        print(
            f"\nd {hidden}, {SIZES[hidden]} layers: sampling {1000 * sampling['cpu'] / count:.2f} ms a completion (CPU)"
        )
        print("| part | microseconds a completion, CPU | wall | share of sampling, CPU |\n|---|---|---|---|")
        for name, one in seconds.items():
            share = 100 * one["cpu"] / sampling["cpu"]
            print(f"| {name} | {1e6 * one['cpu'] / count:.1f} | {1e6 * one['wall'] / count:.1f} | {share:.2f} % |")
        total = sum(one["cpu"] for one in seconds.values())
        print(f"| all | {1e6 * total / count:.1f} | | {100 * total / sampling['cpu']:.2f} % |", flush=True)


if __name__ == "__main__":
    main()
