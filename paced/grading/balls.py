"""Whether two expressions have the same value, decided with balls: regions of complex numbers that contain the value.

Balls that do not meet prove that the values differ, however near they are; balls of 40 digits that meet are called
equal. Magnitude costs nothing (``1/2004!`` is a ball like any other), and what outgrows the precision becomes a ball
without bounds, which decides nothing. Expressions with variables are compared at fixed rational points where both are
real. Left out: proofs of identities; a false identity that holds to 40 digits at five points is not a likely answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from paced.grading.terms import Tree, variables

PRECISION = 512
"""Bits of a ball at first."""
AGREEMENT = 136
"""Bits to which two balls that meet must be known to be called equal: 40 digits."""
NUM_POINTS = 8
"""Points at which expressions with variables are compared; two of them must be in the domain of both."""


class _OutOfDomainError(ArithmeticError):
    """The expression has no real value at this point."""


def same_value(left: Tree, right: Tree) -> bool | None:
    r"""Whether two expressions are equal for all values of their variables; None when balls cannot tell.

    Example:
        >>> from paced.grading.terms import read_tree
        >>> same_value(read_tree(r"\frac{1}{\sqrt{2}}"), read_tree(r"\frac{\sqrt{2}}{2}"))
        True
        >>> same_value(read_tree("2^{-99}"), read_tree("2^{-98}"))
        False
        >>> same_value(read_tree("x^2-1"), read_tree("(x+1)(x-1)"))
        True
    """
    names = variables(left) | variables(right)
    if not names:
        return _agree(left, right, {}, real=False)
    outcomes = [_at_point(left, right, point) for point in _points(names)]
    if False in outcomes:
        return False
    return True if outcomes.count(True) >= 2 else None


def same_ratio(left: Tree, right: Tree) -> bool | None:
    """Whether two expressions with variables vanish together because one is the other times a constant.

    Example:
        >>> from paced.grading.terms import read_tree
        >>> same_ratio(read_tree("2x-4"), read_tree("x-2")), same_ratio(read_tree("x-4"), read_tree("x-2"))
        (True, False)
    """
    names = variables(left) | variables(right)
    points = _points(names)
    scale = ("*", ("at", left, points[0]), right), ("*", ("at", right, points[0]), left)
    if _at_point(left, ("num", Fraction(0)), points[0]) is not False:
        return None
    return same_value(*scale)


def ordered(left: Tree, right: Tree) -> bool | None:
    """Whether the real value on the left is less than that on the right; None when balls cannot tell."""
    difference = _ball(("+", right, ("neg", left)), {}, PRECISION, real=False)
    if difference is None:
        return None
    real = difference.real
    return True if real > 0 else False if real < 0 else None


def _at_point(left: Tree, right: Tree, point: Mapping[str, Fraction]) -> bool | None:
    try:
        return _agree(left, right, point, real=not ({"i"} & (_atoms(left) | _atoms(right))))
    except _OutOfDomainError:
        return None


def _agree(left: Tree, right: Tree, point: Mapping[str, Fraction], *, real: bool) -> bool | None:
    """Whether two values agree, at growing precision; None when none of them tells."""
    for precision in (PRECISION, 8 * PRECISION):
        one, other = _ball(left, point, precision, real), _ball(right, point, precision, real)
        if one is None or other is None:
            return None
        difference = one - other
        if not difference.contains(0):
            return False
        size = max(abs(one).upper(), abs(other).upper())
        if abs(difference).upper() <= size * _power_of_two(-AGREEMENT) or abs(difference).upper() < _power_of_two(
            -AGREEMENT * 2
        ):
            return True
    return None


def _points(names: frozenset[str]) -> list[dict[str, Fraction]]:
    """Rational points that depend on the names only: first positive ones, then of either sign."""
    points = []
    for number in range(NUM_POINTS):
        point = {}
        for name in names:
            digest = hashlib.sha256(f"{number} {name}".encode()).digest()
            value = Fraction(200 + int.from_bytes(digest[:4], "big") % 2800, 997)
            point[name] = -value if number >= NUM_POINTS // 2 and digest[4] % 2 else value
        points.append(point)
    return points


def _atoms(tree: Tree) -> frozenset[str]:
    return frozenset({tree[0]}).union(*(_atoms(part) for part in tree[1:] if isinstance(part, tuple)))


def _power_of_two(exponent: int) -> Any:
    from flint import arb

    return arb(2) ** exponent


def _ball(tree: Tree, point: Mapping[str, Fraction], precision: int, real: bool) -> Any | None:
    """The ball of an expression, or None when it has no bounds."""
    from flint import ctx

    before, ctx.prec = ctx.prec, precision
    try:
        ball = _value(tree, point, real)
        return ball if ball.is_finite() else None
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    finally:
        ctx.prec = before


def _value(tree: Tree, point: Mapping[str, Fraction], real: bool) -> Any:
    from flint import acb, arb, fmpq

    kind = tree[0]
    if kind == "num":
        return acb(fmpq(tree[1].numerator, tree[1].denominator))
    if kind == "var":
        return acb(fmpq(point[tree[1]].numerator, point[tree[1]].denominator))
    if kind == "at":  # a value at a point of its own
        return _value(tree[1], tree[2], real)
    if kind in ("pi", "e", "i"):
        return {"pi": acb(arb.pi()), "e": acb(arb.const_e()), "i": acb(0, 1)}[kind]
    parts = [_value(part, point, real) for part in tree[1:] if isinstance(part, tuple)]
    operation = _OPERATIONS.get(kind)
    if operation is None:
        raise ValueError(kind)
    value = operation(*parts)
    if real and not (value.imag == 0 or value.imag.contains(0)):
        raise _OutOfDomainError
    return value


def _power(base: Any, exponent: Any) -> Any:
    whole = exponent.unique_fmpz() if exponent.imag == 0 else None
    if whole is not None and exponent.is_exact() and abs(whole) < 10**9:
        return base ** int(whole) if whole >= 0 else 1 / base ** int(-whole)
    return base**exponent


def _root(degree: Any, of: Any) -> Any:
    """The real root where there is one: of a negative number for an odd degree."""
    whole = degree.unique_fmpz() if degree.is_exact() and degree.imag == 0 else None
    if whole is None or not 1 < whole < 1000:
        return of ** (1 / degree)
    if int(whole) == 2:
        return of.sqrt()
    negative = of.imag == 0 and of.real < 0
    return -((-of).root(int(whole))) if negative and int(whole) % 2 else of.root(int(whole))


def _factorial(of: Any) -> Any:
    if of.imag == 0 and of.real < 0:
        raise ValueError("factorial")
    return (of + 1).gamma()


def _binomial(top: Any, bottom: Any) -> Any:
    for one in (top, bottom, top - bottom):
        if not one.real > -1:
            raise ValueError("binomial")
    return (top + 1).gamma() / ((bottom + 1).gamma() * (top - bottom + 1).gamma())


def _step(name: str) -> Callable[[Any], Any]:
    def apply(of: Any) -> Any:
        from flint import acb

        if not of.imag == 0:
            raise ValueError(name)
        return acb(getattr(of.real, "floor" if name == "floor" else "ceil")())

    return apply


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "neg": lambda a: -a,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": _power,
    "root": _root,
    "!": _factorial,
    "binom": _binomial,
    "abs": lambda a: type(a)(abs(a)),
    "floor": _step("floor"),
    "ceil": _step("ceil"),
    "log": lambda base, of: of.log() / base.log(),
    "ln": lambda a: a.log(),
    "exp": lambda a: a.exp(),
    "sin": lambda a: a.sin(),
    "cos": lambda a: a.cos(),
    "tan": lambda a: a.tan(),
    "cot": lambda a: a.cot(),
    "sec": lambda a: a.sec(),
    "csc": lambda a: a.csc(),
    "sinh": lambda a: a.sinh(),
    "cosh": lambda a: a.cosh(),
    "tanh": lambda a: a.tanh(),
    **{
        f"{arc}{name}": inverse
        for arc in ("arc", "a")
        for name, inverse in {"sin": lambda a: a.asin(), "cos": lambda a: a.acos(), "tan": lambda a: a.atan()}.items()
    },
}
