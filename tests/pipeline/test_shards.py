"""Independent jobs make the rollouts that one job would have made, and the run takes them only when all are there."""

from __future__ import annotations

import shutil

import pytest
from digit_model import write_digit_model, write_digit_problems
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.errors import ConfigError, RunFolderError
from paced.pipeline import steps
from paced.pipeline.preflight import check_all
from paced.pipeline.rate import rate
from paced.pipeline.rate_config import read_rate_config
from paced.pipeline.rate_shards import merge_rates
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


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return write_digit_model(tmp_path_factory.mktemp("digits"))


def rating(tmp_path, digits, **changes):
    write_digit_problems(tmp_path / "problems.jsonl", longest=changes.pop("longest", 0))
    options = {
        "problems.path": str(tmp_path / "problems.jsonl"), "student.path": str(digits),
        "prompts.use_chat_template": False, "rollouts.num_samples": 4, "rollouts.max_new_tokens": 6,
        "grading.answer_format": "last_number",
    }  # fmt: skip
    return read_rate_config(options | changes)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_jobs_that_rate_their_shares_give_the_table_of_one(tmp_path, digits, suffix):
    config = rating(tmp_path, digits, screen="2,4")
    whole = rate(config, tmp_path / f"whole{suffix}")
    table = tmp_path / f"rates{suffix}"
    for index in (2, 0):
        rate(config, table, part=Shard(index, 3))
    with pytest.raises(ConfigError, match=r"1 of 3 parts are missing \(1\)"):
        merge_rates(config, table)
    rate(config, table, part=Shard(1, 3))
    rate(config, table)
    with pytest.raises(ConfigError, match="was rated by one job"):
        merge_rates(config, table)
    shutil.rmtree(table.with_name(f"{table.name}.rollouts"))
    merged = merge_rates(config, table)
    assert merged.rates == whole.rates
    assert table.read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    assert merged.num_completions == whole.num_completions
    assert merged.screen == (2, 4)


def test_a_problem_that_a_job_left_out_is_named_by_the_merged_table_too(tmp_path, digits):
    config = rating(tmp_path, digits, longest=91)
    whole = rate(config, tmp_path / "whole.csv")
    for index in range(2):
        rate(config, tmp_path / "rates.csv", part=Shard(index, 2))
    merged = merge_rates(config, tmp_path / "rates.csv")
    assert merged.left_out == whole.left_out
    assert merged.left_out_file.read_bytes() == whole.left_out_file.read_bytes()


def test_parts_of_different_samplings_are_not_put_together(tmp_path, digits):
    table = tmp_path / "rates.csv"
    for index in range(2):
        rate(rating(tmp_path, digits, seed=index), table, part=Shard(index, 2))
    with pytest.raises(RunFolderError, match="other settings than 0-of-2.csv: seed is 0 and 1"):
        merge_rates(rating(tmp_path, digits), table)
    rate(rating(tmp_path, digits), table, part=Shard(0, 3))
    with pytest.raises(ConfigError, match=r"holds parts of \[2, 3\] jobs"):
        merge_rates(rating(tmp_path, digits), table)


def test_parts_of_other_problems_are_not_put_together(tmp_path, digits):
    table = tmp_path / "rates.csv"
    config = rating(tmp_path, digits)
    for index in range(2):
        rate(config, table, part=Shard(index, 2))
    lines = (tmp_path / "problems.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "problems.jsonl").write_text("".join(lines[1:]) + lines[0].replace("q0", "new"))
    with pytest.raises(ConfigError, match=r"1 problems are in none of the parts \(new\); 1 problems are not in"):
        merge_rates(config, table)
