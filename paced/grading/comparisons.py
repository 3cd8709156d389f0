"""Answer type of a problem -> how its answer is compared, and a user's own types beside them.

A user's own comparison is a Python function given to :func:`register`, or an entry point of an installed package in the
group ``paced.comparisons``. A recipe names a type; it never names a path or a module.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Protocol

from paced.errors import ConfigError
from paced.grading.choice import compare_choice
from paced.grading.compare import Comparison, compare_exact, compare_integer
from paced.grading.math import Undecided, compare_math
from paced.grading.numeric import compare_numeric

ENTRY_POINTS = "paced.comparisons"
"""Group of entry points that are comparisons."""


class Compare(Protocol):
    """One way to compare answers; it may be as strict or as clever as it likes, but must say why."""

    def __call__(self, *, extracted: str, answer: str) -> Comparison | Undecided:
        """Compare the extracted answer with the gold ``answer``."""
        ...


COMPARISONS: dict[str, Compare] = {
    "exact": compare_exact,
    "integer": compare_integer,
    "choice": compare_choice,
    "math": compare_math,
    "numeric": compare_numeric,
}
"""``answer_type`` of a problem -> how its answer is compared."""
NEED_EXTRA = frozenset({"choice", "math", "numeric"})
"""Answer types that need ``pip install "paced[grade]"``."""
_own: dict[str, Compare] = {}


def register(name: str, compare: Compare) -> None:
    """Add an answer type of your own, for this process.

    Args:
        name: what ``answer_type`` says: small letters, digits and ``_``; not one of :data:`COMPARISONS`.
        compare: called with ``extracted`` and ``answer``; gives a :class:`Comparison`. An exception in it is the
            verdict ``grader_error``.

    Raises:
        ConfigError: a name that is taken, or that is not one.

    Example:
        >>> def same_length(*, extracted, answer):
        ...     same = len(extracted) == len(answer)
        ...     return Comparison(verdict="correct" if same else "incorrect", reason="Compared by length.")
        >>> register("length", same_length)
        >>> comparison_of("length")(extracted="ab", answer="cd").verdict
        'correct'
    """
    if name in COMPARISONS or not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise ConfigError(
            f"register: name must be small letters, digits and _ and none of {', '.join(COMPARISONS)}, got {name!r}."
        )
    _own[name] = compare


def answer_types() -> tuple[str, ...]:
    """Names of all answer types: built in, registered, and those of installed packages.

    Example:
        >>> answer_types()[:5]
        ('exact', 'integer', 'choice', 'math', 'numeric')
    """
    return tuple(dict.fromkeys((*COMPARISONS, *_own, *_brought())))


@functools.cache
def _brought() -> tuple[str, ...]:
    """Those of installed packages, looked up once: that reads the metadata of every package."""
    return tuple(point.name for point in entry_points(group=ENTRY_POINTS))


def comparison_of(answer_type: str) -> Compare:
    """How a type of answers is compared.

    Raises:
        ConfigError: an unknown type.
    """
    compare = COMPARISONS.get(answer_type) or _own.get(answer_type)
    if compare is None:
        point = next(iter(entry_points(group=ENTRY_POINTS, name=answer_type)), None)
        if point is None:
            raise ConfigError(f"answer_type must be one of {', '.join(answer_types())}, got {answer_type!r}.")
        compare = _own[answer_type] = point.load()
    return compare


def refuse_unknown(types: Iterable[str]) -> None:
    """Refuse unknown answer types, and those whose packages are absent, before anything is compared.

    Raises:
        ConfigError: an unknown type.
        MissingExtraError: a type of :data:`NEED_EXTRA` without its packages.
    """
    from paced.grading.workers import refuse_without_extra

    wanted = set(types)
    for answer_type in sorted(wanted):
        comparison_of(answer_type)
    if wanted & NEED_EXTRA:
        refuse_without_extra()
