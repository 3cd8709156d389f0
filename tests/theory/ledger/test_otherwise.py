"""What must be refuted can come out otherwise: with the one thing changed back, the same function agrees.

A control in ``fails`` is its check with other arguments, so the check itself gives the other verdict. A check that
refutes the paper's wording, and a control of its own, need theirs: another check of the ledger by the same function, or
arguments given here. A function that refutes whatever it is asked shows nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from types import FunctionType

import pytest

from paced.theory.claims import (
    allocation,
    batching,
    boundary,
    entropy,
    extension,
    likelihood,
    misspecification,
    moment_bias,
    policy_gradient,
    printed,
    quality,
    representation,
    sample_size,
    saturation,
    smoothness,
    tracking,
    variance_condition,
)
from paced.theory.facts.variance import variance_terms
from paced.theory.ledger.claim import Result
from paced.theory.ledger.ledger import ledger

GOOD = {Result.PROVED, Result.SUPPORTED}
OTHERWISE: dict[Callable, tuple] = {
    allocation._myopic_is_enough: (1.0,),
    batching._sampling_always_wins: (0.0,),
    boundary._every_pass_rate_has_signal: ([[1.0], [2.0]],),
    extension._posterior_always_wins: (0.0,),
    likelihood._no_bias_is_left: (1600,),
    misspecification._same_floor_for_the_signal: (0.4,),
    printed._forgetting_grows_with_the_distance: ((((1, 1), (1, 2), (1, 3)),),),
    policy_gradient._equal_moments_everywhere: ((Fraction(1, 4), Fraction(3, 4)),),
    sample_size._sampling_has_less: (0,),
    entropy._base_measure_does_not_matter: ("logit",),
    smoothness._keeps_every_solvable_problem: (20_000,),
    smoothness._quotient_stays_below: (1.0, 100.0),
    moment_bias._cut_is_harmless: ((1, 1), 0.0, (0.0,)),
    moment_bias._noise_is_harmless: ("moments",),
    quality._has_interior_maximum: (quality.GRID,),
    representation._arguments_are_independent: (3.9,),
    representation._b_is_delta_zero: (0.0,),
    representation._shape_is_dictated: (3.9,),
    saturation._end_exponent_is_compressed: (1e4, 0.3),
    tracking._tracks: (10.0, 0.3),
    variance_condition._condition_36_means_reduction: (variance_terms([0.09, 0.25], [1.0, 0.3]),),
}
"""Arguments with which a function that refutes is proved or supported."""


def functions_of(run: Callable) -> set[Callable]:
    """The function behind a check: itself, or those of its file that a lambda calls."""
    while isinstance(run, partial):
        run = run.func
    assert isinstance(run, FunctionType)
    if run.__name__ != "<lambda>":
        return {run}
    names = (run.__globals__.get(name) for name in run.__code__.co_names)
    return {one for one in names if inspect.isfunction(one) and one.__name__.startswith("_")}


def test_every_refutation_is_by_a_function_that_agrees_with_something():
    agrees = set(OTHERWISE)
    for claim in ledger().values():
        for check in claim.checks:
            if check.expected in GOOD:
                agrees |= functions_of(check.run)
    refuting = [
        (claim.id, one)
        for claim in ledger().values()
        for one in (*(check for check in claim.checks if check.expected is Result.REFUTED), *claim.other_controls)
    ]
    assert refuting
    assert [(name, one) for name, one in refuting if not functions_of(one.run) & agrees] == []


@pytest.mark.parametrize("function", OTHERWISE, ids=lambda function: function.__name__)
def test_a_function_that_refutes_agrees_where_the_one_thing_is_changed_back(function):
    outcome = function(*OTHERWISE[function])
    assert outcome.result in GOOD, outcome
