"""The training problems as a recipe asks for them: adapter, limit, and bad rows refused or put aside.

In quarantine a gold answer that fails its own grading is a bad row too. What is put aside is written beside the
problems with its reasons; rows in are problems, repeats and bad rows, and ``problems.json`` says how many of each.
Left out: held-out problems. A benchmark that loses rows is another benchmark, so that their bad rows are an error.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from paced.errors import BadRows
from paced.pipeline.preflight_problems import gold_faults
from paced.problems.files import ProblemFile, read_problems
from paced.run.config import GradingConfig, ProblemsConfig
from paced.run.storage import write_atomic, write_json


def read_training_file(config: ProblemsConfig, grading: GradingConfig) -> ProblemFile:
    """Read the training problems of a recipe, or of a call of ``paced rate``.

    Args:
        config: the section ``problems``.
        grading: the section ``grading``; in quarantine each gold must be right by it.

    Raises:
        ConfigError, BadRows: as :func:`paced.problems.files.read_problems`; no problem whose gold passes.
    """
    aside = config.on_bad_row == "quarantine"
    limit = 0 if aside else config.limit  # what is put aside is not among the first
    file = read_problems(config.path, limit=limit, adapter=config.adapter, on_bad_row=config.on_bad_row)
    if not aside:
        return file
    faults = {fault.row: fault for fault in gold_faults(file.problems, grading)}  # row: place among the problems
    wrong = {place - 1: replace(fault, row=file.rows[place - 1]) for place, fault in faults.items()}
    if len(wrong) == len(file.problems):
        raise BadRows(config.path, list(wrong.values()))
    return file.without(wrong).first(config.limit)


def write_reading(file: ProblemFile, counts: Path, bad_rows: Path) -> None:
    """Write what became of the rows: the counts, and those put aside, if any.

    Args:
        file: the problems as they were read.
        counts: JSON file of the counts.
        bad_rows: JSONL file of the rows put aside; absent where there are none.
    """
    write_json(counts, file.counts())
    bad_rows.unlink(missing_ok=True)
    if file.quarantined:
        lines = (json.dumps(one.as_json(), ensure_ascii=False, default=str) for one in file.quarantined)
        write_atomic(bad_rows, "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
