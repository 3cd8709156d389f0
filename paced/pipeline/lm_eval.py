"""MMLU, and any other task of lm-eval, on the base and the trained student, in a process of its own.

lm-eval brings 150 MB of packages and their pins, so it is not imported: another interpreter may have it. What it gives
is kept as one score of each document, so that forgetting is base minus after, paired by document, with an interval;
lm-eval's own results stay beside it. Left out: tasks named in a recipe. A task file may hold Python, which is the
user's to start on the command line.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.errors import ConfigError, MissingExtraError
from paced.installed import is_installed
from paced.models.loading import locate, pick_device, student_model
from paced.pipeline.evaluate import Checkpoint
from paced.pipeline.held import student_contents
from paced.records import DocumentScore
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.signals import stop_if_requested
from paced.run.storage import read_json, read_lines, write_json, write_parquet

PYTHON_VARIABLE = "PACED_EVAL_PYTHON"
"""Names the interpreter that has lm-eval where this one has not."""
TASK_NAME = r"[A-Za-z0-9][A-Za-z0-9_.,+-]*"
"""What a task may be called; a name that begins with a hyphen would be an option of lm-eval."""


@dataclass(frozen=True, kw_only=True)
class LmEvalSettings:
    """What lm-eval is asked; scores of other settings are not compared."""

    tasks: tuple[str, ...] = ("mmlu",)
    """Tasks and groups by lm-eval's names."""
    num_fewshot: int | None = None
    """Examples in the prompt; None for each task's own number. MMLU is published with 5 and with 0."""
    include_path: str = ""
    """Folder with task files of one's own; empty for lm-eval's."""
    limit: int = 0
    """The first documents of each task only; 0 for all."""
    apply_chat_template: bool = False
    """Send the prompt as a chat message."""
    metric: str = ""
    """Score of a document that counts; the task's first one unless given."""

    def __post_init__(self) -> None:
        wrong = [task for task in self.tasks if not re.fullmatch(TASK_NAME, task)]
        if wrong or not self.tasks:
            raise ConfigError(
                f"lm-eval: a task must be a name like mmlu, got {', '.join(map(repr, wrong)) or 'none'}. "
                "See them with: lm-eval ls tasks."
            )
        if self.include_path and not Path(self.include_path).is_dir():
            raise ConfigError(f"lm-eval: include_path must be a folder with task files, got {self.include_path!r}.")


def measure_tasks(
    run: RunFolder,
    checkpoint: Checkpoint,
    settings: LmEvalSettings,
    progress: Progress,
    *,
    python: str = "",
    batch_size: str = "1",
) -> Path:
    """Score the tasks by the student before or after training, and keep one score of each document.

    Args:
        run: the run.
        checkpoint: base or final.
        settings: what lm-eval is asked.
        progress: where notes are shown.
        python: interpreter that has lm-eval; empty for ``$PACED_EVAL_PYTHON``, or this one.
        batch_size: as lm-eval takes it: a number, or auto.

    Returns: the file of scores, ``eval/lm-eval/<checkpoint>.parquet``; those of the same settings and student are kept.

    Raises:
        ConfigError: ``final`` before the last stage has been trained, or lm-eval failed; its last words are quoted.
        MissingExtraError: no interpreter has lm-eval.
        StopRequested: a signal came; the tasks begin anew with the next call.
    """
    config = run.config()
    entering = 1 if checkpoint == "base" else len(config.stages) + 1
    model = student_model(run, config, stage_number=entering)
    asked = {"settings": json.loads(json.dumps(dataclasses.asdict(settings))), "read": student_contents(run, entering)}
    scores, record = run.lm_eval(checkpoint), run.lm_eval(checkpoint).with_suffix(".json")
    if _holds(scores, asked):
        return scores
    shared = run.whole.lm_eval(checkpoint)
    if _holds(shared, asked):  # compared methods begin with the same student
        scores.parent.mkdir(parents=True, exist_ok=True)
        for file in (shared, shared.with_name(f"{checkpoint}-results.json"), shared.with_suffix(".json")):
            shutil.copyfile(file, scores.parent / file.name)
        return scores
    program = interpreter(python)
    with tempfile.TemporaryDirectory(prefix="paced-lm-eval-") as temporary:
        output = Path(temporary)
        command = [program, "-m", "lm_eval", "run", *_arguments(settings, locate(model), config.student.dtype)]
        command += ["--batch_size", batch_size, "--device", str(pick_device()), "--output_path", str(output)]
        progress.note(f"lm-eval of the {checkpoint} student on {', '.join(settings.tasks)}")
        _run(command, scores.with_name(f"{checkpoint}-log.txt"))
        results = next(output.rglob("results_*.json"), None)
        if results is None:
            raise ConfigError(
                f"lm-eval: wrote no results. Its output is in {scores.with_name(f'{checkpoint}-log.txt')}."
            )
        summary = read_json(results)
        rows = [row for file in sorted(output.rglob("samples_*.jsonl")) for row in read_scores(file, settings.metric)]
        shutil.copyfile(results, scores.with_name(f"{checkpoint}-results.json"))
    write_parquet(scores, rows, DocumentScore)
    write_json(record, asked | facts_of(summary))
    return scores


def interpreter(python: str = "") -> str:
    """The interpreter that has lm-eval.

    Raises:
        ConfigError: the one that is named is not a program.
        MissingExtraError: none is named, and this one has no lm-eval.
    """
    chosen = python or os.environ.get(PYTHON_VARIABLE, "")
    if not chosen:
        if not is_installed("lm_eval"):
            raise MissingExtraError(f"paced lm-eval (or --python, or {PYTHON_VARIABLE})", "lm_eval", "eval")
        return sys.executable
    program = shutil.which(chosen)
    if program is None:
        raise ConfigError(f"lm-eval: the interpreter must be a program, got {chosen!r}. Give another --python.")
    return program


def read_scores(file: Path, metric: str = "") -> Iterator[DocumentScore]:
    """The score of each document in lm-eval's ``samples_<task>_<date>.jsonl``.

    Args:
        file: one task's samples; of several filters the first counts.
        metric: which score; empty for the first that the task lists.

    Raises:
        ConfigError: a document has no such score, or one that is not a number in [0, 1].
    """
    task = file.stem.removeprefix("samples_").rsplit("_", 1)[0]
    first_filter = None
    for line in read_lines(file):
        first_filter = first_filter or line["filter"]
        if line["filter"] != first_filter:
            continue
        name = metric or line["metrics"][0]
        score = line.get(name)
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
            raise ConfigError(
                f"lm-eval: '{task}' must score each document by a number in [0, 1], got {name}={score!r}. "
                f"Choose with --metric among: {', '.join(line['metrics'])}."
            )
        document = f"{line['doc_id']}-{line['doc_hash'][:16]}"
        yield DocumentScore(task=task, document=document, metric=name, score=float(score))


def facts_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What of lm-eval's results must be the same for two students to be compared, and the groups of tasks."""
    return {
        "lm_eval_version": summary.get("lm_eval_version"),
        "versions": summary.get("versions", {}),
        "n_shot": summary.get("n-shot", {}),
        "chat_template_sha": summary.get("chat_template_sha"),
        "groups": summary.get("group_subtasks", {}),
    }


def _holds(scores: Path, asked: Mapping[str, Any]) -> bool:
    """Whether these scores are there, and answer what is asked."""
    record = scores.with_suffix(".json")
    if not (scores.exists() and record.exists()):
        return False
    written = read_json(record)
    return all(written.get(key) == value for key, value in asked.items())


def _arguments(settings: LmEvalSettings, model: str, dtype: str) -> list[str]:
    arguments = ["--model", "hf", "--model_args", json.dumps({"pretrained": model, "dtype": dtype})]
    arguments += ["--tasks", *settings.tasks, "--log_samples"]
    if settings.num_fewshot is not None:
        arguments += ["--num_fewshot", str(settings.num_fewshot)]
    if settings.include_path:
        arguments += ["--include_path", str(Path(settings.include_path).resolve())]
    if settings.limit:
        arguments += ["--limit", str(settings.limit)]
    return [*arguments, *(["--apply_chat_template"] if settings.apply_chat_template else [])]


def _run(command: list[str], log: Path) -> None:
    """Run lm-eval with its output in ``log``; a signal ends it, and a failure is told with its last line."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                stop_if_requested()
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
        last = lines[-1] if lines else "it said nothing"
        raise ConfigError(f"lm-eval: ended with code {process.returncode} ({last}). Its whole output is in {log}.")
