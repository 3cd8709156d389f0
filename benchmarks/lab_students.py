"""Are the lab's students alike?  Pre-train eight seeds under three instruction sets and write the table of docs/lab.md.

    python benchmarks/lab_students.py docs/lab.md            # all, about 15 minutes of two cores
    python benchmarks/lab_students.py docs/lab.md --seeds 2  # the first two seeds

Older instruction sets round differently, so one seed is another student under each of them, as on another processor.
Every student is measured on problems that its pre-training has not probed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

INSTRUCTION_SETS = {
    "this machine's": {},
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "SSE": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}
KINDS = ("graded", "prior", "hinted", "unseen", "hash")


def measure(seed: int) -> dict[str, float]:
    """Pre-train one student and measure it on fresh problems: 1,500 graded x 8, 1,000 prior x 4, 500 hash x 4."""
    import torch

    from paced.lab.pretrain import pretrain
    from paced.lab.probe import passes
    from paced.lab.recipe import student_recipe
    from paced.lab.task import chain_problems, prior_problems

    torch.set_num_threads(1)
    start = time.process_time()
    model, log = pretrain(student_recipe(seed))
    seconds = time.process_time() - start
    numbers = np.random.default_rng(770)
    problems = {
        "graded": (chain_problems("graded", 1500, numbers), 8),
        "prior": (prior_problems(1000, numbers), 4),
        "hinted": (chain_problems("hash", 500, numbers), 4),
        "unseen": (chain_problems("unseen", 500, numbers), 4),
        "hash": (chain_problems("hash", 500, numbers), 4),
    }
    rates = {
        kind: np.mean(passes(model, items, count, seed, "fresh", hinted=kind == "hinted"), axis=1)
        for kind, (items, count) in problems.items()
    }
    graded = rates["graded"]
    shares = {"none": np.mean(graded == 0), "all": np.mean(graded == 1)}
    row = {"seed": seed, "steps": log.num_steps, "seconds": seconds}
    return (
        row | {kind: float(values.mean()) for kind, values in rates.items()} | {k: float(v) for k, v in shares.items()}
    )


def measure_elsewhere(seed: int, name: str) -> dict[str, float]:
    """The same in a process of its own, whose libraries are held to an instruction set."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(seed)],
        env=os.environ | INSTRUCTION_SETS[name],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(done.stderr)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(name, row, flush=True)
    return row


def table(rows: list[tuple[str, dict[str, float]]]) -> str:
    """The table as Markdown, a row a student, and the spread below it."""
    lines = [
        f"Recorded on {platform.machine()}; processor seconds include the probes.",
        "",
        "| instructions | seed | steps | seconds | graded | none / all solved | prior | hinted | unseen | hash |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows:
        lines.append(
            f"| {name} | {row['seed']:.0f} | {row['steps']:.0f} | {row['seconds']:.0f} | {row['graded']:.3f} "
            f"| {row['none']:.2f} / {row['all']:.2f} | {row['prior']:.3f} | {row['hinted']:.3f} "
            f"| {row['unseen']:.4f} | {row['hash']:.4f} |"
        )
    lines.append("")
    for kind in KINDS:
        values = np.array([row[kind] for _, row in rows])
        lines.append(
            f"- {kind}: {values.min():.3f} to {values.max():.3f}, mean {values.mean():.3f}, "
            f"standard deviation over students {values.std(ddof=1) if len(values) > 1 else 0:.3f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure the students asked for and replace the recorded part of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--one", type=int, default=0)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one)))
        return
    jobs = [(seed, name) for name in INSTRUCTION_SETS for seed in range(1, asked.seeds + 1)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(lambda job: (job[1], measure_elsewhere(*job)), jobs))
    recorded = f"<!-- students -->\n{table(rows)}\n<!-- end of students -->"
    text = asked.page.read_text(encoding="utf-8")
    changed, count = re.subn(r"<!-- students -->.*?<!-- end of students -->", lambda _: recorded, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{asked.page}: must hold one pair of <!-- students --> and <!-- end of students -->, got {count}.")
    asked.page.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    main()
