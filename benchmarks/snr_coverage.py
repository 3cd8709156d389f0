"""How often the 95 % intervals of the gradient SNR hold the truth: exponents, bins, spread between problems.

    python benchmarks/snr_coverage.py [--runs 40] [--bin-runs 400] [--write docs/snr.md]

Gradients are Gaussian, drawn through what the estimates need of them: ‖ḡ‖² is noncentral χ², the spread χ². Exponents:
a U-shaped law of pass rates, 8 rollouts choose problems as ``paced snr`` does (at most ``per bin`` of each bin),
K fresh rollouts give the counts and K gradients signal and noise, with SNR² = 0.8 p^α (1−p)^β. Every row has its own
seed, derived from what it says. Controls: the same equations with s/K in place of p; for bins, percentile
bootstraps over problems.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paced.analysis.snr.bin_intervals import between_interval, ratio_interval
from paced.analysis.snr.bins import bin_edges, choose_equally
from paced.analysis.snr.exponents import KernelExponents, fit_kernel_exponents
from paced.analysis.snr.power_law import CellSums, solve
from paced.arrays import Floats, Integers

TRUTHS = ((1.0, 1.0), (0.5, 1.5), (2.0, 1.0))
ROLLOUTS = (8, 32)
PER_BIN = (32,)
POOL = {32: 2400, 240: 10_000}
"""Problems to choose from: with 240 a bin 2,400 are measured."""
AMPLITUDE = 0.8
FIRST_ROLLOUTS = 8
DIMENSIONS = 60
RESAMPLES = 200
TAILS = (0.025, 0.975)


class Measured(NamedTuple):
    """Counts of all problems; signal and noise are NaN where a problem was not chosen."""

    num_passed: Integers
    num_rollouts: Integers
    signal: Floats
    noise: Floats
    fresh: Floats
    """s/K of the fresh rollouts alone, NaN where a problem was not chosen."""

    def fit(self, *, resamples: int = 200) -> KernelExponents:
        """The product's fit."""
        return fit_kernel_exponents(
            self.signal, self.noise, num_passed=self.num_passed, num_rollouts=self.num_rollouts, resamples=resamples
        )

    def fit_taking_counts_as_exact(self, *, resamples: int = 200) -> tuple[Floats, Floats]:
        """The control: the product's equations at p = s/K; estimate and standard error of (log A, α, β)."""
        use = np.flatnonzero((self.fresh > 0) & (self.fresh < 1))
        points, cell = np.unique(self.fresh[use], return_inverse=True)
        member = np.eye(len(points))[cell]  # [M, C]
        draws = np.random.default_rng(0).multinomial(len(use), np.full(len(use), 1 / len(use)), size=resamples)
        times = np.concatenate([np.ones((1, len(use))), draws])  # [B, M]
        sums = CellSums(times @ member, (times * self.signal[use]) @ member, (times * self.noise[use]) @ member)
        known = np.broadcast_to(np.eye(len(points)), (len(times), len(points), len(points)))  # [B, C, C]
        weights = member.sum(axis=0) / sums.noise[0]  # 1 / mean noise
        found = solve(known, points, sums, weights=weights, start=np.array([0.0, 1.0, 1.0]))
        settled = found.theta[1:][found.converged[1:]]
        return found.theta[0], settled.std(axis=0, ddof=1)


def signal_and_noise(
    rng: np.random.Generator, snr_squared: Floats, size: Floats, *, K: int, dimensions: int = DIMENSIONS
) -> tuple[Floats, Floats]:
    """U and V of K Gaussian gradients with tr Σ = ``size`` and ‖E g‖² = ``snr_squared`` · ``size``."""
    noise = size * rng.chisquare(dimensions * (K - 1), size.shape) / (dimensions * (K - 1))
    centrality = np.maximum(snr_squared * K * dimensions, 1e-12)
    mean_square = size / (K * dimensions) * rng.noncentral_chisquare(dimensions, centrality)
    return mean_square - noise / K, noise


def simulate(
    rng: np.random.Generator, alpha: float, beta: float, *, K: int, per_bin: int, pool: int, skewed: bool
) -> Measured:
    """One measured student; ``skewed``: noise falls 21-fold towards p = 1, norms and SNR² of equal p differ."""
    p = rng.beta(0.35, 0.35, pool)
    passed = rng.binomial(FIRST_ROLLOUTS, p)
    estimate = passed / FIRST_ROLLOUTS
    chosen = choose_equally(estimate, edges=bin_edges(estimate), per_bin=per_bin, seed=int(rng.integers(2**31)))
    q = p[chosen]
    snr_squared, size = AMPLITUDE * q**alpha * (1 - q) ** beta, np.ones(len(q))
    if skewed:
        size = (1 + 20 * (1 - q) ** 2) * np.exp(rng.normal(0, 0.7, len(q)))
        snr_squared *= rng.gamma(4.0, 0.25, len(q))
    rollouts = np.full(pool, FIRST_ROLLOUTS)
    again = rng.binomial(K, q)
    passed[chosen] += again
    rollouts[chosen] += K
    signal, noise, fresh = np.full((3, pool), np.nan)
    signal[chosen], noise[chosen] = signal_and_noise(rng, snr_squared, size, K=K)
    fresh[chosen] = again / K
    return Measured(passed, rollouts, signal, noise, fresh)


def exponents(runs: int) -> Iterator[str]:
    """Rows of the table of exponents: the product's fit, then the control."""
    yield (
        "| truth α, β | K | measured | norms | mean α, β | spread α, β | holds α | holds β | no fit "
        "| counts as exact: mean α, β | holds α | holds β |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for (alpha, beta), K, per_bin, skewed in itertools.product(TRUTHS, ROLLOUTS, PER_BIN, (False, True)):
        truth = np.array([alpha, beta])
        estimates, contained, measured = [], [], 0
        naive_estimates, naive_contained = [], []
        for run in range(runs):
            rng = generator("exponents", alpha, beta, K, per_bin, skewed, run)
            data = simulate(rng, alpha, beta, K=K, per_bin=per_bin, pool=POOL[per_bin], skewed=skewed)
            measured += int(np.isfinite(data.signal).sum())
            naive, error = data.fit_taking_counts_as_exact()
            naive_estimates.append(naive[1:])
            naive_contained.append(np.abs(naive[1:] - truth) <= 1.96 * error[1:])
            try:
                fit = data.fit()
            except ValueError:
                continue
            estimates.append((fit.alpha, fit.beta))
            contained.append((fit.alpha_low <= alpha <= fit.alpha_high, fit.beta_low <= beta <= fit.beta_high))
        mean, spread = np.mean(estimates, axis=0), np.std(estimates, axis=0, ddof=1)
        holds, naive_mean = np.mean(contained, axis=0), np.mean(naive_estimates, axis=0)
        naive_holds = np.mean(naive_contained, axis=0)
        yield (
            f"| {alpha:g}, {beta:g} | {K} | {measured / runs:,.0f} | {'skewed' if skewed else 'equal'} "
            f"| {mean[0]:.3f}, {mean[1]:.3f} | {spread[0]:.3f}, {spread[1]:.3f} "
            f"| {share(holds[0], len(estimates))} | {share(holds[1], len(estimates))} | {runs - len(estimates)} "
            f"| {naive_mean[0]:.3f}, {naive_mean[1]:.3f} "
            f"| {share(naive_holds[0], runs)} | {share(naive_holds[1], runs)} |"
        )


def bins(runs: int) -> Iterator[str]:
    """Rows of the table of bins: the debiased form and the one between problems, each with a percentile bootstrap."""
    yield "| SNR² | norms | problems | debiased | its bootstrap | between problems | its bootstrap |"
    yield "|---|---|---|---|---|---|---|"
    for snr_squared, skew, n in itertools.product((0.0, 0.1, 1.0), (0.0, 0.7), (5, 10, 32)):
        contained = np.zeros(4)
        rng = generator("bins", snr_squared, skew, n)
        for _ in range(runs):
            size = np.exp(2 * rng.normal(0, skew, n)) if skew else np.ones(n)
            signal, noise = signal_and_noise(rng, np.full(n, snr_squared), size, K=8)
            g, truth = problem_gradients(rng, snr_squared, skew, n)
            gram, times = g @ g.T, rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)  # [B, n]
            debiased, between = ratio_interval(signal, noise), between_interval(gram)
            ends = (
                (debiased.low, debiased.high, snr_squared),
                (*np.quantile((times @ signal) / (times @ noise), TAILS), snr_squared),
                (between.low, between.high, truth),
                (*np.nanquantile(between_resampled(gram, times), TAILS), truth),
            )
            contained += [low <= value <= high for low, high, value in ends]
        label = "spread × 2" if skew else "equal"
        yield f"| {snr_squared:g} | {label} | {n} | " + " | ".join(share(x / runs, runs) for x in contained) + " |"


def between_resampled(gram: Floats, times: Floats) -> Floats:
    """U/V of bootstrap samples that hold problem x ``times``[:, x] times, shape [B]."""
    squares = np.diag(gram)
    apart = np.einsum("bx,xy,by->b", times, gram, times) - times**2 @ squares
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN for a sample of one problem alone
        signal = apart / (len(gram) ** 2 - (times**2).sum(axis=1))
        return np.asarray(signal / (times @ squares / len(gram) - signal))


def problem_gradients(rng: np.random.Generator, snr_squared: float, skew: float, n: int) -> tuple[Floats, float]:
    """Mean gradients [n, d] of n problems with a common part, and the truth U/V of their law."""
    common = rng.normal(size=DIMENSIONS)
    common *= np.sqrt(snr_squared) / np.linalg.norm(common)
    scale = np.exp(rng.normal(0, skew, (n, 1)))
    g = scale * rng.normal(size=(n, DIMENSIONS)) / np.sqrt(DIMENSIONS) + common
    return g, snr_squared / float(np.exp(2 * skew**2))


def share(value: float, runs: int) -> str:
    """A share in per cent with its Monte Carlo standard error."""
    error = np.sqrt(max(value * (1 - value), 0.25 / runs) / runs)
    return f"{100 * value:.1f} ± {100 * error:.1f}"


def generator(*what: object) -> np.random.Generator:
    """The generator of one row, from what the row says."""
    return np.random.default_rng(zlib.crc32(repr(what).encode()))


def main() -> None:
    """Print both tables, and write them between the marks of a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--bin-runs", type=int, default=400)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    note = f"{options.runs} runs a row of exponents, {options.bin_runs} a row of bins; ± is the Monte Carlo error."
    text = "\n".join([note, "", *exponents(options.runs), "", *bins(options.bin_runs)])
    print(text)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        marked = f"<!-- coverage -->\n{text}\n<!-- end -->"
        changed, count = re.subn(r"<!-- coverage -->.*?<!-- end -->", lambda _: marked, page, flags=re.DOTALL)
        if count != 1:
            sys.exit(f"{options.write}: must hold one pair of <!-- coverage --> and <!-- end -->, got {count}.")
        options.write.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    main()
