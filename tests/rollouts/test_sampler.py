"""One reader of problems: completions in memory and in a file are the same, whatever order they were made in."""

from __future__ import annotations

import pytest
from tiny_models import byte_tokenizer, write_model, write_sums

from paced.errors import RunFolderError
from paced.grading.grade import count_passes, grade_all
from paced.problems.files import read_problems
from paced.rollouts.engine import make_engine
from paced.rollouts.hf import HfEngine
from paced.rollouts.sampler import Sampler
from paced.run.config import GradingConfig, ModelConfig, PromptsConfig, SamplingConfig
from paced.run.schema import Choice

SAMPLING = SamplingConfig(num_samples=3, max_new_tokens=5)
TEMPLATES = PromptsConfig(teacher="{problem} is {solution}. {problem}", use_chat_template=False)


class Backwards(HfEngine):
    """Finishes the last prompt first, as an engine with many prompts in flight may."""

    def sample(self, prompts, keys, sampling):
        yield from reversed(list(super().sample(prompts, keys, sampling)))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return ModelConfig(path=str(write_model(tmp_path_factory.mktemp("llama"), "llama", chat=False)))


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    return list(read_problems(write_sums(tmp_path_factory.mktemp("sums") / "sums.jsonl")).problems)


def sampler_of(engine, *, reader="student"):
    return Sampler(engine, byte_tokenizer(chat=False), reader=reader, prompts=TEMPLATES, run_seed=5)


def hf(model, **parameters):
    return make_engine(Choice("hf", parameters), model)


def test_each_reader_gets_its_own_prompt(model, problems):
    (seen, *_), (shown, *_) = (
        sampler_of(hf(model), reader=reader).prompts(problems) for reader in ("student", "teacher")
    )
    assert (seen.text, shown.text) == ("0 + 1", "0 + 1 is 1. 0 + 1")


def test_a_file_holds_the_rollouts_that_are_sampled_without_one(model, problems, tmp_path):
    sampler = sampler_of(hf(model))
    free = sampler.complete(problems, sampling=SAMPLING, draw="a")
    filed = sampler.complete(problems, sampling=SAMPLING, draw="a", file=tmp_path / "a.jsonl")
    assert [rollout.problem_id for rollout in free[::3]] == [problem.problem_id for problem in problems]
    assert sorted(free, key=str) == sorted(filed, key=str)
    assert len({(rollout.problem_id, rollout.sample_index) for rollout in filed}) == 3 * len(problems)
    assert sampler.complete(problems, sampling=SAMPLING, draw="b") != free


def test_the_same_problem_twice_in_a_batch_gets_the_same_completion(model, problems):
    first, _, again = sampler_of(hf(model)).complete(
        [problems[0], problems[1], problems[0]], sampling=SamplingConfig(num_samples=1, max_new_tokens=5), draw="a"
    )
    assert first == again


def test_the_text_of_a_completion_is_without_the_token_that_ended_it(model, problems):
    """Here an ordinary letter ends it, which no tokenizer leaves out by itself."""
    engine, tokenizer = make_engine(Choice("hf"), model, end_of_answer="e"), byte_tokenizer(chat=False)
    rollouts = sampler_of(engine).complete(problems, sampling=SamplingConfig(num_samples=60, max_new_tokens=5), draw=1)
    end = tokenizer.encode("e", add_special_tokens=False)[0]
    ended = [rollout for rollout in rollouts if rollout.token_ids[-1] == end]
    assert ended
    for rollout in ended:
        assert rollout.finish_reason == "stop"
        assert rollout.text == tokenizer.decode(rollout.token_ids[:-1], skip_special_tokens=True)


@pytest.mark.parametrize("keep_bytes", [0, 1, 500, 1100, -30])
@pytest.mark.parametrize("engine", [HfEngine, Backwards])
@pytest.mark.parametrize("max_rows", [1, 7, 1024])
def test_a_file_has_the_same_bytes_however_it_was_made_and_wherever_it_was_cut(
    model, problems, tmp_path, engine, max_rows, keep_bytes
):
    file, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    sampler_of(hf(model)).complete(problems, sampling=SAMPLING, draw=1, file=file)
    cut.write_bytes(file.read_bytes()[:keep_bytes])
    sampler_of(engine(model, max_rows=max_rows)).complete(problems, sampling=SAMPLING, draw=1, file=cut)
    assert cut.read_bytes() == file.read_bytes()


def test_lines_that_are_lost_from_the_middle_are_sampled_again(model, problems, tmp_path):
    file = tmp_path / "a.jsonl"
    sampler = sampler_of(hf(model, max_rows=6))
    sampler.complete(problems, sampling=SAMPLING, draw=1, file=file)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:7] + lines[8:]))
    sampler.complete(problems, sampling=SAMPLING, draw=1, file=file)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("kept", [slice(0, 6), slice(6, 12)])
def test_a_file_with_rollouts_of_other_problems_is_refused_and_kept(model, problems, tmp_path, kept):
    file = tmp_path / "a.jsonl"
    sampler = sampler_of(hf(model))
    sampler.complete(problems, sampling=SAMPLING, draw=1, file=file)
    whole = file.read_bytes()
    with pytest.raises(RunFolderError, match="holds rollouts of other problems than the run's"):
        sampler.complete(problems[kept], sampling=SAMPLING, draw=1, file=file)
    with pytest.raises(RunFolderError, match="holds rollouts of other problems than the run's"):
        sampler.complete(problems, sampling=SamplingConfig(num_samples=2, max_new_tokens=5), draw=1, file=file)
    assert file.read_bytes() == whole


def test_rates_are_the_counts_of_the_graded_completions(model, problems, tmp_path):
    grading = GradingConfig(answer_format=Choice("last_number"))
    sampler = sampler_of(hf(model))
    rates = sampler.rate(problems, grading=grading, sampling=SAMPLING, draw=1, file=tmp_path / "a.jsonl")
    rollouts = sampler.complete(problems, sampling=SAMPLING, draw=1)
    assert rates == count_passes(problems, grade_all(problems, rollouts, grading))
    assert [rate.num_rollouts for rate in rates] == [3] * len(problems)


def test_a_sampler_closes_its_engine_and_a_finished_file_asks_for_no_model(model, problems, tmp_path):
    file = tmp_path / "a.jsonl"
    with sampler_of(hf(model)) as sampler:
        written = sampler.complete(problems, sampling=SAMPLING, draw=1, file=file)
    absent = make_engine(Choice("hf"), ModelConfig(path=str(tmp_path / "nowhere")))
    with sampler_of(absent) as sampler:
        assert list(sampler.complete(problems, sampling=SAMPLING, draw=1, file=file)) == list(written)
