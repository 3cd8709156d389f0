"""A run of seconds: twelve additions, a model of random weights, one stage; and its files, to compare runs by."""

from __future__ import annotations

from pathlib import Path

from tiny_models import write_sums

from paced.run.configfile import build_config
from paced.run.folder import RunFolder

DIFFERS = {"timings.jsonl", "environment.json", ".lock", ".lock-holder.json"}
"""Files that say when and where a run ran; which checkpoints are kept depends on when a stop was asked for."""


def recipe(tmp_path, model, **changes):
    write_sums(tmp_path / "sums.jsonl")
    write_sums(tmp_path / "heldout.jsonl", 5, first=20)
    return {
        "name": "tiny",
        "student": {"path": str(model)},
        "problems": {"path": str(tmp_path / "sums.jsonl")},
        "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
        "rollouts": {"num_samples": 4, "max_new_tokens": 6, "engine": {"name": "hf", "parameters": {"max_rows": 16}}},
        "references": {"num_samples": 1, "sampling_temperature": 0.0, "max_new_tokens": 6},
        "grading": {"answer_format": "last_number"},
        "weights": "uniform",
        "training": {"batch_size": 4, "learning_rate": 1e-3},
        "evaluation": {
            "sets": [{"name": "heldout", "path": str(tmp_path / "heldout.jsonl")}],
            "sampling": {"num_samples": 2, "max_new_tokens": 6, "sampling_temperature": 0.6, "top_p": 0.95},
        },
    } | changes


def begin(tmp_path, data):
    run = RunFolder(tmp_path / "runs" / "tiny")
    run.claim(build_config(data))
    return run


def contents(root):
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in sorted(Path(root).rglob("*"))
        if file.is_file() and file.name not in DIFFERS and "checkpoints" not in file.parts
    }
