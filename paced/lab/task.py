"""The task of the embedded lab: chains of S-box operators, checkable to the last digit, and an older skill to forget.

``C3abcd=`` asks for the digits that the operators a, b, c, d give one after the other, starting from 3; the answer is
all of them, ``6174``. There are twenty operators, one letter each, in three kinds:

- graded (a-l): fixed permutations of the ten digits. Pre-training shows the i-th with frequency ∝ 0.72^i, so each
  (operator, digit) entry is known or half known, and a chain's pass rate is a product over its steps;
- unseen (m-p): fixed permutations that pre-training never shows: p ≈ 0, but learnable;
- hash (q-t): each digit is a hash of the whole prompt: p ≈ 0, and nothing that carries over to another problem.

``R4821=`` (reverse) and ``S4821=`` (sort) are the prior skill, absent from distillation: losing them is forgetting.
The expert solution of a problem is its answer; the teacher reads it as ``6174#C3abcd=``.
One fixed fifth of all prompts is held out whatever the seed, so no training set holds a held-out problem.
Left out: how often pre-training shows what (``pretrain.py``), and shares of a training set (``designs.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from paced.arrays import Booleans, Integers, Keys
from paced.lab.designs import HELDOUT_UNSEEN_SHARE, Design
from paced.records import Problem
from paced.run.seeds import splitmix64, text_key

DIGITS = "0123456789"
OPERATORS = "abcdefghijklmnopqrst"
STYLES = "wxyz"
"""Free letters before each digit of a completion under stochastic phrasing; they mean nothing."""

KINDS = {"graded": range(12), "unseen": range(12, 16), "hash": range(16, 20)}
"""The operators of each kind, as positions in OPERATORS. A problem's operators are all of its own kind."""
CHAIN_LENGTHS = (2, 6)
"""Fewest and most operators of a problem."""
PRIOR_LENGTHS = (4, 7)
"""Fewest and most digits of a reverse or sort problem."""
ABSENT = -1
"""Fills the end of rows shorter than the longest."""


@cache
def operator_tables() -> Integers:
    """The permutation of each graded and unseen operator, [16, 10]: one table for all students, as there is one world.

    Example:
        >>> sorted(operator_tables()[0].tolist()) == list(range(10))
        True
    """
    numbers = np.random.default_rng(text_key("operator tables"))
    tables = np.stack([numbers.permutation(10) for _ in range(KINDS["hash"].start)])
    tables.flags.writeable = False
    return tables


def prompt_codes(starts: Integers, operators: Integers) -> Keys:
    """One 64-bit number for each chain prompt, [n]: equal for equal prompts only, up to hash collisions."""
    codes = splitmix64(starts.astype(np.uint64) ^ np.uint64(text_key("chain")))
    for column in operators.T:
        codes = np.where(column == ABSENT, codes, splitmix64(codes ^ (column + 1).astype(np.uint64)))
    return codes


def chain_digits(starts: Integers, operators: Integers) -> Integers:
    """The answer digits of each chain.

    Args:
        starts: start digits, [n].
        operators: positions in OPERATORS, [n, longest], ABSENT after a row's end.

    Returns:
        [n, longest], ABSENT where the row has no operator.
    """
    tables, first_hash = operator_tables(), KINDS["hash"].start
    codes = prompt_codes(starts, operators)
    digits = np.full_like(operators, ABSENT)
    current = starts
    for step, column in enumerate(operators.T):
        looked_up = tables[np.clip(column, 0, first_hash - 1), current]
        hashed = (splitmix64(codes ^ np.uint64(step + 1)) % np.uint64(10)).astype(np.int64)
        current = np.where(column == ABSENT, current, np.where(column >= first_hash, hashed, looked_up))
        digits[:, step] = np.where(column == ABSENT, ABSENT, current)
    return digits


def is_heldout(starts: Integers, operators: Integers) -> Booleans:
    """Which chains belong to the fixed fifth of all prompts that no training set contains, [n]."""
    return splitmix64(prompt_codes(starts, operators) ^ np.uint64(text_key("held out"))) % np.uint64(5) == 0


def draw_rows(
    numbers: np.random.Generator,
    count: int,
    *,
    symbols: Integers,
    lengths: tuple[int, int],
    odds: NDArray | None = None,
) -> Integers:
    """Rows of random symbols, [count, longest]: lengths uniform within ``lengths``, ABSENT after the end."""
    longest = lengths[1]
    rows = numbers.choice(symbols, size=(count, longest), p=odds)
    ends = numbers.integers(lengths[0], longest + 1, size=count)
    return np.where(np.arange(longest) < ends[:, None], rows, ABSENT)


def chain_problems(kind: str, count: int, numbers: np.random.Generator, *, heldout: bool = False) -> list[Problem]:
    """``count`` different problems of one kind: start digit, length and operators uniform, repeats drawn again.

    Args:
        kind: "graded", "unseen" or "hash".
        count: at most 100,000 here; there are 160 unseen chains of length two, so long chains outweigh short ones
            in large sets.
        numbers: the source of randomness.
        heldout: draw from the held-out fifth of prompts, or from the rest.

    Returns:
        Problems whose solution is the right expert solution, in random order.
    """

    def draw(size: int) -> list[Problem]:
        starts = numbers.integers(0, 10, size=size)
        operators = draw_rows(numbers, size, symbols=np.array(KINDS[kind]), lengths=CHAIN_LENGTHS)
        answers = chain_digits(starts, operators)
        wanted = is_heldout(starts, operators) == heldout
        return [
            _problem(f"C{start}{_text(row, OPERATORS)}", _text(answer, DIGITS), kind)
            for start, row, answer in zip(starts[wanted], operators[wanted], answers[wanted], strict=True)
        ]

    return _distinct(draw, count)


def prior_problems(count: int, numbers: np.random.Generator) -> list[Problem]:
    """``count`` different problems of the prior skill, reverse and sort in equal odds."""

    def draw(size: int) -> list[Problem]:
        rows = [_text(row, DIGITS) for row in draw_rows(numbers, size, symbols=np.arange(10), lengths=PRIOR_LENGTHS)]
        return [
            _problem(f"S{digits}", "".join(sorted(digits)), "sort")
            if to_sort
            else _problem(f"R{digits}", digits[::-1], "reverse")
            for digits, to_sort in zip(rows, numbers.random(size) < 0.5, strict=True)
        ]

    return _distinct(draw, count)


def training_problems(design: Design, num_problems: int, numbers: np.random.Generator) -> list[Problem]:
    """A training set of ``num_problems`` different problems in random order, with the design's wrong hints."""
    problems = [
        problem
        for kind, count in design.counts(num_problems).items()
        for problem in chain_problems(kind, count, numbers)
    ]
    order = numbers.permutation(len(problems))
    mistaught = numbers.random(len(problems)) < design.wrong_hints
    return [
        _with_wrong_hint(problems[index], numbers)
        if mistaught[index] and problems[index].source in ("unseen", "hash")
        else problems[index]
        for index in order
    ]


def heldout_problems(num_heldout: int, numbers: np.random.Generator) -> tuple[list[Problem], list[Problem]]:
    """Held-out problems, graded and unseen apart: four fifths and one fifth."""
    num_unseen = round(HELDOUT_UNSEEN_SHARE * num_heldout)
    graded = chain_problems("graded", num_heldout - num_unseen, numbers, heldout=True)
    return graded, chain_problems("unseen", num_unseen, numbers, heldout=True)


def _problem(problem: str, answer: str, source: str) -> Problem:
    return Problem(problem_id=problem, problem=problem, answer=answer, solution=answer, source=source)


def _with_wrong_hint(problem: Problem, numbers: np.random.Generator) -> Problem:
    """The same problem with random digits that are not the answer as its expert solution."""
    wrong = problem.answer
    while wrong == problem.answer:
        wrong = _text(numbers.integers(0, 10, size=len(problem.answer)), DIGITS)
    return Problem(
        problem_id=problem.problem_id,
        problem=problem.problem,
        answer=problem.answer,
        solution=wrong,
        source=problem.source,
    )


def _text(row: Integers, symbols: str) -> str:
    return "".join(symbols[position] for position in row if position != ABSENT)


def _distinct(draw: Callable[[int], list[Problem]], count: int) -> list[Problem]:
    """The first ``count`` different problems of as many draws as it takes."""
    problems: dict[str, Problem] = {}
    for _ in range(100):
        if len(problems) >= count:
            return list(problems.values())[:count]
        for problem in draw(2 * count + 16):
            problems.setdefault(problem.problem_id, problem)
    raise ValueError(
        f"lab: the task must have as many different problems as asked, got {count} asked and {len(problems)} drawn. "
        "Ask for fewer problems."
    )
