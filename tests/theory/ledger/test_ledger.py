"""The ledger is whole and honest: everything covered, every outcome as recorded, every control refuted."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from theory.ledger.coverage import COVERED
from theory.ledger.sizes import RECORDED, is_smaller, name_of

from paced.theory.ledger.claim import Check, Claim, Control, Outcome, Result, Verdict
from paced.theory.ledger.engines import all_of, proved, refuted, supported
from paced.theory.ledger.ledger import dependents, foundations, ledger, validate
from paced.theory.ledger.runner import Task, run, run_task, tasks_of
from paced.theory.pages.explain import page_name
from paced.theory.pages.figures import DRAWINGS
from paced.theory.pages.files import pages, picture
from paced.theory.pages.graph import columns

DOCS = Path(__file__).parents[3] / "docs" / "theory"
ITEMS = (
    "Assumption 1", "Assumption 2", "Assumption 3(a)", "Assumption 3(b)", "Assumption 3(c)", "Assumption 4",
    "condition (a)", "condition (b)", "Definition 1", "Definition 2", "Lemma 5", "Theorem 4", "Theorem 6",
    *(f"Proposition {n}" for n in (1, 2, 3, 7, 8, 10, 11)), *(f"Remark {n}" for n in range(1, 7)),
)  # fmt: skip


COARSE = {
    ("eq8", "the delta-method variance of the ratio"): "a simulation",
    ("fig3", "across problems noise makes a bell, debiased noise does not"): "a simulation",
    ("x2", "the fit is a root of the score"): "the score at an optimiser's point, absolute",
    ("x2", "zone counts give the law back"): "an optimiser on counts rounded to whole problems",
    ("x7.neyman", "the same by search"): "the step of a grid",
    ("x10", "the ceiling kernel is a Beta kernel of p/c"): "the step of a grid",
}
"""Checks whose tolerance is above a millionth, and why."""


NEEDS_NO_HYPOTHESIS = {
    ("prop2.i", "the Jacobian's norm is at most 1/2"),
    ("prop11.condition", "it does give alpha + beta > 0, and only then"),
}
"""Quadratic forms of all reals; an inequality written in two ways."""


@pytest.mark.parametrize("name", list(ledger()))
def test_claim_has_the_recorded_outcomes_and_every_control_is_refuted(name):
    for ran in map(run_task, tasks_of([ledger()[name]])):
        assert ran.outcome is not None, ran.error
        assert ran.as_expected, f"{ran.task}: {ran.says}: {ran.outcome}, decided by {ran.engine}"
        if ran.task.kind == "control":
            assert ran.outcome.witness
            continue
        if ran.engine == "hypothesis" or (ran.engine == "z3" and ran.outcome.result is Result.PROVED):
            assert ran.outcome.reached or (name, ran.says) in NEEDS_NO_HYPOTHESIS, f"{name}: {ran.says} may be empty"
        assert not is_smaller(ran), (
            f"{name}: {ran.says}: {ran.outcome.samples} decided it, {RECORDED[name_of(ran)]} before"
        )
        coarse = (ran.outcome.tolerance or 0) > 1.01e-6
        assert coarse == ((name, ran.says) in COARSE), f"{name}: {ran.says} to {ran.outcome.tolerance}"


def test_the_size_of_most_checks_is_recorded():
    """A sentence that changes loses its number until ``python -m theory.ledger.sizes`` writes it again."""
    sentences = {f"{claim.id}: {check.says}" for claim in ledger().values() for check in claim.checks}
    assert len(sentences & set(RECORDED)) > 150


def test_what_is_named_as_an_exception_is_in_the_ledger():
    sentences = {(claim.id, check.says) for claim in ledger().values() for check in claim.checks}
    assert {*COARSE, *NEEDS_NO_HYPOTHESIS} <= sentences


def test_an_outcome_of_another_engine_is_not_the_recorded_one(monkeypatch):
    claim = toy(checks=(Check("z3", "sum", "integers", run=lambda: Outcome(Result.PROVED, "sympy")),))
    monkeypatch.setattr("paced.theory.ledger.runner.ledger", lambda: {"toy": claim})
    (ran,) = run(["toy"]).failures
    assert (ran.declared, ran.engine) == ("z3", "sympy")


def test_several_parts_are_decided_by_the_weakest_of_the_kind_that_counts():
    whole = all_of(proved("z3"), supported(1), supported(2, engine="monte_carlo"), supported(3, engine="hypothesis"))
    assert (whole.result, whole.samples, whole.engine) == (Result.SUPPORTED, 6, "monte_carlo")
    assert all_of(proved("z3"), proved("exact")).engine == "exact"
    assert all_of(supported(1), refuted("no", engine="exact", x=1)).engine == "exact"


def test_every_claim_has_a_control():
    assert all(claim.controls for claim in ledger().values())


def test_nothing_that_refutes_is_a_constant():
    """A refuting check, and a control outside ``fails``, can come out otherwise: `return refuted(...)` alone cannot."""
    for claim in ledger().values():
        refuting = [check for check in claim.checks if check.expected is Result.REFUTED]
        for one in (*refuting, *claim.other_controls):
            body = ast.parse(textwrap.dedent(inspect.getsource(one.run)).rstrip().rstrip(",")).body[0]
            constant = isinstance(body, ast.FunctionDef) and not any(
                isinstance(node, ast.If | ast.IfExp) or (isinstance(node, ast.Return) and not _is_refuted(node.value))
                for node in ast.walk(body)
            )
            assert not constant, f"{claim.id}: {ast.unparse(body)}"


def _is_refuted(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "refuted"


def test_every_equation_item_and_audit_entry_is_covered():
    equations = {number for claim in ledger().values() for number in claim.equations}
    places = " | ".join(claim.where for claim in ledger().values())
    assert sorted(set(range(1, 52)) - equations) == []
    assert {name for names in COVERED.values() for name in names} <= set(ledger())
    assert [item for item in ITEMS if item not in places] == []


def test_assumptions_are_marked_and_carry_the_derivation():
    assumed = {name for name, claim in ledger().items() if claim.verdict is Verdict.ASSUMED}
    assert {"a1", "a2", "a3a", "a3b", "a3b'", "a3c", "a4", "prop2.a", "prop2.b"} <= assumed
    assert "prop3" in dependents(ledger(), "a3b")
    assert "a3b" in foundations(ledger(), "prop3.shape")


def test_the_functions_of_a_claim_are_public_and_found_by_the_name_that_is_shown():
    for claim in ledger().values():
        for function, dotted in zip(claim.functions, claim.function_names, strict=True):
            module, name = dotted.rsplit(".", 1)
            assert getattr(import_module(module), name) is function, f"{claim.id}: {dotted}"
            assert not name.startswith("_"), dotted


def test_every_group_file_is_in_the_ledger():
    import paced.theory.claims
    from paced.theory.ledger.ledger import _GROUPS

    files = {path.stem for path in Path(paced.theory.claims.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {group.__name__.rsplit(".", 1)[1] for group in _GROUPS}


def test_no_claim_rests_on_itself_through_others():
    place = columns(ledger())
    assert all(place[name] > place[other] for name, claim in ledger().items() for other in claim.depends_on)


def test_counterexamples_and_numbers_evaluate():
    for claim in ledger().values():
        for numbers in ([claim.counterexample.evaluate] if claim.counterexample else []) + (
            [claim.numbers] if claim.numbers else []
        ):
            assert all(isinstance(float(value), float) for value in numbers().values()), claim.id


@pytest.mark.slow
def test_every_picture_has_its_drawing_and_draws():
    pictures = {claim.picture.name: claim for claim in ledger().values() if claim.picture}
    assert set(pictures) == set(DRAWINGS)
    for claim in pictures.values():
        assert picture(claim).startswith(b"\x89PNG")


# --- the machinery itself fails when it should ------------------------------------------------------------------------
def toy(**changes) -> Claim:
    good = Claim(
        id="toy", where="nowhere", title="Sum", verdict=Verdict.TRUE, statement="1+1=2", latex="1+1=2",
        checks=(Check("exact", "sum", "integers", run=lambda: Outcome(Result.PROVED, "exact")),),
        other_controls=(Control("exact", "3 for 2", run=lambda: Outcome(Result.REFUTED, "exact", witness={"sum": 2})),),
    )  # fmt: skip
    return replace(good, **changes)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"other_controls": ()}, "has no control"),
        ({"checks": ()}, "has no check"),
        ({"depends_on": ("nothing",)}, "depends on a claim that is not there"),
        ({"verdict": Verdict.LOOSE}, "no check refutes"),
        ({"verdict": Verdict.CONDITIONAL}, "names none"),
        ({"verdict": Verdict.ASSUMED}, "no check says so"),
        ({"checks": (Check("exact", "s", "d", run=lambda: None, expected=Result.REFUTED),)}, "expects a check to fail"),
        ({"checks": (Check("exact", "s", "d", run=lambda: None, fails={"nothing": {}}),)}, "changes no argument"),
        ({"checks": (Check("exact", "s", "d", run=lambda: None, given={"x": None}, fails={"no": {"x": None}}),)},
         "changes no argument"),
        ({"checks": (Check("exact", "s", "d", run=lambda: None), Check("z3", "s", "e", run=lambda: None))},
         "has two checks of one sentence"),
        ({"verdict": Verdict.LOOSE}, "is called false without a counterexample"),
        ({"verdict": Verdict.LOOSE}, "is called false without a repair"),
        ({"verdict": Verdict.CONDITIONAL}, "has no counterexample without its conditions"),
    ],
)  # fmt: skip
def test_a_ledger_that_contradicts_itself_is_refused(changes, fault):
    validate([toy()])
    with pytest.raises(ValueError, match=fault):
        validate([toy(**changes)])


def test_an_id_used_twice_is_refused():
    with pytest.raises(ValueError, match="is used 2 times"):
        validate([toy(), toy()])


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (lambda: Outcome(Result.PROVED, "exact"), True),
        (lambda: Outcome(Result.UNDECIDED, "exact"), False),
        (lambda: Outcome(Result.SUPPORTED, "exact", samples=3), False),
        (lambda: 1 / 0, False),
    ],
)
def test_only_the_recorded_outcome_counts_and_a_crash_never_does(monkeypatch, check, expected):
    claim = toy(checks=(Check("exact", "sum", "integers", run=check),))
    monkeypatch.setattr("paced.theory.ledger.runner.ledger", lambda: {"toy": claim})
    ran = run_task(Task("toy", "check", 0))
    assert ran.as_expected is expected
    assert ("ZeroDivisionError" in ran.error) == (ran.outcome is None)


def test_a_control_that_passes_fails_the_run(monkeypatch):
    claim = toy(other_controls=(Control("exact", "nothing", run=lambda: Outcome(Result.PROVED, "exact")),))
    monkeypatch.setattr("paced.theory.ledger.runner.ledger", lambda: {"toy": claim})
    assert [one.task.kind for one in run(["toy"]).failures] == ["control"]


def test_a_refutation_without_a_witness_is_no_outcome():
    with pytest.raises(AssertionError, match="witness"):
        Outcome(Result.REFUTED, "exact")


# --- the pages --------------------------------------------------------------------------------------------------------
def test_pages_are_up_to_date():
    written = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    assert written == pages(), "run: paced verify --docs docs/theory"


def test_ids_pages_and_figures_match():
    assert {path.stem for path in DOCS.glob("*.md")} == {page_name(name) for name in ledger()} | {"index"}
    figures = {page_name(name) for name, claim in ledger().items() if claim.picture}
    assert {path.stem for path in (DOCS / "figures").glob("*.png")} == figures


@pytest.mark.slow
def test_the_whole_ledger_is_as_recorded_when_workers_share_it():
    assert run(workers=2).failures == ()
