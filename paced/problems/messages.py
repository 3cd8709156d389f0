"""A problem set's own messages: ``[{"role": "user", "content": …}]``, kept beside the bare text and sent when asked.

They are one JSON text in a record, since a column of nested values with varying keys is what breaks when tables are put
together. Left out: tools, images and every further key of a message; a message has a role and a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

ROLES = ("system", "user", "assistant")
"""Who can speak; the last message is the user's, and is what the model answers."""
FIX = "Write [{role: user, content: text}, ...] with roles system, user, assistant, the last one user."


def read_messages(value: object) -> tuple[str, str]:
    """The messages of a cell as one JSON text, and what would make them usable, empty where they are.

    Args:
        value: a list of mappings, or its JSON text.

    Example:
        >>> read_messages([{"role": "user", "content": "2+2?"}])
        ('[{"role": "user", "content": "2+2?"}]', '')
        >>> read_messages("[]")[1] == FIX
        True
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return "", FIX
    if not isinstance(value, Sequence) or not value or not all(map(_is_message, value)) or value[-1]["role"] != "user":
        return "", FIX
    return _written([{"role": one["role"], "content": one["content"]} for one in value]), ""


def messages_in(text: str) -> list[dict[str, str]]:
    """The messages of a record; none for an empty text."""
    messages: list[dict[str, str]] = json.loads(text) if text else []
    return messages


def change_contents(text: str, change: Callable[[str], str]) -> str:
    """The messages of a record with ``change`` applied to what each says.

    Example:
        >>> change_contents('[{"role": "user", "content": "a"}]', str.upper)
        '[{"role": "user", "content": "A"}]'
    """
    messages = messages_in(text)
    return _written([one | {"content": change(one["content"])} for one in messages]) if messages else ""


def _is_message(one: Any) -> bool:
    if not isinstance(one, Mapping) or one.get("role") not in ROLES:
        return False
    return isinstance(one.get("content"), str) and bool(one["content"].strip())


def _written(messages: Sequence[Mapping[str, str]]) -> str:
    return json.dumps(messages, ensure_ascii=False)
