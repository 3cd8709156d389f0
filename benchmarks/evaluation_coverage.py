"""How often the intervals of evaluation hold the truth, and how often equal students are called different.

Problems come from a Beta law of pass rates, samples are binomial; the truth is the law's own mean. Three tables:
mean@k on its own, the paired difference of two students, and a family of equal students against one reference, where
each number is made by the functions that a report uses. ``--bootstrap`` adds the BCa interval to the paired table, up
to 30 problems. Exit code 1 if equal students are called different, as a pair or in a family after Holm, in more than
5 % of the simulations by over four standard errors.

    python benchmarks/evaluation_coverage.py [--simulations 2000] [--bootstrap]
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from scipy import stats

from paced.analysis.results.intervals import Estimate, holm, mean_with_interval, paired_difference
from paced.arrays import Floats

SHAPES = [(30, 8), (15, 8), (5, 8), (500, 8)]
"""(problems, samples): AIME of two years, of one half, a handful, MATH-500."""
LAWS = {"AIME-like": (0.25, 1.0), "hard": (0.10, 0.8), "very hard": (0.05, 0.5), "MATH-500-like": (0.85, 1.0),
        "saturated": (0.99, 0.5), "alike": (0.50, 20.0)}  # fmt: skip
"""Mean and concentration of the Beta law that the pass rates come from."""
PAIRED_LAWS = ("AIME-like", "very hard", "MATH-500-like", "saturated")
SHIFT = 0.5
"""Gain of the better student on the logit scale, the same for every problem."""
METHODS = 5
"""Students of a family: four against one reference."""


def draw(law: tuple[float, float], shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Pass rates of a law."""
    mean, concentration = law
    return np.clip(rng.beta(mean * concentration, (1 - mean) * concentration, shape), 1e-12, 1 - 1e-12)


def shifted(rates: Floats, shift: float) -> Floats:
    """Pass rates of a student who is better by ``shift`` in log odds."""
    odds = rates / (1 - rates) * np.exp(shift)
    return odds / (1 + odds)


def paired(after: Floats, before: Floats) -> Estimate:
    """The product's paired difference of two rows of accuracies."""
    return paired_difference(dict(enumerate(after)), dict(enumerate(before)))


def bca(values: Floats) -> Estimate:
    """BCa with 2,000 resamples, without width where all values are equal."""
    mean = float(values.mean())
    low = high = mean
    if np.ptp(values) > 0:
        result = stats.bootstrap((values,), np.mean, n_resamples=2000, rng=np.random.default_rng(0))
        low, high = result.confidence_interval
    return Estimate(value=mean, low=float(low), high=float(high), num_problems=values.size)


def held(rows: list[Estimate], truth: float) -> str:
    """Coverage and mean width of intervals, for a table."""
    share = np.mean([row.low <= truth <= row.high for row in rows])
    return f"{100 * share:.1f} | {np.mean([row.high - row.low for row in rows]):.3f}"


def coverage_of_means(simulations: int) -> None:
    """Print the coverage of the interval of one student's mean@k."""
    print("| problems × k | law | holds the truth, % | width |\n|---|---|---|---|")
    for num_problems, k in SHAPES:
        for name, law in LAWS.items():
            rng = np.random.default_rng([num_problems, k, len(name)])
            values = rng.binomial(k, draw(law, (simulations, num_problems), rng)) / k  # [simulations, num_problems]
            cells = held([mean_with_interval(row) for row in values], law[0])
            print(f"| {num_problems} × {k} | {name}, {law[0]} | {cells} |", flush=True)


def coverage_of_pairs(simulations: int, *, bootstrap: bool) -> float:
    """Print the coverage of paired differences; return how often equal students are called different, at most."""
    names = ["t", "BCa"] if bootstrap else ["t"]
    print(f"| problems × k | law | gain | {' | '.join(f'{name} holds, % | width | differs, %' for name in names)} |")
    print(f"|---|---|---|{'---|---|---|' * len(names)}")
    highest = 0.0
    for num_problems, k in SHAPES:
        for name in PAIRED_LAWS:
            for shift in (0.0, SHIFT):
                rng = np.random.default_rng([num_problems, k, len(name), int(10 * shift)])
                rates = draw(LAWS[name], (simulations, num_problems), rng)
                many = draw(LAWS[name], (2_000_000,), rng)
                truth = float((shifted(many, shift) - many).mean()) if shift else 0.0
                before = rng.binomial(k, rates) / k  # [simulations, num_problems]
                after = rng.binomial(k, shifted(rates, shift)) / k  # [simulations, num_problems]
                intervals = {"t": [paired(one, two) for one, two in zip(after, before, strict=True)]}
                if bootstrap:
                    intervals["BCa"] = [bca(row) for row in after - before] if num_problems <= 30 else []
                cells = []
                for rows in intervals.values():
                    differs = float(np.mean([row.excludes_zero() for row in rows])) if rows else 0.0
                    cells.append(f"{held(rows, truth)} | {100 * differs:.1f}" if rows else "- | - | -")
                    highest = max(highest, differs) if not shift and len(cells) == 1 else highest
                gain = f"{100 * truth:.1f}" if shift else "0"
                print(f"| {num_problems} × {k} | {name} | {gain} | {' | '.join(cells)} |", flush=True)
    return highest


def false_differences(simulations: int) -> float:
    """Print how often four equal students differ from a fifth; return the highest rate after Holm."""
    print("| problems × k | law | some p < 0.05, % | after Holm, % |\n|---|---|---|---|")
    highest = 0.0
    for num_problems, k in SHAPES:
        for name in PAIRED_LAWS:
            rng = np.random.default_rng([num_problems, k, len(name), 77])
            alone = together = 0
            for _ in range(simulations):
                rates = draw(LAWS[name], (num_problems,), rng)
                students = rng.binomial(k, rates, (METHODS, num_problems)) / k  # [METHODS, num_problems]
                p_values = [paired(students[0], other).p_value or 0.0 for other in students[1:]]
                alone += min(p_values) < 0.05
                together += min(holm(p_values)) < 0.05
            highest = max(highest, together / simulations)
            rates_of = f"{100 * alone / simulations:.1f} | {100 * together / simulations:.1f}"
            print(f"| {num_problems} × {k} | {name} | {rates_of} |", flush=True)
    return highest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--bootstrap", action="store_true", help="also the BCa interval, which takes minutes")
    options = parser.parse_args()
    error = np.sqrt(0.95 * 0.05 / options.simulations)
    print(f"{options.simulations} simulations a row; standard error of 95 %: {100 * error:.2f} points\n")
    coverage_of_means(options.simulations)
    print()
    pairs = coverage_of_pairs(options.simulations, bootstrap=options.bootstrap)
    print()
    families = false_differences(options.simulations)
    return int(max(pairs, families) > 0.05 + 4 * error)


if __name__ == "__main__":
    sys.exit(main())
