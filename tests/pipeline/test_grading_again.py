"""Grading again samples nothing, says what it changed, and can be asked for its reasons."""

from __future__ import annotations

import pytest
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.cli.steps import grade as grade_command
from paced.errors import ConfigError
from paced.pipeline import steps
from paced.pipeline.explain import explain_grades
from paced.pipeline.open import open_run
from paced.records import Grade
from paced.run.progress import Silent
from paced.run.storage import read_records


class Notes(Silent):
    def __init__(self):
        self.told = []

    def note(self, text):
        self.told.append(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("again")
    data = recipe(folder, write_model(folder / "gpt2", "gpt2", chat=False))
    run = begin(folder, data)
    steps.rollout(run, 1, Silent())
    steps.grade(run, 1, Silent())
    return run


def test_other_settings_of_grading_sample_nothing_and_say_how_many_verdicts_changed(run):
    rollouts, before = run.stage(1).rollouts.read_bytes(), read_records(run.stage(1).grades, Grade)
    settings = {"last_number": "digits", "digits": "last_number"}[run.config().grading.answer_format.name]
    again = open_run(run.root, (f"grading.answer_format={settings}",), progress=Silent())
    notes = Notes()
    steps.grade(again, 1, notes)
    after = read_records(run.stage(1).grades, Grade)
    changed = sum(old.verdict != new.verdict for old, new in zip(before, after, strict=True))
    assert any(f"graded again, {changed} of {len(after)} verdicts changed" in note for note in notes.told)
    assert run.stage(1).rollouts.read_bytes() == rollouts
    assert not run.stage(1).earlier_grades.exists()


def test_explain_shows_every_rung_of_each_completion_and_writes_nothing(run, capsys):
    problem = steps.stage_problems(run, 1)[0].problem_id
    grades = {one.sample_index: one for one in read_records(run.stage(1).grades, Grade) if one.problem_id == problem}
    before = run.stage(1).grades.read_bytes()
    assert grade_command(run.root, explain=problem) == 0
    told = capsys.readouterr().out
    for index, grade in grades.items():
        assert f"{problem} sample {index}" in told
        assert f"verdict    {grade.verdict}. " in told
    assert "finish     " in told
    assert run.stage(1).grades.read_bytes() == before


def test_explain_refuses_a_problem_that_the_stage_does_not_have(run):
    with pytest.raises(ConfigError, match="must have the problem that --explain names, got 'nobody'"):
        explain_grades(run, 1, "nobody")
