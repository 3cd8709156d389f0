"""Spellings of one LaTeX answer are equal as text, and no two different answers become equal."""

from __future__ import annotations

import pytest

from paced.grading.latex import one_spelling


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\dfrac{1}{2}", r"\frac12"), (r"\tfrac 1 2", r"\frac{1}{2}"), ("(1,2)", r"\left( 1,\, 2 \right)"),
        (r"\text{B}", "B"), (r"2\sqrt{3}", r"2 \sqrt3"), ("$x^2 + 1$", "x^{2}+1"), (r"\(7\)", "7"),
        (r"\pi \sqrt{2}", r"\pi\sqrt{2}"), ("a = b", "a=b"), ("x − 1", "x-1"), (r"\!7", "7"), ("a\n b", "a b"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_answer_are_equal(one, other):
    assert one_spelling(one) == one_spelling(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 2", "12"), ("1{,}2", "1,2"), ("x=5", "y=5"), ("[0,1]", "(0,1)"), (r"\frac{1}{23}", r"\frac{12}{3}"),
        (r"\frac123", r"\frac{1}{23}"), ("x^23", "x^{23}"), ("1 -2", "1-2"), ("5 cm", "5 m"), (r"\frac{1}{2}", "0.5"),
        (r"2\frac{1}{2}", r"\frac{21}{2}"), ("B", "b"), (r"\sqrt{12}", r"\sqrt12"), ("$1$ $2$", "12"),
    ],
)  # fmt: skip
def test_two_different_answers_stay_different(one, other):
    assert one_spelling(one) != one_spelling(other)
