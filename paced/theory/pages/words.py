"""How to read a page of the theory for someone who holds the paper and nothing else: verdicts, engines and letters.

Letters are those of the paper where it has one; what the claims need besides is named here once.
"""

from __future__ import annotations

from typing import get_args

from paced.theory.ledger.claim import Engine, Result, Verdict

VERDICT_WORDS: dict[Verdict, str] = {
    Verdict.TRUE: "the sentence holds as it is",
    Verdict.CONDITIONAL: "it holds under the hypotheses named, and a counterexample shows that they are needed",
    Verdict.LOOSE: "as the paper writes it, it fails at the counterexample; the repair says what holds instead",
    Verdict.ASSUMED: "a hypothesis that nobody proves",
}

RESULT_WORDS: dict[Result, str] = {
    Result.PROVED: "decided for the whole domain that is named beside it, by algebra, a solver or exact numbers",
    Result.SUPPORTED: "true at every point that was tried, to the tolerance named; not a proof",
    Result.REFUTED: "false at the point that is named; a paper's sentence may be expected to be refuted",
    Result.UNDECIDED: "neither; a recorded outcome never is",
    Result.ASSUMED: "nothing was decided",
}

ENGINE_WORDS: dict[Engine, str] = {
    "sympy": "computer algebra: an expression is identically zero",
    "z3": "a solver over the real numbers: the contrary has no solution",
    "interval": "arithmetic with balls that hold every rounding error",
    "exact": "rational numbers, on every case of a finite domain",
    "numeric": "64-bit floats against another route, such as quadrature with more digits",
    "hypothesis": "a search for an example that breaks a law, the ends of the domain included",
    "monte_carlo": "a simulation with a fixed seed, to five standard errors",
    "assumed": "nothing",
}
assert set(ENGINE_WORDS) == set(get_args(Engine))

NOTATION: dict[str, str] = {
    "p, q": "the student's pass rate on a problem, and 1 - p",
    "K, s, p̂": "rollouts of a problem, how many passed, and s/K",
    "w, w~": "a weight as a function of p or s, and the weight divided by its mean over the problems",
    "alpha, beta": "exponents of the kernel w = p^alpha q^beta; (1, 1) is the default",
    "a, b; a', b'": "exponents of the signal and of the SNR; elsewhere Beta(a, b) is the law of pass rates",
    "g, m, ḡ": "the gradient of one sample, its mean, and the mean of K of them",
    "s2, M2": "|E g|^2 and E|g|^2 at a pass rate; SNR^2 = s2/(M2 - s2)",
    "S, tr S": "covariance of the gradients of one problem and its trace; in thm4, x3 and eq8.tracking S is SNR^2",
    "w*, rho": "the best weight s2/(eta L M2), and w/w*",
    "eta, L": "learning rate and smoothness constant",
    "r, delta": "log-misspecification of SNR^2 at a pass rate, and the bound |r| <= delta",
    "tau (tau0, tau1)": "exponents of M2 at both ends: M2 in proportion to p^tau0 q^tau1",
    "V_w, V_unif": "variance of the gradient with weights and with equal ones",
    "epsilon, m, v": "the zone epsilon <= p <= 1 - epsilon, mean and variance of the pass rates in it",
    "F, Eff": "efficiency of a weight at its best scale, E[w s2]^2/(E[w^2 M2] E[s2^2/M2])",
    "ESS": "effective sample size (sum w)^2/(sum w^2)",
}
