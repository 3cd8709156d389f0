"""How a check decides: one function for each engine, all of which return an Outcome.

| engine | function | proved when | refuted when |
|---|---|---|---|
| sympy | :func:`symbolic_zero` | the expression simplifies to 0 | it is not 0 at a numeric point |
| z3 | :func:`unsatisfiable` | the negation has no model over the reals | a model is found |
| interval | :func:`positive_on` | ball arithmetic shows f > 0 on every box | a point has f < 0 |
| exact | :func:`equal_exactly` | rationals agree everywhere on a finite domain | they differ somewhere |
| numeric | :func:`agree` | (never: *supported*) | two routes differ beyond the tolerance |
| hypothesis | :func:`holds_for_all` | (never: *supported*) | an example fails |
| monte_carlo | :func:`mean_is` | (never: *supported*) | the mean is over five standard errors off |

What cannot be decided is *undecided*: that a simplification fails proves nothing.
sympy, z3, flint and hypothesis are imported when their engine runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paced.theory.ledger.claim import Engine, Outcome, Result

F64 = 1e-12
"""Relative; a closed form in float64 against another."""
QUADRATURE = 1e-9
"""Relative; against quadrature or mpmath at fewer digits."""
MC_SE = 5.0
"""Standard errors of a simulation with a fixed seed."""
WEAKEST_FIRST: tuple[Engine, ...] = ("monte_carlo", "hypothesis", "numeric", "interval", "exact", "z3", "sympy")
"""What decides where several engines take part; among the four that prove, the order says nothing."""


def proved(engine: Engine, detail: str = "") -> Outcome:
    """The statement is proved by this engine."""
    return Outcome(Result.PROVED, engine, detail)


def refuted(detail: str = "", /, *, engine: Engine = "numeric", **witness: Any) -> Outcome:
    """The statement is false at ``witness``."""
    return Outcome(Result.REFUTED, engine, detail, witness=witness)


def supported(samples: int, detail: str = "", *, engine: Engine = "numeric") -> Outcome:
    """The statement is true at all of ``samples`` points."""
    return Outcome(Result.SUPPORTED, engine, detail, samples=samples)


def undecided(engine: Engine, detail: str) -> Outcome:
    """Neither proved nor refuted by this engine."""
    return Outcome(Result.UNDECIDED, engine, detail)


def assumed(detail: str = "") -> Outcome:
    """Nobody proves it."""
    return Outcome(Result.ASSUMED, "assumed", detail)


def symbolic_zero(expression: Any, *, points: int = 4, detail: str = "") -> Outcome:
    """Prove that a SymPy expression is identically 0.

    Args:
        expression: lhs - rhs; its symbols' assumptions (positive, real) are the domain.
        points: random values of the symbols in (0.1, 0.9), tried when no simplification reaches 0.
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
        place = {symbol: sympy.Rational(int(rng.integers(10, 90)), 100) for symbol in symbols}
        value = complex(sympy.N(expression.subs(place), 50))
        if abs(value) > 1e-30:
            where: dict[str, Any] = {str(s): str(v) for s, v in place.items()} or {"difference": value.real}
            return refuted(f"the two sides differ by {value.real:.6g}", **where, engine="sympy")
    return undecided("sympy", "zero at every point tried, but no simplification reaches 0")


def unsatisfiable(*constraints: Any, seconds: float = 20.0, detail: str = "") -> Outcome:
    """Prove a statement over the reals: pass its hypotheses and its negation as z3 constraints.

    Example:
        >>> import z3
        >>> x = z3.Real("x")
        >>> print(unsatisfiable(x * x < 0), "|", unsatisfiable(x * x < x).result)
        proved | refuted
    """
    import z3

    solver = z3.Solver()
    solver.set("timeout", int(seconds * 1000))
    solver.add(*constraints)
    answer = solver.check()
    if answer == z3.unsat:
        return proved("z3", detail)
    if answer == z3.sat:
        model = solver.model()
        return refuted("z3 found a model", **{str(name): str(model[name]) for name in model.decls()}, engine="z3")
    return undecided("z3", f"z3 gave up after {seconds:g} s: {solver.reason_unknown()}")


def positive_on(
    function: Callable[..., Any],
    *intervals: tuple[float, float],
    max_boxes: int = 20_000,
    detail: str = "",
) -> Outcome:
    """Prove f > 0 on a box by ball arithmetic with bisection; rounding errors are inside the balls.

    Args:
        function: of one ``flint.arb`` for each interval; uses arb methods (exp, log, cosh, ...).
        intervals: [low, high] of each argument, exact binary floats.
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

    queue: list[tuple[tuple[float, float], ...]] = [tuple(intervals)]
    done = 0
    while queue:
        box = queue.pop()
        done += 1
        if done > max_boxes:
            return undecided("interval", f"{max_boxes} boxes were not enough; the next is {box}")
        middles = [(low + high) / 2 for low, high in box]
        value = function(*(arb(mid, (high - low) / 2) for (low, high), mid in zip(box, middles, strict=True)))
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


def equal_exactly(pairs: Iterable[tuple[Mapping[str, Any], Any, Any]], *, detail: str = "") -> Outcome:
    """Prove that two exact values agree on a finite domain.

    Args:
        pairs: (where, left, right) with rationals or integers; floats are refused.
        detail: what a proof shows; by default the number of cases.

    Example:
        >>> from fractions import Fraction as F
        >>> print(equal_exactly(({"n": n}, sum(F(k) for k in range(n + 1)), F(n * (n + 1), 2)) for n in range(9)))
        proved: all 9 cases
    """
    count = 0
    for where, left, right in pairs:
        assert not isinstance(left, float), "exact means no floats"
        assert not isinstance(right, float), "exact means no floats"
        count += 1
        if left != right:
            return refuted(f"{left} is not {right}", **where, engine="exact")
    assert count, "an empty domain proves nothing"
    return proved("exact", detail or f"all {count} cases")


def agree(
    computed: ArrayLike,
    expected: ArrayLike,
    *,
    rtol: float = F64,
    atol: float = 0.0,
    detail: str = "",
    **where: ArrayLike,
) -> Outcome:
    """Support that two float64 routes give the same numbers; refute with the worst point.

    Args:
        computed: values of the public function.
        expected: values by an independent route (closed form, quadrature, mpmath).
        rtol: relative tolerance.
        atol: absolute tolerance, for values that may be 0.
        detail: what agreement shows.
        where: arguments at which the values were taken, for the witness; numbers or arrays of the same shape.

    Example:
        >>> print(agree(np.tanh([0.1, 0.2]), np.sinh([0.1, 0.2]) / np.cosh([0.1, 0.2])))
        supported by 2 samples
        >>> print(agree([1.0, 2.0], [1.0, 2.1], x=[7, 8]))
        refuted at x=8, got=2, want=2.1
    """
    left, right = np.broadcast_arrays(np.asarray(computed, dtype=np.float64), np.asarray(expected, dtype=np.float64))
    error = np.abs(left - right) - atol - rtol * np.abs(right)
    error = np.where(np.isfinite(error), error, np.inf).ravel()
    worst = int(np.argmax(error))
    if error[worst] > 0:
        place = {name: np.broadcast_to(np.asarray(v), left.shape).ravel()[worst].item() for name, v in where.items()}
        return refuted(detail, **place, got=float(left.ravel()[worst]), want=float(right.ravel()[worst]))
    return supported(error.size, detail)


def all_of(*outcomes: Outcome, detail: str = "") -> Outcome:
    """One outcome for several: the first that is not proved or supported, else the weaker kind with samples added up.

    It carries the weakest engine among the parts of that kind: a proof beside a simulation is decided by simulation.

    Example:
        >>> both = all_of(proved("sympy"), supported(3), supported(4))
        >>> print(both, "|", both.engine)
        supported by 7 samples | numeric
    """
    for outcome in outcomes:
        if outcome.result not in (Result.PROVED, Result.SUPPORTED):
            return outcome
    supports = [outcome for outcome in outcomes if outcome.result is Result.SUPPORTED]
    engine = min((outcome.engine for outcome in supports or outcomes), key=WEAKEST_FIRST.index)
    if not supports:
        return proved(engine, detail)
    return supported(sum(outcome.samples or 0 for outcome in supports), detail, engine=engine)


def holds_for_all(
    strategy: Any, law: Callable[[Any], bool | None], *, examples: int = 200, detail: str = ""
) -> Outcome:
    """Search for an example that breaks a law, with Hypothesis; deterministic, and the witness is shrunk.

    Args:
        strategy: a Hypothesis strategy for the argument.
        law: returns True where the law holds, False where it is broken, None where it does not apply.
        examples: how many to try.
        detail: what support shows.

    Example:
        >>> from hypothesis import strategies as st
        >>> print(holds_for_all(st.integers(0, 9), lambda n: n * n >= n, examples=20).result)
        supported
        >>> print(holds_for_all(st.integers(0, 9), lambda n: n < 5, examples=50))
        refuted at example=5
    """
    from hypothesis import HealthCheck, Phase, assume, given, settings

    tried = 0
    broken: list[Any] = []

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None,
        phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @given(strategy)
    def search(example: Any) -> None:
        nonlocal tried
        answer = law(example)
        assume(answer is not None)
        tried += 1
        if not answer:
            broken.append(example)
            raise _Broken

    try:
        search()
    except _Broken:
        return refuted(detail, example=broken[-1], engine="hypothesis")
    if not tried:
        return undecided("hypothesis", "no example met the law's conditions")
    return supported(tried, detail, engine="hypothesis")


def mean_is(draws: ArrayLike, expected: float, *, detail: str = "") -> Outcome:
    """Support that simulated values have mean ``expected``, to five standard errors.

    Args:
        draws: independent values, shape [num_draws], from a generator with a fixed seed.
        expected: the mean claimed.
        detail: what support shows.

    Example:
        >>> print(mean_is(np.random.default_rng(1).normal(size=10_000), 0.0).result)
        supported
        >>> print(mean_is(np.random.default_rng(1).normal(size=10_000), 0.1).result)
        refuted
    """
    values = np.asarray(draws, dtype=np.float64)
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))
    if not abs(mean - expected) <= MC_SE * error:
        return refuted(detail, mean=mean, claimed=expected, standard_error=error, engine="monte_carlo")
    return supported(values.size, detail or f"mean {mean:.6g} ± {error:.2g}", engine="monte_carlo")


class _Broken(AssertionError):  # noqa: N818 - never leaves this file
    """A law failed for the current example."""
