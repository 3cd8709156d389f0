"""Problems that two sets share: the same text, and texts that are nearly the same by their n-grams of words.

A text is compared without what typesetting changes: case, ``$``, spacing commands, ``\\left``, ``\\dfrac``. The
likeness of two problems is the share of the shorter one's n-grams that the other has too, so that a problem inside a
longer text is found. A problem shorter than one n-gram can only be the same.
Left out: translations and paraphrases, which share no n-gram; and numbers that were changed: such a pair is near by its
words, and whether the golds are the same is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from paced.errors import check_number
from paced.records import Problem

WORDS = 8
"""Words of an n-gram."""
LIKENESS = 0.5
"""Share of n-grams from which two problems are near."""
COMMON = 200
"""An n-gram of more problems than this is a phrase of the data set and finds no pair by itself."""
_TYPESETTING = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|quad|qquad|[,;:!> ])(?![a-z])|\\[,;:!> ]|\\[()\[\]]|\$|~|\{|\}"
)
_SAME = re.compile(r"\\[dt]frac(?![a-z])")
_WORD = re.compile(r"\\[a-z]+|[^\W\d_]+|\d+|[-+*/=<>^!|]")


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A held-out problem that is in the training set."""

    kind: Literal["exact", "near"]
    """The same words, or enough n-grams in common."""
    likeness: float
    """Share of the shorter one's n-grams that both have, in (0, 1]."""
    train_id: str
    """The training problem; where several are alike the most alike."""
    held_out_id: str
    """The held-out problem."""
    same_gold: bool
    """Whether both have the same answer as text."""


def words_of(text: str) -> tuple[str, ...]:
    """The words, numbers, commands and operators of a problem, without typesetting.

    Example:
        >>> words_of("What is $x+ \\\\dfrac{1}{2}$?") == words_of("what is X + \\\\frac{1}{2}.")
        True
    """
    plain = _SAME.sub(r"\\frac", unicodedata.normalize("NFKC", text).casefold())
    return tuple(_WORD.findall(_TYPESETTING.sub(" ", plain)))


def ngrams_of(words: Sequence[str], size: int) -> set[tuple[str, ...]]:
    """All runs of ``size`` words."""
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


def find_overlap(
    training: Iterable[Problem], held_out: Sequence[Problem], *, words: int = WORDS, likeness: float = LIKENESS
) -> list[Shared]:
    """Every held-out problem that is in the training set, once, in the order of the held-out set.

    Args:
        training: problems, read once and not kept.
        held_out: problems, which are kept in memory.
        words: of an n-gram, >= 1.
        likeness: from which two problems are near, in (0, 1].

    Example:
        >>> a = Problem(problem_id="a", problem="What is $2+2$?", answer="4")
        >>> b = Problem(problem_id="b", problem="what is 2 + 2", answer="4")
        >>> find_overlap([a], [b])[0].kind
        'exact'
    """
    _check("find_overlap", words, likeness)
    texts = [words_of(problem.problem) for problem in held_out]
    grams = [ngrams_of(text, words) for text in texts]
    same: dict[tuple[str, ...], list[int]] = defaultdict(list)
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        same[text].append(place)
        for gram in grams[place]:
            holders[gram].append(place)
    best: dict[int, Shared] = {}

    def note(place: int, problem: Problem, value: float, kind: Literal["exact", "near"]) -> None:
        known = best.get(place)
        if known is None or (known.kind, -known.likeness) > (kind, -value):
            gold = problem.answer.strip() == held_out[place].answer.strip()
            best[place] = Shared(
                kind=kind, likeness=value, train_id=problem.problem_id, held_out_id=held_out[place].problem_id,
                same_gold=gold,
            )  # fmt: skip

    for problem in training:
        text = words_of(problem.problem)
        for place in same.get(text, ()):
            note(place, problem, 1.0, "exact")
        own = ngrams_of(text, words)
        common = Counter(place for gram in own for place in holders.get(gram, ()))
        for place, count in common.items():
            value = count / min(len(own), len(grams[place]))
            if value >= likeness and texts[place] != text:
                note(place, problem, value, "near")
    return [best[place] for place in sorted(best)]


def alike(problems: Sequence[Problem], *, words: int = WORDS, likeness: float = LIKENESS) -> list[list[int]]:
    """The problems of one set in groups of which no member is the same as, or near, one of another group.

    Returns: indices, each once; groups in the order of their first problem, a problem like no other by itself.
    Edges: an n-gram of more than :data:`COMMON` problems is counted in a likeness but finds no pair.
    """
    _check("alike", words, likeness)
    texts = [words_of(problem.problem) for problem in problems]
    grams = [ngrams_of(text, words) for text in texts]
    leader = list(range(len(problems)))

    def lead(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    def join(one: int, other: int) -> None:
        first, second = sorted((lead(one), lead(other)))
        leader[second] = first

    same: dict[tuple[str, ...], int] = {}
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        join(same.setdefault(text, place), place)
        candidates: set[int] = set()
        for gram in grams[place]:
            earlier = holders[gram]
            if len(earlier) <= COMMON:
                candidates.update(earlier)
                earlier.append(place)
        for other in candidates:
            if lead(other) != lead(place):
                shared = len(grams[place] & grams[other])
                if shared >= likeness * min(len(grams[place]), len(grams[other])):
                    join(other, place)
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(problems)):
        groups[lead(place)].append(place)
    return list(groups.values())


def _check(place: str, words: int, likeness: float) -> None:
    check_number(place, "words", words, low=1)
    check_number(place, "likeness", likeness, low=0, high=1, low_open=True)
