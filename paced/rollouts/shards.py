"""Problems dealt to independent jobs, whose files together are what one job would have written.

The noise of a completion belongs to (seed, problem, sample), so that a job needs to know nothing of the others: any
scheduler that counts jobs from 0 can start them, and ``rollouts.from`` reads their files as one (``foreign.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from paced.errors import ConfigError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """One of several equal parts."""

    index: int
    """Which, 0 <= index < count."""
    count: int
    """How many there are, >= 1."""

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``.

        Raises:
            ConfigError: not two whole numbers with 0 <= i < n.

        Example:
            >>> Shard.parse("0/4")
            Shard(index=0, count=4)
        """
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if match is None or not int(match[1]) < int(match[2]):
            raise ConfigError(f"--shard must be i/n with 0 <= i < n, e.g. 0/4 for the first of four, got {text!r}.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


def shard(items: Sequence[Item], index: int, count: int) -> list[Item]:
    """The items whose place is ``index`` modulo ``count``: parts of nearly one size, whatever the order is by.

    Args:
        items: problems, in an order that all jobs have.
        index: which part, 0 <= index < count.
        count: how many parts, >= 1.

    Edges: a part is empty when there are fewer items than parts.

    Raises:
        ValueError: an index or a count out of range.

    Example:
        >>> [shard("abcde", index, 2) for index in range(2)]
        [['a', 'c', 'e'], ['b', 'd']]
    """
    if not 0 <= index < count:
        raise ValueError(f"shard: index must be >= 0 and below count, got {index} of {count}.")
    return list(items[index::count])
