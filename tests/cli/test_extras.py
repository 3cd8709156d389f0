"""Every command in an environment that has one extra: it works, or says in one sentence which extra it needs.

``make test-extras`` makes an environment from the wheel for one extra after the other and gives its name in PACED_EXTRA
and its interpreter in PACED_EXTRA_PYTHON; without them only the first three tests run. The commands are those of the
application: one that is new fails here until it has a case. Each works on what the commands before it have written.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from digit_model import write_digit_model, write_digit_problems

from paced.cli.commandpage import commands
from paced.cli.extras import EXTRAS
from paced.pipeline.doctor import DEVELOPMENT

ROOT = Path(__file__).parents[2]
EXTRA, PYTHON = os.environ.get("PACED_EXTRA", ""), os.environ.get("PACED_EXTRA_PYTHON", "")
PROJECT_EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OUTCOMES: dict[str, str] = {}

in_environment = pytest.mark.skipif(not PYTHON, reason="needs PACED_EXTRA_PYTHON, which `make test-extras` sets")


@dataclass(frozen=True)
class Case:
    """One command on a small real input."""

    line: str
    needs: tuple[str, ...] = ()
    """Extras without which it may refuse."""
    says: str = ""
    """Where it cannot end well on any machine of a test, the sentence in which it ends."""

    @property
    def command(self) -> str:
        """Its name, of one word or two."""
        first, second, *_ = [*self.line.split(), ""]
        return f"{first} {second}" if f"{first} {second}" in commands() else first


TRAIN, PRIMED = ("train",), "--root primed"  # primed/tiny was finished by the interpreter of these tests
AT_ONCE = "recipe.yaml --root"
CASES = [
    Case("doctor"), Case("recipes list"), Case("recipes copy quickstart"),
    Case("fit rates.csv"), Case("fit rates.csv --json - --no-figure"), Case("weigh rates.csv -o weights.csv"),
    Case("power rates.csv --gain 0.1"),
    Case("export rates.csv --problems problems.jsonl --to trl -o train.parquet"),
    Case("data inspect problems.jsonl --answer-format last_number"),
    Case("data inspect formulas.jsonl", ("grade",)),
    Case("data overlap problems.jsonl heldout.jsonl"), Case("data split problems.jsonl -o parts"),
    Case(f"data fetch owner/name@{'0' * 40} -o set.parquet --split test", ("hub",), says="cannot be fetched"),
    Case("rate problems.jsonl --completions said.csv --answer-format last_number -o said-rates.csv"),
    Case("rate formulas.jsonl --completions formulas.csv -o formula-rates.csv", ("grade",)),
    Case("rate problems.jsonl --model model --answer-format last_number --max-new-tokens 4 --no-chat-template -k 2 "
         "-o model-rates.csv", TRAIN),
    Case("verify --list", ("verify",)), Case("verify --explain thm6", ("verify",)),
    Case("verify --claim thm6 --strict", ("verify",)), Case("verify --claim thm6 --html theory.html", ("verify",)),
    Case("report primed/tiny", ("report",)), Case("power primed/tiny --gain 0.1"),
    Case("plan recipe.yaml --gpus 1 --device cpu", TRAIN), Case("run recipe.yaml --dry-run", TRAIN),
    Case("export-tasks recipe.yaml -o tasks-of-run", TRAIN),
    Case("rollout recipe.yaml --root steps", TRAIN), Case("grade steps/tiny", TRAIN),
    Case("weigh recipe.yaml --root steps", TRAIN),
    Case("reference steps/tiny", TRAIN), Case("distill steps/tiny", TRAIN), Case("evaluate steps/tiny", TRAIN),
    Case("snr steps/tiny --num-samples 8 --per-bin 4", TRAIN), Case("anatomy steps/tiny", TRAIN),
    Case("run recipe.yaml --root whole", TRAIN),
    Case("lm-eval steps/tiny --task small --include-path tasks --checkpoint base", ("train", "eval")),
    Case("rollout recipe.yaml --root ray "
         'rollouts.engine={"name":"ray","parameters":{"engine":"hf"}}', ("train", "ray")),
    Case("rollout recipe.yaml --root server "
         'rollouts.engine={"name":"server","parameters":{"base_urls":["http://127.0.0.1:9"],"attempts":1}}',
         ("train", "server"), says="none of base_urls can be used"),
    Case("rollout recipe.yaml --root vllm rollouts.engine=vllm", ("train", "vllm")),
    Case("run recipe.yaml --root trl training.backend=trl", ("train", "trl")),
    Case("run recipe.yaml --root trainer training.backend=transformers", TRAIN),
    Case("run recipe.yaml --root lora student.adapter={\"rank\":2}", ("train", "lora")),
]  # fmt: skip


def included(extra: str) -> set[str]:
    """An extra and those that it brings along."""
    names = {name for line in PROJECT_EXTRAS.get(extra, ()) for name in re.findall(r"paced\[(.*?)\]", line)}
    return {extra}.union(*(included(name) for one in names for name in one.split(",")))


def test_every_command_has_a_case_in_the_matrix_of_extras():
    assert {case.command for case in CASES} == set(commands())


def test_the_table_of_extras_names_those_of_the_project_that_a_command_needs():
    assert set(EXTRAS) == set(PROJECT_EXTRAS) - DEVELOPMENT
    assert {extra for case in CASES for extra in case.needs} <= set(EXTRAS)


def test_a_page_of_a_run_needs_no_torch():
    program = "import sys; sys.modules['torch'] = None; import paced.analysis.report.report, paced.pipeline.open"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def run(python: str, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PACED_TRACEBACK"}}
    environment |= {"PACED_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    if python == sys.executable:
        environment["PYTHONPATH"] = str(ROOT)
    command = [python, "-m", "paced", *line.split()]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Problems, tables, a model, a recipe, a finished run and a task of lm-eval, as a user would bring them."""
    folder = tmp_path_factory.mktemp("user")
    write_digit_model(folder / "model")
    rows = map(json.loads, write_digit_problems(folder / "all.jsonl", 32).read_text().splitlines())
    lines = [json.dumps(row | {"solution": row["answer"]}) + "\n" for row in rows]
    (folder / "problems.jsonl").write_text("".join(lines[:24]))
    (folder / "heldout.jsonl").write_text("".join(lines[24:]))
    formula = {"problem_id": "f", "problem": "What is half of x?", "answer": "\\frac{x}{2}"}
    (folder / "formulas.jsonl").write_text(json.dumps(formula) + "\n")
    (folder / "formulas.csv").write_text("problem_id,text\nf,\\boxed{x/2}\n")
    counts = "".join(f"q{number},{number % 9},8\n" for number in range(24))
    (folder / "rates.csv").write_text("problem_id,num_passed,num_rollouts\n" + counts)
    said = "".join(f"q{number},it is {number % 7}\n" for number in range(24) for _ in range(2))
    (folder / "said.csv").write_text("problem_id,text\n" + said)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    (folder / "tasks").mkdir()
    rows = [{"question": f"{number} + 1?", "choices": [str(number), str(number + 1)]} for number in range(4)]
    (folder / "tasks" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "tasks" / "small.yaml").write_text(yaml.safe_dump(TASK | {"dataset_kwargs": {"data_files": {
        "test": str(folder / "tasks" / "rows.jsonl")}}}))  # fmt: skip
    done = run(sys.executable, f"run recipe.yaml {PRIMED}", folder)
    assert done.returncode == 0, done.stderr
    return folder


RECIPE = {
    "name": "tiny",
    "student": {"path": "model"},
    "problems": {"path": "problems.jsonl"},
    "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
    "rollouts": {"num_samples": 4, "max_new_tokens": 4},
    "references": {"num_samples": 1, "max_new_tokens": 4},
    "grading": {"answer_format": "last_number"},
    "training": {"batch_size": 8, "learning_rate": 1e-3},
    "evaluation": {
        "sets": [{"name": "heldout", "path": "heldout.jsonl"}],
        "sampling": {"num_samples": 2, "max_new_tokens": 4},
    },
}
TASK = {
    "task": "small", "dataset_path": "json", "test_split": "test", "output_type": "multiple_choice",
    "doc_to_text": "{{question}}", "doc_to_choice": "choices", "doc_to_target": 1, "metric_list": [{"metric": "acc"}],
}  # fmt: skip


@in_environment
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line[:60])
def test_a_command_works_or_names_the_extra_that_it_needs_in_one_sentence(folder, case):
    done = run(PYTHON, case.line, folder)
    assert "Traceback" not in done.stdout + done.stderr
    named = re.search(r'pip install "paced\[(\w+)\]"', done.stderr)
    if named:
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert named[1] in case.needs, done.stderr
        assert named[1] not in included(EXTRA), f"[{EXTRA}] lacks what its commands need: {done.stderr}"
        OUTCOMES[case.line] = named[1]
    elif case.says:
        *_, last = done.stderr.splitlines()
        assert (done.returncode, done.stderr.count("error:")) == (2, 1), done.stderr
        assert case.says in last, done.stderr
        OUTCOMES[case.line] = ""
    else:
        assert done.returncode == 0, done.stderr
        OUTCOMES[case.line] = ""


@in_environment
def test_the_outcomes_are_written_where_they_are_asked_for():
    assert len(OUTCOMES) == len(CASES)
    if target := os.environ.get("PACED_EXTRA_OUTCOMES"):
        Path(target).write_text(json.dumps(OUTCOMES, indent=1) + "\n", encoding="utf-8")
