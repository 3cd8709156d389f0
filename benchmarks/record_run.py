"""Run a recipe from nothing and write what it printed, took and found into a page of the docs.

    python benchmarks/record_run.py recipes/quickstart.yaml docs/quickstart.md docs/figures
    python benchmarks/record_run.py recipes/smollm2-selfdistill.yaml docs/smollm2.md

The page keeps its text; what stands between ``<!-- recorded -->`` and ``<!-- end -->`` is replaced. The run goes to a
fresh folder with a fresh cache of lab models, so the time is that of a first run. A third argument names a folder that
receives the run's figure of gain against forgetting and the picture of the idea (``idea_figure.py``).
"""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from idea_figure import draw

from paced.records import PassRate
from paced.run.configfile import load_config
from paced.run.folder import RunFolder
from paced.run.storage import read_parquet


def record(recipe: Path, page: Path, figures: Path | None = None) -> None:
    """Run ``recipe``, replace the recorded part of ``page`` and copy the figure of gain against forgetting."""
    name = load_config(recipe).name
    with tempfile.TemporaryDirectory() as temporary:
        environment = os.environ | {"PACED_LAB_CACHE": str(Path(temporary) / "cache"), "COLUMNS": "160"}
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "paced", "run", str(recipe), "--root", f"{temporary}/runs"],
            env=environment,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - start
        if done.returncode != 0:
            sys.exit(done.stderr)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = RunFolder(Path(temporary) / "runs" / name)
        printed = done.stdout.replace(temporary + "/", "").strip()
        found = describe(run)
        if figures is not None:
            for picture in run.figures.glob("gain-forgetting.*"):
                shutil.copy(picture, figures)
            draw(run.root, figures / "idea.png")
    lines = [
        f"`paced run {recipe}`, {platform.machine()}, {environment.get('OMP_NUM_THREADS', 'all')} thread: "
        f"{seconds:.0f} s of wall time, {usage.ru_utime + usage.ru_stime:.0f} s of processor time, "
        f"{usage.ru_maxrss / 1e6:.1f} GB at the peak, everything included (load average {os.getloadavg()[1]:.1f} on "
        f"{os.cpu_count()} cores).",
        "",
        f"```text\n{printed}\n```",
        "",
        *found,
    ]
    text = page.read_text(encoding="utf-8")
    recorded = "<!-- recorded -->\n" + "\n".join(lines).rstrip() + "\n<!-- end -->"
    changed, count = re.subn(r"<!-- recorded -->.*?<!-- end -->", lambda _: recorded, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{page}: must hold one pair of <!-- recorded --> and <!-- end -->, found {count}.")
    page.write_text(changed, encoding="utf-8")
    print(recorded)


def describe(run: RunFolder) -> list[str]:
    """The histogram of pass rates before training, and after it where the training problems were rated again."""
    before = read_parquet(run.stage(1).pass_rates, PassRate)
    rollouts = before[0].num_rollouts + before[0].num_ungradable
    rows = [("before training", before)]
    for method, folder in (run.methods() or {"after training": run}).items():
        after = folder.counts("final", "training")
        if after.exists():
            rows.append((method, read_parquet(after, PassRate)))
    lines = [
        f"Training problems by passes out of {rollouts}, and their mean pass rate:",
        "",
        "| | " + " | ".join(str(passed) for passed in range(rollouts + 1)) + " | mean |",
        "|---|" + "---|" * (rollouts + 2),
    ]
    for label, rates in rows:
        counts = [sum(rate.num_passed == passed for rate in rates) for passed in range(rollouts + 1)]
        mean = sum(rate.num_passed for rate in rates) / sum(rate.num_rollouts for rate in rates)
        lines.append(f"| {label} | " + " | ".join(map(str, counts)) + f" | {mean:.3f} |")
    return lines


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2]), *map(Path, sys.argv[3:4]))
