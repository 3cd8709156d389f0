"""The forms in which other trainers read a problem set, each one table.

    trl    prompt (messages, or text), answer, solution, and the rates
    verl   data_source, prompt, ability, reward_model, extra_info, and the rates; the weight is ``paced_weight``
    hf     every column of the problem file as it came, and the rates

and those of ``export_chats.py``. The rates are ``pass_rate``, ``num_passed``, ``num_rollouts``, ``weight`` and
``unit_mean_weight``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.errors import ConfigError
from paced.pipeline.export_chats import nemo_rl_table, slime_table, tinker_table
from paced.pipeline.export_rows import RATES, ExportedProblem, ExportOptions, chat_type, rate_fields
from paced.run.config import PromptsConfig
from paced.run.tablefile import format_of, read_rows
from paced.run.tablefile.cells import is_missing, shown
from paced.run.tablefile.parquet_rows import open_parquet


@dataclass(frozen=True)
class Form:
    """How one trainer reads problems."""

    table: Callable[[Sequence[ExportedProblem], Path, ExportOptions], Any]
    """(problems, their file, options) -> Arrow table."""
    suffixes: tuple[str, ...]
    """Of the files that it reads."""

    def encode(self, table: Any, suffix: str) -> bytes:
        """The table as parquet, or as JSON lines for ``.jsonl``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if suffix == ".jsonl":
            lines = (json.dumps(row, ensure_ascii=False, allow_nan=False, default=str) for row in table.to_pylist())
            return "".join(f"{line}\n" for line in lines).encode("utf-8")
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        return bytes(sink.getvalue().to_pybytes())


def trl_table(problems: Sequence[ExportedProblem], source: Path, options: ExportOptions) -> Any:
    """TRL's prompt-only form: conversational, or standard text; further columns reach its reward functions."""
    import pyarrow as pa

    solved = any(one.problem.solution for one in problems)
    names = ("problem_id", "answer", *(["solution"] if solved else []))
    rows = []
    for one in problems:
        messages = options.messages(one.problem)
        prompt = "\n\n".join(message["content"] for message in messages) if options.as_text else messages
        rows.append({name: getattr(one.problem, name) for name in names} | {"prompt": prompt} | one.rates())
    prompt_type = pa.string() if options.as_text else chat_type()
    texts = [(name, pa.string()) for name in names]
    return pa.Table.from_pylist(rows, schema=pa.schema([("prompt", prompt_type), *texts, *rate_fields()]))


def verl_form(problems: Sequence[ExportedProblem], source: Path, options: ExportOptions) -> Any:
    """The columns that verl's RLHFDataset reads; ``paced_weight``, of unit mean, is what a loss multiplies with."""
    import pyarrow as pa

    from paced.problems.verl import verl_table

    file_name = source.name.removesuffix(".gz").rpartition(".")[0]
    named = [dataclasses.replace(one.problem, source=one.problem.source or file_name) for one in problems]
    rates = [one.rates() for one in problems]
    return verl_table(
        named,
        prompts=PromptsConfig(student=options.prompt, system=options.system),
        unit_mean_weights={one.problem.problem_id: one.unit_mean_weight for one in problems},
        further={name: pa.array([row[name] for row in rates], kind) for name, kind in rate_fields()},
        data_source=options.data_source,
        ability=options.ability,
        split=options.split,
    )


def hf_table(problems: Sequence[ExportedProblem], source: Path, options: ExportOptions) -> Any:
    """The problem file's own rows, every column as it came, with the rates behind them."""
    import pyarrow as pa

    table = _rows_of(source, [one.row for one in problems])
    taken = [name for name in ("problem_id", *RATES) if name in table.column_names]
    if set(taken) & set(RATES):
        names = ", ".join(name for name in taken if name in RATES)
        raise ConfigError(f"{source}: has a column {names} of its own, which would be overwritten. Rename it there.")
    ids = pa.array([one.problem.problem_id for one in problems])
    if "problem_id" not in taken:
        table = table.add_column(0, "problem_id", ids)
    elif any(map(is_missing, table["problem_id"].to_pylist())):  # some rows bring an id, the others have that of a text
        table = table.set_column(table.column_names.index("problem_id"), "problem_id", ids)
    for name, kind in rate_fields():
        table = table.append_column(name, pa.array([one.rates()[name] for one in problems], kind))
    return table


def _rows_of(source: Path, rows: Sequence[int]) -> Any:
    """These rows of a problem file as an Arrow table, in the types that the file has or JSON shows."""
    import pyarrow as pa

    if format_of(source) == "parquet":
        with open_parquet(source) as file:
            return file.read().take([row - 1 for row in rows]).replace_schema_metadata(None)
    records = dict(read_rows(source, []))
    names = dict.fromkeys(name for row in rows for name in records[row] if name.strip())
    columns = {}
    for name in names:
        values = [records[row].get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, OverflowError) as error:
            raise ConfigError(
                f"{source}: column {shown(name)} holds values of several types, of which no column can be made "
                f"({str(error).splitlines()[0][:120]}). Write them alike, or export to trl or verl."
            ) from error
    return pa.table(columns)


FORMS: dict[str, Form] = {
    "trl": Form(trl_table, (".parquet", ".jsonl")),
    "verl": Form(verl_form, (".parquet",)),
    "hf": Form(hf_table, (".parquet", ".jsonl")),
    "nemo-rl": Form(nemo_rl_table, (".jsonl", ".parquet")),
    "slime": Form(slime_table, (".jsonl", ".parquet")),
    "tinker": Form(tinker_table, (".jsonl",)),
}
"""``--to`` -> the form."""
