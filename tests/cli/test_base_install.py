"""Every command in an environment that has the base install only: one sentence, the extra's name, the exit code.

``make test-base`` gives such an environment's interpreter in PACED_BASE_PYTHON; without it the tests skip and say so.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("PACED_BASE_PYTHON", "")
RECIPE = str(ROOT / "recipes" / "quickstart.yaml")

pytestmark = pytest.mark.skipif(not PYTHON, reason="needs PACED_BASE_PYTHON, which `make test-base` sets")

NEEDS_TRAIN = [
    (command, RECIPE) for command in ("run", "rollout", "grade", "reference", "distill", "evaluate", "weigh")
] + [
    ("run", RECIPE, "--dry-run"), ("plan", RECIPE), ("snr", "runs/absent"), ("anatomy", "runs/absent"),
    ("rate", "problems.jsonl", "--model", "model", "-o", "rates.csv"),
]  # fmt: skip
NEEDS_VERIFY = [("verify",), ("verify", "--list"), ("verify", "--claim", "thm6"), ("verify", "--explain", "thm6")]


def paced(*arguments, cwd):
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PACED_TRACEBACK"}}
    return subprocess.run(
        [PYTHON, "-m", "paced", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_environment_has_no_extra(tmp_path):
    program = "from importlib.util import find_spec; print([n for n in ('torch', 'sympy', 'jinja2') if find_spec(n)])"
    assert subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(arguments, "train") for arguments in NEEDS_TRAIN]
    + [(arguments, "verify") for arguments in NEEDS_VERIFY]
    + [(("report", "runs/absent"), "report")],
    ids=lambda value: " ".join(Path(word).name for word in value) if isinstance(value, tuple) else value,
)
def test_a_command_without_its_extra_names_it_in_one_sentence_and_leaves_nothing(tmp_path, arguments, extra):
    done = paced(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f'pip install "paced[{extra}]"' in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_needs_no_model_works_with_the_base_install(tmp_path):
    rows = "".join(f"q{number},{number % 9},8\n" for number in range(60))
    (tmp_path / "rates.csv").write_text("problem_id,num_passed,num_rollouts\n" + rows)
    problems = "".join(f"q{number},what is {number}?,{number}\n" for number in range(60))
    (tmp_path / "problems.csv").write_text("problem_id,problem,answer\n" + problems)
    said = "".join(f"q{number},{number % 7}\n" for number in range(60) for _ in range(2))
    (tmp_path / "dump.csv").write_text("problem_id,text\n" + said)
    set_of = ("--problems", "problems.csv", "-o", "train.parquet", "--to")
    for arguments, words in (
        (("--help",), "rollout"),
        (("--version",), "0."),
        (("fit", "rates.csv"), "figure: rates.fit.png"),
        (("fit", "rates.csv", "--json", "-", "--no-figure"), '"fits"'),
        (("weigh", "rates.csv", "-o", "weights.csv"), "written: weights.csv"),
        (("export", "rates.csv", *set_of, "trl"), "written: train.parquet"),
        (("export", "weights.csv", *set_of, "verl"), "written: train.parquet"),
        (
            ("rate", "problems.csv", "--completions", "dump.csv", "--answer-format", "whole", "-o", "theirs.csv"),
            "written: theirs.csv",
        ),
    ):
        done = paced(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert words in done.stdout
        assert "Traceback" not in done.stderr
