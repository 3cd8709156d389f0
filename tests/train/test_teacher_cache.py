"""Cached teacher states are the teacher's bit for bit, or they are computed anew."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from training_setup import build_teacher, make_config, make_examples, metrics_of, train, weights_of

from paced.run.config import ModelConfig
from paced.train.teacher_cache import TeacherCache, teacher_revision


@pytest.fixture
def example():
    return make_examples(2)[0]


@pytest.fixture
def cache(tmp_path):
    return TeacherCache(tmp_path, revision="abc", dtype=torch.bfloat16)


def states_of(example, seed=0):
    torch.manual_seed(seed)
    return torch.randn(len(example.completion_ids), 5).to(torch.bfloat16)


def test_what_was_written_is_read_bit_for_bit(cache, example):
    assert cache.read(example) is None
    cache.write(example, states_of(example))
    assert torch.equal(cache.read(example), states_of(example))
    assert (cache.num_hits, cache.num_misses) == (1, 1)


@pytest.mark.parametrize("changed", ["completion_ids", "teacher_prompt_ids"])
def test_states_of_other_tokens_are_never_used(cache, example, changed):
    """The alignment check: same problem and sample, another completion or prompt of the same length."""
    cache.write(example, states_of(example))
    first, *others = getattr(example, changed)
    assert cache.read(dataclasses.replace(example, **{changed: (first + 1, *others)})) is None


def test_another_sample_problem_revision_or_dtype_has_an_entry_of_its_own(cache, example, tmp_path):
    cache.write(example, states_of(example))
    assert cache.read(dataclasses.replace(example, sample_index=1)) is None
    assert cache.read(dataclasses.replace(example, problem_id="other")) is None
    assert TeacherCache(tmp_path, revision="abd", dtype=torch.bfloat16).read(example) is None
    assert TeacherCache(tmp_path, revision="abc", dtype=torch.float32).read(example) is None


def test_every_flipped_byte_is_noticed(cache, example):
    cache.write(example, states_of(example))
    (file,) = cache.folder.rglob("*.safetensors")
    whole = file.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        found = cache.read(example)
        assert found is None or torch.equal(found, states_of(example))


def test_a_hostile_name_stays_inside_the_folder(cache, example, tmp_path):
    hostile = dataclasses.replace(example, problem_id="../../../outside\x00")
    cache.write(hostile, states_of(hostile))
    assert cache.read(hostile) is not None
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_the_revision_changes_with_the_weights():
    one, two = build_teacher(), build_teacher()
    assert teacher_revision(ModelConfig(), one) == teacher_revision(ModelConfig(), two)
    with torch.no_grad():
        two.lm_head.weight[0, 0] += 1
    assert teacher_revision(ModelConfig(), one) != teacher_revision(ModelConfig(), two)


def test_training_with_cached_states_is_training_without(tmp_path):
    """Two epochs, so that the second reads what the first wrote."""
    changes = {"stages": [{"num_steps": 6}], "training.micro_batch_tokens": 1}
    train(tmp_path / "plain", make_config(**changes))
    train(tmp_path / "cached", make_config(**changes, **{"parallel.cache_teacher": True}))
    ours, theirs = weights_of(tmp_path / "cached"), weights_of(tmp_path / "plain")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert metrics_of(tmp_path / "cached") == metrics_of(tmp_path / "plain")
    assert list(tmp_path.glob("cached/**/*.safetensors"))
