"""The claims of the paper, checked by machine: what is true, what is not, and what is true instead.

Where to look:

- ``ledger.ledger()``: every claim by its id; ``claims.py`` says what a claim is, ``engines.py`` how one is decided,
  ``runner.py`` runs them all (``paced verify``), ``explain.py`` writes the pages of ``docs/theory``.
- ``<subject>.py``: exact functions (``kernel``, ``boundary``, ``representation``, ``descent``, ``minimax``, ...);
  ``<subject>_claims.py``: the claims about them. The checks call these functions and ``paced.weights``, the weights
  that the trainer uses, and hold them against routes of their own: mpmath, rationals, enumeration, z3, ball arithmetic.
- ``strategies``: Hypothesis strategies; ``check_weighting``: hold a weight function of one's own against the laws.

Names are imported when first used. Nothing here loads torch; sympy, z3, flint and hypothesis load when a check runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Check": "claims",
    "Claim": "claims",
    "Control": "claims",
    "Counterexample": "claims",
    "Outcome": "claims",
    "Result": "claims",
    "Verdict": "claims",
    "run": "runner",
    "check_weighting": "weighting",
    "WeightingReport": "weighting",
    "SnrProfile": "strategies",
}
"""Public name -> the module that defines it."""

__all__ = ["strategies", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name == "strategies":
        return import_module("paced.theory.strategies")
    if name not in _HOME:
        raise AttributeError(f"module 'paced.theory' has no attribute {name!r}")
    return getattr(import_module(f"paced.theory.{_HOME[name]}"), name)
