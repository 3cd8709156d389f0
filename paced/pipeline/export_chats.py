"""The forms of trainers that read chats, and the trainers that take no weight of a problem, with the reason.

    nemo-rl  messages (problem and gold answer), loss_multiplier; its ResponseDataset keeps further columns
    slime    prompt (messages), label, metadata with the rates, which its reward functions get
    tinker   messages (problem and, where there is one, solution); the cookbook's FromConversationFileBuilder

Read in NVIDIA-NeMo/RL 006a7da (``data/processors.py``) and 23d0baf (``response_dataset.py``), THUDM/slime 00de6b0
(``utils/data.py``), and thinking-machines-lab/tinker-cookbook 1309cdb; none of them was run. None multiplies a loss
with the weight by itself: docs/other_trainers.md has the lines that do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paced.errors import ConfigError
from paced.pipeline.export_rows import ExportedProblem, ExportOptions, chat_type, rate_fields

WITHOUT_WEIGHTS: Mapping[str, str] = {
    "prime-rl": "its problems come from an environment, and a weight from a subclass of its Algorithm: write hf and "
    "read the column there",
    "ms-swift": "its distillation losses have no field for one: write hf and multiply in a subclass of its trainer",
    "llama-factory": "its data format names no column for a weight",
    "kdflow": "its loss is a sum over the mean token count of a micro-batch, without a field for a weight",
    "distillkit": "its loss is a mean over the mask of a micro-batch, in which a weight would cancel",
}
"""A trainer's name -> why no file of ours gives it weights."""


def nemo_rl_table(problems: Sequence[ExportedProblem], source: Path, options: ExportOptions) -> Any:
    """A chat of problem and gold, as its ``math_hf_data_processor`` takes it; ``loss_multiplier`` of unit mean."""
    import pyarrow as pa

    if options.system:
        raise ConfigError(
            "export: nemo-rl takes the first message for the problem, got --system. Write what it says into --prompt."
        )
    rows = [
        {
            "messages": [*options.messages(one.problem), {"role": "assistant", "content": one.problem.answer}],
            "problem_id": one.problem.problem_id,
            "loss_multiplier": one.unit_mean_weight,
            **one.rates(),
        }
        for one in problems
    ]
    fields = [("messages", chat_type()), ("problem_id", pa.string()), ("loss_multiplier", pa.float64())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*fields, *rate_fields()]))


def slime_table(problems: Sequence[ExportedProblem], source: Path, options: ExportOptions) -> Any:
    """``--input-key prompt --label-key label --metadata-key metadata --apply-chat-template``."""
    import pyarrow as pa

    rows = []
    for one in problems:
        metadata: dict[str, Any] = {"problem_id": one.problem.problem_id} | one.rates()
        rows.append({"prompt": options.messages(one.problem), "label": one.problem.answer, "metadata": metadata})
    kept = pa.struct([("problem_id", pa.string()), *rate_fields()])
    fields = [("prompt", chat_type()), ("label", pa.string()), ("metadata", kept)]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def tinker_table(problems: Sequence[ExportedProblem], source: Path, options: ExportOptions) -> Any:
    """A conversation a problem, ended by its solution where it has one; the rates beside it."""
    import pyarrow as pa

    rows = []
    for one in problems:
        solution = [{"role": "assistant", "content": one.problem.solution}] if one.problem.solution else []
        messages = [*options.messages(one.problem), *solution]
        rows.append({"messages": messages, "problem_id": one.problem.problem_id, **one.rates()})
    fields = [("messages", chat_type()), ("problem_id", pa.string())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*fields, *rate_fields()]))
