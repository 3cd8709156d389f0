"""Faults put into the package on purpose, one line each; ``paced verify --strict`` or a test must see each.

A mutation names a file, a text that it contains exactly once, what is written instead, and the claims and the files of
tests that should notice (only for speed: a fault seen by others too is seen all the more). ``PYTHONPATH=tests python -m
theory.mutations`` tries them all and prints those that nothing noticed; ``1 5 9`` after it, these three.
"""

# ruff: noqa: E501
from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple

from theory.faulty import ROOT, Faulty, forked, load_libraries, tests_fail


class Mutation(NamedTuple):
    """One fault."""

    file: str
    old: str
    new: str
    claims: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    """Files of tests, or tests, that should notice where no sentence of the ledger depends on it: a default, a report."""

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
    Mutation(W, "shrunk = np.exp(-self.delta)", "shrunk = np.exp(-2 * self.delta)", ("eq3.relatives",)),
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
    Mutation(K, "np.exp(log_beta_ratio(a, b, 0, k))", "np.exp(log_beta_ratio(a, b, k, 0))", ("eq3.smooth",)),
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
    Mutation("theory/ledger/provers.py", 'if answer == "sat":\n        return refuted', 'if answer == "unsat":\n        return refuted', ("eq3.smooth",)),
    Mutation("theory/ledger/provers.py", "        if value > 0:\n            continue", "        if value > -1e9:\n            continue", ("prop3.shape",)),
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
    Mutation('theory/ledger/provers.py', 'return undecided("sympy", "zero at every point tried, but no simplification reaches 0")', 'return proved("sympy", "zero at every point tried")', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', '        return undecided("z3", f"z3 gave up after', '        return proved("z3", f"z3 gave up after', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', '    if answer != "sat":\n        return undecided("z3", f"no point is known where the hypotheses', '    if answer == "unknown":\n        return undecided("z3", f"no point is known where the hypotheses', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', '    if answer != "sat":\n        return undecided("z3", f"no point is known where the negation', '    if answer == "unknown":\n        return undecided("z3", f"no point is known where the negation', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', '    if base.result is not Result.PROVED:', '    if base.result is Result.REFUTED:', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', 'for total in sums}, simultaneous=True)', 'for total in sums})', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', '        return undecided("sympy", f"one more term changes', '        return proved("sympy", f"one more term changes', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', 'assert all(total.is_nonnegative is None for total in sums)', 'assert sums', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/claims/variance.py', '(B * Q / N + B * (B - 1) * product_of_two)', '(B * Q / N + B * B * product_of_two)', ('prop7',)),
    Mutation('theory/claims/allocation.py', 'comb(num_all, s) - (exits if phase_one else 0)', 'comb(num_all, s) - (2 * exits if phase_one else 0)', ('x7.screening',)),
    Mutation('theory/claims/estimation.py', 'over_problems = squares * (S + squares - square), square * S', 'over_problems = squares * (S + squares), square * S', ('eq8',)),
    Mutation('theory/ledger/provers.py', 'assert all(low < high for low, high in intervals)', 'assert all(low <= high for low, high in intervals)', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', '        if done > max_boxes:\n            return undecided(', '        if done > max_boxes:\n            return proved(', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', 'if all(getattr(candidate, f"is_{name}") is value for', 'if any(getattr(candidate, f"is_{name}") is value for', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', 'for candidate in (-number, number) if rng.random() < 0.5 else (number, -number)', 'for candidate in (number,)', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', 'if value.is_finite and abs(complex(value)) > 1e-30:', 'if value.is_finite and abs(complex(value)) > 1e-3:', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/provers.py', '        if point < 0:', '        if not point > 0:', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/outcomes.py', 'for result in (Result.REFUTED, Result.UNDECIDED, Result.ASSUMED):', 'for result in (Result.REFUTED, Result.ASSUMED):', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/outcomes.py', 'for result in (Result.REFUTED, Result.UNDECIDED, Result.ASSUMED):', 'for result in (Result.UNDECIDED, Result.REFUTED, Result.ASSUMED):', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/outcomes.py', 'Result.SUPPORTED if supports else Result.PROVED', 'Result.PROVED', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/outcomes.py', 'tolerance=max((outcome', 'tolerance=min((outcome', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/outcomes.py', 'WEAKEST_FIRST: tuple[Engine, ...] = ("monte_carlo", "hypothesis", "numeric"', 'WEAKEST_FIRST: tuple[Engine, ...] = ("hypothesis", "numeric", "monte_carlo"', tests=('theory/ledger/test_ledger.py::test_several_parts_are_decided_by_the_weakest_of_the_kind_that_counts',)),
    Mutation('theory/ledger/engines.py', 'F64 = 1e-12', 'F64 = 1e-6', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', '- atol - rtol * np.abs(right)', '- atol - 1e6 * rtol * np.abs(right)', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', '- atol - rtol * np.abs(right)', '- 2 * atol - rtol * np.abs(right)', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', 'np.where(np.isfinite(error), error, np.inf)', 'np.where(np.isfinite(error), error, 0.0)', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', 'MC_SE = 5.0', 'MC_SE = 50.0', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', 'assert count, "an empty domain proves nothing"', 'pass', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', 'return all(map(_is_exact, value))', 'return True', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', '        if answer is None:\n            return undecided("hypothesis"', '        if answer is False:\n            return undecided("hypothesis"', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', '    if ends and beyond:', '    if False:', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', '    except Unsatisfiable:\n        return undecided("hypothesis", "no example met the law\'s conditions")', '    except Unsatisfiable:\n        return supported(1, engine="hypothesis")', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', 'visit(len(value), (*place, "size"))', 'pass', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', 'values.std(ddof=1) / np.sqrt(values.size)', 'values.std(ddof=1)', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/engines.py', 'if values.size < 2 or not np.all(np.isfinite(values)):', 'if values.size < 2:', tests=('theory/ledger/test_engines.py',)),
    Mutation('theory/ledger/runner.py', 'if self.outcome is None or self.outcome.result is not self.expected:', 'if self.outcome is not None and self.outcome.result is not self.expected:', tests=('theory/ledger/test_ledger.py::test_only_the_recorded_outcome_counts_and_a_crash_never_does',)),
    Mutation('theory/ledger/runner.py', 'return self.task.kind == "control" or self.outcome.engine == self.declared', 'return True', tests=('theory/ledger/test_ledger.py::test_an_outcome_of_another_engine_is_not_the_recorded_one',)),
    Mutation('theory/ledger/runner.py', 'return tuple(one for one in self.ran if not one.as_expected)', 'return tuple(one for one in self.ran if not one.as_expected and one.task.kind == "check")', tests=('theory/ledger/test_ledger.py::test_a_control_that_passes_fails_the_run',)),
    Mutation('theory/ledger/ledger.py', 'any(check.given.get(name, missing) is not value for', 'any(True for', tests=('theory/ledger/test_ledger.py::test_a_ledger_that_contradicts_itself_is_refused',)),
    Mutation('theory/ledger/ledger.py', '            (claim.counterexample is not None, "is called false without a counterexample"),', '', tests=('theory/ledger/test_ledger.py::test_a_ledger_that_contradicts_itself_is_refused',)),
    Mutation('theory/ledger/ledger.py', 'if ids.count(name) > 1]', 'if ids.count(name) > 2]', tests=('theory/ledger/test_ledger.py::test_an_id_used_twice_is_refused',)),
    Mutation('theory/ledger/claim.py', 'assert self.result is not Result.REFUTED or self.witness', 'assert True or self.witness', tests=('theory/ledger/test_ledger.py::test_a_refutation_without_a_witness_is_no_outcome',)),
    Mutation('theory/ledger/claim.py', 'partial(self.run, **{**self.given, **arguments})', 'partial(self.run, **self.given)', ('eq3',)),
    Mutation('theory/claims/minimax.py', '"unique": [*both, z3.Not(best)],', '"unique": [*both, x < 1, z3.Not(best)],', ('thm6',)),
    Mutation('theory/claims/minimax.py', 'and inner <= share * value + tight', 'and True', ('thm6',)),
    Mutation('theory/claims/minimax.py', '"attained": [best, *inside, eff(c * y) < value],', '"attained": [best, *inside, eff(c * y) > 2],', ('thm6',)),
    Mutation('theory/claims/variance.py', '    for size in (1, 2, 3):', '    for size in (1,):', ('prop7',)),
    Mutation('theory/claims/boundary.py', 'np.linalg.norm(teacher - student) + 1e-12)', 'np.linalg.norm(teacher - student) + 2)', ('prop2.i',)),
    Mutation('theory/claims/second_moment.py', 'gaps = np.array([1e-4, 1e-8])', 'gaps = np.array([1e-4, 1e-4])', ('a3c.consistent',)),
    Mutation('theory/claims/coupling.py', '(f1 - f2) * (g1 - g2) <= 0 if opposite', '(f1 - f2) * (g1 - g2) < -1 if opposite and False', ('prop7.coupling',)),
    Mutation('theory/claims/aggregate_minimax.py', '"unique": [*hypotheses, plus <= 0, minus <= 0, first != 1],', '"unique": [*hypotheses, t > 1, plus <= 0, minus <= 0, first != 1],', ('x4',)),
    Mutation('theory/claims/saturation.py', '"with sech": [v * cosh == 1,', '"with sech": [v * cosh == 0,', ('x3',)),
    Mutation('theory/claims/convergence.py', 'hypotheses = [eta > 0, lip > 0, var >= 0, g >= 0, eta * lip <= largest]', 'hypotheses = [eta > 0, lip < 0, var >= 0, g >= 0, eta * lip <= largest, lip > 0]', ('prop8',)),
    Mutation('theory/claims/aggregate.py', 'computed >= float(minimax_value(delta)) - 1e-12', 'computed >= float(minimax_value(delta)) - 1', ('thm6.iii',)),
    Mutation('theory/claims/efficiency.py', 'return abs(quotient - expected) <= 1e-9 and', 'return', ('lem5',)),
    Mutation('theory/claims/representation.py', 'np.all(np.abs(r - np.log([c0, c1]) - shift) <= 1e-4)', 'np.all(np.abs(r) <= 1e4)', ('prop3',)),
    Mutation('theory/facts/minimax.py', '2.0 * shrunk / (1.0 + shrunk**2)', '2.0 * shrunk / (1.0 + shrunk)', ('thm6',)),
    Mutation('theory/facts/minimax.py', 'efficiency(np.exp(2.0 * d))', 'efficiency(np.exp(d))', ('thm6.unit_mean', 'rem2')),
    Mutation('theory/facts/minimax.py', 'np.minimum(efficiency(c * np.exp(-d)), efficiency(c * np.exp(d)))', 'efficiency(c * np.exp(d))', ('thm6', 'rem2')),
    Mutation('theory/facts/minimax.py', '_over_cosh(s0, reals("saturated_minimax_weight", "delta", delta, low=0))', '_over_cosh(s0, reals("saturated_minimax_weight", "delta", delta))', tests=('theory/facts/test_domains.py', 'theory/facts/test_minimax.py')),
    Mutation('theory/facts/minimax.py', 'd + 0.5 * np.log1p(largest * np.exp(-d))', 'd + 0.5 * np.log1p(largest)', ('x3',)),
    Mutation('theory/facts/minimax.py', 'return np.exp(-2.0 * d) / (1.0 + np.exp(-2.0 * d))', 'return 1.0 / (1.0 + np.exp(-2.0 * d))', ('x4',)),
    Mutation('theory/facts/minimax.py', 'np.max(shares * (1.0 - shares))', 'np.max(shares * shares)', ('x4',)),
    Mutation('theory/facts/minimax.py', '((mass @ np.exp(2 * u)) * (mass @ np.exp(2 * r)))', '((mass @ np.exp(2 * u)) * (mass @ np.exp(r)))', ('x4',)),
    Mutation('theory/facts/variance.py', 'return self.coupling / self.mean_second_moment < 1.0 - self.mean_square_weight', 'return self.coupling / self.mean_second_moment < 1.1 - self.mean_square_weight', ('prop7.sufficient',), tests=('theory/facts/test_variance.py',)),
    Mutation('theory/facts/variance.py', '((unit**2 - mean_square_weight) * (m2 - mean_m2))', '((unit - 1) * (m2 - mean_m2))', ('prop7',)),
    Mutation('theory/facts/variance.py', 'centred = g - mass @ (unit[:, None] * g)', 'centred = g - mass @ g', ('prop7',)),
    Mutation('theory/facts/variance_ratios.py', '- 2 * log_beta_ratio(x, y, a, b)', '- log_beta_ratio(x, y, a, b)', ('prop7.closed',)),
    Mutation('theory/facts/variance_ratios.py', '(1 + t) * (2 + t) / ((3 + 2 * t) * (5 + 2 * t))', '(1 + t) * (2 + t) / ((3 + 2 * t) * (4 + 2 * t))', ('prop7.closed', 'prop10')),
    Mutation('theory/facts/variance_ratios.py', '2 * np.log1p(-2 * e)', '2 * np.log1p(-e)', ('prop10',)),
    Mutation('theory/facts/variance_ratios.py', 'moment(x + 2 * (a - c), y + 2 * (b - d)) / amplitude**2', 'moment(x + 2 * (a - c), y + 2 * (b - d)) / amplitude', ('prop10.bimodal', 'prop10', 'prop7.closed', 'x1'), tests=('theory/facts/test_variance.py',)),
    Mutation('theory/facts/variance_ratios.py', 'w = p * (1 - p)\n', 'w = p * (1 - p) ** 2\n', ('prop10.rollouts', 'prop10')),
    Mutation('theory/facts/descent.py', 'return s2 / (eta * lip * m2)', 'return s2 / (eta * m2)', ('thm4.optimum', 'lem5', 'def2')),
    Mutation('theory/facts/descent.py', 'return s2**2 / (2.0 * lip * m2)', 'return s2**2 / (lip * m2)', ('lem5',)),
    Mutation('theory/facts/descent.py', '(alpha - beta * p / (1.0 - p)) / (1.0 + snr_squared)', '(alpha - beta * p / (1.0 - p)) / (2.0 + snr_squared)', ('thm4.saturation', 'thm4')),
    Mutation('theory/facts/descent.py', '(1.0 - 1.0 / batch_size) * weighted @ weighted.T', 'weighted @ weighted.T', ('rem1.joint',)),
    Mutation('theory/facts/descent.py', '(mass @ best - 1.0) / (mass', '(mass @ best) / (mass', ('rem1.scale', 'rem1.joint')),
    Mutation('theory/facts/convergence.py', 'return 2.0 * gap / (eta * steps) + eta * lip * var', 'return 2.0 * gap / (eta * steps) + eta * lip * var / 2', ('prop8',)),
    Mutation('theory/facts/convergence.py', 'early = steps * var < 2.0 * gap * lip', 'early = steps * var < 1.0 * gap * lip', ('prop8',), tests=('theory/facts/test_convergence.py',)),
    Mutation('theory/facts/convergence.py', '/ (2.0 - eta * lip)', '/ 2.0', ('prop8.floor', 'prop8')),
    Mutation('theory/facts/convergence.py', 'return float(abs(mass @ (w * c)) / (mass @ w))', 'return float(abs(mass @ (w * c)))', ('prop8',)),
    Mutation('theory/facts/estimation.py', 'return 1 / np.sqrt(_at_least_two("snr_floor", num_rollouts) - 1)', 'return 1 / np.sqrt(_at_least_two("snr_floor", num_rollouts))', ('eq8',), tests=('theory/facts/test_estimation.py',)),
    Mutation('theory/facts/estimation.py', '2 * np.sum(cov * cov.T) / (K * (K - 1))', '2 * np.sum(cov * cov.T) / K**2', ('eq8',)),
    Mutation('theory/facts/estimation.py', '(total @ total - np.sum(g * g)) / (K * (K - 1))', '(total @ total - np.sum(g * g)) / K**2', ('eq8',)),
    Mutation('theory/facts/estimation.py', 'np.trace(cov) ** 2 / np.sum(cov * cov.T)', 'np.trace(cov) / np.sum(cov * cov.T)', ('eq8',), tests=('theory/facts/test_estimation.py',)),
    Mutation('theory/facts/extensions.py', 'factor = 1.0 if aligned else 2.0', 'factor = 2.0', ('x5',)),
    Mutation('theory/facts/extensions.py', 'return s / (1 + s.sum())', 'return s / s.sum()', ('x10',)),
    Mutation('theory/facts/extensions.py', 'return 3 * (1 + t) / (3 + 2 * t)', 'return 3 * (1 + t) / (3 + t)', ('x11',)),
    Mutation('theory/facts/extensions.py', 'float(betainc(a, b, zone.high) - betainc(a, b, zone.low))', 'float(betainc(b, a, zone.high) - betainc(a, b, zone.low))', ('x8', 'x2', 'x9'), tests=('theory/facts/test_extensions.py',)),
    Mutation('theory/facts/screening.py', 'num_first + (num_all - num_first) * (1 - zeroed', 'num_first + num_all * (1 - zeroed', ('x7.screening',), tests=('weights/budget/test_allocation.py',)),
    Mutation('theory/facts/screening.py', 'log_pmf(num_first, a + alpha, b + beta)', 'log_pmf(num_first, a, b)', ('x7.screening',), tests=('theory/facts/test_screening.py',)),
    Mutation('theory/facts/populations.py', 'k = m * (1 - m) / v - 1', 'k = m * (1 - m) / v', ('prop11.cut', 'prop11')),
    Mutation('theory/facts/tables.py', '"K = 4": ("92.8",', '"K = 4": ("93.8",', ('tab.aime',), tests=('theory/facts/test_tables.py',)),
    Mutation('theory/facts/tables.py', '"AKL": ("68.6", "2.8")', '"AKL": ("68.6", "4.6")', ('tab.forgetting',)),
    Mutation('theory/facts/domains.py', 'return mass / mass.sum()', 'return mass', ('thm6.iii', 'prop7')),
    Mutation('weights/fit/intervals.py', 'tails = [(1 - level) / 2, (1 + level) / 2]', 'tails = [1 - level, level]', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/intervals.py', 'if len(values) < num_resamples / 2:', 'if len(values) < num_resamples / 4:', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/intervals.py', 'int(cells.num_problems[cells.num_rollouts == k].sum()) for k in probabilities}', 'int(cells.num_problems.sum()) for k in probabilities}', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/intervals.py', 'rng.multinomial(int(cells.num_problems[cells.num_rollouts == k].sum()), pmf', 'rng.multinomial(int(cells.num_problems.sum() / len(probabilities)), pmf', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/result.py', 'again = self.refit(drawn, self.method, self.zpd)\n            a, b = again.law', 'again = self\n            a, b = again.law', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/result.py', 'np.random.default_rng(_checked_seed("FitResult.gof", seed))', 'np.random.default_rng(0)', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/result.py', '(1 + more) / (1 + len(replicates))', 'more / len(replicates)', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/result.py', 'return 4 + 2 * self.nllf', 'return 2 + 2 * self.nllf', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/result.py', '"law": [a, b], "mean"', '"law": [b, a], "mean"', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/result.py', 'return value if math.isfinite(value) else None', 'return value', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/fit.py', 'float(used.num_problems @ (used.num_passed / used.num_rollouts)) / used.total', 'float(used.num_problems @ used.num_passed) / float(used.num_problems @ used.num_rollouts)', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/fit/fit.py', 'PAPER_ZPD = 0.1', 'PAPER_ZPD = 0.2', tests=('weights/fit/test_fit.py',)),
    Mutation('weights/fit/moments.py', 'by_second = -(v + bernoulli_left) / v**2', 'by_second = -(v - bernoulli_left) / v**2', tests=('weights/fit/test_fit.py',)),
    Mutation('weights/counts.py', 'rng.multinomial(self.total, self.num_problems / self.total)', 'rng.multinomial(self.total, np.full(len(self.num_problems), 1 / len(self.num_problems)))', tests=('weights/fit/test_resampling.py',)),
    Mutation('weights/betabinomial.py', 'terms - float(np.log1p(steps / n).sum())', 'terms', ('x2',), tests=('weights/fit/test_fit.py',)),
    Mutation('weights/betabinomial.py', 'self.rollout_tail @ both**-2.0', 'self.rollout_tail @ both**-1.0', tests=('weights/fit/test_fit.py',)),
    Mutation('weights/law.py', '    if largest == 1:', '    if largest == 0:', tests=('weights/fit/test_reports.py',)),
    Mutation('weights/estimates.py', 'return best.a, best.b', 'return best.b, best.a', tests=('weights/test_estimates.py',)),
    Mutation('weights/estimates.py', 'log_beta_ratio(a + t0, b + t1, 2 * sa - t0, 2 * sb - t1)', 'log_beta_ratio(a, b, 2 * sa, 2 * sb)', ('x1',)),
    Mutation('weights/estimates.py', 'np.maximum(failed - step, 0.0) / (total - a - step)', 'np.maximum(failed - step, 0.0) / (total - step)', ('c50',)),
    Mutation('weights/normalise.py', 'return unit / unit.size', 'return unit', ('x11',), tests=('weights/test_normalise.py',)),
    Mutation('weights/kernels.py', '(2 * shrunk * snr_squared + 1 + shrunk**2)', '(2 * shrunk * snr_squared + 2 * shrunk)', tests=('weights/test_kernels.py',)),
    Mutation('weights/wilson.py', 'method="wilson"', 'method="exact"', tests=('weights/test_wilson.py',)),
    Mutation('weights/snr_exponents.py', 'spread = np.abs(estimator).sum(axis=1)', 'spread = np.abs(estimator).max(axis=1)', ('x6',)),
    Mutation('weights/budget/stopping.py', 'LOOK_AHEAD = 4', 'LOOK_AHEAD = 1', tests=('weights/budget/test_planner.py',)),
    Mutation('weights/budget/stopping.py', '    for _ in range(30):', '    for _ in range(3):', tests=('weights/budget/test_planner.py',)),
    Mutation('weights/budget/stopping.py', 'return second if k == first and 0 < s < first else 0', 'return second if k == first and 0 < s else 0', tests=('weights/budget/test_planner.py',)),
    Mutation('weights/budget/planner.py', 'cost = float(mass @ k)', 'cost = float(np.max(k))', tests=('weights/budget/test_planner.py',)),
    Mutation('weights/budget/stopping.py', 'law[0] + s, law[1] + k - s)).tolist()', 'law[0], law[1])).tolist()', tests=('weights/budget/test_planner.py',)),
    Mutation('theory/kit/strategies.py', 'one = st.one_of(st.just(delta), st.just(-delta), st.floats(-delta, delta))', 'one = st.floats(-0.9 * delta, 0.9 * delta)', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/strategies.py', 'exclude_min=not ends, exclude_max=not ends', 'exclude_min=True, exclude_max=True', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/strategies.py', 'ripple=st.floats(-largest_ripple, largest_ripple)', 'ripple=st.floats(-largest_ripple / 2, largest_ripple / 2)', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/strategies.py', 'st.tuples(st.integers(0, n), st.just(n))', 'st.tuples(st.integers(0, max(n - 1, 0)), st.just(n))', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/weighting.py', 'np.cosh(delta + (log_ratio.max() - log_ratio.min()) / 2) ** -2.0', 'np.cosh(delta + (log_ratio.max() - log_ratio.min())) ** -2.0', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/weighting.py', 'order = np.argsort(weights / nominal)', 'order = np.argsort(nominal / weights)', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/weighting.py', 'nominal / (1 + nominal), mass) if sound', 'nominal, mass) if sound', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/weighting.py', 'Law("unimodal", len(peaks) == 1', 'Law("unimodal", len(peaks) >= 1', tests=('theory/kit/test_weighting.py',)),
    Mutation('theory/kit/weighting.py', 'np.all(np.isfinite(w)) and np.all(w >= 0) and np.any(w > 0)', 'np.all(np.isfinite(w)) and np.any(w > 0)', tests=('theory/kit/test_weighting.py',)),
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
    else:
        signal.setitimer(signal.ITIMER_PROF, 0)  # all claims and tests together take longer than a fault may
    if claims:
        from paced.theory.ledger.runner import run

        report = run(claims, workers=1)
        from theory.ledger.sizes import is_smaller

        if report.failures or any(map(is_smaller, report.ran)):
            return 1
    return int(bool(tests) and tests_fail([f"tests/{name}" for name in tests]))


def main(*numbers: str) -> int:
    """Try these mutations, or all, and say how many were noticed."""
    chosen = [MUTATIONS[int(number)] for number in numbers] or list(MUTATIONS)
    kept = missed(chosen)
    print(f"{len(chosen) - len(kept)} of {len(chosen)} faults noticed")
    return int(bool(kept))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
