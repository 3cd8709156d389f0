"""Held-out sets as tasks of other harnesses: the same prompts and sampling, and a grader that is not ours."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from tiny_models import write_model, write_sums

from paced.errors import ConfigError
from paced.pipeline.export_tasks import export_tasks
from paced.pipeline.lm_eval import interpreter
from paced.run.configfile import build_config


@pytest.fixture
def config(tmp_path):
    write_sums(tmp_path / "sums.jsonl", 4)
    sets = [
        {"name": "sums", "path": str(tmp_path / "sums.jsonl")},
        {"name": "aime", "path": str(tmp_path / "sums.jsonl"), "preset": "aime"},
    ]
    sampling = {"num_samples": 3, "max_new_tokens": 6, "sampling_temperature": 0.7, "top_p": 0.9}
    return build_config(
        {
            "name": "tiny",
            "student": {"path": str(tmp_path / "llama")},
            "problems": {"path": str(tmp_path / "sums.jsonl")},
            "prompts": {"student": "Solve {problem}", "use_chat_template": False},
            "evaluation": {"sets": sets, "sampling": sampling},
        }
    )


def test_each_set_has_its_prompts_and_its_sampling(config, tmp_path):
    export_tasks(config, tmp_path / "tasks")
    rows = [json.loads(line) for line in (tmp_path / "tasks/sums/test.jsonl").read_text().splitlines()]
    problems = [json.loads(line) for line in (tmp_path / "sums.jsonl").read_text().splitlines()]
    assert [row["prompt"] for row in rows] == [f"Solve {problem['problem']}" for problem in problems]
    assert [row["answer"] for row in rows] == [str(problem["answer"]) for problem in problems]
    sums, aime = ((tmp_path / f"tasks/{name}.yaml").read_text() for name in ("sums", "aime"))
    assert "repeats: 3" in sums
    assert "max_gen_toks: 6" in sums
    assert "repeats: 8" in aime
    assert "max_gen_toks: 30000" in aime
    assert "--tasks tiny_sums tiny_aime" in (tmp_path / "tasks/README.md").read_text()


def test_the_file_for_lighteval_is_python_with_one_task_a_set(config, tmp_path):
    export_tasks(config, tmp_path / "tasks")
    tree = ast.parse((tmp_path / "tasks/lighteval_tasks.py").read_text())
    table = next(
        node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "TASKS_TABLE"
    )
    assert [tuple(argument.value for argument in call.args) for call in table.elts] == [
        ("tiny_sums", "sums", 3, 6),
        ("tiny_aime", "aime", 8, 30000),
    ]


def test_the_grader_is_math_verify_on_the_last_box(config, tmp_path):
    pytest.importorskip("math_verify")
    export_tasks(config, tmp_path / "tasks")
    samples = ["so \\boxed{1/2}", "it is 1/2", "<think>\\boxed{1/2}</think> \\boxed{3}", "\\boxed{0.5}"]
    code = f"from math_answers import mean_at_k; print(mean_at_k({{'answer': '1/2'}}, [{samples!r}])['mean_at_k'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "tasks", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0.5"


def test_a_recipe_without_held_out_sets_has_nothing_to_write(config, tmp_path):
    bare = dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, sets=()))
    with pytest.raises(ConfigError, match="has no held-out set to write as a task"):
        export_tasks(bare, tmp_path / "tasks")


@pytest.mark.slow
@pytest.mark.timeout(3600)  # as in test_lm_eval.py
@pytest.mark.skipif(
    find_spec("lm_eval") is None and "PACED_EVAL_PYTHON" not in os.environ,
    reason="needs lm-eval: pip install 'paced[eval]', or PACED_EVAL_PYTHON with an interpreter that has it",
)
def test_lm_eval_runs_the_exported_task(config, tmp_path):
    model = write_model(tmp_path / "llama", "llama", chat=True)
    export_tasks(config, tmp_path / "tasks")
    command = [
        interpreter(),
        "-m",
        "lm_eval",
        "run",
        "--model",
        "hf",
        "--model_args",
        f"pretrained={model},dtype=float32",
    ]
    command += ["--tasks", "tiny_sums", "--include_path", str(tmp_path / "tasks"), "--device", "cpu"]
    command += ["--output_path", str(tmp_path / "out"), "--log_samples"]
    environment = os.environ | {"HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (samples,) = (tmp_path / "out").rglob("samples_tiny_sums_*.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert [len(line["resps"][0]) for line in lines] == [3] * 4
    assert all(0 <= line["mean_at_k"] <= 1 for line in lines)
