"""Parts of a problem set that share no problem, drawn by a seed: the paper's stages take disjoint parts of one set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paced.errors import ConfigError
from paced.problems.overlap import LIKENESS, WORDS, alike
from paced.records import Problem
from paced.run.seeds import text_key


def split(
    problems: Sequence[Problem], shares: Sequence[float], *, seed: int, disjoint: bool = False, words: int = WORDS,
    likeness: float = LIKENESS,
) -> list[list[Problem]]:  # fmt: skip
    """Cut a set into parts, each in the order of the set.

    Args:
        problems: with unique ids.
        shares: of each part, each in (0, 1], of sum at most 1.
        seed: the same seed and problems give the same parts, in whatever order the problems come.
        disjoint: problems that are nearly the same are in the same part. Without it only the same problem is.
        words: of an n-gram by which problems are near, see :mod:`paced.problems.overlap`.
        likeness: from which they are.

    Raises:
        ConfigError: shares that are none; a part without a problem.

    Edges: a group of problems that are alike is never cut, so that parts are as large as their shares only as far as
        the groups allow.

    Example:
        >>> problems = [Problem(problem_id=str(i), problem=f"{i}+1", answer="1") for i in range(10)]
        >>> [len(part) for part in split(problems, [0.5, 0.3], seed=1)]
        [5, 3]
    """
    if not shares or not all(0 < share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
        given = ", ".join(f"{share:g}" for share in shares)
        raise ConfigError(f"split: shares must be > 0 and sum to at most 1, got {given}.")
    by_id = sorted(range(len(problems)), key=lambda place: problems[place].problem_id)
    ordered = [problems[place] for place in by_id]
    groups = alike(ordered, words=words, likeness=likeness) if disjoint else [[place] for place in range(len(ordered))]
    order = np.random.default_rng([seed, text_key("split")]).permutation(len(groups))
    ends = np.round(np.cumsum(shares) * len(problems)).astype(int)
    sizes = np.diff(ends, prepend=0)
    parts: list[list[int]] = [[] for _ in shares]
    for group in sorted((groups[place] for place in order), key=len, reverse=True):  # stable: large groups first
        room = [size - len(part) for size, part in zip(sizes, parts, strict=True)]
        chosen = int(np.argmax(room))
        if room[chosen] > 0 and (len(group) <= room[chosen] or sum(shares) > 1 - 1e-9):
            parts[chosen] += [by_id[place] for place in group]
    empty = [number for number, part in enumerate(parts, start=1) if not part]
    if empty:
        raise ConfigError(
            f"split: part {empty[0]} has no problem: {len(problems)} problems in {len(groups)} groups that are alike. "
            "Give fewer parts or larger shares."
        )
    return [[problems[place] for place in sorted(part)] for part in parts]
