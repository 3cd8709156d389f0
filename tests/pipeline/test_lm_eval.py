"""lm-eval in a process of its own: scores of each document, forgetting with its interval, failures with their reason.

The tests that start lm-eval need it in this interpreter or in the one that PACED_EVAL_PYTHON names.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from importlib.util import find_spec

import pytest
from tiny_models import write_model, write_sums

from paced.analysis.report.lm_eval import lm_eval_section
from paced.analysis.results.lm_eval import lm_eval_table, parts
from paced.errors import ConfigError, RunFolderError
from paced.pipeline.held import student_contents
from paced.pipeline.lm_eval import LmEvalSettings, interpreter, measure_tasks, read_scores
from paced.records import DocumentScore
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.storage import read_json, read_parquet, write_json, write_parquet

needs_lm_eval = pytest.mark.skipif(
    find_spec("lm_eval") is None and "PACED_EVAL_PYTHON" not in os.environ,
    reason="needs lm-eval: pip install 'paced[eval]', or PACED_EVAL_PYTHON with an interpreter that has it",
)
patient = pytest.mark.timeout(3600)
"""Starting lm-eval takes half a minute of one CPU, and on a busy machine many times that."""
FACTS = {"lm_eval_version": "0.4.13", "versions": {"sums": 1}, "n_shot": {"sums": 0}, "chat_template_sha": None}


@pytest.fixture
def run(tmp_path):
    model = write_model(tmp_path / "llama", "llama", chat=True)
    write_sums(tmp_path / "sums.jsonl", 4)
    folder = RunFolder(tmp_path / "run")
    folder.claim(
        build_config(
            {"name": "run", "student": {"path": str(model)}, "problems": {"path": str(tmp_path / "sums.jsonl")}}
        )
    )
    return folder


@pytest.fixture
def tasks(tmp_path):
    """A folder with a group of two tasks in the shape of MMLU: five and four questions with four options."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, count in (("sums", 5), ("facts", 4)):
        rows = [{"question": f"{name} {k} + 1?", "choices": [str(k + d) for d in range(4)], "answer": 1 + k % 2}
                for k in range(count)]  # fmt: skip
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = {
            "task": f"small_{name}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / f"{name}.jsonl")}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\n"
            "Answer:",
            "doc_to_choice": ["A", "B", "C", "D"],
            "doc_to_target": "answer",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
        (folder / f"{name}.yaml").write_text(json.dumps(task))  # YAML holds JSON
    metric = {"metric": "acc", "weight_by_size": True}
    group = {"group": "small", "task": ["small_sums", "small_facts"], "aggregate_metric_list": [metric]}
    (folder / "small.yaml").write_text(json.dumps(group))
    return folder


@needs_lm_eval
@patient
@pytest.mark.slow
def test_an_mmlu_shaped_task_runs_offline_and_agrees_with_what_lm_eval_says(run, tasks, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    settings = LmEvalSettings(tasks=("small",), include_path=str(tasks))
    scores = read_parquet(measure_tasks(run, "base", settings, Silent()), DocumentScore)
    assert {(row.task, row.metric) for row in scores} == {("small_sums", "acc"), ("small_facts", "acc")}
    said = read_json(run.lm_eval("base").with_name("base-results.json"))["results"]["small"]
    assert sum(row.score for row in scores) / 9 == pytest.approx(said["acc,none"])
    shutil.copytree(run.config().student.path, run.stage(1).student)  # a student that has learnt nothing
    monkeypatch.setattr("paced.pipeline.lm_eval.student_contents", lambda run, entering: {"student": str(entering)})
    measure_tasks(run, "final", settings, Silent())
    table = lm_eval_table(run)
    assert table["task"] == ["small", "small_facts", "small_sums"]
    assert table["documents"] == ["9", "4", "5"]
    assert [cell.split()[0] for cell in table["forgetting"]] == ["+0.0"] * 3
    monkeypatch.setenv("PACED_EVAL_PYTHON", "/nowhere")
    measure_tasks(run, "final", settings, Silent())  # what was measured is not measured again


@needs_lm_eval
@patient
@pytest.mark.slow
def test_a_task_that_lm_eval_does_not_know_is_told_in_its_own_words(run):
    with pytest.raises(ConfigError, match=r"ended with code 1 \(.*no_such_task"):
        measure_tasks(run, "base", LmEvalSettings(tasks=("no_such_task",)), Silent())
    assert not run.lm_eval("base").exists()


def test_a_process_that_fails_is_told_with_its_last_line(run):
    program = run.root.parent / "broken"
    program.write_text("#!/bin/sh\necho first\necho no such luck >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(ConfigError, match=r"ended with code 3 \(no such luck\)"):
        measure_tasks(run, "base", LmEvalSettings(), Silent(), python=str(program))


def test_compared_methods_take_the_scores_of_the_student_that_they_share(run):
    settings = LmEvalSettings(tasks=("all",))
    store(run, "base", [1, 0], settings=json.loads(json.dumps(dataclasses.asdict(settings))),
          read=student_contents(run, 1))  # fmt: skip
    write_json(run.lm_eval("base").with_name("base-results.json"), {})
    method = run.method("one")
    method.claim(run.config())
    shared = measure_tasks(method, "base", settings, Silent(), python="/nowhere")
    assert shared == method.lm_eval("base")
    assert shared.read_bytes() == run.lm_eval("base").read_bytes()
    with pytest.raises(ConfigError, match="must be a program"):
        measure_tasks(method, "base", LmEvalSettings(tasks=("other",)), Silent(), python="/nowhere")


def test_forgetting_is_base_minus_after_paired_by_document(run):
    store(run, "base", [1, 1, 1, 0])
    store(run, "final", [0, 1, 0, 0])
    table = lm_eval_table(run)
    assert table["task"] == ["all", "sums"]
    assert table["forgetting"][0].startswith("+50.0 [")
    section = lm_eval_section(run)
    assert section.tables[0][1] == table
    assert "0 examples in the prompt, without chat template" in section.prose[0]


def test_students_measured_in_different_ways_are_not_compared(run):
    store(run, "base", [1, 0])
    store(run, "final", [1, 0], n_shot={"sums": 5})
    with pytest.raises(RunFolderError, match="measured with other n_shot"):
        lm_eval_table(run)


def test_a_run_without_these_tasks_names_the_command(run):
    assert "paced lm-eval" in lm_eval_section(run).missing[0]


def test_of_several_filters_the_first_counts_and_each_document_once(tmp_path):
    file = tmp_path / "samples_gsm8k_2026-01-01T00-00-00.000001.jsonl"
    lines = [
        {"doc_id": 0, "doc_hash": "ab" * 32, "filter": one, "metrics": ["exact_match"], "exact_match": score}
        for one, score in (("strict", 0.0), ("flexible", 1.0))
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (row,) = read_scores(file)
    assert (row.task, row.metric, row.score) == ("gsm8k", "exact_match", 0.0)
    with pytest.raises(ConfigError, match=r"number in \[0, 1\], got acc=None. Choose with --metric among: exact_match"):
        list(read_scores(file, "acc"))


@pytest.mark.parametrize("task", ["", "--model", "a b", "../x", "a;b"])
def test_a_task_name_cannot_be_an_option_or_a_path(task):
    with pytest.raises(ConfigError, match="a task must be a name like mmlu"):
        LmEvalSettings(tasks=(task,))


def test_a_group_has_the_tasks_of_the_groups_below_it_and_survives_a_circle():
    groups = {"mmlu": ["stem", "other"], "stem": ["a", "b"], "other": ["c", "mmlu"]}
    assert parts(["a", "b", "c"], groups)["stem"] == ["a", "b"]
    assert parts(["a", "b", "c"], groups)["mmlu"] == ["a", "b", "c"]


def test_the_interpreter_is_the_one_that_is_named(monkeypatch):
    monkeypatch.setenv("PACED_EVAL_PYTHON", sys.executable)
    assert interpreter() == sys.executable
    with pytest.raises(ConfigError, match="must be a program, got '/nowhere'"):
        interpreter("/nowhere")


def store(run, checkpoint, scores, **facts):
    rows = [
        DocumentScore(task="sums", document=f"{k}-x", metric="acc", score=float(score))
        for k, score in enumerate(scores)
    ]
    file = run.lm_eval(checkpoint)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(file, rows, DocumentScore)
    settings = {"tasks": ["all"], "num_fewshot": None, "include_path": "", "limit": 0, "apply_chat_template": False}
    write_json(file.with_suffix(".json"), {"settings": settings, **FACTS, "groups": {"all": ["sums"]}} | facts)
