"""The engines that can prove over a continuum: SymPy's rules, z3 over the reals, ball arithmetic on boxes.

Each of them proves only what it has decided. That a simplification or a solver gives up says nothing about the
statement, and a query whose hypotheses contradict each other proves nothing, so both are *undecided*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from paced.theory.ledger.claim import Outcome, Result
from paced.theory.ledger.outcomes import proved, refuted, undecided


def symbolic_zero(expression: Any, *, points: int = 4, detail: str = "") -> Outcome:
    """Prove that a SymPy expression is identically 0.

    Args:
        expression: lhs - rhs; its symbols' assumptions (positive, real, integer) are the domain.
        points: random values of the symbols, tried when no simplification reaches 0: rationals with size in (0.1, 0.9),
            negative ones where a symbol may be, integers where it must be one.
        detail: what a proof shows.

    Returns: proved; refuted with the point where it is not 0; undecided when it is 0 at all points but not by rule.

    Example:
        >>> import sympy
        >>> x = sympy.symbols("x", positive=True)
        >>> print(symbolic_zero((x + 1) ** 2 - x**2 - 2 * x - 1), "|", symbolic_zero(x - 0.5 * x).result)
        proved | refuted
    """
    import sympy

    expression = sympy.sympify(expression)
    for rule in (sympy.expand, sympy.simplify, sympy.gammasimp, lambda e: sympy.simplify(e.rewrite(sympy.exp))):
        try:
            if rule(expression) == 0:
                return proved("sympy", detail)
        except (NotImplementedError, ValueError, TypeError):
            continue
    rng = np.random.default_rng(0)
    symbols = sorted(expression.free_symbols, key=str)
    for _ in range(points):
        place = {symbol: _value_of(symbol, rng) for symbol in symbols}
        if None in place.values():
            return undecided("sympy", f"no number is what the symbols assume: {place}")
        difference = _difference(expression, place)
        if difference is not None:
            where: dict[str, Any] = {str(s): str(v) for s, v in place.items()} or {"difference": difference}
            return refuted(f"the two sides differ by {difference:.6g}", **where, engine="sympy")
    return undecided("sympy", "zero at every point tried, but no simplification reaches 0")


def _difference(expression: Any, place: Mapping[Any, Any]) -> float | None:
    """The (real part of the) value of an expression at a place, to 50 digits; None where it is 0 or not a number."""
    import sympy

    value = sympy.N(expression.subs(place), 50)
    if value.is_finite and abs(complex(value)) > 1e-30:
        return complex(value).real
    return None


def _value_of(symbol: Any, rng: np.random.Generator) -> Any:
    """A rational number that is all that a symbol assumes; None where none of a hundred is."""
    import sympy

    for attempt in range(100):
        number = sympy.Rational(int(rng.integers(10, 90)), 100 if attempt < 50 else 1)
        for candidate in (-number, number) if rng.random() < 0.5 else (number, -number):
            if all(getattr(candidate, f"is_{name}") is value for name, value in symbol.assumptions0.items()):
                return candidate
    return None


def zero_for_any_number(identity: Any, growth: Mapping[Any, Any], *, terms: int = 3, detail: str = "") -> Outcome:
    """Prove by induction that an identity among sums holds for any number of terms.

    Args:
        identity: lhs - rhs, an expression in the sums and in constants.
        growth: each sum, a symbol without a sign -> what one more term adds to it: an expression in the sums before the
            term, so that sums over pairs can be written, in the constants of ``identity``, and in the term's own
            symbols, which are all others.
        terms: random terms that are added when the step is not 0, in search of a sum that breaks the identity.
        detail: what a proof shows.

    Returns: proved when the identity is 0 without a term and unchanged by one more; refuted with the terms that break
    it; undecided when the step is not 0 and no such terms are known, since sums that no terms have may break it.

    Example:
        >>> import sympy
        >>> x, total, squares, pairs = sympy.symbols("x S Q P", real=True)
        >>> growth = {total: x, squares: x**2, pairs: 2 * x * total}
        >>> print(zero_for_any_number(total**2 - squares - pairs, growth).result)
        proved
        >>> print(zero_for_any_number(total**2 - squares, growth))
        refuted at term 1=x = -39/50, term 2=x = -3/5: the sums of these terms break it
    """
    import sympy

    sums, growth = list(growth), {total: sympy.sympify(more) for total, more in growth.items()}
    assert all(total.is_nonnegative is None for total in sums), f"a sum may be 0 or of either sign: {sums}"
    base = symbolic_zero(identity.subs(dict.fromkeys(sums, 0)))
    if base.result is not Result.PROVED:
        return base
    larger = identity.subs({total: total + growth[total] for total in sums}, simultaneous=True)
    if symbolic_zero(larger - identity).result is Result.PROVED:
        return proved("sympy", detail)
    added = _terms_that_break(identity, growth, terms)
    if added is None:
        return undecided("sympy", f"one more term changes the identity, and no {terms} terms are known that break it")
    return refuted("the sums of these terms break it", **added, engine="sympy")


def _terms_that_break(identity: Any, growth: Mapping[Any, Any], terms: int) -> dict[str, str] | None:
    """The constants and up to ``terms`` random terms at whose sums the identity is not 0; None where none is found."""
    import sympy

    rng = np.random.default_rng(0)
    of_terms = set().union(*(more.free_symbols for more in growth.values())) - set(growth) - identity.free_symbols
    constants = {symbol: _value_of(symbol, rng) for symbol in sorted(identity.free_symbols - set(growth), key=str)}
    added = {str(symbol): str(value) for symbol, value in constants.items()}
    sums: dict[Any, Any] = dict.fromkeys(growth, sympy.Integer(0))
    for number in range(1, terms + 1):
        term = {symbol: _value_of(symbol, rng) for symbol in sorted(of_terms, key=str)}
        if None in (*term.values(), *constants.values()):
            return None
        sums = {total: sums[total] + more.subs({**sums, **term, **constants}) for total, more in growth.items()}
        added[f"term {number}"] = ", ".join(f"{symbol} = {value}" for symbol, value in term.items())
        if _difference(identity, {**sums, **constants}) is not None:
            return added
    return None


def unsatisfiable(*constraints: Any, seconds: float = 20.0, detail: str = "") -> Outcome:
    """Prove a statement over the reals: pass its hypotheses and, last, its negation as z3 constraints.

    Hypotheses that contradict each other imply everything, and so does a negation that contradicts itself. So a proof
    also needs a point where all hypotheses hold, which it names, and, where there are hypotheses, one where the
    negation holds without them.

    Args:
        constraints: the hypotheses, then the negation of what they imply.
        seconds: for each query.
        detail: what a proof shows.

    Returns: proved; refuted with the model; undecided when z3 gives up or the query is empty.

    Example:
        >>> import z3
        >>> x = z3.Real("x")
        >>> print(unsatisfiable(x * x < 0), "|", unsatisfiable(x > 1, x * x < x), "|", unsatisfiable(x * x < x).result)
        proved | proved (the hypotheses hold at x = 2) | refuted
        >>> print(unsatisfiable(x > 1, x < 1, x * x < 0))
        undecided: no point is known where the hypotheses hold: unsat
    """
    *hypotheses, negation = constraints
    answer, text, point = _solve(constraints, seconds)
    if answer == "sat":
        return refuted("z3 found a model", **point, engine="z3")
    if answer == "unknown":
        return undecided("z3", f"z3 gave up after {seconds:g} s: {text}")
    if not hypotheses:
        return proved("z3", detail)
    answer, text, inside = _solve(hypotheses, seconds)
    if answer != "sat":
        return undecided("z3", f"no point is known where the hypotheses hold: {text or answer}")
    answer, text, _ = _solve([negation], seconds)
    if answer != "sat":
        return undecided("z3", f"no point is known where the negation holds without its hypotheses: {text or answer}")
    where = ", ".join(f"{name} = {value}" for name, value in inside.items())
    return replace(proved("z3", detail), reached=(f"the hypotheses hold at {where}",))


def _solve(constraints: Sequence[Any], seconds: float) -> tuple[str, str, dict[str, str]]:
    """sat, unsat or unknown; why it is unknown; a model where there is one."""
    import z3

    solver = z3.Solver()
    solver.set("timeout", int(seconds * 1000))
    solver.add(*constraints)
    answer = solver.check()
    if answer == z3.sat:
        model = solver.model()
        return "sat", "", {str(name): str(model[name]) for name in sorted(model.decls(), key=str)}
    return ("unsat", "", {}) if answer == z3.unsat else ("unknown", solver.reason_unknown(), {})


def positive_on(
    function: Callable[..., Any],
    *intervals: tuple[float, float],
    max_boxes: int = 20_000,
    detail: str = "",
) -> Outcome:
    """Prove f > 0 on a box by ball arithmetic with bisection; rounding errors are inside the balls.

    Args:
        function: of one ``flint.arb`` for each interval; uses arb methods (exp, log, cosh, ...).
        intervals: [low, high] of each argument, low < high.
        max_boxes: pieces after which it gives up.
        detail: what a proof shows.

    Returns: proved; refuted at the middle of a box where f < 0 for certain; undecided when pieces run out.

    Edges: f = 0 inside or at the edge cannot be proved positive; divide the zero out first.

    Example:
        >>> print(positive_on(lambda x: x.exp() - 1 - x / 2, (0.125, 3.0)).result)
        proved
        >>> print(positive_on(lambda x: x - 1, (0.0, 3.0)).result)
        refuted
    """
    from flint import arb

    assert intervals, "a box has at least one side"
    assert all(low < high for low, high in intervals), f"the box is empty: {intervals}"
    queue: list[tuple[tuple[float, float], ...]] = [tuple(intervals)]
    done = 0
    while queue:
        box = queue.pop()
        done += 1
        if done > max_boxes:
            return undecided("interval", f"{max_boxes} boxes were not enough; the next is {box}")
        middles = [(low + high) / 2 for low, high in box]
        # The union of the two ends covers both, however their middle is rounded.
        value = function(*(arb(low).union(arb(high)) for low, high in box))
        if value > 0:
            continue
        point = function(*(arb(mid) for mid in middles))
        if point < 0:
            names = [f"x{i}" for i in range(len(middles))] if len(middles) > 1 else ["x"]
            return refuted(f"f = {float(point.mid()):.6g}", **dict(zip(names, middles, strict=True)), engine="interval")
        widest = max(range(len(box)), key=lambda i: box[i][1] - box[i][0])
        for half in ((box[widest][0], middles[widest]), (middles[widest], box[widest][1])):
            queue.append((*box[:widest], half, *box[widest + 1 :]))
    return proved("interval", detail or f"{done} boxes")
