"""How often the 95 % intervals of fitted exponents hold the truth, and what each estimator returns on average.

For every truth (α, β), number of rollouts K and number of problems N: p ~ Beta(α+1, β+1), s ~ Bin(K, p), fit, interval.
The table has the median estimates by maximum likelihood and by the paper's recipe, the coverage of the default interval
(profile likelihood) of α and β, and of the two Wald intervals. Exit code 1 if the default leaves [93 %, 97 %] anywhere.

    python benchmarks/weights_coverage.py [--simulations 2000] [--quick]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from paced.weights import fit

TRUTHS = [(0.0, 0.0), (1.0, 1.0), (1.0, 3.0), (4.0, 4.0), (-0.5, -0.5)]
"""Uniform, the default kernel, a hard training set, a concentrated one, and one that piles up at both ends."""
ROLLOUTS: list[tuple[int, ...]] = [(4,), (8,), (16,), (4, 8, 16)]
BAND = (0.93, 0.97)


def one_cell(
    truth: tuple[float, float], rollouts: Sequence[int], num_problems: int, zpd: float | None, simulations: int
) -> dict[str, np.ndarray]:
    """Coverage and median estimates of one cell of the design."""
    rng = np.random.default_rng([int(1000 * (value + 1)) for value in truth] + [*rollouts, num_problems])
    held = {name: np.zeros(2) for name in ("profile", "wald", "moments")}
    estimates: dict[str, list[tuple[float, float]]] = {"mle": [], "paper": []}
    for _ in range(simulations):
        k = rng.choice(rollouts, size=num_problems)
        s = rng.binomial(k, rng.beta(truth[0] + 1, truth[1] + 1, size=num_problems))
        found = fit(s, k, zpd=zpd)
        estimates["mle"].append((found.alpha, found.beta))
        paper = fit(s, k, "paper", zpd=zpd)
        estimates["paper"].append((paper.alpha, paper.beta))
        intervals = {"profile": found.conf_int(), "wald": found.conf_int(method="wald")}
        if zpd is None:
            intervals["moments"] = fit(s, k, "moments").conf_int()
        for name, interval in intervals.items():
            held[name] += [low <= value <= high for value, (low, high) in zip(truth, interval, strict=True)]
    medians = {f"median_{name}": np.nanmedian(values, axis=0) for name, values in estimates.items()}
    return {**{name: count / simulations for name, count in held.items()}, **medians}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="one truth and N = 200 only")
    options = parser.parse_args()
    design = [
        (truth, rollouts, num_problems, None)
        for num_problems in (100, 1000)
        for rollouts in ROLLOUTS
        for truth in TRUTHS
    ]
    design += [((1.0, 1.0), (8,), 1000, 0.1), ((4.0, 4.0), (16,), 1000, 0.1)]
    if options.quick:
        design = [((1.0, 3.0), (8,), 200, None)]
    print(f"{options.simulations} simulations a row; Monte Carlo standard error of a coverage of 95 %: "
          f"{100 * np.sqrt(0.95 * 0.05 / options.simulations):.2f} points")  # fmt: skip
    print(
        "| truth | K | N | zone | median MLE | median paper | profile α, β | Wald α, β | moments α, β |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    outside = 0
    for truth, rollouts, num_problems, zpd in design:
        cell = one_cell(truth, rollouts, num_problems, zpd, options.simulations)
        ok = bool(((cell["profile"] >= BAND[0]) & (cell["profile"] <= BAND[1])).all())
        outside += not ok
        pairs = [f"{cell[name][0]:.3f}, {cell[name][1]:.3f}" for name in ("median_mle", "median_paper")]
        shares = [
            f"{100 * cell[name][0]:.1f}, {100 * cell[name][1]:.1f}" if cell[name].any() else "-"
            for name in ("profile", "wald", "moments")
        ]
        k = "/".join(str(one) for one in rollouts)
        zone = "all" if zpd is None else f"{zpd:g}"
        row = [f"{truth[0]:g}, {truth[1]:g}", k, str(num_problems), zone, *pairs, *shares]
        print(f"| {' | '.join(row)} |{'' if ok else ' <- outside'}", flush=True)
    print(f"{outside} of {len(design)} rows outside {100 * BAND[0]:g}-{100 * BAND[1]:g} %")
    return 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
