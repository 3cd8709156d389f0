"""How an outcome is written: one function for each result, and the outcome of several parts together."""

from __future__ import annotations

from typing import Any

from paced.theory.ledger.claim import Engine, Outcome, Result

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


def all_of(*outcomes: Outcome, detail: str = "") -> Outcome:
    """One outcome for several: that of the weakest part, with samples added up.

    One refuted part refutes the whole. Else one undecided part leaves it undecided, and an assumed one assumed; else it
    is supported, or proved when all parts are. It carries the weakest engine among the parts of that kind: a proof
    beside a simulation is decided by simulation.

    Example:
        >>> both = all_of(proved("sympy"), supported(3), supported(4))
        >>> print(both, "|", both.engine)
        supported by 7 samples | numeric
        >>> print(all_of(undecided("z3", "gave up"), proved("sympy")))
        undecided: gave up
    """
    assert outcomes, "no part, no outcome"
    for result in (Result.REFUTED, Result.UNDECIDED, Result.ASSUMED):
        for outcome in outcomes:
            if outcome.result is result:
                return outcome
    supports = [outcome for outcome in outcomes if outcome.result is Result.SUPPORTED]
    return Outcome(
        Result.SUPPORTED if supports else Result.PROVED,
        min((outcome.engine for outcome in supports or outcomes), key=WEAKEST_FIRST.index),
        detail,
        samples=sum(outcome.samples or 0 for outcome in outcomes) or None,
        reached=tuple(dict.fromkeys(text for outcome in outcomes for text in outcome.reached)),
        tolerance=max((outcome.tolerance for outcome in outcomes if outcome.tolerance is not None), default=None),
    )
