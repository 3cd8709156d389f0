"""Problems in the schema of verl's training files: one row a problem, its prompt as chat messages, its weight beside.

The columns are those of ``verl.utils.dataset.RLHFDataset`` (verl 0.9); every further column reaches verl's loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from paced.problems.prompts import fill
from paced.records import Problem
from paced.run.config import PromptsConfig

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(MESSAGE)),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        ("extra_info", pa.struct([("split", pa.string()), ("index", pa.int64()), ("problem_id", pa.string())])),
        ("paced_weight", pa.float64()),
    ]
)


def verl_table(
    problems: Sequence[Problem],
    *,
    prompts: PromptsConfig,
    unit_mean_weights: Mapping[str, float],
    further: Mapping[str, Sequence[Any]] | None = None,
    data_source: str = "",
    ability: str = "math",
    split: str = "train",
) -> pa.Table:
    """The training file.

    Args:
        problems: in the order of the file.
        prompts: the templates; the student's message, and the system message where there is one.
        unit_mean_weights: problem id -> w̃ >= 0, mean 1 over the problems.
        further: more columns, name -> a value for each problem, e.g. its pass rate.
        data_source: what chooses verl's reward function; empty for the source of each problem.
        ability: the kind of task.
        split: what ``extra_info`` says.

    Example:
        >>> task = Problem(problem_id="a", problem="2+2", answer="4")
        >>> table = verl_table([task], prompts=PromptsConfig(), unit_mean_weights={"a": 1.0})
        >>> table["prompt"].to_pylist(), table["paced_weight"].to_pylist()
        ([[{'role': 'user', 'content': '2+2'}]], [1.0])
    """
    system = [{"role": "system", "content": prompts.system}] if prompts.system else []
    rows = [
        {
            "data_source": data_source or problem.source or "paced",
            "prompt": [*system, {"role": "user", "content": fill(prompts.student, problem)}],
            "ability": ability,
            "reward_model": {"style": "rule", "ground_truth": problem.answer},
            "extra_info": {"split": split, "index": index, "problem_id": problem.problem_id},
            "paced_weight": float(unit_mean_weights[problem.problem_id]),
        }
        for index, problem in enumerate(problems)
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    for name, values in (further or {}).items():
        table = table.append_column(name, pa.array(values))
    return table
