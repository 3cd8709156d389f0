r"""The exact rational value of an expression without variables: sums, products, powers, factorials, binomials, roots.

It reads an answer of type ``integer`` that is written as an expression (``2^5\cdot 3``, ``\binom{6}{2}``, ``8!``) with
nothing but the base install. Left out: all that is not rational (``balls.py``).
"""

from __future__ import annotations

import math
from fractions import Fraction

from paced.grading.terms import Tree

MAX_BITS = 4096
"""Of a numerator or denominator on the way; beyond it there is no value."""


class _NotRationalError(ArithmeticError):
    """The expression has no rational value here."""


def rational_value(tree: Tree) -> Fraction | None:
    r"""The value of an expression, or None when it has variables, is irrational, undefined or over :data:`MAX_BITS`.

    Example:
        >>> from paced.grading.terms import read_tree
        >>> rational_value(read_tree(r"2^5\frac{9}{3}")), rational_value(read_tree(r"\binom{6}{2} + \sqrt{16}"))
        (Fraction(96, 1), Fraction(19, 1))
        >>> [rational_value(read_tree(text)) for text in (r"\sqrt{2}", "9^{9^9}", "1/0")]
        [None, None, None]
    """
    try:
        return _value(tree)
    except (_NotRationalError, ZeroDivisionError):
        return None


def _value(tree: Tree) -> Fraction:
    name = tree[0]
    if name == "num":
        return _small(tree[1])
    if name not in ("+", "*", "/", "neg", "^", "!", "binom", "root", "abs", "floor", "ceil"):
        raise _NotRationalError(name)
    values = [_value(part) for part in tree[1:] if isinstance(part, tuple)]
    match name, values:
        case "+", [left, right]:
            return _small(left + right)
        case "*", [left, right]:
            return _small(left * right)
        case "/", [left, right]:
            return _small(left / right)
        case "neg", [of]:
            return -of
        case "^", [base, exponent]:
            return _power(base, exponent)
        case "!", [of]:
            return Fraction(math.factorial(_count(of, most=500)))
        case "binom", [top, bottom]:
            return Fraction(math.comb(_count(top, most=1000), _count(bottom, most=1000)))
        case "root", [degree, of]:
            return _root(_count(degree, most=64), of)
        case "abs", [of]:
            return abs(of)
        case "floor", [of]:
            return Fraction(math.floor(of))
        case "ceil", [of]:
            return Fraction(math.ceil(of))
    raise _NotRationalError(name)


def _small(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise _NotRationalError("too large")
    return value


def _count(value: Fraction, *, most: int) -> int:
    if value.denominator != 1 or not 0 <= value <= most:
        raise _NotRationalError("not a small whole number")
    return int(value)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        return _power(_root(_count(Fraction(exponent.denominator), most=64), base), Fraction(exponent.numerator))
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * max(bits - 1, 0) > MAX_BITS:
        raise _NotRationalError("too large")
    return base ** int(exponent)


def _root(degree: int, of: Fraction) -> Fraction:
    """The real root, when it is rational."""
    if degree == 0 or (of < 0 and degree % 2 == 0):
        raise _NotRationalError("not a real root")
    root = Fraction(*(_whole_root(degree, number) for number in (abs(of.numerator), of.denominator)))
    return -root if of < 0 else root


def _whole_root(degree: int, of: int) -> int:
    low, high = 0, 1 << (of.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**degree < of else (low, middle)
    if low**degree != of:
        raise _NotRationalError("irrational")
    return low
