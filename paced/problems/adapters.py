"""Data set -> how its rows become problems: the adapter is found by the columns and said, and can be named instead.

An adapter is two functions. ``roles`` looks at the columns and says which of them holds what, or that this is another
data set; ``read`` makes of one row's cells the fields of a problem, or raises
:class:`paced.problems.columns.UnusableCell`. Types, ids, golds and repeated rows are the
matter of ``files.py``, the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paced.errors import ConfigError, did_you_mean
from paced.problems import adapters_chat as chat
from paced.problems import adapters_choice as choice
from paced.problems import adapters_named as named
from paced.problems.columns import Cells, Columns, Roles

AUTO = "auto"
"""Find the adapter by the columns."""


@dataclass(frozen=True)
class Adapter:
    """How the rows of one data set become problems."""

    about: str
    """The data set, in a few words."""
    roles: Callable[[Columns], Roles | None]
    """Columns -> (role -> column), or None where this is not the data set."""
    read: Callable[[Cells], dict[str, Any]]
    """Role -> cell of one row -> fields of :class:`paced.records.Problem`, not yet checked."""
    own_ids: bool = True
    """Whether a row that brings an id is a problem of its own, even when it repeats another's text."""


DATASETS: dict[str, Adapter] = {
    "dapo_aime": Adapter("AIME-2024 as DAPO's authors publish it", chat.dapo_aime_roles, chat.read_verl, False),
    "dapo": Adapter("DAPO-Math-17k as published", chat.dapo_roles, chat.read_verl, False),
    "dapo_processed": Adapter("open-r1's DAPO-Math-17k-Processed", chat.processed_roles, chat.read_processed, False),
    "verl": Adapter("verl's training files", chat.verl_roles, chat.read_verl, False),
    "math500": Adapter("MATH-500", named.math500_roles, named.read_named, False),
    "math": Adapter("MATH, the answer boxed in the solution", named.math_roles, named.read_worked, False),
    "mmlu": Adapter("MMLU, MMLU-Pro, ARC: a question with options", choice.choice_roles, choice.read_choice, False),
    "gsm8k": Adapter("GSM8K, the answer after ####", named.gsm8k_roles, named.read_gsm8k, False),
    "openthoughts": Adapter("OpenThoughts", chat.openthoughts_roles, chat.read_openthoughts, False),
    "numina": Adapter("NuminaMath, OpenR1-Math", named.numina_roles, named.read_worked, False),
    "aime": Adapter("AIME 2024 and 2025", named.aime_roles, named.read_named, False),
    "paced": Adapter("our own columns, 'problem' and 'answer'", named.own_roles, named.read_named),
    "trl_completion": Adapter("TRL's prompt and completion", chat.trl_completion_roles, chat.read_trl),
    "trl_prompt": Adapter("TRL's prompt with an answer beside it", chat.trl_prompt_roles, chat.read_trl),
    "trl_messages": Adapter("TRL's conversational form", chat.conversation_roles, chat.read_conversation),
    "generic": Adapter("any spelling of problem and answer or solution", named.generic_roles, named.read_worked),
}
"""Name -> adapter. The first whose ``roles`` knows the columns reads the file: more particular ones come first."""


def detect(columns: Columns) -> tuple[str, Roles] | None:
    """The name of the first adapter that knows these columns, and which column holds what; None where none does.

    Example:
        >>> detect(Columns(("question", "answer"), ({"question": "2+2?", "answer": "2+2=4\\n#### 4"},)))
        ('gsm8k', {'problem': 'question', 'answer': 'answer'})
        >>> detect(Columns(("text",))) is None
        True
    """
    ours = "answer_type" in columns.names  # a file that says it was written by or for us is never taken for another's
    for name in (["paced"] if ours else []) + list(DATASETS):
        roles = DATASETS[name].roles(columns)
        if roles is not None:
            return name, roles
    return None


def named_roles(name: str, columns: Columns) -> Roles:
    """The roles of an adapter that is named, not found.

    Raises:
        ConfigError: there is no such adapter, or it does not know these columns.
    """
    if name not in DATASETS:
        raise ConfigError(
            f"adapter must be {AUTO} or one of {', '.join(DATASETS)}, got {name!r}.{did_you_mean(name, DATASETS)}"
        )
    roles = DATASETS[name].roles(columns)
    if roles is None:
        raise ConfigError(
            f"adapter {name} ({DATASETS[name].about}) does not know these columns: {', '.join(columns.names)}. Name "
            f"another one, or leave it {AUTO}."
        )
    return roles
