"""Write what each command did in the environment of each extra into a page.

    make test-extras && python benchmarks/extras_table.py .venv/extras docs/installation.md

The outcomes are those that tests/cli/test_extras.py left, one file an extra; what is between ``<!-- matrix -->`` and
``<!-- end of the matrix -->`` is replaced.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path

ORDER = ("base", "verify", "report", "grade", "train", "server", "all")


def table(folder: Path) -> str:
    """One row a command, one column an environment: a tick, or the extra that its one sentence names."""
    outcomes = {name: json.loads((folder / f"{name}.json").read_text("utf-8"))
                for name in ORDER if (folder / f"{name}.json").exists()}  # fmt: skip
    rows = [
        [f"`paced {line}`", *("✓" if not one.get(line, "?") else f"needs {one[line]}" for one in outcomes.values())]
        for line in next(iter(outcomes.values()))
    ]
    head = ["command", *(f"[{name}]" if name != "base" else "base" for name in outcomes)]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([f"Python {platform.python_version()}, {platform.system()} {platform.machine()}:", "", *lines])


def write(folder: Path, page: Path) -> None:
    """Replace the table of the page."""
    recorded = f"<!-- matrix -->\n{table(folder)}\n<!-- end of the matrix -->"
    pattern = r"<!-- matrix -->.*?<!-- end of the matrix -->"
    changed, count = re.subn(pattern, lambda _: recorded, page.read_text("utf-8"), flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{page}: must hold one pair of <!-- matrix --> and <!-- end of the matrix -->, found {count}.")
    page.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
