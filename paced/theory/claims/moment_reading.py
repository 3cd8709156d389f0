"""Claims about what the paper reads out of a moment fit: a mean below 1/2 (``tab9.zpd_mean``), and the exponents of the SNR (``prop11.inherits``)."""

from __future__ import annotations

from fractions import Fraction as Fr

import numpy as np

from paced.theory.facts.extensions import kernel_quality
from paced.theory.facts.populations import population, whole_beta
from paced.theory.facts.representation import log_remainder, smallest_delta
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import agree, all_of, equal_exactly, refuted, supported, unsatisfiable
from paced.weights import BetaKernel, fit
from paced.weights.fit.fit import fit_cells
from paced.weights.snr_exponents import fit_exponents, regressors


# --- tab9.zpd_mean ----------------------------------------------------------------------------------------------------
def _middle_mean(low: str, high: str, average: str = "0.61", below: bool = True) -> Outcome:
    """Table 9 at step 0 over the reals: 17 % below ``low``, 32 % above ``high``, overall average; middle mean < 1/2?"""
    import z3

    bottom, middle, top = z3.Reals("mean_low mean_middle mean_high")
    hypotheses = [
        bottom >= 0, bottom <= z3.RealVal(low), middle >= z3.RealVal(low), middle <= z3.RealVal(high),
        top >= z3.RealVal(high), top <= 1,
        z3.RealVal("0.17") * bottom + z3.RealVal("0.51") * middle + z3.RealVal("0.32") * top == z3.RealVal(average),
    ]  # fmt: skip
    return unsatisfiable(*hypotheses, middle < z3.Q(1, 2) if below else middle >= z3.Q(1, 2))


def _lowest_middle_mean(slack: Fr = Fr(0)) -> Outcome:
    """(0.61 - 0.17 t - 0.32)/0.51 with t the largest rate of the low bin, in rationals; K = 8 allows only 1/8 below 0.2."""
    shares = {"low": Fr("0.17"), "middle": Fr("0.51"), "high": Fr("0.32")}
    cases = []
    for t, expected in (
        (Fr("0.2"), Fr(256, 510)),
        (Fr(1, 8), Fr(215, 408)),
        (Fr("0.25"), Fr(495, 1020)),
        (Fr("0.3"), Fr(239, 510)),
    ):
        lowest = (Fr("0.61") - shares["low"] * t - shares["high"] * 1 + slack) / shares["middle"]
        cases.append(({"largest low rate": t}, lowest, expected))
    rounded = (Fr("0.605") - Fr("0.175") * Fr(1, 8) - Fr("0.325") + slack) / Fr("0.5")
    return equal_exactly([*cases, ({"rounding": "worst"}, rounded, Fr("0.51625"))])


# --- prop11.inherits --------------------------------------------------------------------------------------------------
ALIKE = population(8, (2, 2))
"""One set of counts: what two students with different SNR curves both show."""


def _inherits(snr_exponents: tuple[float, float]) -> Outcome:
    """Is SNR^2 within e^±1 of the fitted kernel, as step 3 needs? On ever wider parts of (0, 1)."""
    kernel = fit_cells(ALIKE, "moments", None).kernel
    for k in range(1, 13):
        p = np.concatenate([np.logspace(-k, np.log10(0.5), 50), 1 - np.logspace(-k, np.log10(0.5), 50)])
        snr_squared = BetaKernel(*snr_exponents).at(p)
        delta = smallest_delta(log_remainder(p, np.sqrt(snr_squared), exponents=(kernel.alpha / 2, kernel.beta / 2)))
        if delta > 1:
            return refuted("the remainder has no bound", p=float(p.min()), delta=delta, SNR_exponents=snr_exponents)
    return supported(12)


def _same_fit_other_optimum(exponents_2: tuple[float, float] = (3.0, 1.0)) -> Outcome:
    """Efficiency of the fitted kernel for two students with these counts: 1 for one of them, a quarter lost by the other."""
    kernel = fit_cells(ALIKE, "moments", None).kernel
    pair = (kernel.alpha, kernel.beta)
    first = kernel_quality(pair, signal_exponents=(0.5, 0.5), law=(2, 2))
    second = kernel_quality(pair, signal_exponents=(exponents_2[0] / 2, exponents_2[1] / 2), law=(2, 2))

    def e(x: int, y: int) -> Fr:
        """E[p^x (1-p)^y] under Beta(2, 2)."""
        return whole_beta(2 + x, 2 + y) / whole_beta(2, 2)

    return all_of(
        agree(first, 1.0),
        agree(second, float(e(4, 2) ** 2 / (e(2, 2) * e(6, 2))), rtol=1e-9),
    )


def _measured_exponents() -> Outcome:
    """Repaired: the SNR curve itself gives (3, 1)."""
    p = np.arange(1, 8) / 8
    estimate = fit_exponents(regressors(p), 0.2 * p**3 * (1 - p))
    return agree([estimate.alpha, estimate.beta], [3.0, 1.0], rtol=1e-8)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="tab9.zpd_mean",
        where="Section 4.3.1, interpretation; Table 9",
        title='"The student\'s ZPD mean lies below 1/2 on DAPO"',
        verdict=Verdict.LOOSE,
        paper="This asymmetry corroborates the theoretical prediction: the student's ZPD mean lies below 1/2 on DAPO, so the optimal peak should lean toward harder problems.",
        statement=(
            "Table 9's own row says otherwise: 17 % of problems below 0.2, 51 % between, 32 % above 0.8 and an average of 0.61 force a "
            "middle mean of at least 0.50196, with K = 8 rollouts (nothing between 1/8 and 0.2) at least 0.52696."
        ),
        latex=r"\bar p_{\mathrm{mid}}\ge\frac{0.61-0.17\,t-0.32}{0.51}=0.501961\ (t=0.2),\quad0.526961\ (t=\tfrac18)",
        hypotheses=("the bins of Table 9 are < 0.2, 0.2-0.8 and > 0.8: the thresholds are not printed in our copy",),
        proof="The low bin averages at most its upper end and the high bin at most 1; what is left of 0.61 is the middle's.",
        repair="The mean is above 1/2, so moment matching would lean to easier problems, against the ablation that prefers (1, 2).",
        numbers=lambda: {
            "least middle mean, t = 0.2": 256 / 510,
            "K = 8, t = 1/8": 215 / 408,
            "K = 8, worst rounding": 0.51625,
        },
        counterexample=Counterexample(
            "All low problems at 0.2, all high ones at 1: the middle still averages 0.50196. Bins at 0.3 and 0.7 would allow 0.4686.",
            lambda: {"t = 0.2": (0.61 - 0.17 * 0.2 - 0.32) / 0.51, "t = 0.3": (0.61 - 0.17 * 0.3 - 0.32) / 0.51},
        ),
        checks=(
            Check(
                "z3",
                "the paper's wording: the middle mean is below 1/2",
                "Table 9 at step 0",
                lambda: _middle_mean("0.2", "0.8", below=False),
                Result.REFUTED,
            ),
            Check(
                "z3",
                "no rates in these bins have a middle mean below 1/2",
                "Table 9 at step 0",
                _middle_mean,
                given={"low": "0.2", "high": "0.8"},
                fails={
                    "with bins at 0.3 and 0.7": {"low": "0.3", "high": "0.7"},
                    "with an average of 0.60": {"average": "0.60"},
                },
            ),
            Check(
                "exact",
                "the least middle mean",
                "4 thresholds, and worst rounding",
                _lowest_middle_mean,
                fails={"with an average of 0.62": {"slack": Fr(1, 100)}},
            ),
        ),
    ),
    Claim(
        id="prop11.inherits",
        where="Proposition 11, step 3; Result 4",
        title="The distribution of pass rates says nothing about the SNR",
        verdict=Verdict.LOOSE,
        paper="The minimax robustness guarantee of Theorem 6 continues to hold for the data-driven exponents.",
        statement=(
            "It holds if the SNR has the fitted exponents, which is what was to be shown. Two students with the same counts get the same "
            "fit; where one has SNR^2 = p q and the other p^3 q, the fitted kernel has efficiency 1 for the first and 0.736 for the second, "
            "and no delta bounds the second's remainder."
        ),
        latex=r"\operatorname{law}(p)\not\Rightarrow(a',b'):\quad \log\frac{\mathrm{SNR}^2}{p^{\hat\alpha}q^{\hat\beta}}\ \text{is bounded iff}\ (\hat\alpha,\hat\beta)=(2a',2b')",
        functions=(fit, fit_exponents),
        depends_on=("prop11", "thm6", "x5", "x6"),
        proof="Assumption 3(b') for the fitted exponents is an assumption on the SNR; the counts enter the fit and nothing else does.",
        repair="Regress the exponents from measured SNR (x6), or choose them by the efficiency (x5).",
        numbers=lambda: {
            name: kernel_quality((1, 1), signal_exponents=pair, law=(2, 2))
            for name, pair in (("SNR^2 = pq", (0.5, 0.5)), ("SNR^2 = p^3 q", (1.5, 0.5)))
        },
        counterexample=Counterexample(
            "Counts of Beta(2,2) and K = 8 fit (1, 1). A student with SNR^2 = p^3 q and these counts loses a quarter of the descent.",
            lambda: {
                "fitted alpha": fit_cells(ALIKE, "moments", None).alpha,
                "efficiency": kernel_quality((1, 1), signal_exponents=(1.5, 0.5), law=(2, 2)),
            },
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: some delta bounds the remainder of the fitted exponents",
                "SNR^2 = p^3 q",
                _inherits,
                Result.REFUTED,
                given={"snr_exponents": (3.0, 1.0)},
                fails={"with SNR^2 = p q^1.3": {"snr_exponents": (1.0, 1.3)}},
            ),
            Check(
                "numeric",
                "it does when the fit happens to be the SNR's",
                "SNR^2 = p q",
                lambda: _inherits((1.0, 1.0)),
                Result.SUPPORTED,
            ),
            Check(
                "numeric",
                "one fit, two efficiencies",
                "two students, rationals",
                _same_fit_other_optimum,
                Result.SUPPORTED,
                fails={"with the first student twice": {"exponents_2": (1.0, 1.0)}},
            ),
            Check(
                "numeric",
                "repaired: the SNR curve gives its exponents",
                "p = 1/8..7/8",
                _measured_exponents,
                Result.SUPPORTED,
            ),
        ),
    ),
)
