"""A prompt over its limit stops a run before it begins, or its problem is left out, named and counted; none is cut."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.errors import ConfigError
from paced.pipeline.preflight import check_inputs
from paced.pipeline.prompts import stage_prompts
from paced.pipeline.quarantine import LongPrompt, left_out, long_prompts, training_problems
from paced.pipeline.steps import stage_problems, take_problems
from paced.problems.files import ProblemFile
from paced.problems.prompts import Prompt
from paced.records import Problem
from paced.rollouts.sampler import make_sampler
from paced.run.config import PromptsConfig, RunConfig
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.storage import read_parquet, read_records


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


def data(tmp_path, gpt2, **prompts):
    """Twelve sums, of which the fourth is long for the student and the sixth for the teacher alone."""
    given = recipe(tmp_path, gpt2)
    rows = [json.loads(line) for line in (tmp_path / "sums.jsonl").read_text().splitlines()]
    rows[3]["problem"] += " + 0" * 4
    rows[5]["solution"] += ", since " + "1" * 12
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    limits = {"max_student_tokens": 15, "max_teacher_tokens": 33}
    return given | {"prompts": given["prompts"] | limits | prompts}


def test_a_prompt_over_its_limit_is_named_before_the_run_with_what_to_do(tmp_path, gpt2):
    config = build_config(data(tmp_path, gpt2))
    with pytest.raises(ConfigError, match=r"2 of 12 problems have a prompt.* student 1 \(over 15 tokens\), teacher 1"):
        check_inputs(config)
    check_inputs(dataclasses.replace(config, prompts=dataclasses.replace(config.prompts, max_student_tokens=0,
                                                                         max_teacher_tokens=0)))  # fmt: skip


def test_a_step_alone_refuses_what_no_look_before_it_has_refused(tmp_path, gpt2):
    run = begin(tmp_path, data(tmp_path, gpt2))
    take_problems(run, Silent())
    config = run.config()
    problems = stage_problems(run, 1)
    with (
        make_sampler(config, config.student, reader="student", sampling=config.rollouts) as sampler,
        pytest.raises(ConfigError, match=r"max_student_tokens, got 1 longer ones.*too_long=quarantine"),
    ):
        stage_prompts(run, 1, sampler, problems)


def test_a_quarantine_leaves_both_out_says_so_and_the_numbers_add_up(tmp_path, gpt2):
    run = begin(tmp_path, data(tmp_path, gpt2, too_long="quarantine"))
    inputs = check_inputs(run.config())
    assert len(inputs.problems) == len(inputs.student_prompts) == len(inputs.teacher_prompts) == 10
    assert any("2 of 12 problems have a prompt over its limit" in note for note in inputs.notes)
    take_problems(run, Silent())
    absent = read_records(run.quarantine, LongPrompt)
    assert [(one.row, one.reader, one.limit) for one in absent] == [(4, "student", 15), (6, "teacher", 33)]
    kept = read_parquet(run.problems, Problem)
    assert tuple(kept) == inputs.problems == training_problems(run.config())[0].problems
    assert len(kept) + len(absent) == 12
    assert not {one.problem_id for one in kept} & {one.problem_id for one in absent}


def test_a_quarantine_of_every_problem_is_refused(tmp_path, gpt2):
    run = begin(tmp_path, data(tmp_path, gpt2, too_long="quarantine", max_student_tokens=1))
    with pytest.raises(ConfigError, match="no problem is left"):
        take_problems(run, Silent())
    assert not RunFolder(run.root).problems.exists()


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=12), st.integers(0, 8))
def test_rows_in_are_rows_out_and_rows_left_out(lengths, limit):
    problems = tuple(Problem(problem_id=str(i), problem=str(i), answer="1") for i in range(len(lengths)))
    file = ProblemFile(problems=problems, notes=(), rows=tuple(range(2, 2 + len(lengths))))
    prompts = {
        reader: [Prompt(problem_id=str(i), text="", token_ids=(1,) * pair[side]) for i, pair in enumerate(lengths)]
        for side, reader in enumerate(("student", "teacher"))
    }
    config = RunConfig(name="a", prompts=PromptsConfig(max_student_tokens=limit, max_teacher_tokens=limit))
    long = long_prompts(file, prompts, config.prompts)
    over = {str(i) for i, pair in enumerate(lengths) if limit and max(pair) > limit}
    assert {one.problem_id for one in long} == over
    assert len(long) == len(over)
    if len(over) == len(lengths):
        return
    kept, _ = left_out(file, long, "problems.jsonl")
    assert [problem.problem_id for problem in kept.problems] == [
        str(i) for i in range(len(lengths)) if str(i) not in over
    ]
    assert all(file.problems[row - 2] == problem for row, problem in zip(kept.rows, kept.problems, strict=True))
