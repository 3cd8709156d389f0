"""The claims of the paper, checked by machine: what is true, what is not, and what is true instead.

    facts/    exact functions: ``kernel``, ``boundary``, ``representation``, ``descent``, ``minimax``, ...
    claims/   the claims about them. The checks call these functions and ``paced.weights``, the weights that the trainer
              uses, and compare them with routes of their own: mpmath, rationals, enumeration, z3, ball arithmetic
    ledger/   what a claim is, how one is decided, all of them by id, and the runner behind ``paced verify``
    pages/    the ledger for readers: the console, ``docs/theory``, one HTML file
    kit/      for users: Hypothesis strategies, and ``check_weighting`` for a weight function of one's own

Names are imported when first used. Nothing here loads torch; sympy, z3, flint and hypothesis load when a check runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Check": "ledger.claim",
    "Claim": "ledger.claim",
    "Control": "ledger.claim",
    "Counterexample": "ledger.claim",
    "Outcome": "ledger.claim",
    "Result": "ledger.claim",
    "Verdict": "ledger.claim",
    "run": "ledger.runner",
    "check_weighting": "kit.weighting",
    "WeightingReport": "kit.weighting",
    "SnrProfile": "kit.strategies",
}
"""Public name -> the module that defines it."""

__all__ = ["strategies", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name == "strategies":
        return import_module("paced.theory.kit.strategies")
    if name not in _HOME:
        raise AttributeError(f"module 'paced.theory' has no attribute {name!r}")
    return getattr(import_module(f"paced.theory.{_HOME[name]}"), name)
