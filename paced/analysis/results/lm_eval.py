"""Forgetting on the tasks of lm-eval: base minus after, paired by document, with its interval, for each task.

A group (MMLU has 57 tasks) counts every document once, as lm-eval does where a group is weighted by size. The intervals
are those of ``intervals.py`` with the document as the unit; a task of many parts adds no further noise of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paced.analysis.results.breakdown import MOST_PARTS
from paced.analysis.results.intervals import mean_with_interval, paired_difference
from paced.errors import RunFolderError
from paced.records import DocumentScore, Table
from paced.run.folder import RunFolder
from paced.run.storage import read_json, read_parquet

SAME = ("settings", "lm_eval_version", "versions", "n_shot", "chat_template_sha")
"""What must agree for the scores of two students to be a pair."""


def lm_eval_table(run: RunFolder) -> Table | None:
    """Formatted table: a row for each group and task, accuracy before and after in per cent, forgetting in points.

    Returns: None where the base student has not been measured; without the trained one the columns ``final`` and
        ``forgetting`` are absent.

    Raises:
        RunFolderError: the two students were measured in different ways.
    """
    files = [run.lm_eval(checkpoint) for checkpoint in ("base", "final")]
    if not files[0].exists():
        return None
    records = [read_json(file.with_suffix(".json")) for file in files if file.exists()]
    different = [key for key in SAME if records[0].get(key) != records[-1].get(key)]
    if different:
        raise RunFolderError(
            f"{files[0].parent}: base and final were measured with other {', '.join(different)}. Measure both again "
            "with the same command."
        )
    scores = [_by_task(read_parquet(file, DocumentScore)) for file in files if file.exists()]
    table: dict[str, list[str]] = {
        key: [] for key in ("task", "documents", "base", *(("final", "forgetting") if len(scores) == 2 else ()))
    }
    for name, tasks in parts(sorted(scores[0]), records[0].get("groups", {})).items():
        base, *after = ({key: value for task in tasks for key, value in of.get(task, {}).items()} for of in scores)
        table["task"].append(name)
        table["documents"].append(f"{len(base):,}")
        table["base"].append(mean_with_interval(list(base.values())).points())
        for final in after:
            table["final"].append(mean_with_interval(list(final.values())).points() if final else "not measured")
            shared = final.keys() & base.keys()
            table["forgetting"].append(paired_difference(base, final).points(signed=True) if shared else "not measured")
    return table


def parts(tasks: Sequence[str], groups: Mapping[str, Any]) -> dict[str, list[str]]:
    """Row -> the tasks in it: every group with all tasks below it, then each task, unless there are very many.

    Example:
        >>> parts(["a", "b"], {"both": ["a", "b"], "above": ["both"]})
        {'both': ['a', 'b'], 'above': ['a', 'b'], 'a': ['a'], 'b': ['b']}
    """

    def below(name: str, depth: int = 0) -> set[str]:
        members = groups.get(name, []) if depth < 10 else []  # a group of itself would have no end
        return {name} | {task for member in members for task in below(member, depth + 1)}

    rows = {group: [task for task in tasks if task in below(group)] for group in groups if group not in tasks}
    single = {task: [task] for task in tasks} if len(tasks) <= MOST_PARTS or not rows else {}
    return {name: members for name, members in rows.items() if members} | single


def _by_task(scores: Sequence[DocumentScore]) -> dict[str, dict[str, float]]:
    by_task: dict[str, dict[str, float]] = {}
    for row in scores:
        by_task.setdefault(row.task, {})[f"{row.task}/{row.document}"] = row.score
    return by_task
