"""Pre-training rows as arrays of token ids, made a few thousand at a time by numpy so that they cost next to nothing.

Each row is a prompt and its completion exactly as the chat template and the tokenizer would give them (a test compares
the two), padded on the right, with a mask of the tokens to predict.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from paced.arrays import Booleans, Floats, Integers
from paced.lab.recipe import Mixture
from paced.lab.task import ABSENT, DIGITS, OPERATORS, PRIOR_LENGTHS, STYLES, chain_digits, draw_rows
from paced.lab.tokenizer import EOS_ID, IDS, PAD_ID

_DIGIT, _OPERATOR, _STYLE = (np.array([IDS[symbol] for symbol in symbols]) for symbols in (DIGITS, OPERATORS, STYLES))
CHAIN_LENGTHS = (1, 6)
"""Pre-training also shows single operators."""


def pretraining_rows(
    mixture: Mixture, count: int, numbers: np.random.Generator, *, stochastic: bool
) -> tuple[Integers, Booleans]:
    """``count`` rows of the mixture in random order.

    Args:
        mixture: shares of prior skill, hinted chains and plain chains.
        count: number of rows.
        numbers: the source of randomness.
        stochastic: put a uniform style letter before every digit of a chain's completion.

    Returns:
        token ids [count, longest] padded on the right with PAD, and the mask [count, longest] of the completion's
        tokens, end-of-sequence token included.
    """
    kinds = numbers.choice(3, size=count, p=[mixture.prior, mixture.hinted, mixture.plain])
    plain_odds = mixture.operator_decay ** np.arange(mixture.plain_operators)
    parts = [
        prior_rows(int((kinds == 0).sum()), numbers, sort_share=mixture.sort_share),
        hinted_rows(int((kinds == 1).sum()), numbers, stochastic=stochastic),
        plain_rows(int((kinds == 2).sum()), numbers, odds=plain_odds / plain_odds.sum(), stochastic=stochastic),
    ]
    longest = max(tokens.shape[1] for tokens, _ in parts)
    tokens = np.concatenate([_widen(tokens, longest, PAD_ID) for tokens, _ in parts])
    targets = np.concatenate([_widen(targets, longest, False) for _, targets in parts])
    order = numbers.permutation(count)
    return tokens[order], targets[order]


def prior_rows(count: int, numbers: np.random.Generator, *, sort_share: float) -> tuple[Integers, Booleans]:
    """Reverse and sort: ``R4821=1284``, ``S4821=1248``."""
    digits = draw_rows(numbers, count, symbols=np.arange(10), lengths=PRIOR_LENGTHS)
    to_sort = numbers.random(count) < sort_share
    high = np.where(digits == ABSENT, 10, digits)
    ordered = np.sort(high, axis=1)
    reverse = _compact(digits[:, ::-1], digits[:, ::-1] == ABSENT, ABSENT)
    answers = np.where(to_sort[:, None], np.where(ordered == 10, ABSENT, ordered), reverse)
    tag = np.where(to_sort, IDS["S"], IDS["R"])[:, None]
    return _join([tag, _ids(digits, _DIGIT), _column(count, "=")], [_ids(answers, _DIGIT)])


def plain_rows(
    count: int, numbers: np.random.Generator, *, odds: Floats, stochastic: bool
) -> tuple[Integers, Booleans]:
    """Chains alone over the first ``len(odds)`` operators: ``C3abcd=6174``."""
    starts = numbers.integers(0, 10, size=count)
    operators = draw_rows(numbers, count, symbols=np.arange(len(odds)), lengths=CHAIN_LENGTHS, odds=odds)
    answers = chain_digits(starts, operators)
    return _join(_chain_prompt(starts, operators), _completion(answers, numbers, stochastic))


def hinted_rows(count: int, numbers: np.random.Generator, *, stochastic: bool) -> tuple[Integers, Booleans]:
    """Chains over all operators after an expert hint of random digits, which the answer repeats: ``5302#C3mbqd=5302``.

    Random, not right: so pre-training says nothing about an unseen operator, and the teacher follows a wrong hint too.
    """
    starts = numbers.integers(0, 10, size=count)
    operators = draw_rows(numbers, count, symbols=np.arange(len(OPERATORS)), lengths=CHAIN_LENGTHS)
    hints = np.where(operators == ABSENT, ABSENT, numbers.integers(0, 10, size=operators.shape))
    prompt = [_ids(hints, _DIGIT), _column(count, "#"), *_chain_prompt(starts, operators)]
    return _join(prompt, _completion(hints, numbers, stochastic))


def _chain_prompt(starts: Integers, operators: Integers) -> list[Integers]:
    count = len(starts)
    return [_column(count, "C"), _DIGIT[starts][:, None], _ids(operators, _OPERATOR), _column(count, "=")]


def _completion(answers: Integers, numbers: np.random.Generator, stochastic: bool) -> list[Integers]:
    digits = _ids(answers, _DIGIT)
    if not stochastic:
        return [digits]
    styles = np.where(answers == ABSENT, ABSENT, numbers.choice(_STYLE, size=answers.shape))
    return [np.stack([styles, digits], axis=2).reshape(len(answers), 2 * answers.shape[1])]


def _ids(positions: Integers, ids: Integers) -> Integers:
    return np.where(positions == ABSENT, ABSENT, ids[positions])


def _column(count: int, symbol: str) -> Integers:
    return np.full((count, 1), IDS[symbol])


def _join(prompt: list[Integers], completion: list[Integers]) -> tuple[Integers, Booleans]:
    """Prompt, completion and end side by side, gaps closed, padded on the right."""
    answer = np.concatenate([*completion, np.full((len(completion[0]), 1), EOS_ID)], axis=1)
    tokens = np.concatenate([*prompt, answer], axis=1)
    targets = np.zeros(tokens.shape, dtype=bool)
    targets[:, tokens.shape[1] - answer.shape[1] :] = True
    gaps = tokens == ABSENT
    longest = int((~gaps).sum(axis=1).max(initial=0))
    return _compact(tokens, gaps, PAD_ID)[:, :longest], _compact(targets, gaps, False)[:, :longest]


def _compact(values: NDArray, gaps: Booleans, fill: int | bool) -> NDArray:
    """Move the values of each row to the left over its gaps, in order, and fill the end."""
    order = np.argsort(gaps, axis=1, kind="stable")
    return np.where(np.take_along_axis(gaps, order, axis=1), fill, np.take_along_axis(values, order, axis=1))


def _widen(values: NDArray, longest: int, fill: int | bool) -> NDArray:
    return np.pad(values, ((0, 0), (0, longest - values.shape[1])), constant_values=fill)
