"""The report's first section: what was run, as it was configured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from paced.analysis.page import Section
from paced.pipeline.quarantine import LongPrompt
from paced.records import Problem, Table
from paced.run.config import RunConfig
from paced.run.configfile import with_method
from paced.run.folder import RunFolder, config_text
from paced.run.steprecord import read_all
from paced.run.storage import read_json, read_parquet, read_records


def overview_section(run: RunFolder) -> Section:
    """The models, the optimiser, each method's settings, the whole configuration and the versions."""
    config = run.config()
    prose = [
        f"Student {Path(config.student.path).name or 'not set'}; teacher "
        + (Path(config.teacher.path).name if config.teacher.path else "the initial student with the expert solution")
        + f". Batches of {config.training.batch_size}, AdamW at {config.training.learning_rate:g}, "
        f"clip {config.training.clip_norm:g}, unless a method says otherwise."
    ]
    prose += [
        f"{record.step.label} was taken from {record.taken_from['path']} (SHA-256 {record.taken_from['sha256']}"
        + "".join(f"; {role}: {column}" for role, column in record.taken_from["columns"].items())
        + ")."
        for folder in (run, *run.methods().values())
        for record in read_all(folder)
        if record.taken_from
    ]
    prose = list(dict.fromkeys([*prose, *_left_out(run)]))
    details = [("Resolved configuration", config_text(run.written_config()))]
    if run.environment.exists():
        versions = read_json(run.environment)["versions"]
        details.append(("Versions", "\n".join(f"{name} {version}" for name, version in versions.items())))
    return Section(
        title="What was run", prose=tuple(prose), tables=(("Methods", _methods(config)),), details=tuple(details)
    )


def _left_out(run: RunFolder) -> list[str]:
    """A sentence on the problems in quarantine, where there are some."""
    long = read_records(run.quarantine, LongPrompt)
    if not long:
        return []
    kept = len(read_parquet(run.problems, Problem)) if run.problems.exists() else 0
    readers = Counter(f"{one.reader}'s prompt over {one.limit:,} tokens" for one in long)
    reasons = ", ".join(f"{count:,} for a {reason}" for reason, count in readers.items())
    return [f"{len(long):,} of {len(long) + kept:,} problems were left out: {reasons} ({run.quarantine.name})."]


def _methods(config: RunConfig) -> Table:
    """One row for each compared method, or one for the run itself: its weights, batches and stages."""
    methods = {name: with_method(config, name) for name in config.methods} or {config.name: config}
    table: dict[str, list[str]] = {key: [] for key in ("method", "weight function", "batching", "stages")}
    for name, one in methods.items():
        table["method"].append(name)
        table["weight function"].append(str(one.weights))
        table["batching"].append(one.training.batching)
        table["stages"].append(" → ".join(map(str, one.stages)))
    return table
