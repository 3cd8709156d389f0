"""Faults put into the package on purpose, one line each; ``paced verify --strict`` or a test must see each.

A mutation names a file, a text that it contains exactly once, what is written instead, and the claims and the files of
tests that should notice (only for speed: a fault seen by others too is seen all the more). ``PYTHONPATH=tests python -m
theory.mutations`` tries them all and prints those that nothing noticed; ``1 5 9`` after it, these three.
"""

# ruff: noqa: E501
from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from theory.faulty import ROOT, Faulty, forked, load_libraries


class Mutation(NamedTuple):
    """One fault."""

    file: str
    old: str
    new: str
    claims: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    """Files of tests that should notice where no sentence of the ledger depends on it: a default, an edge, a report."""

    def __str__(self) -> str:
        return f"{self.file}: {self.old.strip()} -> {self.new.strip()}"

    @property
    def text(self) -> str:
        """The file with the fault."""
        text = (ROOT / "paced" / self.file).read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self}: {text.count(self.old)} places have this text"
        return text.replace(self.old, self.new)


K, W, B, R, E, M = (
    "theory/facts/kernel.py", "weights/kernels.py", "theory/facts/boundary.py", "theory/facts/representation.py", "weights/estimates.py",
    "theory/claims/remark.py",
)  # fmt: skip
FIT = ("weights/fit/test_reports.py",)
ENDS = ("weights/fit/test_intervals.py",)
KERNELS = ("weights/test_kernels.py",)

MUTATIONS = (
    Mutation(W, "estimates.power(p, self.alpha) * estimates.power(1.0 - p, self.beta)", "estimates.power(p, self.alpha) * estimates.power(1.0 - p, self.alpha)", ("eq3",)),
    Mutation(W, "return self.alpha / total if total", "return self.beta / total if total", ("eq3",)),
    Mutation(W, "HARDER = BetaKernel(1, 2)", "HARDER = BetaKernel(1, 3)", ("eq3",)),
    Mutation(W, "ROOT = BetaKernel(0.5, 0.5)", "ROOT = BetaKernel(0.5, 0.6)", ("eq3",)),
    Mutation(W, "return snr_squared / (1.0 + snr_squared)", "return snr_squared / (1.01 + snr_squared)", ("eq3.relatives",)),
    Mutation(W, "np.cosh(self.delta)", "np.exp(self.delta)", ("eq3.relatives",)),
    Mutation(W, "    delta: float = 0.3", "    delta: float = 0.31", tests=KERNELS),
    Mutation(W, "np.maximum(self.ceiling - p, 0.0)", "np.abs(self.ceiling - p)", ("eq3.relatives",)),
    Mutation(W, "return self.ceiling * self.alpha /", "return self.alpha /", tests=KERNELS),
    Mutation("weights/baselines.py", "    low: float = 0.2", "    low: float = 0.3", ("sec4.baselines",)),
    Mutation("weights/baselines.py", "    high: float = 0.8", "    high: float = 0.7", ("sec4.baselines",)),
    Mutation("weights/baselines.py", "np.exp(-0.5 * np.square", "np.exp(-0.4 * np.square", ("sec4.baselines",)),
    Mutation("weights/baselines.py", "(passed > 0)", "(passed > 1)", ("sec4.baselines",)),
    Mutation("weights/normalise.py", "return float((m * w).sum()) ** 2 / square", "return float((m * w).sum()) / square", ("eq4",)),
    Mutation("weights/normalise.py", "unit = scaled / mean", "unit = scaled / scaled.sum()", ("eq4",)),
    Mutation("weights/normalise.py", "share_zero=float(np.mean(array == 0))", "share_zero=float(np.sum(array == 0))", ("eq4",)),
    Mutation(K, "np.exp(xlogy(a, a) + xlogy(b, b) - xlogy(a + b, a + b))", "np.exp(xlogy(a, a) + xlogy(b, b) - xlogy(a, a + b))", ("eq3",)),
    Mutation(K, "turn = np.sqrt(a * b / (n - 1)) / n", "turn = np.sqrt(a * b / (n + 1)) / n", ("eq3.smooth",)),
    Mutation(K, "return rise - fall", "return rise + fall", ("eq3.smooth",)),
    Mutation(K, "return p**k + (1.0 - p) ** k", "return p**k * (1.0 - p) ** k", ("eq3.smooth",)),
    Mutation(K, "np.exp(betaln(a, b + k) - betaln(a, b))", "np.exp(betaln(a + k, b) - betaln(a, b))", ("eq3.smooth",)),
    Mutation(K, "- (a - 1) * log_p - (b - 1) * log_q", "- a * log_p - (b - 1) * log_q", ("prop3.entropy",)),
    Mutation(K, "float(digamma(b) - digamma(a + b))", "float(digamma(b) - digamma(a))", ("prop3.entropy",)),
    Mutation(K, 'return _rollout_variance("logit_fisher_information", pass_rate)', 'return 1.0 / _rollout_variance("logit_fisher_information", pass_rate)', ("rem5",)),
    Mutation(B, "softmax(student, axis=-1) - softmax(teacher, axis=-1)", "softmax(teacher, axis=-1) - softmax(student, axis=-1)", ("prop2.i",)),
    Mutation(B, "probability * (log_ratio - np.sum(probability * log_ratio, axis=-1, keepdims=True))", "probability * log_ratio", ("prop2.i",)),
    Mutation(B, "return s**snr_power * (1.0 - p)", "return s**snr_power * p", ("prop1",)),
    Mutation(B, "return m * a / (m * a + m * b + 1.0)", "return m * a / (m * a + m * b + 2.0)", ("prop1",)),
    Mutation(B, "np.sum((g - mean) ** 2, axis=1)", "np.sum((g - mean) ** 2, axis=1) / 2", ("prop2.ii",)),
    Mutation(B, "np.array([[1.0, 2.0], [1.0, -2.0]])", "np.array([[1.0, 2.0], [1.0, -1.0]])", ("prop2.ii",)),
    Mutation(R, "return np.log(f) - a * np.log(p) - b * np.log1p(-p)", "return np.log(f) - a * np.log(p) + b * np.log1p(-p)", ("prop3",)),
    Mutation(R, "2.0 * (r.max() - r.min()) / 2.0", "(r.max() - r.min()) / 2.0", ("a3b'.special",)),
    Mutation(R, "np.exp(bump * (p - 0.5) ** 2)", "np.exp(bump * (p - 0.4) ** 2)", ("prop3.shape",)),
    Mutation(R, "bump: float = 40.0", "bump: float = 41.0", ("prop3.shape",)),
    Mutation(E, "power(rate, alpha) * power((num_rollouts - num_passed) / num_rollouts, beta)", "power(rate, alpha) * power(num_passed / num_rollouts, beta)", ("eq3",)),
    Mutation(E, "np.ones_like(base) if exponent == 0", "np.zeros_like(base) if exponent == 0", ("eq1",)),
    Mutation(W, 'check_number("BetaKernel", "alpha", self.alpha, low=0,', 'check_number("BetaKernel", "alpha", self.alpha, low=1,', tests=("weights/test_domains.py",)),
    Mutation(W, "signal_exponents=((self.alpha + t0) / 2", "signal_exponents=((self.alpha - t0) / 2", tests=KERNELS),
    Mutation("theory/ledger/engines.py", "if error[worst] > 0:", "if error[worst] > 1e9:", ("eq3",)),
    Mutation("theory/ledger/engines.py", "if answer == z3.unsat:", "if answer != z3.unsat:", ("eq3.smooth",)),
    Mutation("theory/ledger/engines.py", "        if value > 0:\n            continue", "        if value > -1e9:\n            continue", ("prop3.shape",)),
    Mutation("theory/ledger/engines.py", "if left != right:", "if left is None:", ("eq1",)),
    Mutation(M, "if after > before + 1e-12:", "if after > before + 1e12:", ("eq51",)),
    Mutation("theory/claims/second_moment.py", "/ ((total + 2) * (total + 3) * (total + 4) * (total + 5))\n\n", "/ ((total + 2) * (total + 3) * (total + 4) * (total + 6))\n\n", ("a3c.consistent",)),
    Mutation("weights/fit/moments.py", "k = bernoulli_left / v", "k = bernoulli_left * v", ("prop11",)),
    Mutation("weights/fit/moments.py", "s * (s - 1) / np.where(several, k * (k - 1), 1.0)", "s * (s - 1) / np.where(several, k * (k + 1), 1.0)", ("prop11.noise",)),
    Mutation("weights/fit/fit.py", "if v >= m * (1 - m) * (1 - 1e-12):", "if v >= 2 * m * (1 - m) * (1 - 1e-12):", tests=FIT),
    Mutation("weights/fit/fit.py", "v >= m * (1 - m) / 3:", "v >= m * (1 - m) / 4:", tests=FIT),
    Mutation("weights/fit/fit.py", "nllf=-(best.value + likelihood.constant)", "nllf=-(best.value - likelihood.constant)", tests=FIT),
    Mutation("weights/fit/intervals.py", "float(special.chdtri(1, 1 - level)) / 2", "float(special.chdtri(1, 1 - level)) / 3", tests=ENDS),
    Mutation("weights/fit/intervals.py", "float(special.ndtri(0.5 + level / 2))", "float(special.ndtri(level))", tests=FIT),
    Mutation("weights/fit/intervals.py", "_cut(likelihood, best, 1, target)", "_cut(likelihood, best, 0, target)", tests=ENDS),
    Mutation("weights/snr_exponents.py", "return delta * self.error_per_delta[0]", "return delta * self.error_per_delta[1]", tests=("weights/test_snr_exponents.py",)),
    Mutation("weights/estimates.py", "short = num_rollouts < a + b", "short = num_rollouts < a - b", tests=("weights/test_domains.py",)),
    Mutation("theory/facts/extensions.py", "return float(np.exp(2 * _log_moment(x, y, law) - _log_moment(2 * x, 2 * y, law)))", "return float(np.exp(2 * _log_moment(x, y, law) - _log_moment(2 / x, 2 * y, law)))", tests=("theory/facts/test_extensions.py",)),
    Mutation("theory/facts/extensions.py", "def rollout_ess_fraction(weights: ArrayLike, *, law: Pair = (1.0, 1.0))", "def rollout_ess_fraction(weights: ArrayLike, *, law: Pair = (2.0, 1.0))", tests=("theory/facts/test_extensions.py",)),
    Mutation("theory/facts/estimation.py", "numerator = (4 * m @ cov @ m / K", "numerator = (5 * m @ cov @ m / K", tests=("theory/facts/test_estimation.py",)),
    Mutation("theory/facts/tables.py", "unit = Fraction(1, 10**decimals)", "unit = Fraction(1, 10*decimals)", tests=("theory/facts/test_tables.py",)),
    Mutation("theory/facts/populations.py", "return m * k - 1, (1 - m) * k - 1", "return m * k - 1, (1 - m) * k - 2", ("prop11",)),
    Mutation("theory/facts/kernel.py", "prior: tuple[float, float] = (1.0, 1.0)) -> Floats:", "prior: tuple[float, float] = (1.0, 3.0)) -> Floats:", tests=("theory/facts/test_extensions.py",)),
)  # fmt: skip
"""Spread over every file that computes something; :data:`IN_CI` runs in every `make test`, all of them nightly."""

IN_CI = (0, 5, 13, 20, 25, 31, 36, 38, 49, 58)


def missed(mutations: Sequence[Mutation]) -> list[Mutation]:
    """The faults that neither their claims nor their tests notice, tried one after the other.

    What is tried must pass without a fault, or it would notice everything.
    """
    load_libraries()
    claims = tuple(sorted({name for mutation in mutations for name in mutation.claims}))
    tests = tuple(sorted({name for mutation in mutations for name in mutation.tests}))
    assert _status(forked(_notices, None, claims, tests)) == 0, f"without a fault, {claims} and {tests} must pass"
    kept = []
    for mutation in mutations:
        code = _status(forked(_notices, mutation, mutation.claims, mutation.tests))
        print("." if code else f"\nmissed: {mutation}", end="", flush=True)
        if code == 0:
            kept.append(mutation)
    print()
    return kept


def _status(process: int) -> int:
    """The exit code of a process, negative for the signal that ended one that hung."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _notices(mutation: Mutation | None, claims: Sequence[str], tests: Sequence[str]) -> int:
    """1 when a check, a control or a test comes out otherwise; run in a fork."""
    if mutation:
        sys.meta_path.insert(0, Faulty(mutation.file, mutation.text))
    if claims:
        from paced.theory.ledger.runner import run

        report = run(claims, workers=1)
        from theory.ledger.sizes import is_smaller

        if report.failures or any(map(is_smaller, report.ran)):
            return 1
    if tests:
        import pytest

        files = [str(ROOT / "tests" / name) for name in tests]
        os.chdir(ROOT)
        return int(
            pytest.main(
                ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow and not nightly", "--assert=plain", *files]
            )
            != 0
        )
    return 0


def main(*numbers: str) -> int:
    """Try these mutations, or all, and say how many were noticed."""
    chosen = [MUTATIONS[int(number)] for number in numbers] or list(MUTATIONS)
    kept = missed(chosen)
    print(f"{len(chosen) - len(kept)} of {len(chosen)} faults noticed")
    return int(bool(kept))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
