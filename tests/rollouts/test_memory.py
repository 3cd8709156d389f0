"""Sampling, ordering, reading and grading hold a few integers of a problem, whatever its completions hold."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from tiny_models import byte_tokenizer

from paced.grading import stream
from paced.grading.stream import grade_stream
from paced.problems.prompts import Prompt
from paced.records import Problem, Rollout, SampledCompletion
from paced.rollouts.collect import collect_rollouts
from paced.rollouts.foreign import read_completions
from paced.run.config import GradingConfig, SamplingConfig
from paced.run.progress import Silent
from paced.run.recordfile import RecordFile

NUM_SAMPLES, NUM_TOKENS = 3, 300
FEW, MANY = 200, 1000
BOUND = 1200
"""Bytes of memory for a further problem and its prompt, whose completions would take more than 5,000."""


class Wordy:
    """Long completions that cost nothing, prompts in an order of its own."""

    batch_rows = 32
    context_tokens = None

    def sample(self, prompts, keys, sampling):
        for row in np.random.default_rng(1).permutation(len(prompts)).tolist():
            yield row, [SampledCompletion((*[100] * NUM_TOKENS, 0), "stop") for _ in keys[row]]


def problems(count):
    return [Problem(problem_id=f"q{number}", problem=f"{number}?", answer="1") for number in range(count)]


def collect(folder, count, num_samples=NUM_SAMPLES):
    collect_rollouts(
        folder / f"{count}.jsonl",
        engine=Wordy(),
        tokenizer=byte_tokenizer(chat=False),
        prompts=[Prompt(problem_id=one.problem_id, text="", token_ids=(7,)) for one in problems(count)],
        sampling=SamplingConfig(num_samples=num_samples),
        run_seed=1,
        draw=1,
        label="",
        progress=Silent(),
    )


def top_up(folder, count):
    collect(folder, count, NUM_SAMPLES + 1)


def grade(folder, count):
    rollouts = RecordFile.read(folder / f"{count}.jsonl", Rollout)
    grade_stream(problems(count), rollouts, GradingConfig(), file=folder / "grades.jsonl")


def read_dump(folder, count):
    columns = {"text": "response"}
    rollouts, _ = read_completions(folder / f"{count}-dump.jsonl", problems(count), columns=columns)
    assert sum(len(one.text) for one in rollouts) == count * NUM_SAMPLES * NUM_TOKENS


def peak_of(job, folder, count):
    tracemalloc.start()
    try:
        job(folder, count)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("job", [collect, top_up, grade, read_dump])
def test_a_further_problem_takes_bytes_for_an_index_and_none_for_its_completions(tmp_path, monkeypatch, job):
    monkeypatch.setattr(stream, "PROBLEMS_AT_ONCE", 16)
    for count in (FEW, MANY):
        if job in (top_up, grade):
            collect(tmp_path, count)
        rows = [
            {"problem_id": f"q{number}", "sample_index": sample, "response": "x" * NUM_TOKENS, "finish_reason": "stop"}
            for sample in range(NUM_SAMPLES)
            for number in range(count)
        ]
        (tmp_path / f"{count}-dump.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    job(tmp_path, FEW)  # what is loaded and cached at the first call
    growth = (peak_of(job, tmp_path, MANY) - peak_of(job, tmp_path, FEW)) / (MANY - FEW)
    assert growth < BOUND
