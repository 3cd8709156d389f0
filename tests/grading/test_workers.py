"""Workers are reused, killed alone, and never make a student's failure of a grader's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from paced.errors import MissingExtraError
from paced.grading import workers as module
from paced.grading.grade import grade_all
from paced.grading.math import Undecided
from paced.grading.workers import Workers
from paced.records import Problem, Rollout
from paced.run.config import GradingConfig

INTEGRAL = Undecided(answer=r"\int_0^1 x\,dx", extracted=r"\frac12")
DIES = "import sys, os, json; print(json.dumps('ready'), flush=True); sys.stdin.readline(); os.abort()"
NO_END = "import sys, json; print(json.dumps('ready'), flush=True); sys.stdin.readline(); sys.stdin.readline()"


def test_a_worker_decides_what_the_rules_do_not_read_and_is_reused():
    with Workers(num_workers=1) as workers:
        first = workers.compare([INTEGRAL])[0]
        again = workers.compare([Undecided(answer=INTEGRAL.answer, extracted=r"\frac13"), INTEGRAL])
    assert first.verdict == "correct"
    assert [one.verdict for one in again] == ["incorrect", "correct"]


@pytest.mark.slow
def test_a_comparison_without_end_is_a_timeout_of_the_grader_and_the_rest_is_graded():
    bomb = Undecided(answer="5", extracted=r"3^{3^{20}}-1+\int_0^1 x\,dx")
    with Workers(num_workers=1) as workers:
        verdicts = [one.verdict for one in workers.compare([bomb, INTEGRAL])]
    assert verdicts == ["grader_timeout", "correct"]


def test_a_process_that_crashes_is_an_error_of_the_grader():
    with Workers(num_workers=1, command=[sys.executable, "-c", DIES]) as workers:
        outcome = workers.compare([INTEGRAL])[0]
    assert (outcome.verdict, outcome.reason) == ("grader_error", "math-verify's process ended with -6.")


def test_a_process_that_is_silent_is_killed_by_the_wall_clock(monkeypatch):
    monkeypatch.setattr(module, "WALL_SECONDS", 0.5)
    with Workers(num_workers=1, command=[sys.executable, "-c", NO_END]) as workers:
        assert workers.compare([INTEGRAL])[0].verdict == "grader_timeout"


def test_no_process_starts_for_answers_that_the_rules_decide(monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    task = Problem(problem_id="a", problem="?", answer=r"\frac{1}{2}", answer_type="math")
    said = Rollout(problem_id="a", sample_index=0, token_ids=(1,), text="0.5", finish_reason="stop", seed=1)
    assert grade_all([task], [said], GradingConfig())[0].verdict == "correct"


def test_a_missing_extra_is_refused_before_anything_is_graded(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    task = Problem(problem_id="a", problem="?", answer="1/2", answer_type="math")
    said = Rollout(problem_id="a", sample_index=0, token_ids=(1,), text="1/2", finish_reason="stop", seed=1)
    with pytest.raises(MissingExtraError, match=r'pip install "paced\[grade\]"'):
        grade_all([task], [said], GradingConfig())


def test_types_without_mathematics_load_neither_sympy_nor_flint():
    script = (
        "import sys\nfrom paced.grading.grade import grade_all\nfrom paced.records import Problem, Rollout\n"
        "from paced.run.config import GradingConfig\n"
        "task = Problem(problem_id='a', problem='?', answer='5', answer_type='integer')\n"
        "said = Rollout(problem_id='a', sample_index=0, token_ids=(1,), text='5', finish_reason='stop', seed=1)\n"
        "assert grade_all([task], [said], GradingConfig())[0].verdict == 'correct'\n"
        "print(sorted({'sympy', 'flint', 'math_verify', 'mpmath'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
