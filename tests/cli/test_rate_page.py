"""docs/rate.md: every command and every line of Python on the page runs as it is written, on a model of kilobytes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from digit_model import write_digit_model, write_digit_problems
from scipy.stats import binom

from paced.cli import app
from paced.records import Rollout
from paced.run.config import SamplingConfig
from paced.run.storage import read_records
from paced.weights.table.rated import wilson_interval

PAGE = (Path(__file__).parents[2] / "docs" / "rate.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line) for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CONTEXT = 8192 + 600
"""Room for the paper's limit, at which the model's short answers end long before."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with what the page takes for granted: my-model, problems.jsonl and a dump of another tool."""
    root = tmp_path_factory.mktemp("page")
    write_digit_model(root / "my-model", chat=True, boxed=True, num_positions=CONTEXT)
    write_digit_problems(root / "problems.jsonl")
    return root


@pytest.fixture(scope="module")
def ran(folder):
    """The page read from top to bottom, each command where the one before it ended."""
    codes = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for program, *arguments in COMMANDS:
            assert program == "paced"
            if "--completions" in arguments:
                sampled = read_records(folder / "base.csv.rollouts" / "rollouts.jsonl", Rollout)
                rows = [{"uid": one.problem_id, "response": one.text} for one in sampled]
                Path("dump.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            line = shlex.join([program, *arguments])
            codes[line] = app(arguments, exit_on_error=False, result_action="return_value", print_error=False)
    return codes


@pytest.mark.slow
def test_every_command_on_the_page_succeeds(ran, folder):
    assert len(ran) >= 7
    assert set(ran.values()) == {0}
    for name in ("rates", "weights", "train", "filtered", "screened", "theirs"):
        assert pq.read_table(folder / f"{name}.parquet").num_rows > 0


def test_the_three_commands_give_every_problem_its_weight(ran, folder):
    rows = pq.read_table(folder / "train.parquet").to_pylist()
    weights = {row["problem_id"]: row for row in pq.read_table(folder / "weights.parquet").to_pylist()}
    assert len(rows) == 24
    for row in rows:
        assert row["paced_weight"] == pytest.approx(weights[row["extra_info"]["problem_id"]]["unit_mean_weight"])
        assert row["num_rollouts"] == SamplingConfig().num_samples


def test_the_python_on_the_page_runs(ran, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (program,) = PYTHON
    exec(compile(program, "rate.md", "exec"), {})  # the page of this repository
    assert "written: notebook.parquet" in capsys.readouterr().out
    assert pq.read_table("notebook.parquet")["num_rollouts"].to_pylist() == [4] * 24


def test_the_numbers_on_screening_are_those_of_the_planner():
    from paced.weights.budget.planner import plan_screening

    plans = plan_screening((1.0, 1.0), num_problems=1, num_first=2, num_all=8)
    told = {(plan.policy, plan.weight): f"{plan.efficiency:.3f}" for plan in plans}
    one, screened, naive = (
        told["K = 4 for all", "posterior"], told["screen 2, then 6 more", "posterior"],
        told["screen 2, then 6 more", "naive"],
    )  # fmt: skip
    said = " ".join(PAGE.split())
    assert f"{one} against {screened} with posterior weights, and {naive} for" in said


def coverage(p, first, whole):
    """How often the interval of a problem of pass rate p holds it: K1 rollouts, and K unless these agree."""
    ends = {(s, k): wilson_interval(s, k) for k in (first, whole) for s in range(k + 1)}
    held = {counts: one.low <= p <= one.high for counts, one in ends.items()}
    total = 0.0
    for s in range(first + 1):
        mass = binom.pmf(s, first, p)
        if first == whole or s in (0, first):
            total += mass * held[s, first]
        else:
            more = whole - first
            total += mass * sum(binom.pmf(x, more, p) * held[s + x, whole] for x in range(more + 1))
    return total


def test_the_coverage_of_the_intervals_is_what_the_page_says():
    grid = np.linspace(0.02, 0.98, 97)
    said = " ".join(PAGE.split())
    designs = {(2, 8): (8, 8), (4, 16): (16, 16)}
    told = {design: np.array([coverage(p, *design) for p in grid]) for one in designs.items() for design in one}
    mean, worst = ({design: f"{100 * of(held):.1f}" for design, held in told.items()} for of in (np.mean, np.min))
    assert (
        f"{mean[2, 8]} % on average with `--screen 2,8` and {worst[2, 8]} % at worst (K = 8 for all: {mean[8, 8]} and "
        f"{worst[8, 8]}), but at worst {worst[4, 16]} % with `--screen 4,16` (K = 16 for all: {worst[16, 16]})"
    ) in said
