"""The designs of the embedded lab: what share of the training set is within reach, out of reach, or mistaught.

=======  ======  ======  ====  ===========  ==========================================================
design   graded  unseen  hash  wrong hints  what it isolates
=======  ======  ======  ====  ===========  ==========================================================
paper    .80     .10     .10   0            mostly graded problems
hard     .50     .15     .35   0            many problems that no teaching can make solvable
noisy    .70     .30     0     .80          expert solutions are mostly wrong where the student fails
clean    .70     .30     0     0            every problem can be learnt: the counter-example
=======  ======  ======  ====  ===========  ==========================================================

Wrong hints go to problems that the student cannot solve by construction (unseen, hash), so that the file of problems
does not depend on the student. Left out: the settings of a run (``LabConfig`` in paced/run/config.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from paced.run.config import LabConfig

__all__ = ["DESIGNS", "HELDOUT_UNSEEN_SHARE", "Design", "LabConfig"]

HELDOUT_UNSEEN_SHARE = 0.2
"""Share of unseen problems among the held-out ones: with none, a skill frozen out by zero weights would not show."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Shares of the three kinds of problem in a training set; they add up to 1."""

    graded: float
    """Chains of operators that pre-training showed, often to rarely: 0 < p < 1."""
    unseen: float
    """Chains of operators that pre-training never showed: p ≈ 0, and learnable."""
    hash: float
    """Chains whose digits depend on the whole prompt: p ≈ 0, and nothing to learn but the problem itself."""
    wrong_hints: float = 0.0
    """Share of wrong expert solutions among unseen and hash problems."""

    def counts(self, num_problems: int) -> dict[str, int]:
        """Problems of each kind, adding up to ``num_problems``; what rounding leaves over is graded.

        Example:
            >>> DESIGNS["hard"].counts(2400)
            {'graded': 1200, 'unseen': 360, 'hash': 840}
        """
        unseen, hashed = round(self.unseen * num_problems), round(self.hash * num_problems)
        return {"graded": num_problems - unseen - hashed, "unseen": unseen, "hash": hashed}


DESIGNS: dict[str, Design] = {
    "paper": Design(graded=0.80, unseen=0.10, hash=0.10),
    "hard": Design(graded=0.50, unseen=0.15, hash=0.35),
    "noisy": Design(graded=0.70, unseen=0.30, hash=0.0, wrong_hints=0.8),
    "clean": Design(graded=0.70, unseen=0.30, hash=0.0),
}
"""The named designs of ``lab.design``."""
