"""The report's section on the tasks of lm-eval: accuracy before and after training, and forgetting."""

from __future__ import annotations

from paced.analysis.page import Section
from paced.analysis.results.comparison import runs_by_method
from paced.analysis.results.lm_eval import lm_eval_table
from paced.records import Table
from paced.run.folder import RunFolder
from paced.run.storage import read_json

CAPTION = "lm-eval, accuracy in per cent, forgetting (base - final) in points, 95 % intervals over documents"


def lm_eval_section(run: RunFolder) -> Section:
    """One table for each method that has been measured, and how it was measured."""
    tables = lm_eval_tables(run)
    if not tables:
        return Section(title="lm-eval tasks", missing=(f"Not measured. Run: paced lm-eval {run.root} --task mmlu",))
    prose = []
    for folder in (run, *runs_by_method(run).values()):
        record = folder.lm_eval("base").with_suffix(".json")
        if record.exists():
            prose.append(how(read_json(record)))
    return Section(title="lm-eval tasks", prose=tuple(dict.fromkeys(prose)), tables=tuple(tables))


def lm_eval_tables(run: RunFolder) -> list[tuple[str, Table]]:
    """(caption, table) of the run, and of each compared method that has been measured."""
    tables = []
    for method, folder in runs_by_method(run).items():
        table = lm_eval_table(folder)
        if table is not None:
            tables.append((f"{method}: {CAPTION}", table))
    return tables


def how(record: dict) -> str:
    """How lm-eval measured, in a sentence: results without it cannot be compared with anyone's."""
    settings = record["settings"]
    shots = sorted({str(value) for value in record.get("n_shot", {}).values()})
    template = "with" if settings["apply_chat_template"] else "without"
    limit = f", the first {settings['limit']:,} documents of each task" if settings["limit"] else ""
    return (
        f"lm-eval {record.get('lm_eval_version')}: {', '.join(settings['tasks'])}, "
        f"{' or '.join(shots) or '?'} examples in the prompt, {template} chat template{limit}."
    )
