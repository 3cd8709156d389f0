"""A call with the same arguments is made once: methods of a recipe share what their settings leave the same.

Arguments are compared with ``==``, since sections of a recipe hold dictionaries and cannot be hashed; there are a few
dozen at most. Left out: refusals, which are not kept, so that each look reports its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Once:
    """Keeps what functions returned, by function and arguments, for as long as it lives.

    Example:
        >>> once, calls = Once(), []
        >>> read = lambda path, *, limit: calls.append(path) or len(calls)
        >>> once(read, "a", limit=1), once(read, "a", limit=1), once(read, "a", limit=2)
        (1, 1, 2)
    """

    def __init__(self) -> None:
        self._kept: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = []

    def __call__(self, look: Callable[..., Result], *given: Any, **named: Any) -> Result:
        """What ``look`` returns for these arguments, computed at the first call only."""
        for kept, positional, keywords, result in self._kept:
            if kept is look and positional == given and keywords == named:
                return result
        result = look(*given, **named)
        self._kept.append((look, given, named, result))
        return result
