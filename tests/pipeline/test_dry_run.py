"""A dry run shows what would be run: the recipe, every method that it compares, or the one method that is asked for."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import byte_tokenizer, write_model, write_sums

from paced.cli.endings import NO_READER
from paced.errors import ConfigError
from paced.pipeline.cost import estimate_cost
from paced.pipeline.dry_run import LINE_WIDTH, show_dry_run, token_lines
from paced.pipeline.plan.shapes import shape_of
from paced.pipeline.preflight import check_inputs
from paced.problems.prompts import Prompt
from paced.run.config import ReportConfig
from paced.run.configfile import build_config, with_method
from paced.run.model_config import AdapterConfig

METHODS = {
    "equal": {"weights": "uniform", "training.batch_size": 4},
    "asked": {"prompts.student": "Please: {problem}", "training.batch_size": 3},
    "two-stage": {
        "stages": [
            {"divergence": "forward_kl", "share": 0.5},
            {"divergence": "reverse_kl", "along": "rollout", "fresh_rollouts": True, "share": 0.5},
        ]
    },
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dry")
    write_sums(folder / "sums.jsonl")
    return build_config(
        {
            "name": "dry",
            "student": {"path": str(write_model(folder / "model", "gpt2", chat=False))},
            "problems": {"path": str(folder / "sums.jsonl")},
            "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
            "rollouts": {"num_samples": 4, "max_new_tokens": 6},
            "references": {"max_new_tokens": 6},
            "evaluation": {"sampling": {"max_new_tokens": 6}},
            "grading": {"answer_format": "last_number"},
            "training": {"batch_size": 6},
            "methods": METHODS,
        }
    )


def shown(config) -> str:
    lines: list[str] = []
    show_dry_run(config, lines.append)
    return "\n".join(lines)


def parts_of(text: str) -> dict[str, str]:
    """Method -> what is said below its name."""
    return {part.partition("'")[0]: part for part in text.split("method '")[1:]}


def test_a_recipe_with_methods_shows_the_plan_and_the_cost_of_every_one(config):
    parts = parts_of(shown(config))
    assert list(parts) == list(METHODS)
    assert "weights uniform" in parts["equal"]
    assert "3 optimiser steps" in parts["equal"]  # 12 sums by 4
    assert "4 optimiser steps" in parts["asked"]  # 12 sums by 3
    assert "stage 2: reverse_kl along fresh rollouts (50 %)" in parts["two-stage"]


def test_a_method_with_prompts_of_its_own_shows_them_and_the_others_do_not_repeat_theirs(config):
    parts = parts_of(shown(config))
    assert "  | Please: " in parts["asked"]
    assert "first student prompt" not in parts["equal"]
    assert "first teacher prompt" not in parts["asked"]


def test_one_method_shows_its_own_prompts_and_cost_only(config):
    text = shown(with_method(config, "asked"))
    assert "  | Please: " in text
    assert "4 optimiser steps" in text
    assert "method '" not in text


def test_a_lora_student_costs_the_gradients_and_moments_of_its_adapters_and_no_second_teacher(tmp_path, config):
    pytest.importorskip("peft")
    llama = dataclasses.replace(config.student, path=str(write_model(tmp_path / "llama", "llama", chat=False)))
    whole = dataclasses.replace(config, student=llama, methods={})
    lora = dataclasses.replace(whole, student=dataclasses.replace(whole.student, adapter=AdapterConfig(rank=2)))
    inputs = check_inputs(whole)
    of_whole, of_lora = estimate_cost(whole, inputs), estimate_cost(lora, inputs)
    adapters = (of_lora.memory_bytes - 4 * of_whole.student_parameters) / 16
    assert 0 < adapters < 0.2 * of_whole.student_parameters
    assert of_whole.memory_bytes == 20 * of_whole.student_parameters  # weights, gradient, two moments; the teacher
    multiplied = shape_of(llama, who="student").multiplied_parameters
    saved = 2 * (multiplied - 3 * adapters) * of_whole.trained_tokens
    assert of_whole.operations - of_lora.operations == pytest.approx(saved, rel=1e-9)


def test_a_report_of_a_method_that_is_not_compared_is_said_and_shows_the_first(config):
    named = dataclasses.replace(config, report=ReportConfig(method="two-stages"))
    assert "report.method is 'two-stages', which is not compared: the report shows 'equal'" in shown(named)
    assert "report.method" not in shown(dataclasses.replace(config, report=ReportConfig(method="two-stage")))


def test_a_method_that_there_is_not_is_refused_with_those_there_are(config):
    with pytest.raises(ConfigError, match=r"compared methods \(equal, asked, two-stage\), got 'askd'.* 'asked'"):
        with_method(config, "askd")


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["", "2>&1"], ids=["output", "output and notes"])
def test_a_reader_that_goes_away_ends_a_dry_run_quietly(tmp_path, streams):
    """``| head -1`` in a shell: nothing is said, and the exit code is that of other tools in a pipe."""
    recipe = tmp_path / "small.yaml"
    recipe.write_text(
        "name: small\nlab: {num_problems: 8, num_heldout: 5, num_prior: 5}\n"
        'prompts: {student: "{problem}", teacher: "{solution}#{problem}", use_chat_template: false}\n'
        "rollouts: {max_new_tokens: 8}\nreferences: {max_new_tokens: 8}\n"
        "evaluation: {sampling: {max_new_tokens: 8}}\n"
        "methods: {equal: {weights: uniform}, paced: {weights: beta}}\n"
    )
    command = (
        f"{sys.executable} -m paced run {recipe} --dry-run --method paced {streams} | true; echo ${{PIPESTATUS[0]}}"
    )
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (str(NO_READER), "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.yaml"]


def test_the_first_prompts_are_shown_as_tokens_and_nothing_in_them_reaches_the_terminal(tmp_path):
    hostile = "\x1b[31mred\u202e \x9b2J of 2+2"
    (tmp_path / "p.jsonl").write_text(json.dumps({"problem": hostile, "answer": "4", "solution": "4"}) + "\n")
    chat = build_config(
        {
            "name": "dry",
            "student": {"path": str(write_model(tmp_path / "model", "qwen2", chat=True, num_positions=256))},
            "problems": {"path": str(tmp_path / "p.jsonl")},
            "rollouts": {"max_new_tokens": 6},
            "references": {"max_new_tokens": 6},
            "evaluation": {"sampling": {"max_new_tokens": 6}},
        }
    )
    text = shown(chat)
    assert "  > 1 «<|user|>»  219 '\\x1b'  62 '['  22 '3'" in text
    assert text.count("«<|assistant|>»") == 2  # student and teacher
    assert "\\x1b[31mred\\u202e \\x9b2J" in text
    assert all(one.isprintable() for line in text.split("\n") for one in line)


def test_a_long_prompt_is_shown_by_its_ends(tmp_path):
    prompt = Prompt(problem_id="a", text="", token_ids=tuple(range(4, 204)))
    lines = token_lines(prompt, byte_tokenizer(chat=False), chat=False)
    assert "… 40 more …" in " ".join(lines)
    assert max(map(len, lines)) <= LINE_WIDTH
