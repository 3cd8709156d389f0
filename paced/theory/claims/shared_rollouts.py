"""Rollouts shared by weight and gradient (``sec5.shared``)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction as Fr
from itertools import product
from math import comb
from typing import Any

import numpy as np

from paced.theory.facts.shared_rollouts import default_pass_share, pass_share_table, shared_pass_share
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly
from paced.weights import BetaKernel

RATES = (Fr(1, 10), Fr(1, 3), Fr(1, 2), Fr(7, 9))
Case = tuple[Mapping[str, Any], Any, Any]


def _mean(h: list[Fr], p: Fr) -> Fr:
    """E[h(s)] over Bin(K, p)."""
    K = len(h) - 1
    return sum((comb(K, s) * p**s * (1 - p) ** (K - s) * h[s] for s in range(K + 1)), Fr(0))


def _default_share(shared: bool = True) -> Outcome:
    """E[p̂q̂ p̂]/E[p̂q̂] = p + (1 - 2p)/K, K = 2..9; ``shared=False`` claims p."""
    cases: list[Case] = []
    for K in range(2, 10):
        h = [Fr(s * (K - s)) for s in range(K + 1)]
        for p in RATES:
            value = _mean([x * s / K for s, x in enumerate(h)], p) / _mean(h, p)
            cases.append(({"K": K, "p": str(p)}, value, p + (1 - 2 * p) / K if shared else p))
    return equal_exactly(cases)


def _leave_one_out(others: bool = True) -> Outcome:
    """(1/K) Σ_k h_k R_k over all 2^K outcomes, h_k from the other K-1 rollouts, has mean p E[h]; from all K it has not."""
    cases: list[Case] = []
    for K in (2, 3, 6):
        size = K - 1 if others else K
        h = [Fr(s * (size - s) + s, size) for s in range(size + 1)]  # lopsided, so that nothing cancels
        for p in RATES:
            value = Fr(0)
            for outcome in product((0, 1), repeat=K):
                s = sum(outcome)
                mean = sum((h[s - r if others else s] * r for r in outcome), Fr(0)) / K
                value += p**s * (1 - p) ** (K - s) * mean
            cases.append(({"K": K, "p": str(p)}, value, p * _mean(h, p)))
    return equal_exactly(cases)


def _public(shift: int = 0) -> Outcome:
    p = np.array([0.05, 0.3, 0.5, 0.9])
    outcomes = []
    for K in (2, 5, 8):
        h = BetaKernel()(np.arange(K + 1), K)
        outcomes.append(agree(shared_pass_share(h, p), default_pass_share(p, K + shift), rtol=1e-11, p=p))
    return all_of(*outcomes)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="sec5.shared",
        where="section 5, rollout overhead",
        title="Rollouts shared by weight and gradient change what is learnt",
        verdict=Verdict.CONDITIONAL,
        paper="The cost of pass-rate estimation is amortized across training steps and shared with reverse KL sampling.",
        statement="If a problem's weight and its gradient come from the same K rollouts, passed rollouts count in the mean gradient with share E[h p̂]/E[h]: for p̂(1-p̂) "
        "p + (1 - 2p)/K in place of p, which is 1/2 for every p at K = 2. Weighting each rollout by the other K - 1 keeps p exactly.",
        latex=r"\mathbb E[h\,\bar g]=\mathbb E[h]\bigl(\pi\,g_1+(1-\pi)\,g_0\bigr),\qquad \pi=p+\frac{1-2p}{K}",
        functions=(shared_pass_share, default_pass_share),
        hypotheses=("no effect if the mean gradient does not depend on passing, or if other rollouts make the weight, as prop10.rollouts assumes",),
        depends_on=("c50", "prop10.rollouts"),
        proof="E[s^2 (K-s)] = K(K-1)pq (1 + (K-2)p). A rollout is independent of the others.",
        numbers=lambda: {f"share at p = 0.1, K = {K}": float(default_pass_share(0.1, K)) for K in (2, 4, 8, 16)},
        counterexample=Counterexample(
            "p = 0.1, K = 8: passes count with share 0.2, twice what they should.",
            evaluate=lambda: {"share": float(default_pass_share(0.1, 8)), "pass rate": 0.1},
        ),
        picture=Picture("pass_share", pass_share_table, "Share of the passed rollouts in the mean gradient when p̂(1-p̂) is made from the same K rollouts, against p."),
        checks=(
            Check("exact", "the share for the default weight", "K = 2..9, 4 rates", _default_share, fails={"the share p": {"shared": False}}),
            Check("exact", "leaving the rollout itself out keeps p", "3 K, 4 rates", _leave_one_out, fails={"all K rollouts": {"others": False}}),
            Check("numeric", "the public functions, on the trainer's weight", "3 K, 4 rates", _public, Result.SUPPORTED, fails={"K + 1": {"shift": 1}}),
        ),
    ),
)  # fmt: skip
