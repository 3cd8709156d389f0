"""How a check decides: one function for each engine, all of which return an Outcome.

| engine | function | proved when | refuted when |
|---|---|---|---|
| sympy | :func:`symbolic_zero` | the expression simplifies to 0 | it is not 0 at a numeric point |
| sympy | :func:`zero_for_any_number` | 0 without a term, and one more changes nothing | terms that break it are known |
| z3 | :func:`unsatisfiable` | the negation has no model over the reals | a model is found |
| interval | :func:`positive_on` | ball arithmetic shows f > 0 on every box | a point has f < 0 |
| exact | :func:`equal_exactly` | rationals agree everywhere on a finite domain | they differ somewhere |
| numeric | :func:`agree` | (never: *supported*) | two routes differ beyond the tolerance |
| hypothesis | :func:`holds_for_all` | (never: *supported*) | an example fails |
| monte_carlo | :func:`mean_is` | (never: *supported*) | the mean is over five standard errors off |

What cannot be decided is *undecided*: that a simplification fails proves nothing.
The four that prove over a continuum are in ``provers.py``, how outcomes are written and combined in ``outcomes.py``;
claims import them all from here. sympy, z3, flint and hypothesis are imported when their engine runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Rational
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from paced.theory.ledger.claim import Outcome
from paced.theory.ledger.outcomes import all_of, assumed, proved, refuted, supported, undecided
from paced.theory.ledger.provers import positive_on, symbolic_zero, unsatisfiable, zero_for_any_number

__all__ = [
    "agree", "all_of", "assumed", "equal_exactly", "holds_for_all", "mean_is", "positive_on", "proved", "refuted",
    "supported", "symbolic_zero", "undecided", "unsatisfiable", "zero_for_any_number",
]  # fmt: skip

F64 = 1e-12
"""Relative; a closed form in float64 against another."""
QUADRATURE = 1e-9
"""Relative; against quadrature or mpmath at fewer digits."""
MC_SE = 5.0
"""Standard errors of a simulation with a fixed seed."""


def equal_exactly(pairs: Iterable[tuple[Mapping[str, Any], Any, Any]], *, detail: str = "") -> Outcome:
    """Prove that two exact values agree on a finite domain.

    Args:
        pairs: (where, left, right) with integers and rationals, Python's or SymPy's, or tuples of them; nothing else.
        detail: what a proof shows; by default the number of cases.

    Example:
        >>> from fractions import Fraction as F
        >>> print(equal_exactly(({"n": n}, sum(F(k) for k in range(n + 1)), F(n * (n + 1), 2)) for n in range(9)))
        proved: all 9 cases
    """
    count = 0
    for where, left, right in pairs:
        assert _is_exact(left), f"exact means no floats or fixed widths, got {left!r}"
        assert _is_exact(right), f"exact means no floats or fixed widths, got {right!r}"
        count += 1
        if left != right:
            return refuted(f"{left} is not {right}", **where, engine="exact")
    assert count, "an empty domain proves nothing"
    return replace(proved("exact", detail or f"all {count} cases"), samples=count)


def _is_exact(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_exact, value))
    # NumPy's integers wrap around, and two expressions of SymPy may be equal and look different.
    if isinstance(value, np.generic):
        return False
    return isinstance(value, Rational) or bool(getattr(value, "is_Rational", False))


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
        supported by 2 samples to 1e-12
        >>> print(agree([1.0, 2.0], [1.0, 2.1], x=[7, 8]))
        refuted at x=8, got=2, want=2.1
    """
    left, right = np.broadcast_arrays(np.asarray(computed, dtype=np.float64), np.asarray(expected, dtype=np.float64))
    with np.errstate(invalid="ignore"):  # inf - inf
        error = np.abs(left - right) - atol - rtol * np.abs(right)
    error = np.where(left == right, 0.0, np.where(np.isfinite(error), error, np.inf)).ravel()
    worst = int(np.argmax(error))
    if error[worst] > 0:
        place = {name: np.broadcast_to(np.asarray(v), left.shape).ravel()[worst].item() for name, v in where.items()}
        return refuted(detail, **place, got=float(left.ravel()[worst]), want=float(right.ravel()[worst]))
    return replace(supported(error.size, detail), tolerance=max(rtol, atol))


def holds_for_all(
    strategy: Any, law: Callable[[Any], bool | None], *, ends: Sequence[Any] = (), examples: int = 200, detail: str = ""
) -> Outcome:
    """Search for an example that breaks a law, with Hypothesis; deterministic, and the witness is shrunk.

    Args:
        strategy: a Hypothesis strategy for the argument.
        law: returns True where the law holds, False where it is broken, None where it does not apply.
        ends: examples at the ends of the domain, tried first. Together they hold the smallest and the largest of every
            number that the strategy draws, sizes of lists included; an example beyond them shows that they do not, and
            an end where the law does not apply was not reached.
        examples: how many to try.
        detail: what support shows.

    Example:
        >>> from hypothesis import strategies as st
        >>> print(holds_for_all(st.integers(0, 9), lambda n: n * n >= n, ends=(0, 9), examples=20))
        supported by 12 samples (tried at the ends of [0, 9])
        >>> print(holds_for_all(st.integers(0, 9), lambda n: n < 5, examples=50))
        refuted at example=5
        >>> print(holds_for_all(st.integers(0, 9), lambda n: n * n >= n, ends=(0, 8), examples=50))
        undecided: the example 9 is beyond the ends [0, 8]
    """
    from hypothesis import HealthCheck, Phase, assume, given, settings
    from hypothesis.errors import Unsatisfiable

    for end in ends:
        answer = law(end)
        if answer is None:
            return undecided("hypothesis", f"the law does not apply at the end {end!r}")
        if not answer:
            return refuted(detail, example=end, engine="hypothesis")
    domain = _extent(ends)
    tried = len(ends)
    broken: list[Any] = []
    beyond: list[Any] = []

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
        if not _covers(domain, _extent([example])):
            beyond.append(example)

    try:
        search()
    except _Broken:
        return refuted(detail, example=broken[-1], engine="hypothesis")
    except Unsatisfiable:
        return undecided("hypothesis", "no example met the law's conditions")
    ranges = " x ".join(f"[{low:.6g}, {high:.6g}]" for low, high in domain.values())
    if ends and beyond:
        return undecided("hypothesis", f"the example {beyond[0]!r} is beyond the ends {ranges}")
    outcome = supported(tried, detail, engine="hypothesis")
    return replace(outcome, reached=(f"tried at the ends of {ranges}",)) if ends else outcome


def _extent(examples: Sequence[Any]) -> dict[tuple[str, ...], tuple[float, float]]:
    """Smallest and largest of every number of some examples: by place in a tuple, of all items of a list or array."""
    extent: dict[tuple[str, ...], tuple[float, float]] = {}

    def visit(value: Any, place: tuple[str, ...]) -> None:
        if isinstance(value, tuple):
            for number, item in enumerate(value):
                visit(item, (*place, str(number)))
        elif isinstance(value, list | np.ndarray):
            visit(len(value), (*place, "size"))
            for item in value:
                visit(item, (*place, "item"))
        else:
            low, high = extent.get(place, (value, value))
            extent[place] = min(low, value), max(high, value)

    for example in examples:
        visit(example, ())
    return extent


def _covers(outer: Mapping[Any, tuple[float, float]], inner: Mapping[Any, tuple[float, float]]) -> bool:
    """Whether every range of ``inner`` is within that of ``outer``, to rounding."""
    return all(
        place in outer
        and outer[place][0] - F64 * abs(outer[place][0]) <= low
        and high <= outer[place][1] + F64 * abs(outer[place][1])
        for place, (low, high) in inner.items()
    )


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
    if values.size < 2 or not np.all(np.isfinite(values)):
        return undecided("monte_carlo", f"{values.size} draws, {int(np.isfinite(values).sum())} of them finite")
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))
    if not abs(mean - expected) <= MC_SE * error:
        return refuted(detail, mean=mean, claimed=expected, standard_error=error, engine="monte_carlo")
    return supported(values.size, detail or f"mean {mean:.6g} ± {error:.2g}", engine="monte_carlo")


class _Broken(AssertionError):  # noqa: N818 - never leaves this file
    """A law failed for the current example."""
