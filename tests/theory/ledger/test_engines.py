"""No engine returns more than it has decided: a true, a false and an undecidable statement for each."""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy
import z3
from hypothesis import strategies as st

from paced.theory.ledger.claim import Result
from paced.theory.ledger.engines import (
    F64,
    agree,
    all_of,
    assumed,
    equal_exactly,
    holds_for_all,
    mean_is,
    positive_on,
    proved,
    refuted,
    supported,
    symbolic_zero,
    undecided,
    unsatisfiable,
    zero_for_any_number,
)
from paced.theory.ledger.provers import _solve

x, y = sympy.symbols("x y", positive=True)
t = sympy.Symbol("t", real=True)
n = sympy.Symbol("n", integer=True, positive=True)
UNSIMPLIFIED = sympy.Piecewise((0, x < 5), (1, True))
"""0 wherever a point is tried, and no rule writes it as 0, since it is 1 from 5 on."""
u, v = z3.Reals("u v")
POWER = z3.Real("power")
MISSING_NUMBER = z3.And(u**v == POWER, u > 1, v > 1, u > POWER)
"""u^v >= u over the reals: true, but beyond what z3 decides."""


# --- sympy ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("expression", "result"),
    [
        (sympy.sinh(x) - (sympy.exp(x) - sympy.exp(-x)) / 2, Result.PROVED),
        (sympy.sqrt(x**2) - x, Result.PROVED),
        (sympy.sin(sympy.pi * n), Result.PROVED),
        (sympy.gamma(x + 1) - x * sympy.gamma(x), Result.PROVED),
        (x + y - 2 * x, Result.REFUTED),
        (sympy.Abs(t) - t, Result.REFUTED),  # true of every positive number
        (sympy.Rational(1, 3) - sympy.Float("0.3333333333333333"), Result.REFUTED),  # a rounded constant
        (UNSIMPLIFIED, Result.UNDECIDED),
    ],
)
def test_sympy_proves_by_rule_refutes_by_point_and_else_is_undecided(expression, result):
    outcome = symbolic_zero(expression)
    assert (outcome.result, outcome.engine) == (result, "sympy")


def test_a_refutation_by_sympy_names_numbers_of_the_kind_that_the_symbols_assume():
    assert float(sympy.Rational(symbolic_zero(sympy.Abs(t) - t).witness["t"])) < 0
    assert sympy.Rational(symbolic_zero(n - 7).witness["n"]).is_integer
    even = sympy.Symbol("even", even=True)
    assert symbolic_zero(sympy.cos(sympy.pi * sympy.Function("f")(even) * 0) - 1).result is Result.PROVED
    impossible = sympy.Symbol("i", imaginary=True)
    assert symbolic_zero(impossible + 1).result is Result.UNDECIDED


def test_no_value_is_not_the_value_zero():
    assert symbolic_zero(sympy.Function("f")(x)).result is Result.UNDECIDED
    assert symbolic_zero(sympy.zoo * x).result is Result.UNDECIDED


TOTAL, SQUARES, PAIRS, COUNT = sympy.symbols("S Q P N", real=True)
c, m = sympy.symbols("c m", real=True)
SUMS = {TOTAL: t, SQUARES: t**2, PAIRS: 2 * t * TOTAL, COUNT: 1}
"""Of numbers t: their sum, squares, products of ordered pairs, and how many there are."""


@pytest.mark.parametrize(
    ("identity", "growth", "result"),
    [
        (TOTAL**2 - SQUARES - PAIRS, SUMS, Result.PROVED),
        (TOTAL - c * COUNT, {TOTAL: c, COUNT: 1}, Result.PROVED),
        (TOTAL**2 - COUNT * SQUARES, SUMS, Result.REFUTED),  # true of one term, false of two
        (TOTAL - c, {TOTAL: t}, Result.REFUTED),  # false without a term
        (TOTAL * (TOTAL - m) * COUNT, {TOTAL: 0, COUNT: 1}, Result.UNDECIDED),  # true, but not of every S and N
        (COUNT * (COUNT - 1) * (COUNT - 2) * (COUNT - 3), {COUNT: 1}, Result.UNDECIDED),  # false from four terms on
        (TOTAL / COUNT, SUMS, Result.UNDECIDED),  # 0/0 without a term
        (TOTAL, {TOTAL: UNSIMPLIFIED}, Result.UNDECIDED),
    ],
)
def test_induction_proves_by_one_more_term_refutes_by_terms_and_else_is_undecided(identity, growth, result):
    outcome = zero_for_any_number(identity, growth)
    assert (outcome.result, outcome.engine) == (result, "sympy")


def test_the_terms_that_refute_an_identity_do_break_it():
    witness = zero_for_any_number(TOTAL**2 - COUNT * SQUARES, SUMS).witness
    terms = [Fraction(text.removeprefix("t = ")) for text in witness.values()]
    assert sum(terms) ** 2 != len(terms) * sum(term**2 for term in terms)


def test_a_sum_that_is_said_to_be_positive_is_refused():
    with pytest.raises(AssertionError, match="0 or of either sign"):
        zero_for_any_number(sympy.sqrt(x**2) - x, {x: t})


# --- z3 ---------------------------------------------------------------------------------------------------------------
def test_z3_proves_with_a_point_of_its_hypotheses():
    outcome = unsatisfiable(u > 3, v == u + 1, u * v <= 9)
    assert (outcome.result, outcome.engine) == (Result.PROVED, "z3")
    (where,) = outcome.reached
    assert where.startswith("the hypotheses hold at u = ")
    assert where in str(outcome)


def test_z3_refutes_with_a_model():
    outcome = unsatisfiable(u > 0, u < 1, u * u >= u / 2)
    assert outcome.result is Result.REFUTED
    assert 0.5 <= float(Fraction(outcome.witness["u"])) < 1


def test_what_z3_does_not_know_is_undecided():
    outcome = unsatisfiable(MISSING_NUMBER, seconds=0.2)
    assert (outcome.result, outcome.witness) == (Result.UNDECIDED, None)


@pytest.mark.parametrize(
    ("constraints", "why"),
    [
        ((u > 1, u < 1, u * u != 1), "where the hypotheses hold: unsat"),
        ((u > 0, z3.And(v > 1, v < 1)), "where the negation holds without its hypotheses: unsat"),
        ((u * u + 1 == 0, u > 1), "where the hypotheses hold: unsat"),
    ],
)
def test_an_empty_query_proves_nothing(constraints, why):
    assert _solve(constraints, 20)[0] == "unsat"
    outcome = unsatisfiable(*constraints)
    assert outcome.result is Result.UNDECIDED
    assert why in outcome.detail


def test_hypotheses_that_z3_cannot_fill_prove_nothing():
    outcome = unsatisfiable(MISSING_NUMBER, u > 1, u < 0, seconds=0.2)
    assert outcome.result is Result.UNDECIDED


# --- interval ---------------------------------------------------------------------------------------------------------
def test_ball_arithmetic_proves_refutes_and_gives_up():
    assert positive_on(lambda a: a.exp() - a, (-2.0, 2.0)).result is Result.PROVED
    below = positive_on(lambda a, b: a * b - 0.5, (0.1, 2.0), (0.1, 2.0))
    assert below.result is Result.REFUTED
    assert below.witness["x0"] * below.witness["x1"] < 0.5
    assert positive_on(lambda a: a * a, (-1.0, 2.0), max_boxes=200).result is Result.UNDECIDED  # touches 0
    assert positive_on(lambda a: a.log(), (-2.0, -1.0), max_boxes=200).result is Result.UNDECIDED  # not defined


def test_the_balls_cover_both_ends():
    """0.1 + 0.6 and its half are rounded, and a ball about the middle alone would leave out an end."""
    seen: list[flint.arb] = []
    positive_on(lambda a: seen.append(a) or flint.arb(1), (0.1, 0.7))
    assert seen[0].contains(flint.arb(0.1))
    assert seen[0].contains(flint.arb(0.7))


@pytest.mark.parametrize("intervals", [(), ((1.0, 1.0),), ((0.0, 1.0), (2.0, 1.0))])
def test_an_empty_box_proves_nothing(intervals):
    with pytest.raises(AssertionError, match="box"):
        positive_on(lambda *_: flint.arb(1), *intervals)


# --- exact ------------------------------------------------------------------------------------------------------------
def test_exact_equality_proves_or_refutes_every_case():
    assert equal_exactly(({"n": k}, Fraction(k, 3) * 3, k) for k in range(4)).result is Result.PROVED
    assert equal_exactly(({"n": k}, k * k, 2 * k) for k in (0, 2, 3)).witness == {"n": 3}


@pytest.mark.parametrize(
    "value", [0.5, np.float64(0.5), np.float32(0.5), sympy.Float(0.5), (Fraction(1, 2), 0.5), np.int64(2), n + 1]
)
def test_a_float_a_fixed_width_or_an_expression_is_not_exact(value):
    with pytest.raises(AssertionError, match="no floats"):
        equal_exactly([({"n": 1}, value, value)])


def test_no_case_proves_nothing():
    with pytest.raises(AssertionError, match="an empty domain"):
        equal_exactly([])


# --- numeric ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("tolerances", "size"), [({}, F64), ({"rtol": 1e-9}, 1e-9), ({"rtol": 0.0, "atol": 1e-6}, 1e-6)]
)
def test_agreement_ends_at_the_stated_tolerance(tolerances, size):
    assert agree([2.0, 1 + 0.9 * size], [2.0, 1.0], **tolerances).result is Result.SUPPORTED
    outcome = agree([2.0, 1 + 1.2 * size], [2.0, 1.0], **tolerances, place=[7, 8])
    assert (outcome.result, outcome.witness["place"]) == (Result.REFUTED, 8)
    assert agree(1.0, 1.0, **tolerances).tolerance == size


def test_agreement_is_never_a_proof_and_not_a_number_never_agrees():
    assert agree([0.0], [0.0]).result is Result.SUPPORTED
    assert agree([np.inf], [np.inf]).result is Result.SUPPORTED
    assert agree([np.nan], [np.nan]).result is Result.REFUTED
    for value in (np.nan, np.inf, -np.inf):
        assert agree([1.0, value], [1.0, 2.0]).result is Result.REFUTED
        assert agree([1.0, 2.0], [1.0, value]).result is Result.REFUTED
    assert agree([1e-300], [0.0]).result is Result.REFUTED  # relative to 0 nothing is small


# --- hypothesis -------------------------------------------------------------------------------------------------------
def test_a_law_is_supported_refuted_or_undecided():
    interval = st.floats(0.5, 4)
    assert holds_for_all(interval, lambda a: a * a >= a / 2, ends=(0.5, 4.0)).result is Result.SUPPORTED
    broken = holds_for_all(interval, lambda a: a < 3, ends=(0.5, 2.9))
    assert (broken.result, broken.witness["example"] >= 3) == (Result.REFUTED, True)
    assert holds_for_all(interval, lambda a: None).result is Result.UNDECIDED


def test_a_law_that_breaks_at_an_end_alone_is_refuted():
    assert holds_for_all(st.floats(0, 1), lambda a: a != 1 / 3, ends=(0.0, 1 / 3, 1.0)).witness == {"example": 1 / 3}


def test_an_end_where_the_law_does_not_apply_was_not_reached():
    outcome = holds_for_all(st.floats(0, 1), lambda a: None if a == 1 else True, ends=(0.0, 1.0))
    assert (outcome.result, "does not apply at the end 1.0" in outcome.detail) == (Result.UNDECIDED, True)


@pytest.mark.parametrize(
    ("strategy", "ends"),
    [
        (st.floats(0, 2), (0.0, 1.0)),
        (st.tuples(st.integers(0, 3), st.integers(0, 9)), ((0, 9), (3, 3))),
        (st.lists(st.integers(0, 3), min_size=1, max_size=4), ([0, 3], [3, 3, 3])),
        (st.lists(st.floats(0, 3), min_size=2, max_size=2).map(np.array), (np.array([0.0, 2.9]),)),
        (st.one_of(st.integers(0, 1), st.tuples(st.just(0))), (0, 1)),
    ],
)
def test_ends_that_are_not_the_domains_are_found_out(strategy, ends):
    outcome = holds_for_all(strategy, lambda example: True, ends=ends)
    assert outcome.result is Result.UNDECIDED
    assert "beyond the ends" in outcome.detail


# --- monte carlo ------------------------------------------------------------------------------------------------------
def test_a_simulated_mean_is_supported_to_five_standard_errors():
    draws = np.tile([-1.0, 1.0], 5000)
    error = draws.std(ddof=1) / 100
    assert mean_is(draws, 4.9 * error).result is Result.SUPPORTED
    assert mean_is(draws, 5.1 * error).result is Result.REFUTED
    assert mean_is(draws, -5.1 * error).result is Result.REFUTED


@pytest.mark.parametrize("draws", [[], [1.0], [1.0, np.nan], [1.0, np.inf]])
def test_draws_without_a_mean_or_an_error_decide_nothing(draws):
    assert mean_is(draws, 1.0).result is Result.UNDECIDED


# --- several parts ----------------------------------------------------------------------------------------------------
PARTS = {
    Result.PROVED: proved("z3"),
    Result.SUPPORTED: supported(3),
    Result.ASSUMED: assumed(),
    Result.UNDECIDED: undecided("sympy", "gave up"),
    Result.REFUTED: refuted(x=1),
}
"""From the strongest to the weakest."""


@pytest.mark.parametrize("first", PARTS)
@pytest.mark.parametrize("second", PARTS)
def test_the_whole_is_as_weak_as_its_weakest_part(first, second):
    order = list(PARTS)
    weakest = max(first, second, key=order.index)
    whole = all_of(PARTS[first], proved("exact"), PARTS[second])
    assert whole.result is weakest


def test_no_part_is_no_outcome():
    with pytest.raises(AssertionError, match="no part"):
        all_of()


def test_the_whole_keeps_the_points_and_the_coarsest_tolerance_of_its_parts():
    whole = all_of(unsatisfiable(u > 1, u < 0), agree(1, 1, rtol=1e-9), agree(1, 1))
    assert (len(whole.reached), whole.tolerance) == (1, 1e-9)
