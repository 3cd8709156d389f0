"""What a claim is: a sentence of the paper (or of ours), the machine checks that decide it, and the ways it must fail.

A **Claim** says where the sentence is, what the paper writes, what we verify instead, and our verdict. Its
**checks** return an **Outcome** each; the check records which outcome is expected, so a refuted sentence of the paper
is as green as a proved one, and anything else is red. Every claim also has **controls**: the same check with a
hypothesis dropped or a constant perturbed. A control must be *refuted with a witness*; one that passes shows that the
check cannot fail. Controls are written beside their check, as the arguments that change (``fails``): so a control is
the check with one thing changed, by construction. The few that are a computation of their own are ``other_controls``.

How to write one (a group file exports ``CLAIMS: tuple[Claim, ...]``; the engines that build outcomes are in
``engines.py``)::

    Claim(
        id="lem5", where="Lemma 5, Eq. (21)-(22)", title="Efficiency is quadratic", verdict=Verdict.TRUE,
        paper="a multiplicative misspecification incurs only epsilon^2 efficiency loss",
        statement="D(rho w*)/D(w*) = 1 - (1-rho)^2", latex=r"\\frac{D(w)}{D(w^*)} = 1-(1-\\rho)^2",
        equations=(21, 22), functions=(efficiency,), depends_on=("def2",),
        proof="Insert w = rho w* into Eq. (12).",
        checks=(
            Check(
                "sympy", "the quotient equals 1-(1-rho)^2", "s2, M2, L, eta > 0", run=derive_quotient,
                fails={"with 2 eta in the second-order term": {"step": 2}},
            ),
        ),
    )

Verdicts and what they demand (checked when the ledger is assembled, ``ledger.validate``):

- TRUE: every check is expected to be proved or supported;
- CONDITIONAL: the same, and a counterexample shows that the conditions named in ``hypotheses`` are needed;
- LOOSE: at least one check refutes the paper's wording, with a counterexample, and ``repair`` says what is true;
- ASSUMED: a hypothesis that nobody proves; its check returns *assumed*, its control shows that it says something.

Extensions of ours have ids that begin with x; ``where`` says "extension".

A symbolic simplification that does not reach the target is *undecided*, never refuted: refutation needs a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Literal

Engine = Literal["sympy", "z3", "interval", "hypothesis", "monte_carlo", "numeric", "exact", "assumed"]
"""How a check decides: ``exact`` is rational arithmetic or enumeration, ``numeric`` float64 against another route;
``assumed`` decides nothing."""

Numbers = Mapping[str, float]
"""Named reference values, computed when asked for, never typed in."""


class Verdict(StrEnum):
    """What we say about the paper's sentence."""

    TRUE = "true"
    CONDITIONAL = "true_under_conditions"
    LOOSE = "loose_or_false"
    ASSUMED = "assumed"


class Result(StrEnum):
    """What a check found."""

    PROVED = "proved"
    REFUTED = "refuted"
    SUPPORTED = "supported"
    UNDECIDED = "undecided"
    ASSUMED = "assumed"


@dataclass(frozen=True)
class Outcome:
    """The answer of one check, and the engine that gave it.

    Example:
        >>> print(Outcome(Result.REFUTED, "numeric", "efficiency is negative", witness={"rho": 2.5}))
        refuted at rho=2.5: efficiency is negative
        >>> print(Outcome(Result.SUPPORTED, "monte_carlo", samples=200))
        supported by 200 samples
    """

    result: Result
    engine: Engine
    """What decided; compared with the engine that the check declares."""
    detail: str = ""
    """One sentence for the reader of the table."""
    witness: Mapping[str, Any] | None = None
    """The point that refutes; required for REFUTED."""
    samples: int | None = None
    """How many points, examples or draws support, or exact cases prove; required for SUPPORTED."""
    reached: tuple[str, ...] = ()
    """That the domain is not empty: where a z3 query's hypotheses hold, the ends at which a law was tried."""
    tolerance: float | None = None
    """The largest difference between two float64 routes that counted as agreement, relative to the expected value."""

    def __post_init__(self) -> None:
        assert self.result is not Result.REFUTED or self.witness, "a refutation names its witness"
        assert self.result is not Result.SUPPORTED or self.samples, "support says how many samples"

    def __str__(self) -> str:
        text = str(self.result)
        if self.witness:
            text += " at " + ", ".join(f"{name}={_short(value)}" for name, value in self.witness.items())
        if self.samples and self.result is not Result.PROVED:
            text += f" by {self.samples} samples"
        if self.tolerance:
            text += f" to {self.tolerance:.3g}"
        if self.reached:
            text += f" ({'; '.join(self.reached)})"
        return f"{text}: {self.detail}" if self.detail else text


@dataclass(frozen=True)
class Check:
    """One way to decide one sentence.

    Example:
        >>> from paced.theory.ledger.engines import equal_exactly
        >>> def sum_is(value):
        ...     return equal_exactly([({"terms": 2}, 1 + 1, value)])
        >>> check = Check("exact", "1 + 1 = 2", "integers", sum_is, given={"value": 2}, fails={"3 for 2": {"value": 3}})
        >>> check.decide().result is check.expected, check.controls[0].decide().result
        (True, <Result.REFUTED: 'refuted'>)
    """

    engine: Engine
    says: str
    """The sentence that is decided, e.g. "the argmax of D is s2/(eta L M2)"."""
    domain: str
    """Where it is decided, e.g. "delta in (0, 3]"."""
    run: Callable[..., Outcome] = field(repr=False)
    expected: Result = Result.PROVED
    given: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of ``run``."""
    fails: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Controls: what was dropped or perturbed, with the arguments that differ then. Each must be refuted."""

    def decide(self) -> Outcome:
        """Run the check."""
        return self.run(**self.given)

    @property
    def controls(self) -> tuple[Control, ...]:
        """The same check with one thing changed, once for each entry of ``fails``."""
        return tuple(
            Control(self.engine, changed, partial(self.run, **{**self.given, **arguments}))
            for changed, arguments in self.fails.items()
        )


@dataclass(frozen=True)
class Control:
    """A computation that must fail: ``run`` returns REFUTED with a witness, or the ledger is red.

    Example:
        >>> print(Control("exact", "3 for 2", lambda: Outcome(Result.REFUTED, "exact", witness={"sum": 2})).decide())
        refuted at sum=2
    """

    engine: Engine
    changed: str
    """What was dropped or perturbed, e.g. "without b' > 0" or "with 2a' + 0.01 in place of 2a'"."""
    run: Callable[[], Outcome] = field(repr=False)

    def decide(self) -> Outcome:
        """Run the control."""
        return self.run()


@dataclass(frozen=True)
class Counterexample:
    """A small object on which the paper's wording fails.

    Example:
        >>> two = Counterexample("rho = 5/2: the step overshoots.", evaluate=lambda: {"efficiency": 1 - (1 - 2.5) ** 2})
        >>> two.evaluate()
        {'efficiency': -1.25}
    """

    text: str
    """What it is and what goes wrong, in a sentence or two."""
    evaluate: Callable[[], Numbers] = field(repr=False)
    """The numbers that show it."""


@dataclass(frozen=True)
class Picture:
    """A figure of ``paced.theory.pages.figures``: theory gives the table, analysis draws it."""

    name: str
    """Name of the drawing function there."""
    table: Callable[[], Mapping[str, Sequence[Any]]] = field(repr=False)
    """Columns of equal length."""
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence with its verdict, its proof and its checks.

    Example:
        >>> two = Outcome(Result.PROVED, "exact")
        >>> three = Outcome(Result.REFUTED, "exact", witness={"sum": 2})
        >>> claim = Claim(
        ...     id="toy", where="nowhere", title="Sum", verdict=Verdict.TRUE, statement="1 + 1 = 2", latex="1+1=2",
        ...     proof="Peano.",
        ...     checks=(Check("exact", "1 + 1 = 2", "integers", run=lambda: two),),
        ...     other_controls=(Control("exact", "3 for 2", lambda: three),),
        ... )
        >>> [str(check.decide()) for check in claim.checks], [str(control.decide()) for control in claim.controls]
        (['proved'], ['refuted at sum=2'])
    """

    id: str
    """Short and stable, after the paper's item: ``eq3``, ``prop2.ii``, ``thm6.iii``; ``x3`` for extensions."""
    where: str
    """Place in the paper, or "``x3``"."""
    title: str
    verdict: Verdict
    statement: str
    """What we verify, as one readable sentence in plain text."""
    latex: str
    """The same as LaTeX, without dollars."""
    paper: str = ""
    """The paper's wording (formulas restored); empty for our own claims."""
    equations: tuple[int, ...] = ()
    """Numbers of the paper's equations that this claim covers."""
    functions: tuple[Callable[..., Any], ...] = ()
    """The public functions that compute it; the checks call them."""
    hypotheses: tuple[str, ...] = ()
    """Conditions under which ``statement`` holds, the added ones included."""
    depends_on: tuple[str, ...] = ()
    """Ids of claims and assumptions that the proof uses."""
    proof: str = ""
    """A sketch that a reader of the paper can complete."""
    repair: str = ""
    """What is true instead, where the paper's wording is not."""
    numbers: Callable[[], Numbers] | None = field(default=None, repr=False)
    """Reference values for the docs."""
    counterexample: Counterexample | None = None
    picture: Picture | None = None
    checks: tuple[Check, ...] = ()
    other_controls: tuple[Control, ...] = ()
    """Controls that are not a check with one thing changed."""

    @property
    def function_names(self) -> tuple[str, ...]:
        """Where a reader looks the functions up: the dotted name of each, in the module that defines it."""
        return tuple(f"{function.__module__}.{function.__qualname__}" for function in self.functions)

    @property
    def controls(self) -> tuple[Control, ...]:
        """All controls: those of the checks, then the others."""
        return (*(control for check in self.checks for control in check.controls), *self.other_controls)


def _short(value: Any) -> str:
    """A witness's value in a few characters."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
