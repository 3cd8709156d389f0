"""A file of rollouts survives an engine that finishes prompts in any order and dies anywhere: only what was in flight
is sampled again, and the finished file has the bytes of an undisturbed one."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import byte_tokenizer

from paced.problems.prompts import Prompt
from paced.records import SampledCompletion
from paced.rollouts.collect import collect_rollouts
from paced.run.config import SamplingConfig
from paced.run.progress import Silent
from paced.run.seeds import uniforms

TOKENIZER = byte_tokenizer(chat=False)
PROMPTS = [Prompt(problem_id=f"q{i}", text="x", token_ids=(7,) * (1 + i % 3)) for i in range(9)]


class Died(Exception):  # noqa: N818 - what happened to the engine
    """The engine is gone."""


class Unordered:
    """Completions follow from their keys; prompts finish in an order of its own, until it dies."""

    batch_rows = 1
    context_tokens = None
    reproducibility = "Completions follow from their keys."

    def __init__(self, order: random.Random, dies_after: int | None = None) -> None:
        self.order, self.dies_after, self.finished = order, dies_after, Counter()

    def sample(self, prompts, keys, sampling):
        rows = list(range(len(prompts)))
        self.order.shuffle(rows)
        for count, row in enumerate(rows):
            if count == self.dies_after:
                raise Died
            tokens = [tuple(4 + int(200 * u) for u in uniforms([key] * 3, range(3))) for key in keys[row]]
            self.finished.update(int(key) for key in keys[row])
            yield row, [SampledCompletion((*ids, 0), "stop") for ids in tokens]

    def update(self, student):
        raise AssertionError("nobody trains here")

    def close(self):
        pass


def collect(path, engine, num_samples=2):
    collect_rollouts(
        path,
        engine=engine,
        tokenizer=TOKENIZER,
        prompts=PROMPTS,
        sampling=SamplingConfig(num_samples=num_samples),
        run_seed=3,
        draw=1,
        label="",
        progress=Silent(),
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    for num_samples in (2, 5):
        collect(folder / f"{num_samples}.jsonl", Unordered(random.Random(0)), num_samples)
    return folder


@given(
    order=st.randoms(use_true_random=False),
    deaths=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 60)), max_size=4),
    more=st.booleans(),
)
def test_whatever_died_the_file_is_the_undisturbed_one_and_finished_prompts_are_kept(
    tmp_path_factory, undisturbed, order, deaths, more
):
    """``deaths``: after how many prompts, and how many bytes of a line that was not flushed are left behind."""
    file = tmp_path_factory.mktemp("killed") / "rollouts.jsonl"
    finished: Counter[int] = Counter()
    for after, torn in deaths:
        engine = Unordered(order, dies_after=after)
        try:
            collect(file, engine)
        except Died:
            with file.open("ab") as end:
                end.write(b'{"problem_id":"q1","sample_index":0,"token_ids":[1,2,3],"text":"'[:torn])
        finished += engine.finished
    num_samples = 5 if more else 2
    last = Unordered(order)
    collect(file, last, num_samples)
    finished += last.finished
    assert file.read_bytes() == (undisturbed / f"{num_samples}.jsonl").read_bytes()
    assert set(finished.values()) == {1}  # nothing that had been written was asked for again
    assert len(finished) == num_samples * len(PROMPTS)
