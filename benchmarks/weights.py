"""Weights and fits for ten million problems, against the same formulas problem by problem.

First the answers must agree (weights to rounding, likelihoods to 1e-9), then the clock runs: contenders take turns, and
the median of the rounds is reported with the ratio of each to the per-row form. Memory is the peak of a child process
that only makes the problems, weighs them and fits them, Python and the input included.

    python benchmarks/weights.py [--problems 10000000] [--rounds 5]
    python benchmarks/weights.py --file          # `paced fit` of parquet files of as many rows, each in a process
    python benchmarks/weights.py --tables        # the reference tables of docs/weights.md, exact, no clock
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from scipy.special import betaln

from paced.weights import BetaKernel, fit, normalise, plan_rollouts
from paced.weights.betabinomial import BetaBinomial
from paced.weights.counts import CountHistogram

LIMITS = {
    "weights, plug-in": 1.0,
    "weights, posterior": 1.0,
    "weights, K varying": 1.0,
    "plug-in, unit mean, ESS": 1.0,
    "fit, MLE": 2.0,
}
MEMORY_LIMIT = 1 << 30
FILE_SECONDS = 4.0
"""CPU seconds of a process that fits a file of ten million rows, its start included."""


def problems(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rollouts = rng.choice([4, 8, 16], size=count)
    return rng.binomial(rollouts, rng.beta(1.5, 2.5, size=count)), rollouts


def per_row_plugin(passed: np.ndarray, rollouts: np.ndarray) -> np.ndarray:
    rate = passed / rollouts
    return rate * (1 - rate)


def per_row_posterior(passed: np.ndarray, rollouts: np.ndarray) -> np.ndarray:
    a, b = 1.0 + passed, 1.0 + rollouts - passed
    return np.exp(betaln(a + 1, b + 1) - betaln(a, b))


def per_row_unit_mean(passed: np.ndarray) -> tuple[np.ndarray, float]:
    weights = per_row_plugin(passed, np.full(len(passed), 8))
    return weights / weights.mean(), float(weights.sum() ** 2 / np.square(weights).sum())


def per_row_likelihood(passed: np.ndarray, rollouts: np.ndarray, a: float, b: float) -> float:
    """The beta-binomial log-likelihood without its constant, one term a problem."""
    return float(np.sum(betaln(a + passed, b + rollouts - passed)) - len(passed) * betaln(a, b))


def gate(count: int) -> None:
    """Stop if the fast and the per-row forms disagree."""
    passed, rollouts = problems(min(count, 200_000))
    np.testing.assert_allclose(BetaKernel()(passed, rollouts), per_row_plugin(passed, rollouts), rtol=1e-13)
    posterior = BetaKernel(estimator="posterior")(passed, rollouts)
    np.testing.assert_allclose(posterior, per_row_posterior(passed, rollouts), rtol=1e-11)
    likelihood = BetaBinomial(CountHistogram.of(passed, rollouts))
    for a, b in ((1.5, 2.5), (0.3, 4.0)):
        rows = per_row_likelihood(passed, rollouts, a, b) - per_row_likelihood(passed, rollouts, 1.0, 1.0)
        ours = likelihood.derivatives(a, b).value - likelihood.derivatives(1.0, 1.0).value
        np.testing.assert_allclose(ours, rows, rtol=1e-9)


def timed(count: int, rounds: int) -> bool:
    passed, rollouts = problems(count)
    fixed = np.minimum(passed, 8)
    law = fit(passed, rollouts).law
    contenders: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("weights, plug-in", lambda: BetaKernel()(fixed, 8), lambda: per_row_plugin(fixed, np.full(count, 8))),
        (
            "weights, posterior",
            lambda: BetaKernel(estimator="posterior")(fixed, 8),
            lambda: per_row_posterior(fixed, np.full(count, 8)),
        ),
        (
            "weights, K varying",
            lambda: BetaKernel(estimator="posterior")(passed, rollouts),
            lambda: per_row_posterior(passed, rollouts),
        ),
        # One evaluation a row; a per-row maximiser needs at least one for each of our Newton steps.
        ("fit, MLE", lambda: fit(passed, rollouts), lambda: per_row_likelihood(passed, rollouts, *law)),
        ("plug-in, unit mean, ESS", lambda: normalise(BetaKernel()(fixed, 8)), lambda: per_row_unit_mean(fixed)),
    ]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in contenders}
    for _ in range(rounds):
        for name, ours, rows in contenders:
            both = []
            for function in (ours, rows):
                start = time.perf_counter()
                function()
                both.append(time.perf_counter() - start)
            seconds[name].append((both[0], both[1]))
    print(f"{count:,} problems, median of {rounds} interleaved rounds")
    print("| task | paced, s | per row, s | per row / paced | limit, s |\n|---|---|---|---|---|")
    good = True
    for name, pairs in seconds.items():
        ours, rows = np.median(pairs, axis=0)
        limit = LIMITS.get(name)
        good &= limit is None or ours < limit
        what = "per row, one evaluation of the likelihood" if name.startswith("fit") else "per row"
        shown = "-" if limit is None else f"{limit:g}"
        print(f"| {name} ({what}) | {ours:.3f} | {rows:.3f} | {rows / ours:.1f} | {shown} |")
    return good


def peak(count: int) -> int:
    """Peak memory in bytes of this process after weights, unit mean and a fit, everything included."""
    passed, rollouts = problems(count)
    normalise(BetaKernel(estimator="posterior", prior="empirical")(passed, rollouts))
    fit(passed, rollouts)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


NAMES: dict[str, Callable[[int], object]] = {
    "numbers": np.arange,
    "texts": lambda count: np.char.add("p", np.arange(count).astype("U9")).tolist(),
    "none": lambda count: None,
}
"""What the problems of a file are called."""


def write_file(kind: str, count: int, path: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    passed, rollouts = problems(count)
    names = NAMES[kind](count)
    columns = {} if names is None else {"problem_id": names}
    pq.write_table(pa.table({**columns, "num_passed": passed, "num_rollouts": rollouts}), path)


def fit_files(count: int) -> bool:
    """CPU seconds and peak memory of `paced fit`; files come from other processes, whose memory is not counted."""
    print("| names | CPU, s | peak memory, MiB |\n|---|---|---|")
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for kind in NAMES:
            file = f"{folder}/{kind}.parquet"
            write = [sys.executable, __file__, "--problems", str(count), "--write", kind, file]
            subprocess.run(write, check=True)
            child = subprocess.Popen(
                [sys.executable, "-m", "paced", "fit", file, "--no-figure"], stdout=subprocess.DEVNULL
            )
            _, status, usage = os.wait4(child.pid, 0)
            seconds, largest = usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss
            print(f"| {kind} | {seconds:.1f} | {largest / 2**20:,.0f} |")
            good &= status == 0 and seconds <= FILE_SECONDS and largest <= MEMORY_LIMIT
    return good


def tables() -> None:
    """What K rollouts give under uniform pass rates, w = p(1-p), flat second moment: extension X1, exactly."""
    print("| K | efficiency, posterior | efficiency, plug-in | ESS/N, posterior | ESS/N, plug-in | zero, plug-in |")
    print("|---|---|---|---|---|---|")
    for K in (2, 4, 8, 16):
        plans = plan_rollouts((1.0, 1.0), num_problems=1, budget=K)
        both = {plan.weight: plan for plan in plans if plan.policy == f"K = {K} for all"}
        rich, plain = both["posterior"], both["plugin"]
        cells = (rich.efficiency, plain.efficiency, rich.ess_fraction, plain.ess_fraction, plain.share_zero)
        print(f"| {K} | " + " | ".join(f"{cell:.6f}" for cell in cells) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--file", action="store_true", help="fit parquet files by the command and stop")
    parser.add_argument("--write", nargs=2, metavar=("NAMES", "FILE"), help="write one of these files and stop")
    parser.add_argument("--peak", action="store_true", help="print the peak memory in bytes and stop")
    options = parser.parse_args()
    if options.tables:
        tables()
        return 0
    if options.write:
        write_file(options.write[0], options.problems, options.write[1])
        return 0
    if options.file:
        return 0 if fit_files(options.problems) else 1
    if options.peak:
        print(peak(options.problems))
        return 0
    gate(options.problems)
    arguments = [sys.executable, __file__, "--peak", "--problems", str(options.problems)]
    largest = int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    good = timed(options.problems, options.rounds)
    print(
        f"peak memory of a process that does all of it: {largest / 2**20:,.0f} MiB (limit {MEMORY_LIMIT / 2**20:,.0f})"
    )
    return 0 if good and largest < MEMORY_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
