"""References of a run: the best of several by grade, flagged ones sampled again, dropped or kept, counted and shown."""

from __future__ import annotations

import json

import pytest
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.analysis.report.references import references_section
from paced.errors import ConfigError
from paced.pipeline import steps
from paced.pipeline.dependence import settings_of
from paced.pipeline.job import run_job
from paced.pipeline.references import ReferenceCheck, best_references, checked_references, usable_problems
from paced.pipeline.sources import StageProblems
from paced.problems.files import read_problems
from paced.records import ProblemWeight, Rollout
from paced.rollouts.sampler import make_sampler
from paced.run.configfile import apply_overrides, build_config
from paced.run.progress import Silent
from paced.run.steprecord import Step
from paced.run.storage import read_parquet, read_records

LEAK = "As the provided solution shows, it is"


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


def from_a_file(tmp_path, gpt2, texts, **changes):
    """A recipe whose references come from a file: ``texts`` gives those of one problem from its gold answer."""
    data = recipe(tmp_path, gpt2)
    problems = read_problems(tmp_path / "sums.jsonl").problems
    rows = [
        {"problem_id": one.problem_id, "sample_index": index, "text": text, "finish_reason": finish}
        for number, one in enumerate(problems)
        for index, (text, finish) in enumerate(texts(number, one.answer))
    ]
    (tmp_path / "dump.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data["references"] = data["references"] | {"from": str(tmp_path / "dump.jsonl"), "max_new_tokens": 60}
    return apply_overrides(data, changes, "test")


def mixed(number, answer):
    """Of twelve: a leak, a wrong answer, none at all, a cut one; the others are right."""
    return [
        {
            0: (f"{LEAK} {answer}", "stop"),
            1: ("It is 7000", "stop"),
            2: ("I do not know", "stop"),
            3: (f"It is {answer} and", "length"),
        }.get(number, (f"It is {answer}", "stop"))
    ]


def stage_of(run, **given):
    config = run.config()
    models = {"sampling": config.rollouts}
    with (
        make_sampler(config, config.student, reader="student", **models) as student,
        make_sampler(config, config.student, reader="teacher", **models) as teacher,
    ):
        return StageProblems(run, 1, steps.stage_problems(run, 1), student=student, teacher=teacher, progress=Silent())


def test_flagged_references_are_counted_and_shown_and_kept_unless_told(tmp_path, gpt2):
    run = begin(tmp_path, from_a_file(tmp_path, gpt2, mixed))
    run_job(run, Silent())
    checks = checked_references(run.stage(1), steps.stage_problems(run, 1), run.config())
    flags = [one.flags for one in checks]
    assert flags == [("leaks",), ("wrong",), ("no answer",), ("truncated",), *[()] * 8]
    assert checks[0].leak == "the provided solution"
    assert len(usable_problems(checks, run.config())) == 12
    section = references_section(run)
    ((_, table),) = section.tables
    assert {key: cells[0] for key, cells in table.items() if key != "run"} == {
        "stage": "1", "references": "12", "flagged": "4", "leaks": "1", "truncated": "1", "too long": "0",
        "no answer": "1", "wrong": "1", "then": "kept",
    }  # fmt: skip
    assert ("leaks by", "the provided solution") in section.samples[0].lines
    assert len(section.samples) == 4


def test_dropped_problems_take_no_part_and_the_weights_of_the_others_have_unit_mean(tmp_path, gpt2):
    data = from_a_file(tmp_path, gpt2, mixed, **{"references.flagged": "drop"})
    run = begin(tmp_path, data)
    for step in (steps.rollout, steps.grade):
        step(run, 1, Silent())
    steps.weigh(run, 1, Silent())
    steps.reference(run, 1, Silent())
    everyone = [problem.problem_id for problem in steps.stage_problems(run, 1)]
    stage = stage_of(run)
    assert stage.ids == everyone[4:]
    assert [prompt.problem_id for prompt in (*stage.seen, *stage.shown)] == everyone[4:] * 2
    assert sum(stage.ratings().unit_mean_weights) == pytest.approx(8)
    held = {one.problem_id: one.weight for one in read_parquet(run.stage(1).weights, ProblemWeight)}
    ratios = {w / held[name] for name, w in zip(stage.ids, stage.weights, strict=True) if held[name]}
    assert max(ratios) == pytest.approx(min(ratios))
    steps.distill(run, 1, Silent())
    metrics = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert len(metrics) == 2  # eight problems by four


def test_a_stage_of_which_every_reference_is_dropped_is_refused(tmp_path, gpt2):
    data = from_a_file(tmp_path, gpt2, lambda number, answer: [("7000", "stop")], **{"references.flagged": "drop"})
    run = begin(tmp_path, data)
    with pytest.raises(ConfigError, match=r"drop leaves no problem.*12 of 12 flagged \(12 wrong\)"):
        run_job(run, Silent())


def test_the_best_by_grade_of_several_is_taken_and_of_equals_the_first(tmp_path, gpt2):
    def three(number, answer):
        return [("7000", "stop"), (f"{LEAK} {answer}", "stop"), (f"It is {answer}", "stop")][
            : 2 if number % 2 else 3
        ] + [(f"So {answer}", "stop")] * (number % 2)

    run = begin(tmp_path, from_a_file(tmp_path, gpt2, three, **{"references.num_samples": 3}))
    for step in (steps.rollout, steps.reference):
        step(run, 1, Silent())
    references = read_records(run.stage(1).references, Rollout)
    assert [one.sample_index for one in references] == [2] * 12
    assert not any(LEAK in one.text for one in references)
    problems = steps.stage_problems(run, 1)
    equal = [
        Rollout(
            problem_id=one.problem_id, sample_index=i, token_ids=(1,), text=one.answer, finish_reason="stop", seed=i
        )
        for one in problems
        for i in range(2)
    ]
    assert {one.sample_index for one in best_references(problems, equal, run.config())} == {0}


def sampled(tmp_path, gpt2, **changes):
    data = recipe(tmp_path, gpt2)
    data["references"] = data["references"] | {"sampling_temperature": 1.0} | changes
    return data


def test_flagged_problems_are_sampled_again_with_new_noise_and_the_same_call_gives_the_same(tmp_path, gpt2):
    run = begin(tmp_path, sampled(tmp_path, gpt2, retries=2))
    steps.rollout(run, 1, Silent())
    steps.reference(run, 1, Silent())
    stage = run.stage(1)
    rounds = [read_records(file, Rollout) for file in sorted(stage.reference_samples.glob("*.jsonl"))]
    assert [len(one) for one in rounds] == [12, 12, 12]  # a model of random weights is never right
    assert len({one.seed for samples in rounds for one in samples}) == 36
    checks = {one.problem_id: one for one in checked_references(stage, steps.stage_problems(run, 1), run.config())}
    chosen = read_records(stage.references, Rollout)
    assert all(one in [sample for samples in rounds for sample in samples] for one in chosen)
    assert all(checks[one.problem_id].flags for one in chosen)
    before = stage.references.read_bytes()
    stage.references.unlink()
    steps.reference(run, 1, Silent())
    assert stage.references.read_bytes() == before


def test_one_greedy_reference_each_is_written_as_it_always_was(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    steps.rollout(run, 1, Silent())
    steps.reference(run, 1, Silent())
    assert [one.sample_index for one in read_records(run.stage(1).references, Rollout)] == [0] * 12
    assert not run.stage(1).reference_samples.exists()


def test_checks_are_made_anew_when_the_grading_changes_and_nothing_is_sampled(tmp_path, gpt2):
    data = from_a_file(tmp_path, gpt2, lambda number, answer: [(f"It is {answer}", "stop")])
    run = begin(tmp_path, data)
    for step in (steps.rollout, steps.reference):
        step(run, 1, Silent())
    problems, stage = steps.stage_problems(run, 1), run.stage(1)
    assert not any(one.flags for one in read_records(stage.reference_checks, ReferenceCheck))
    other = build_config(apply_overrides(data, {"grading.answer_format": "boxed"}, "test"))
    before = stage.references.read_bytes()
    assert all(one.flags == ("wrong",) for one in checked_references(stage, problems, other))
    assert stage.references.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"num_samples": 2, "sampling_temperature": 0.0}, "references.num_samples must be 1 at temperature 0"),
        ({"retries": 1, "sampling_temperature": 0.0}, "references.retries must be 0 at temperature 0"),
        ({"retries": 1, "from": "dump.jsonl"}, "references.retries must be 0 with references from a file"),
    ],
)
def test_samples_that_would_all_be_the_same_are_refused(tmp_path, gpt2, changes, match):
    with pytest.raises(ConfigError, match=match):
        build_config(sampled(tmp_path, gpt2, **changes))


def test_a_reference_from_a_file_is_chosen_anew_when_what_chooses_it_changes(tmp_path, gpt2):
    def settings(**changes):
        data = from_a_file(tmp_path, gpt2, lambda number, answer: [("7", "stop")] * 2, **changes)
        return settings_of(build_config(data), Step("reference", 1))

    one, two = settings(), settings(**{"references.num_samples": 2})
    other = settings(**{"references.num_samples": 2, "grading.several_boxes": "must_agree"})
    assert one != two != other
    assert settings(**{"grading.several_boxes": "must_agree"}) == one  # with one there is nothing to choose
