"""Run the commands of the README in one folder, in their order, and write what they print below them.

    python benchmarks/readme_outputs.py README.md

A block begins with ``<!-- run -->``, holds one shell block, and ends with ``<!-- end -->``; what is between the shell
block and the end is replaced. Between ``<!-- machine -->`` and ``<!-- end -->`` comes what they ran on. Lines are cut
with ``sed``, which reads to the end, and not with ``head``, whose writer would be stopped. The folder is new; the
lab's student comes from the cache (PACED_CACHE) where it is there.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import processor

import paced

SHELL = re.compile(r"(<!-- run -->\n```bash\n(.*?)```\n).*?(<!-- end -->)", re.DOTALL)
MACHINE = re.compile(r"(<!-- machine -->\n).*?(<!-- end -->)", re.DOTALL)
COLUMNS = "118"


def record(page: Path) -> None:
    """Replace what every block of ``page`` printed, and the line about the machine."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        programs = Path(folder) / "bin"
        programs.mkdir()
        (programs / "paced").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m paced "$@"\n', encoding="utf-8")
        (programs / "paced").chmod(0o755)
        text = SHELL.sub(lambda block: block[1] + printed(block[2], Path(folder)) + block[3], text)
    text = MACHINE.sub(lambda block: f"{block[1]}{machine()}\n{block[2]}", text)
    page.write_text(text, encoding="utf-8")


def printed(lines: str, folder: Path) -> str:
    """The standard output of a block of shell lines as a text block, without the folder's name."""
    root = Path(paced.__file__).parents[1]
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "COLUMNS": COLUMNS,
                                "PYTHONPATH": str(root)}  # fmt: skip
    bash = shutil.which("bash")
    done = subprocess.run(
        [bash or "bash", "-euo", "pipefail", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{lines}\n{done.stderr}")
    print(lines, done.stdout, sep="")
    rows = [line.rstrip() for line in done.stdout.replace(f"{folder}/", "").strip("\n").splitlines()]
    return "```text\n" + "\n".join(rows) + "\n```\n"


def machine() -> str:
    """The processor, the interpreter and the versions that decide a number."""
    from importlib.metadata import version

    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy", "scipy"))
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return f"{processor()}; {threads} thread of {os.cpu_count()}; Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    record(Path(sys.argv[1]))
