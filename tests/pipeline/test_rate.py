"""Pass rates without a recipe: those of a run, after any kill, at a larger K, in two phases; nothing is ever mixed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import killing
import pyarrow.parquet as pq
import pytest
from digit_model import write_digit_model, write_digit_problems

from paced.errors import BadRows, ConfigError, RunFolderError
from paced.pipeline import steps
from paced.pipeline.rate import rate
from paced.pipeline.rate_config import RateConfig, engine_of, read_rate_config
from paced.pipeline.rate_shards import merge_rates
from paced.records import Grade, PassRate, Rollout
from paced.rollouts.shards import Shard
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.storage import read_parquet, read_records


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_digit_model(tmp_path_factory.mktemp("digits"))


def asked(tmp_path, model, **changes) -> RateConfig:
    options = {
        "problems.path": str(tmp_path / "problems.jsonl"), "student.path": str(model),
        "prompts.use_chat_template": False, "rollouts.num_samples": 8, "rollouts.max_new_tokens": 6,
        "rollouts.engine": {"name": "hf", "parameters": {"max_rows": 32}}, "grading.answer_format": "last_number",
    }  # fmt: skip
    return read_rate_config(options | {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture
def problems(tmp_path):
    return write_digit_problems(tmp_path / "problems.jsonl")


def rows_of(table):
    return pq.read_table(table).to_pylist()


def test_the_rates_are_those_of_the_first_stage_of_a_run_with_the_same_seed(tmp_path, model, problems):
    rated = rate(asked(tmp_path, model), tmp_path / "rates.parquet")
    run = RunFolder(tmp_path / "run")
    run.claim(
        build_config(
            {
                "name": "run",
                "student": {"path": str(model)},
                "problems": {"path": str(problems)},
                "prompts": {"use_chat_template": False},
                "rollouts": {"num_samples": 8, "max_new_tokens": 6},
                "grading": {"answer_format": "last_number"},
            }
        )
    )
    steps.rollout(run, 1, Silent())
    steps.grade(run, 1, Silent())
    assert list(rated.rates) == read_parquet(run.stage(1).pass_rates, PassRate)
    assert 0 < sum(one.num_passed for one in rated.rates) < 8 * 24


def test_the_table_counts_the_verdicts_that_are_kept_beside_it(tmp_path, model, problems):
    rated = rate(asked(tmp_path, model), tmp_path / "rates.parquet")
    grades = read_records(tmp_path / "rates.parquet.rollouts" / "grades.jsonl", Grade)
    correct = Counter(grade.problem_id for grade in grades if grade.verdict == "correct")
    truncated = Counter(grade.problem_id for grade in grades if grade.verdict == "truncated")
    assert sum(truncated.values()) > 0
    for row in rows_of(rated.table):
        assert row["num_passed"] == correct[row["problem_id"]]
        assert row["num_truncated"] == truncated[row["problem_id"]]
        assert row["pass_rate"] == row["num_passed"] / 8
        assert row["pass_rate_low"] <= row["pass_rate"] <= row["pass_rate_high"]
    assert [row["problem_id"] for row in rows_of(rated.table)] == [f"q{number}" for number in range(24)]


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"screen": "2,8"}], ids=["one-k", "screened"])
def test_a_rating_that_is_killed_anywhere_ends_in_the_same_bytes(tmp_path, model, problems, changes):
    config = asked(tmp_path, model, **changes)
    rate(config, tmp_path / "undisturbed.parquet")
    table = tmp_path / "killed" / "rates.parquet"
    table.parent.mkdir()
    operations, _ = killing.measure(rate, config, tmp_path / "counted.parquet", root=tmp_path)
    kills = [{"at_operation": number} for number in range(2, operations, max(1, operations // 9))]
    assert killing.run_until_done(rate, config, table, root=tmp_path, kills=kills) > 3
    assert table.read_bytes() == (tmp_path / "undisturbed.parquet").read_bytes()
    for name in ("rollouts.jsonl", "grades.jsonl"):
        ours, theirs = (tmp_path / folder / name for folder in ("undisturbed.parquet.rollouts", f"{table}.rollouts"))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_a_larger_k_that_is_killed_anywhere_ends_in_the_same_bytes(tmp_path, model, problems):
    few, many = asked(tmp_path, model, rollouts__num_samples=3), asked(tmp_path, model)
    rate(many, tmp_path / "undisturbed.parquet")
    rate(few, tmp_path / "counted.parquet")
    rate(few, tmp_path / "killed.parquet")
    operations, _ = killing.measure(rate, many, tmp_path / "counted.parquet", root=tmp_path)
    kills = [{"at_operation": number} for number in range(4, operations, max(1, operations // 6))]
    assert killing.run_until_done(rate, many, tmp_path / "killed.parquet", root=tmp_path, kills=kills) > 2
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "undisturbed.parquet").read_bytes()


def test_settings_bind_nothing_before_the_first_completion(tmp_path, model, problems):
    """A first try may have asked for more memory than there is; its folder is there, and holds no completion."""
    rate(asked(tmp_path, model, screen="2,8"), tmp_path / "rates.csv")
    (tmp_path / "rates.csv.rollouts" / "rollouts.jsonl").unlink()
    rate(asked(tmp_path, model, seed=2), tmp_path / "rates.csv")
    rate(asked(tmp_path, model, seed=2), tmp_path / "other.csv")
    assert (tmp_path / "rates.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert not (tmp_path / "rates.csv.rollouts" / "further.jsonl").exists()


def test_a_larger_k_keeps_the_completions_that_are_there(tmp_path, model, problems):
    table, file = tmp_path / "rates.csv", tmp_path / "rates.csv.rollouts" / "rollouts.jsonl"
    rate(asked(tmp_path, model, rollouts__num_samples=3), table)
    before = {(one.problem_id, one.sample_index): one for one in read_records(file, Rollout)}
    rated = rate(asked(tmp_path, model), table)
    after = {(one.problem_id, one.sample_index): one for one in read_records(file, Rollout)}
    assert before.items() <= after.items()
    assert len({one.seed for one in after.values()}) == 24 * 8
    assert {one.num_rollouts for one in rated.rates} == {8}
    with pytest.raises(RunFolderError, match=r"rollouts\.num_samples was 8, is 3"):
        rate(asked(tmp_path, model, rollouts__num_samples=3), table)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rollouts__sampling_temperature": 0.5}, r"rollouts\.sampling_temperature was 1\.0, is 0\.5"),
        ({"prompts__student": "Q: {problem}"}, r"prompts\.student was '\{problem\}', is 'Q: \{problem\}'"),
        ({"seed": 2}, "seed was 1, is 2"),
        ({"screen": "2,8"}, r"screen was nothing, is \[2, 8\]"),
        ({"rollouts__max_new_tokens": 5, "seed": 2}, r"rollouts\.max_new_tokens was 6, is 5; seed was 1, is 2"),
        ({"problems__limit": 7}, "problems was '24 with hash .*', is '7 with hash"),
    ],
)
def test_other_settings_are_refused_with_both_values_and_change_nothing(tmp_path, model, problems, changes, words):
    table = tmp_path / "rates.jsonl"
    rate(asked(tmp_path, model), table)
    before = killing.contents(tmp_path, {".lock"})
    with pytest.raises(RunFolderError, match=words):
        rate(asked(tmp_path, model, **changes), table)
    assert killing.contents(tmp_path, {".lock"}) == before


def test_another_model_is_refused_and_the_same_one_elsewhere_is_not(tmp_path, model, problems):
    rate(asked(tmp_path, model), tmp_path / "rates.csv")
    rate(asked(tmp_path, write_digit_model(tmp_path / "moved")), tmp_path / "rates.csv")
    other = write_digit_model(tmp_path / "other")
    settings = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(settings | {"attn_pdrop": 0.3}))
    with pytest.raises(RunFolderError, match="model was 'hash .*', is 'hash"):
        rate(asked(tmp_path, other), tmp_path / "rates.csv")


def test_another_answer_format_grades_what_is_there(tmp_path, model, problems):
    table, file = tmp_path / "rates.csv", tmp_path / "rates.csv.rollouts" / "rollouts.jsonl"
    strict = rate(asked(tmp_path, model, grading__answer_format="whole", prompts__system=""), table)
    sampled = file.stat().st_mtime_ns
    marked = rate(asked(tmp_path, model, grading__answer_format="gsm8k", prompts__system=""), table)
    assert file.stat().st_mtime_ns == sampled
    assert sum(one.num_passed for one in strict.rates) > 0
    assert sum(one.num_passed for one in marked.rates) == 0


def test_a_prompt_that_does_not_fit_is_left_out_by_name_and_the_others_are_rated(tmp_path, model):
    write_digit_problems(tmp_path / "problems.jsonl", longest=91)
    rated = rate(asked(tmp_path, model), tmp_path / "rates.parquet")
    (row,) = map(json.loads, rated.left_out_file.read_text().splitlines())
    assert row == {
        "problem_id": "q23", "row": 24, "prompt_tokens": 91, "max_new_tokens": 6, "context_tokens": 96,
    }  # fmt: skip
    assert [one["problem_id"] for one in rows_of(rated.table)] == [f"q{number}" for number in range(23)]
    text, data = rated.report()
    assert "q23 (row 24): 91 tokens and 6 new ones do not fit into a context of 96" in text
    assert len(data["left_out"]) == 1
    write_digit_problems(tmp_path / "problems.jsonl", longest=90)  # it fits: 90 and 6 are 96
    again = rate(asked(tmp_path, model), tmp_path / "again.parquet")
    assert not again.left_out
    assert not again.left_out_file.exists()


def test_a_prompt_over_the_limit_stops_the_rating_or_is_put_aside_and_counted(tmp_path, model):
    write_digit_problems(tmp_path / "problems.jsonl", longest=40)
    limited = {"prompts__max_student_tokens": 30, "rollouts__num_samples": 2}
    table = tmp_path / "rates.parquet"
    with pytest.raises(
        ConfigError, match=r"1 of 24 problems has .*problem q23, row 24, .*raise prompts.max_student_tok"
    ):
        rate(asked(tmp_path, model, **limited), table)
    rated = rate(asked(tmp_path, model, **limited, prompts__too_long="quarantine"), table)
    (row,) = map(json.loads, (tmp_path / "rates.parquet.quarantine.jsonl").read_text().splitlines())
    assert row == {"problem_id": "q23", "row": 24, "reader": "student", "num_tokens": 40, "limit": 30}
    assert [one["problem_id"] for one in rows_of(table)] == [f"q{number}" for number in range(23)]
    text, data = rated.report()
    assert "1 of 24 problems has a prompt over its limit: student 1 (over 30 tokens)" in text
    assert data["quarantined"] == [row]
    assert not rated.left_out
    with pytest.raises(RunFolderError, match=r"prompts.max_student_tokens was 30, is nothing"):
        rate(asked(tmp_path, model, rollouts__num_samples=2), table)
    parts = tmp_path / "parts.parquet"
    for index in range(2):
        rate(asked(tmp_path, model, **limited, prompts__too_long="quarantine"), parts, part=Shard(index, 2))
    merged = merge_rates(asked(tmp_path, model), parts)
    assert (merged.rates, merged.quarantined) == (rated.rates, rated.quarantined)
    assert parts.read_bytes() == table.read_bytes()


def test_no_prompt_that_fits_is_an_error(tmp_path, model, problems):
    with pytest.raises(ConfigError, match="no problem fits into the model's context; the first is q0"):
        rate(asked(tmp_path, model, rollouts__max_new_tokens=95), tmp_path / "rates.csv")


def test_screening_samples_further_where_the_first_ones_disagree(tmp_path, model, problems):
    screened = rate(asked(tmp_path, model, screen="2,8"), tmp_path / "screened.csv")
    plain = rate(asked(tmp_path, model), tmp_path / "plain.csv")
    first = rate(asked(tmp_path, model, rollouts__num_samples=2), tmp_path / "first.csv")
    went_on = 0
    for ours, all_of, two in zip(screened.rates, plain.rates, first.rates, strict=True):
        ended = two.num_passed in (0, 2)
        assert ours == (two if ended else all_of)
        went_on += not ended
    assert 0 < went_on < 24
    text, data = screened.report()
    assert data["screen"]["num_ended"] == 24 - went_on
    assert f"{2 * (24 - went_on) + 8 * went_on:,} rollouts, K = 8 for all would be 192" in text


def test_a_screening_that_leaves_nothing_open_is_a_table_too(tmp_path, model, problems):
    rated = rate(asked(tmp_path, model, screen="2,8", rollouts__sampling_temperature=0), tmp_path / "rates.csv")
    assert {one.num_rollouts for one in rated.rates} == {2}
    assert "24 problems ended after 2 rollouts" in rated.report()[0]


def test_a_gold_answer_that_no_completion_could_match_is_refused_before_sampling(tmp_path, model, problems):
    problems.write_text('{"problem": "a", "answer": "none of these"}\n{"problem": "b", "answer": "4"}\n')
    with pytest.raises(BadRows, match="row 1, column 'answer'"):
        rate(asked(tmp_path, model), tmp_path / "rates.csv")
    assert not (tmp_path / "rates.csv.rollouts").exists()


def test_a_control_token_in_a_problem_is_refused_with_its_row_in_the_file(tmp_path, model, problems):
    lines = problems.read_text().splitlines(keepends=True)
    odd = json.dumps({"problem": "say <|end|>", "answer": "1"})
    problems.write_text("".join([*lines[:3], "\n", f"{odd}\n", *lines[3:]]))
    with pytest.raises(BadRows, match=r"row 5, column 'problem': found '<\|end\|>'"):
        rate(asked(tmp_path, model), tmp_path / "rates.csv")


def test_a_damaged_settings_file_is_named(tmp_path, model, problems):
    rate(asked(tmp_path, model), tmp_path / "rates.csv")
    (tmp_path / "rates.csv.rollouts" / "settings.json").write_text("{")
    with pytest.raises(RunFolderError, match="settings.json: must be JSON, but is damaged"):
        rate(asked(tmp_path, model), tmp_path / "rates.csv")


def test_completions_of_which_nobody_knows_the_settings_are_not_taken(tmp_path, model, problems):
    rate(asked(tmp_path, model), tmp_path / "rates.csv")
    (tmp_path / "rates.csv.rollouts" / "settings.json").unlink()
    with pytest.raises(RunFolderError, match="holds completions without settings.json"):
        rate(asked(tmp_path, model), tmp_path / "rates.csv")


def test_two_ratings_of_one_table_do_not_work_at_once(tmp_path, model, problems):
    with (
        RunFolder(tmp_path / "rates.csv.rollouts").locked(),
        pytest.raises(RunFolderError, match="is in use by process"),
    ):
        rate(asked(tmp_path, model), tmp_path / "rates.csv")


def test_the_problem_file_is_never_overwritten(tmp_path, model, problems):
    with pytest.raises(ConfigError, match="the output must not be the problem file"):
        rate(asked(tmp_path, model), Path(problems))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rollouts.num_samples": 0}, r"rollouts\.num_samples must be an integer >= 1, got 0"),
        ({"rollouts.top_p": 2.0, "seed": -1}, r"rollouts\.top_p must be .*, got 2\.0\. seed must be .*, got -1"),
        ({"screen": "2"}, "screen must be two numbers K1,K such as 2,8, got '2'"),
        ({"screen": "8,2"}, r"screen must be two numbers K1,K with 2 <= K1 < K, got 8,2"),
        ({"screen": "2,8", "rollouts.num_samples": 4}, "screen must end in the number of samples, got 8 and 4"),
        ({"prompts.student": "hello"}, r"prompts\.student must contain \{problem\}"),
    ],
)
def test_settings_out_of_range_are_named_together(options, words):
    with pytest.raises(ConfigError, match=words):
        read_rate_config(options)


def test_an_engine_or_a_model_that_is_not_there_is_refused_before_anything_is_written(tmp_path, model, problems):
    for changes, words in (
        ({"rollouts__engine": {"name": "vlm"}}, "rollouts.engine must be one of"),
        ({"rollouts__engine": {"name": "hf", "parameters": {"rows": 3}}}, "parameters do not fit 'hf'"),
        ({"student__path": str(tmp_path / "absent")}, "absent"),
        ({"student__path": None}, "Give --model"),
        ({"grading__answer_format": "boxd"}, "grading.answer_format must be one of"),
    ):
        with pytest.raises(ConfigError, match=words):
            rate(asked(tmp_path, model, **changes), tmp_path / "rates.csv")
        assert [file.name for file in tmp_path.iterdir()] == ["problems.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("hf", ["max_rows"]), "is key=value, each key once, got 'max_rows'"),
        (("hf", ["max_rows=1", "max_rows=2"]), "each key once"),
    ],
)
def test_parameters_of_an_engine_are_pairs(arguments, words):
    with pytest.raises(ConfigError, match=words):
        engine_of(*arguments)


def test_servers_are_asked_by_the_engine_of_that_name_only():
    with pytest.raises(ConfigError, match="got the engine 'hf'"):
        engine_of("hf", servers=["http://localhost:1"])
    assert engine_of("", ["max_rows=4"]) == {"name": "hf", "parameters": {"max_rows": 4}}


def test_what_memory_depends_on_may_change(tmp_path, model, problems):
    file = tmp_path / "rates.csv.rollouts" / "rollouts.jsonl"
    before = rate(asked(tmp_path, model), tmp_path / "rates.csv")
    sampled = file.stat().st_mtime_ns
    smaller = asked(tmp_path, model, rollouts__engine={"name": "hf", "parameters": {"max_rows": 8}})
    assert rate(smaller, tmp_path / "rates.csv").rates == before.rates
    assert file.stat().st_mtime_ns == sampled
