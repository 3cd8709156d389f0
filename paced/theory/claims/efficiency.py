"""Claims about the efficiency of a weight that is off by a factor: Lemma 5."""

from __future__ import annotations

from paced.theory.facts.descent import (
    best_descent,
    efficiency,
    guaranteed_descent,
    optimal_weight,
)
from paced.theory.ledger.claim import Check, Claim, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    all_of,
    holds_for_all,
    symbolic_zero,
    unsatisfiable,
)


# --- Lemma 5 ----------------------------------------------------------------------------------------------------------
def _derive_efficiency() -> Outcome:
    import sympy

    s2, m2, eta, lip = sympy.symbols("s2 M2 eta L", positive=True)
    rho, eps, w = sympy.symbols("rho epsilon w", real=True)
    bound = eta * w * s2 - eta**2 * w**2 * lip * m2 / 2
    (best,) = sympy.solve(sympy.diff(bound, w), w)
    quotient = bound.subs(w, rho * best) / bound.subs(w, best)
    return all_of(
        symbolic_zero(quotient - (1 - (1 - rho) ** 2)),
        symbolic_zero(quotient.subs(rho, 1 + eps) - (1 - eps**2)),
        detail="D(rho w*)/D(w*) = 1 - (1-rho)^2; w = (1+eps) w* loses exactly eps^2",
    )


def _efficiency_over_the_reals(factor: str = "1/2") -> Outcome:
    """No s2, M2, eta, L > 0 and rho with D(rho w*) != (1 - (1-rho)²) D(w*), w* where D' = 0."""
    import z3

    s2, m2, eta, lip, rho, best = z3.Reals("s2 M2 eta L rho w")
    half = z3.RealVal(factor)

    def bound(w: z3.ArithRef) -> z3.ArithRef:
        return eta * w * s2 - half * eta * eta * w * w * lip * m2

    positive = [s2 > 0, m2 > 0, eta > 0, lip > 0]
    stationary = s2 == eta * best * lip * m2  # D' = 0 of Eq. (15), divided by eta
    return unsatisfiable(*positive, stationary, bound(rho * best) != (1 - (1 - rho) * (1 - rho)) * bound(best))


def _efficiency_law(loss: float = 1.0, scale_by: float = 1.0) -> Outcome:
    from hypothesis import strategies as st

    scale = st.floats(1e-3, 1e3)

    def law(example: tuple[float, float, float, float, float]) -> bool:
        eta, lip, m2, share, rho = example
        args = {"signal_squared": share * m2, "second_moment": m2}
        best = optimal_weight(**args, learning_rate=eta, smoothness=lip)
        computed = guaranteed_descent(scale_by * rho * best, **args, learning_rate=eta, smoothness=lip)
        expected = 1 - loss * (1 - rho) ** 2
        quotient = float(computed / best_descent(**args, smoothness=lip))
        return abs(quotient - expected) <= 1e-9 and abs(float(efficiency(rho)) - expected) <= 1e-12

    ends = (1e-3, 1e-3, 1e-3, 1e-3, -5), (1e3, 1e3, 1e3, 1, 5)
    return holds_for_all(st.tuples(scale, scale, scale, st.floats(1e-3, 1), st.floats(-5, 5)), law, ends=ends)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="lem5",
        where="Lemma 5, Eq. (21)-(22)",
        title="Efficiency is quadratic in the misspecification",
        verdict=Verdict.TRUE,
        paper="A multiplicative misspecification w = (1+eps) w* incurs only eps^2 efficiency loss.",
        statement=(
            "D(rho w*)/D(w*) = 1 - (1-rho)^2. It is negative for rho > 2, and flat in rho - 1, not in log rho: half the weight "
            "keeps 3/4, twice the weight keeps nothing."
        ),
        latex=r"\frac{D(\rho w^*)}{D(w^*)}=\rho(2-\rho)=1-(1-\rho)^2",
        equations=(21, 22),
        functions=(efficiency, guaranteed_descent),
        depends_on=("def2", "thm4.optimum"),
        proof="Insert w = rho w* into Eq. (12): D = (2 rho - rho^2) s2^2/(2 L M2).",
        numbers=lambda: {f"efficiency at rho = {rho}": float(efficiency(rho)) for rho in (0.5, 0.9, 1.37, 2.0, 2.5)},
        checks=(
            Check("sympy", "the quotient is 1 - (1-rho)^2", "s2, M2, eta, L > 0, real rho", _derive_efficiency),
            Check(
                "z3",
                "no real numbers break it",
                "s2, M2, eta, L > 0, real rho",
                _efficiency_over_the_reals,
                fails={"with 1 for 1/2 in Eq. (12), w* kept": {"factor": "1"}},
            ),
            Check(
                "hypothesis",
                "the functions obey it",
                "eta, L, M2 in [1e-3, 1e3], rho in [-5, 5]",
                _efficiency_law,
                Result.SUPPORTED,
                fails={"with a loss of 1.01 eps^2": {"loss": 1.01}, "with 1.1 times the weight": {"scale_by": 1.1}},
            ),
        ),
    ),
)
