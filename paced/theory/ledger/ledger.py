"""The ledger: all claims in the paper's order, and the rules that make it honest.

The groups are listed by hand, so that a reader sees at once what is in the ledger and an import error is an error.
:func:`validate` checks every claim for what its verdict demands (``claim.py``); the test of the ledger adds that
every equation, assumption and theorem is covered.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from paced.theory.claims import (
    aggregate,
    aggregate_minimax,
    allocation,
    assumption,
    batching,
    boundary,
    convergence,
    coupling,
    descent,
    efficiency,
    entropy,
    estimation,
    extension,
    joint,
    kernel,
    kernel_shape,
    likelihood,
    minimax,
    misspecification,
    moment_bias,
    moment_peak,
    moment_reading,
    moments,
    pass_rate_bins,
    policy_gradient,
    printed,
    quality,
    reduction,
    remark,
    representation,
    rollout_counts,
    rollout_shares,
    rollout_value,
    sample_size,
    saturation,
    schedule,
    second_moment,
    shared_rollouts,
    smoothness,
    tables,
    tracking,
    variance,
    variance_condition,
    variance_ratio,
    weight_noise,
    weighting,
    weighting_gain,
)
from paced.theory.ledger.claim import Check, Claim, Result, Verdict

GOOD = {Result.PROVED, Result.SUPPORTED}


@cache
def ledger() -> dict[str, Claim]:
    """Every claim by its id, in the order of the paper; extensions last.

    Example:
        >>> ledger()["eq3"].where
        'Eq. (3), section 3.3'
    """
    try:
        claims = _claims()
        validate(claims)
    except ValueError as error:  # a broken package, not a mistake of the caller: exit code 1, never 2
        raise RuntimeError(f"ledger: cannot be loaded. {error}") from error
    return {claim.id: claim for claim in claims}


def _claims() -> list[Claim]:
    return [claim for group in _GROUPS for claim in group.CLAIMS]


_GROUPS = (
    assumption,
    second_moment,
    kernel,
    smoothness,
    weighting,
    quality,
    boundary,
    representation,
    entropy,
    remark,
    descent,
    efficiency,
    joint,
    minimax,
    saturation,
    aggregate,
    aggregate_minimax,
    variance,
    variance_condition,
    coupling,
    variance_ratio,
    reduction,
    convergence,
    moments,
    moment_peak,
    moment_bias,
    moment_reading,
    rollout_counts,
    estimation,
    pass_rate_bins,
    tracking,
    shared_rollouts,
    tables,
    printed,
    rollout_shares,
    weight_noise,
    allocation,
    extension,
    likelihood,
    kernel_shape,
    sample_size,
    schedule,
    misspecification,
    weighting_gain,
    rollout_value,
    batching,
    policy_gradient,
)


def validate(claims: Iterable[Claim]) -> None:
    """Refuse a ledger that contradicts itself.

    Raises:
        ValueError: with one line for each fault: an id used twice, a dependency that is not a claim, a verdict without
            the checks, controls, counterexample, conditions or repair that it demands.

    Example:
        >>> validate([Claim(id="x", where="", title="", verdict=Verdict.TRUE, statement="", latex="")])
        Traceback (most recent call last):
        ValueError: ledger: 2 faults.
          x: has no check
          x: has no control
    """
    claims = list(claims)
    ids = [claim.id for claim in claims]
    faults = [f"{name}: is used {ids.count(name)} times" for name in sorted(set(ids)) if ids.count(name) > 1]
    for claim in claims:
        faults += [f"{claim.id}: {fault}" for fault in _faults(claim, set(ids))]
    if faults:
        raise ValueError(f"ledger: {len(faults)} fault{'' if len(faults) == 1 else 's'}.\n  " + "\n  ".join(faults))


def _faults(claim: Claim, ids: set[str]) -> list[str]:
    expected = {check.expected for check in claim.checks}
    rules = [
        (bool(claim.checks), "has no check"),
        (bool(claim.controls), "has no control"),
        (all(name in ids for name in claim.depends_on), f"depends on a claim that is not there: {claim.depends_on}"),
        (claim.id not in claim.depends_on, "depends on itself"),
        (
            all(_changes_something(check) for check in claim.checks),
            "has a control that changes no argument of its check",
        ),
        (all(check.domain and check.says for check in claim.checks), "has a check without a sentence or a domain"),
        (len({check.says for check in claim.checks}) == len(claim.checks), "has two checks of one sentence"),
    ]
    if claim.verdict is Verdict.TRUE:
        rules += [(expected <= GOOD, "is true but expects a check to fail")]
    if claim.verdict is Verdict.CONDITIONAL:
        rules += [
            (bool(expected & GOOD), "holds under conditions but no check shows it"),
            (bool(claim.hypotheses), "holds under conditions but names none"),
            (claim.counterexample is not None, "has no counterexample without its conditions"),
        ]
    if claim.verdict is Verdict.LOOSE:
        rules += [
            (Result.REFUTED in expected, "is called false but no check refutes the paper's wording"),
            (claim.counterexample is not None, "is called false without a counterexample"),
            (bool(claim.repair), "is called false without a repair"),
        ]
    if claim.verdict is Verdict.ASSUMED:
        rules += [(Result.ASSUMED in expected, "is an assumption but no check says so")]
    return [fault for holds, fault in rules if not holds]


def _changes_something(check: Check) -> bool:
    """Whether every control of a check gives some argument another value."""
    missing = object()
    return all(
        any(check.given.get(name, missing) is not value for name, value in arguments.items())
        for arguments in check.fails.values()
    )


def dependents(claims: dict[str, Claim], name: str) -> set[str]:
    """Ids of all claims whose proof rests on ``name``, directly or through others."""
    ids: set[str] = set()
    queue = [name]
    while queue:
        here = queue.pop()
        new = {claim.id for claim in claims.values() if here in claim.depends_on} - ids
        ids |= new
        queue += new
    return ids


def foundations(claims: dict[str, Claim], name: str) -> set[str]:
    """Ids of everything that the proof of ``name`` rests on."""
    ids: set[str] = set()
    queue = [name]
    while queue:
        new = set(claims[queue.pop()].depends_on) - ids
        ids |= new
        queue += new
    return ids
