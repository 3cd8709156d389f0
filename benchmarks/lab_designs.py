"""What every method does under every design of the lab: run the recipes and write the table of docs/lab.md.

    python benchmarks/lab_designs.py docs/lab.md                      # all, about half an hour of one core
    python benchmarks/lab_designs.py docs/lab.md --recipes lab-noisy  # only this one, the other rows are kept

Gain and forgetting come from each run's own table (``figures/gain-forgetting.csv``), at seed 1, in points.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
from pathlib import Path

RECIPES = (
    "lab-paper",
    "lab-noisy",
    "lab-clean",
    "lab-big-teacher",
    "lab-phrasing",
    "lab-reverse-kl",
    "lab-batching",
    "lab-two-stage",
)
MARKS = r"<!-- designs -->\n(.*?)<!-- end of designs -->"
HEAD = "| recipe | method | gain | forgetting |\n|---|---|---|---|\n"


def rows(recipe: str, folder: Path) -> list[str]:
    """Run one recipe, or go on with its run, and return its rows."""
    command = [sys.executable, "-m", "paced", "run", f"recipes/{recipe}.yaml", "--root", str(folder), "--quiet"]
    done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        sys.exit(done.returncode)
    with (folder / recipe / "figures" / "gain-forgetting.csv").open(encoding="utf-8", newline="") as file:
        return [
            f"| `{recipe}` | {row['method']} | {points(row, 'gain')} | {points(row, 'forgetting')} |"
            for row in csv.DictReader(file)
        ]


def points(row: dict[str, str], name: str) -> str:
    """A value with its interval, in points."""
    value, low, high = (100 * float(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def main() -> None:
    """Run the recipes one by one; the page has the rows of each as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("runs/designs"))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    asked = parser.parse_args()
    for recipe in asked.recipes:
        measured = rows(recipe, asked.folder)
        text = asked.page.read_text(encoding="utf-8")
        recorded = re.search(MARKS, text, flags=re.DOTALL)
        if recorded is None:
            sys.exit(f"{asked.page}: must hold <!-- designs --> and <!-- end of designs --> around the table.")
        kept = [line for line in recorded[1].splitlines() if line.startswith("| `lab-")]
        lines = [line for line in kept if not line.startswith(f"| `{recipe}` ")] + measured
        lines.sort(key=lambda line: RECIPES.index(line.split("`")[1]))  # stable: methods stay in the recipe's order
        table = f"<!-- designs -->\n{HEAD}" + "\n".join(lines) + "\n<!-- end of designs -->"
        asked.page.write_text(text.replace(recorded[0], table), encoding="utf-8")


if __name__ == "__main__":
    main()
