"""Problems that two sets share are found whatever their typesetting, and parts of a split share none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.errors import ConfigError
from paced.problems.overlap import alike, find_overlap
from paced.problems.split import split
from paced.records import Problem

LONG = (
    "Let $ABC$ be a triangle with $AB = 13$, $BC = 14$ and $CA = 15$. Point $D$ lies on side $BC$ such that $AD$ "
    "bisects angle $A$. Find the length of $AD$ squared."
)


def problem(text: str, name: str = "", answer: str = "1") -> Problem:
    return Problem(problem_id=name or text, problem=text, answer=answer)


@pytest.mark.parametrize(
    "same",
    [
        LONG.upper(),
        LONG.replace("$", ""),
        LONG.replace("$", "$ ").replace(" = ", "="),
        LONG.replace("$AB = 13$", "\\(AB\\, =\\; 13\\)"),
        "  " + LONG.replace(". ", ".\n\n"),
    ],
)
def test_a_problem_in_another_typesetting_is_the_same(same):
    (shared,) = find_overlap([problem(same, "train")], [problem(LONG, "held out")])
    assert (shared.kind, shared.train_id, shared.held_out_id, shared.same_gold) == ("exact", "train", "held out", True)


def test_a_problem_with_a_changed_number_is_near_and_its_other_gold_is_said():
    (shared,) = find_overlap([problem(LONG.replace("13", "26"), answer="2")], [problem(LONG)])
    assert shared.kind == "near"
    assert 0.5 <= shared.likeness < 1
    assert not shared.same_gold


def test_a_problem_inside_a_longer_prompt_is_near():
    (shared,) = find_overlap(
        [problem(f"Read the following with care and then answer in full. {LONG}")], [problem(LONG)]
    )
    assert (shared.kind, shared.likeness) == ("near", 1.0)


def test_different_problems_share_nothing_and_short_ones_are_compared_whole():
    assert (
        find_overlap([problem("Find all primes below one hundred that are squares plus one.")], [problem(LONG)]) == []
    )
    assert find_overlap([problem("2+2?")], [problem("2+3?")]) == []
    assert len(find_overlap([problem("$2 + 2$?")], [problem("2+2")])) == 1


def test_the_most_alike_training_problem_is_named_once_and_exact_comes_first():
    training = [
        problem(LONG.replace("13", "26"), "near"),
        problem(LONG, "same"),
        problem(LONG + " Hint: no.", "longer"),
    ]
    (shared,) = find_overlap(training, [problem(LONG)])
    assert (shared.kind, shared.train_id) == ("exact", "same")


@pytest.mark.parametrize("value", [0, -1, 1.5, float("nan")])
def test_a_likeness_outside_its_range_is_refused(value):
    with pytest.raises(ValueError, match="likeness must be finite and > 0 and <= 1"):
        find_overlap([], [], likeness=value)


TEXTS = [
    f"Problem {number} asks for the number of ways to colour {number + 3} beads in red and blue."
    for number in range(40)
]


@given(st.lists(st.floats(0.05, 0.5), min_size=1, max_size=4).filter(lambda s: sum(s) <= 1), st.integers(0, 10))
def test_parts_are_disjoint_of_their_size_and_the_same_in_any_order_of_the_file(shares, seed):
    problems = [problem(text) for text in TEXTS]
    parts = split(problems, shares, seed=seed)
    ids = [one.problem_id for part in parts for one in part]
    assert len(ids) == len(set(ids))
    assert all(abs(len(part) - share * len(TEXTS)) <= 1 for part, share in zip(parts, shares, strict=True))
    shuffled = random.Random(seed).sample(problems, len(problems))
    again = split(shuffled, shares, seed=seed)
    assert [{one.problem_id for one in part} for part in again] == [{one.problem_id for one in part} for part in parts]


def test_disjoint_parts_have_no_near_problem_in_common_and_plain_parts_may():
    problems = [problem(LONG.replace("13", str(number))) for number in range(20, 30)]
    problems += [problem(f"{name} has 3 apples and eats one of them before lunch today") for name in ("Ann", "Bob")]
    problems += [problem(" ".join(f"w{number}x{place}" for place in range(12))) for number in range(12)]
    for seed in range(5):
        one, other = split(problems, [0.5, 0.5], seed=seed, disjoint=True)
        assert find_overlap(one, other) == []
        assert len(one) + len(other) == len(problems)
    plain = [find_overlap(*split(problems, [0.5, 0.5], seed=seed)) for seed in range(5)]
    assert any(plain)


def test_a_chain_of_near_problems_is_one_group():
    words = [f"word{number}" for number in range(40)]
    texts = [" ".join(words[start : start + 20]) for start in (0, 6, 12)]
    assert find_overlap([problem(texts[0])], [problem(texts[2])]) == []
    assert alike([problem(text) for text in (*texts, "another text altogether")]) == [[0, 1, 2], [3]]


@pytest.mark.parametrize("shares", [[], [0.0], [0.7, 0.7], [float("nan")]])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ConfigError, match="shares must be > 0 and sum to at most 1"):
        split([problem("a")], shares, seed=1)


def test_a_part_without_a_problem_is_refused():
    with pytest.raises(ConfigError, match="part 1 has no problem|part 2 has no problem"):
        split([problem(LONG)], [0.5, 0.5], seed=1, disjoint=True)
