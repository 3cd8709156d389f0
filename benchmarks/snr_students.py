"""Do the exponents of one student hold for another?  ``paced snr`` on five students of the lab, into docs/snr.md.

    python benchmarks/snr_students.py docs/snr.md [--figures docs/figures] [--folder runs/students] [--seeds 5]

Each seed is another student; what a folder already holds is not made again. Intervals
of a student are over its problems, the last row's is Student's t over students. ``--figures`` receives the figures of
seed 1, the student of the quickstart, and of its gradient anatomy.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from paced.analysis.snr.bin_intervals import Interval, mean_interval
from paced.analysis.snr.exponents import KernelExponents
from paced.analysis.snr.tables import measured_curve, measured_fit, measured_losses, missing_fit_reason
from paced.run.folder import RunFolder

RECIPE = "recipes/quickstart.yaml"


def measure(seed: int, folder: Path) -> RunFolder:
    """One student with its stage-1 rollouts, measured by the command that users type."""
    root = folder / f"seed-{seed}"
    run = RunFolder(root / "quickstart")
    call("rollout", RECIPE, f"seed={seed}", "--root", str(root))
    call("snr", str(run.root))
    return run


def call(*arguments: str) -> None:
    """``paced`` with these arguments, in one thread."""
    done = subprocess.run([sys.executable, "-m", "paced", *arguments], env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        sys.exit(done.returncode)


def exponents_table(fits: dict[int, KernelExponents | str]) -> list[str]:
    """Rows of one loss: a student each, then the mean over the students that have a fit."""
    lines = ["| seed | α | β | problems |", "|---|---|---|---|"]
    fitted = [fit for fit in fits.values() if isinstance(fit, KernelExponents)]
    for seed, fit in fits.items():
        if isinstance(fit, str):
            lines.append(f"| {seed} | no fit: {fit} | | |")
            continue
        of_alpha = f"{fit.alpha:.2f} [{fit.alpha_low:.2f}, {fit.alpha_high:.2f}]"
        of_beta = f"{fit.beta:.2f} [{fit.beta_low:.2f}, {fit.beta_high:.2f}]"
        lines.append(f"| {seed} | {of_alpha} | {of_beta} | {fit.num_problems} |")
    alpha, beta = (mean_interval([getattr(fit, name) for fit in fitted]) for name in ("alpha", "beta"))
    return [*lines, f"| mean over {len(fitted)} students | {shown(alpha)} | {shown(beta)} | |"]


def curve_table(runs: dict[int, RunFolder], losses: list[str]) -> list[str]:
    """Debiased SNR² by pass-rate bin: mean over students."""
    values: dict[tuple[float, float], dict[str, list[float]]] = {}
    for run in runs.values():
        for loss in losses:
            for one in measured_curve(run, loss):
                of_bin = values.setdefault((round(one.low, 6), round(one.high, 6)), {name: [] for name in losses})
                of_bin[loss].append(one.debiased_snr_squared)
    lines = ["| p̂ | " + " | ".join(losses) + " |", "|---" * (len(losses) + 1) + "|"]
    for (low, high), of_bin in sorted(values.items()):
        cells = " | ".join(shown(mean_interval(of_bin[loss])) for loss in losses)
        lines.append(f"| {low:.1f} to {high:.1f} | {cells} |")
    return lines


def shown(one: Interval) -> str:
    """A mean with its interval."""
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def write_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks ``<!-- name -->`` and ``<!-- end of name -->``."""
    marked = f"<!-- {name} -->\n{text}\n<!-- end of {name} -->"
    pattern = rf"<!-- {name} -->.*?<!-- end of {name} -->"
    changed, count = re.subn(pattern, lambda _: marked, page.read_text(encoding="utf-8"), flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{page}: must hold one pair of <!-- {name} --> and <!-- end of {name} -->, got {count}.")
    page.write_text(changed, encoding="utf-8")


def main() -> None:
    """Measure every student and replace the recorded part of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/students"))
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    runs = {seed: measure(seed, asked.folder) for seed in range(1, asked.seeds + 1)}
    losses = measured_losses(runs[1])
    lines = [
        f"Recorded on {platform.machine()}; 95 % intervals, of a student over its problems, of means over students."
    ]
    for loss in losses:
        fits = {seed: measured_fit(run, loss) or missing_fit_reason(run, loss) for seed, run in runs.items()}
        lines += ["", f"`{loss}`, SNR² = A p^α (1−p)^β:", "", *exponents_table(fits)]
    lines += ["", "Debiased SNR² by bin, mean over students:", "", *curve_table(runs, losses)]
    write_between(asked.page, "students", "\n".join(lines))
    if asked.figures:
        call("anatomy", str(runs[1].root))
        for picture in [*runs[1].figures.glob("snr-*"), *runs[1].figures.glob("anatomy-stage-1.*")]:
            shutil.copy(picture, asked.figures / picture.name.replace("anatomy-stage-1", "anatomy"))


if __name__ == "__main__":
    main()
