"""A file in a step's place gives what the step would have given, is checked before anything runs, and is held to."""

from __future__ import annotations

import json

import pytest
from tiny_models import byte_tokenizer, write_model, write_sums
from tiny_run import begin, recipe

from paced.analysis.report.report import write_report
from paced.errors import BadRows, ConfigError, RunFolderError
from paced.pipeline import steps
from paced.pipeline.job import run_job
from paced.pipeline.preflight import check_all
from paced.pipeline.taken import content_of
from paced.problems.files import read_problems
from paced.records import PassRate, Rollout
from paced.run.configfile import build_config
from paced.run.progress import Silent
from paced.run.schema import FileSource
from paced.run.steprecord import Step, read_record
from paced.run.storage import file_hash, read_parquet, read_records


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, gpt2):
    """A run that made everything itself; its stage follows rollouts, and another follows references."""
    folder = tmp_path_factory.mktemp("whole")
    stages = [{"along": "rollout", "share": 0.5}, {"along": "reference", "share": 0.5}]
    run = begin(folder, recipe(folder, gpt2, stages=stages))
    run_job(run, Silent())
    return run


def files_of(run, *names):
    return {name: (run.root / name).read_bytes() for name in names}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def dump(tmp_path, **columns):
    """Four completions of each of the twelve sums, as another tool writes them: two are right."""
    problems = read_problems(tmp_path / "sums.jsonl").problems
    rows = [
        {"question": one.problem, "answers": [one.answer, f"it is {one.answer}", "7000", ""],
         "why": [*["stop"] * 3, "length"]}
        for one in problems
    ]  # fmt: skip
    return {
        "path": write(tmp_path / "dump.jsonl", rows),
        "columns": {"prompt": "question", "text": "answers", "finish_reason": "why"} | columns,
    }


def taken(tmp_path, gpt2, section, source, **changes):
    data = recipe(tmp_path, gpt2, **changes)
    data[section] = data.get(section, {}) | {"from": source(tmp_path) if callable(source) else source}
    return data


@pytest.mark.slow
def test_a_runs_own_files_in_the_steps_places_give_the_same_run(tmp_path, gpt2, whole):
    stages = [{"along": "rollout", "share": 0.5}, {"along": "reference", "share": 0.5}]
    data = recipe(tmp_path, gpt2, stages=stages)
    data["rollouts"]["from"] = str(whole.stage(1).rollouts)
    data["references"]["from"] = str(whole.stage(2).references)
    run = begin(tmp_path, data)
    run_job(run, Silent())
    made = ["stage-1/grades.jsonl", "stage-1/weights.parquet", "stage-2/rollouts.jsonl", "metrics.jsonl"]
    made += [f"stage-{number}/student/model.safetensors" for number in (1, 2)]
    assert files_of(run, *made) == files_of(whole, *made)
    order = [one.problem_id for one in steps.stage_problems(run, 1)]
    rollouts = read_records(run.stage(1).rollouts, Rollout)
    assert [one.problem_id for one in rollouts[::4]] == order
    assert sorted(rollouts, key=str) == sorted(read_records(whole.stage(1).rollouts, Rollout), key=str)


@pytest.mark.slow
def test_a_dump_of_texts_gives_pass_rates_and_its_origin_is_recorded_and_reported(tmp_path, gpt2):
    run = begin(tmp_path, taken(tmp_path, gpt2, "rollouts", dump))
    run_job(run, Silent())
    rates = read_parquet(run.stage(1).pass_rates, PassRate)
    assert {(one.num_passed, one.num_rollouts, one.num_truncated) for one in rates} == {(2, 4, 1)}
    record = read_record(run, Step("rollout", 1))
    sha256 = file_hash(tmp_path / "dump.jsonl")
    assert record.taken_from["sha256"] == sha256 == record.read["rollout file"]
    assert record.taken_from["columns"]["prompt"] == "question"
    assert read_record(run, Step("weigh", 1)).taken_from == {}
    page = write_report(run).read_text()
    assert "stage-1-rollout was taken from" in page
    assert sha256 in page


@pytest.mark.slow
def test_with_pass_rates_a_run_needs_no_rollouts(tmp_path, gpt2):
    data = taken(tmp_path, gpt2, "pass_rates", str(tmp_path / "rates.csv"))
    problems = read_problems(tmp_path / "sums.jsonl").problems
    lines = [f"{one.problem_id},{place % 5},{4 + place % 2}\n" for place, one in enumerate(problems)]
    (tmp_path / "rates.csv").write_text("problem_id,num_passed,num_rollouts\n" + "".join(reversed(lines)))
    run = begin(tmp_path, data)
    run_job(run, Silent())
    rates = read_parquet(run.stage(1).pass_rates, PassRate)
    assert [(one.problem_id, one.num_passed, one.num_rollouts) for one in rates] == [
        (one.problem_id, place % 5, 4 + place % 2) for place, one in enumerate(problems)
    ]
    assert not run.stage(1).rollouts.exists()
    assert (run.stage(1).student / "config.json").exists()
    assert "stage-1-grade was taken from" in write_report(run).read_text()
    run_job(run, Silent())  # nothing is left to do


def test_texts_of_references_are_tokenized_with_the_end_of_the_teacher(tmp_path, gpt2):
    source = {"columns": {"text": "solution"}}  # the expert solutions of the problem file itself
    data = taken(tmp_path, gpt2, "references", lambda folder: source | {"path": str(folder / "sums.jsonl")})
    run = begin(tmp_path, data)
    run_job(run, Silent())
    tokenizer = byte_tokenizer(chat=False)
    solutions = {one.problem_id: one.solution for one in read_problems(tmp_path / "sums.jsonl").problems}
    for one in read_records(run.stage(1).references, Rollout):
        assert one.token_ids == (*tokenizer.encode(solutions[one.problem_id]), tokenizer.eos_token_id)


def refused(data):
    with pytest.raises((ConfigError, BadRows)) as caught:
        check_all(build_config(data))
    return str(caught.value)


def test_all_faults_of_the_files_are_named_with_the_others_before_anything_runs(tmp_path, gpt2):
    data = taken(tmp_path, gpt2, "rollouts", dump, stages=[{"along": "rollout"}], weights="betta")
    data["references"]["from"] = str(tmp_path / "absent.jsonl")
    data["pass_rates"] = {"from": write(tmp_path / "rates.jsonl", [{"problem_id": "x", "passed": 1, "total": 4}])}
    said = refused(data)
    for part in (
        "weights must be one of",
        "a stage along rollouts needs their token ids, got 48 of 48 without",
        "12 of 12 problems have no pass rate",
        "1 of 1 rows belong to no problem ('x')",
    ):
        assert part in said, part
    data["stages"] = [{}]
    del data["pass_rates"]
    assert "absent.jsonl: no such file" in refused(data)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: data["rollouts"].update(num_samples=8), "every problem must have 8 completions, got 4 for 12"),
        (lambda data: data["rollouts"]["from"]["columns"].update(text="answer"), "columns.text: there is no 'answer'"),
        (lambda data: data["rollouts"]["from"].update(path="nowhere-*.jsonl"), "no file has a name of this pattern"),
    ],
)  # fmt: skip
def test_a_dump_that_does_not_fit_is_refused(tmp_path, gpt2, change, match):
    data = taken(tmp_path, gpt2, "rollouts", dump)
    change(data)
    assert match in refused(data)


def test_completions_that_no_model_can_read_are_refused_with_the_longest(tmp_path, gpt2):
    rows = [{"problem": f"{i} + {i + 1}", "text": "4" * (90 + i)} for i in range(12)]
    data = taken(tmp_path, gpt2, "references", write(tmp_path / "long.jsonl", rows))
    assert "must fit into the 96 positions of the student, got 11 of 12" in refused(data)


@pytest.mark.parametrize("flagged", ["keep", "drop"])
def test_references_of_a_file_are_graded_before_the_run(tmp_path, gpt2, flagged):
    write_sums(tmp_path / "sums.jsonl")
    problems = read_problems(tmp_path / "sums.jsonl").problems
    texts = {0: "7000", 1: "By the provided solution it is {}", 2: "{}", 3: "no number"}
    rows = [
        {"problem_id": one.problem_id, "text": texts.get(place, "{}").format(one.answer),
         "finish_reason": "length" if place == 2 else "stop"}
        for place, one in enumerate(problems)
    ]  # fmt: skip
    data = taken(tmp_path, gpt2, "references", write(tmp_path / "theirs.jsonl", rows))
    data["references"] |= {"flagged": flagged, "max_new_tokens": 60}
    (note,) = [note for note in check_all(build_config(data))[0].notes if note.startswith("references.from")]
    assert "4 of 12 flagged (1 leaks, 1 truncated, 1 no answer, 1 wrong)" in note
    assert f"{problems[0].problem_id} (wrong); " in note
    assert note.endswith(f"references.flagged: {flagged}")
    data["references"]["from"] = write(tmp_path / "theirs.jsonl", [row | {"text": "7000"} for row in rows])
    if flagged == "drop":
        assert "stage 1: references.flagged: drop leaves no problem, since all 12 references are flagged" in refused(
            data
        )
    else:
        check_all(build_config(data))


def test_a_limit_and_shares_of_stages_pass_over_the_rows_that_they_leave_out(tmp_path, gpt2):
    data = taken(tmp_path, gpt2, "rollouts", dump, stages=[{"share": 0.5}])
    data["problems"]["limit"] = 6
    run = begin(tmp_path, data)
    check_all(run.config())
    steps.rollout(run, 1, Silent())
    assert {one.problem_id for one in read_records(run.stage(1).rollouts, Rollout)} == {
        one.problem_id for one in steps.stage_problems(run, 1)
    }


def test_a_file_that_changed_since_it_was_read_is_refused_by_name(tmp_path, gpt2):
    run = begin(tmp_path, taken(tmp_path, gpt2, "rollouts", dump))
    steps.rollout(run, 1, Silent())
    file = tmp_path / "dump.jsonl"
    file.write_text(file.read_text().replace("7000", "8000"))
    with pytest.raises(RunFolderError, match="the rollout file .*dump.jsonl has changed since stage-1-rollout read it"):
        run_job(run, Silent())
    file.unlink()
    steps.grade(run, 1, Silent())  # the run has its own copy
    assert run.stage(1).pass_rates.exists()


def test_a_damaged_copy_is_taken_again(tmp_path, gpt2):
    run = begin(tmp_path, taken(tmp_path, gpt2, "rollouts", dump))
    steps.rollout(run, 1, Silent())
    copy = run.stage(1).rollouts.read_bytes()
    run.stage(1).rollouts.write_bytes(copy[:-40])
    steps.rollout(run, 1, Silent())
    assert run.stage(1).rollouts.read_bytes() == copy


def test_several_files_have_one_content_that_depends_on_each(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text(name)
    source = FileSource(str(tmp_path / "*.jsonl"))
    before = content_of(source)
    (tmp_path / "b.jsonl").write_text("c")
    assert content_of(source) != before
    assert content_of(FileSource(str(tmp_path / "a.jsonl"))) == file_hash(tmp_path / "a.jsonl")
