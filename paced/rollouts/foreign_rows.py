"""One row of another tool's file as completions: which cell is which, one completion a row or a list of them.

A column is named as it is in the file, or by a path into it: ``response.body.choices.message.content`` goes through
objects by key and through lists item by item, so that dumps of vLLM, OpenAI batches and lighteval need no rewriting.
Left out: guesses. A column that is neither called as here nor named by the caller is named in the error, never used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paced.errors import BadRow, ConfigError, did_you_mean
from paced.problems.golds import as_text
from paced.records import FinishReason
from paced.run.tablefile.cells import fault_of_text, is_missing, number_of, shown

ROLES: dict[str, tuple[str, ...]] = {
    "problem_id": ("problem_id",),
    "prompt": ("prompt", "problem"),
    "sample_index": ("sample_index",),
    "text": ("text",),
    "token_ids": ("token_ids",),
    "finish_reason": ("finish_reason",),
}
"""What a column may hold -> the names that it has where nobody says otherwise, those of our own files."""
OFTEN_CALLED = {
    "problem_id": ("id", "uid", "custom_id", "index", "question_id", "prompt_id", "doc_id"),
    "prompt": ("input", "question", "query", "messages", "prompt_text"),
    "text": (
        "completion",
        "completions",
        "response",
        "responses",
        "output",
        "outputs",
        "generated_text",
        "generations",
    ),
}
"""What other tools call a column that must be there: named in the error."""
ENDS: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "stop_token", "stop_str", "end_turn"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_new_tokens", "max_length"), "length"),
}  # fmt: skip
"""How tools say that the model ended its completion, or that the limit cut it."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Role -> the column that has it, for the roles that a file has."""

    columns: Mapping[str, str]
    """As :data:`ROLES`; ``problem_id`` or ``prompt``, and ``text`` or ``token_ids``, are among them."""

    def __str__(self) -> str:
        return ", ".join(f"{role}: {column}" for role, column in self.columns.items())


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """One completion as it was read; what the file does not say is None."""

    text: str | None
    """The decoded completion."""
    token_ids: tuple[int, ...]
    """Its tokens; empty when the file has none."""
    finish_reason: FinishReason | None
    """How it ended."""
    sample_index: int | None
    """Which of its problem's samples it is."""


def find_layout(file: str, record: Mapping[str, Any], columns: Mapping[str, str]) -> Layout:
    """Which column has which role.

    Args:
        file: what a message calls it.
        record: the first row.
        columns: role -> column, for columns that are not called as in :data:`ROLES`.

    Raises:
        ConfigError: an unknown role, a column that the first row does not have, or no column for a problem or a text.

    Example:
        >>> print(find_layout("a.jsonl", {"uid": 1, "out": {"text": "4"}}, {"problem_id": "uid", "text": "out.text"}))
        problem_id: uid, text: out.text
    """
    faults = []
    chosen: dict[str, str] = {}
    for role, column in columns.items():
        if role not in ROLES:
            nearest = did_you_mean(role, ROLES)
            faults.append(f"columns: must be named {', '.join(ROLES)}, got {role!r}.{nearest}")
        elif not has_column(record, column):
            faults.append(f"columns.{role}: there is no {column!r}{did_you_mean(column, record)}")
        else:
            chosen[role] = column
    for role, names in ROLES.items():
        if role in columns or (role == "problem_id" and "prompt" in columns):
            continue
        taken = next((name for name in names if name in record and name not in columns.values()), None)
        if taken is not None:
            chosen[role] = taken
    for wanted in (("problem_id", "prompt"), ("text", "token_ids")):
        if not any(role in chosen or role in columns for role in wanted):
            likely = [name for role in wanted for name in OFTEN_CALLED.get(role, ()) if name in record]
            hint = f", e.g. columns: {{{wanted[0]}: {likely[0]}}}" if likely else ""
            faults.append(f"no column is known as {' or '.join(wanted)}: say which one is with columns{hint}")
    if faults:
        listed = ", ".join(name if name.isprintable() else ascii(name) for name in record)
        raise ConfigError(f"{file}: {'; '.join(fault.rstrip('.') for fault in faults)}. Columns found: {listed}.")
    return Layout(columns={role: chosen[role] for role in ROLES if role in chosen})


def has_column(record: Mapping[str, Any], column: str) -> bool:
    """Whether a row has a column of this name, or the beginning of a path."""
    return column in record or ("." in column and column.partition(".")[0] in record)


def cell(record: Any, column: str) -> Any:
    """What a row holds at a column or path; None where it holds nothing.

    Example:
        >>> cell({"choices": [{"text": "4"}, {"text": "5"}]}, "choices.text")
        ['4', '5']
        >>> cell({"a.b": 1}, "a.b"), cell({"a": None}, "a.b")
        (1, None)
    """
    if isinstance(record, list):
        return [cell(one, column) for one in record]
    if not isinstance(record, Mapping):
        return None
    if column in record:
        return record[column]
    key, dot, rest = column.partition(".")
    return cell(record.get(key), rest) if dot else None


def message_text(value: Any) -> Any:
    """The last text of a conversation, as a list of messages or one of them; any other value as it is.

    Example:
        >>> message_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2"}])
        '2+2'
    """
    if isinstance(value, Mapping) and "content" in value:
        return value["content"]
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "content" in one for one in value):
        return value[-1]["content"]
    return value


def completions_of(record: Mapping[str, Any], layout: Layout, row: int, faults: list[BadRow]) -> list[Completion]:
    """The completions of a row, as many as it has; what keeps one from being used joins ``faults``."""
    columns = layout.columns

    def fault(role: str, found: object, fix: str) -> None:
        faults.append(BadRow(row=row, column=columns[role], found=shown(found), fix=fix))

    cells = {role: cell(record, columns[role]) for role in columns if role not in ("problem_id", "prompt")}
    texts = (
        _flat(message_text(cells["text"]), is_one=lambda value: not isinstance(value, list))
        if "text" in cells
        else None
    )
    ids = _flat(cells["token_ids"], is_one=_is_tokens) if "token_ids" in cells else None
    count = len(texts if texts is not None else ids or [])
    if not count:
        fault("text" if "text" in cells else "token_ids", [], "Write at least one completion, or leave the row out.")
        return []
    ends = _spread(cells.get("finish_reason"), count)
    indices = _spread(cells.get("sample_index"), count, repeat=False)
    for role, values in (("token_ids", ids), ("finish_reason", ends), ("sample_index", indices)):
        if values is not None and len(values) != count:
            fault(role, cells[role], f"The row has {count} completions: write as many here.")
            return [Completion(text=None, token_ids=(), finish_reason=None, sample_index=None)] * count
    completions = []
    for place in range(count):
        text = _text(texts[place], fault) if texts is not None else None
        tokens = _tokens(ids[place], fault, needed=texts is None) if ids is not None else ()
        end = _end(ends[place], fault) if "finish_reason" in columns else None
        index = _index(indices[place], fault) if "sample_index" in columns else None
        completions.append(Completion(text=text, token_ids=tokens, finish_reason=end, sample_index=index))
    return completions


def _flat(value: Any, *, is_one: Any) -> list[Any]:
    """The completions in a cell: itself, or those of its list, or of a list of lists."""
    value = message_text(value)
    return [value] if is_one(value) else [one for item in value for one in _flat(item, is_one=is_one)]


def _is_tokens(value: Any) -> bool:
    return not isinstance(value, list) or not value or not isinstance(value[0], list)


def _spread(value: Any, count: int, *, repeat: bool = True) -> list[Any]:
    """One value for each completion of a row; one that stands for all is repeated where that can be meant."""
    if isinstance(value, list):
        return value
    return [value] * (count if repeat or value is None else 1)


def _text(value: Any, fault: Any) -> str | None:
    if not isinstance(value, str):
        fault("text", value, "Write the completion as text; an empty one is ''.")
        return None
    if fix := fault_of_text(value):
        fault("text", value, fix)
    return value


def _tokens(value: Any, fault: Any, *, needed: bool) -> tuple[int, ...]:
    if value is None and not needed:
        return ()
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and (value or not needed):
        numbers = [number_of(one) if isinstance(one, (int, float)) else None for one in value]
        if all(isinstance(one, int) and one >= 0 for one in numbers):
            return tuple(one for one in numbers if isinstance(one, int))
    fault("token_ids", value, "Write a list of integers >= 0, without the prompt's.")
    return ()


def _end(value: Any, fault: Any) -> FinishReason | None:
    end = ENDS.get(value.strip().lower()) if isinstance(value, str) else None
    if end is None and not is_missing(value):
        fault("finish_reason", value, "It says neither that the model ended nor that the limit cut: sample it again.")
    return end


def _index(value: Any, fault: Any) -> int | None:
    number = None if is_missing(value) else number_of(value)
    if not isinstance(number, int) or not 0 <= number < 2**62:
        fault("sample_index", value, "Write which of its problem's samples this is, an integer >= 0.")
        return None
    return number


def id_of(value: Any) -> tuple[str, str]:
    """A problem's id as text, and what is wrong with it; 7 and 7.0 are '7'."""
    if is_missing(value):
        return "", "Write the problem's id."
    text, _, fix = as_text(value)
    return text, fix
