"""Independent jobs make the rollouts that one job would have made, and the run takes them only when all are there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.errors import ConfigError
from paced.pipeline import steps
from paced.pipeline.preflight import check_all
from paced.pipeline.shards import rollout_shard
from paced.records import Rollout
from paced.rollouts.shards import Shard, shard
from paced.run.configfile import build_config
from paced.run.progress import Silent
from paced.run.storage import read_records


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


@given(st.lists(st.integers()), st.integers(1, 9))
def test_every_problem_is_in_one_part_and_parts_differ_by_one(items, count):
    parts = [shard(items, index, count) for index in range(count)]
    assert sorted(one for part in parts for one in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "1/0", "a/b", "0/4/2"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--shard must be i/n with 0 <= i < n"):
        Shard.parse(text)


def test_jobs_give_the_rollouts_of_one_run_and_a_missing_job_is_named(tmp_path, gpt2):
    data = recipe(tmp_path, gpt2)
    whole = begin(tmp_path, data)
    steps.rollout(whole, 1, Silent())
    root = tmp_path / "jobs"
    files = [rollout_shard(build_config(data), root, Shard(index, 3), Silent()) for index in (2, 0)]
    assert [file.name for file in files] == ["rollouts-2-of-3.jsonl", "rollouts-0-of-3.jsonl"]
    data["rollouts"]["from"] = str(root / "tiny.shards" / "*.jsonl")
    with pytest.raises(ConfigError, match="4 of 12 problems have no completion"):
        check_all(build_config(data))
    rollout_shard(build_config(data), root, Shard(1, 3), Silent())
    run = begin(root, data)
    steps.rollout(run, 1, Silent())
    one, other = (read_records(each.stage(1).rollouts, Rollout) for each in (whole, run))
    assert sorted(one, key=str) == sorted(other, key=str)
