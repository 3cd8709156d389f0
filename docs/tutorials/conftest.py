"""Every block of a tutorial runs, in the order of the page and in an empty folder of the page's own.

``python`` blocks share one namespace; ``bash`` blocks run as a reader types them; a ``text`` block after one is
what the command prints, where ``...`` stands for anything.
"""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def enter(namespace: dict[str, Any]) -> None:
    """A folder for the page, and ``paced`` on the path: that of this tree and this interpreter."""
    namespace["before"], namespace["folder"] = Path.cwd(), tempfile.TemporaryDirectory(prefix="tutorial-")
    os.chdir(namespace["folder"].name)
    commands = Path(tempfile.mkdtemp(dir=namespace["folder"].name, prefix=".bin-"))
    (commands / "paced").write_text(f'#!/bin/sh\nexec {sys.executable} -m paced "$@"\n')
    (commands / "paced").chmod(0o755)
    namespace["environment"] = os.environ | {
        "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "120",
    }


def leave(namespace: dict[str, Any]) -> None:
    """Back to where the tests run."""
    os.chdir(namespace["before"])
    namespace["folder"].cleanup()


def run_shell(example: Example) -> None:
    """Run a block with bash; its output is kept for the block after it."""
    done = subprocess.run(
        ["bash", "-e", "-c", str(example.parsed)],
        env=example.namespace["environment"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    example.namespace["printed"] = done.stdout


def compare(example: Example) -> str | None:
    """Hold the output of the last command against the page; what differs, if anything does."""
    printed = example.namespace["printed"]
    expected = doctest.Example("", str(example.parsed))
    checker = doctest.OutputChecker()
    if checker.check_output(expected.want, printed, COMPARED):
        return None
    return checker.output_difference(expected, printed, COMPARED)


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=COMPARED),
        CodeBlockParser(language="bash", evaluator=run_shell),
        CodeBlockParser(language="text", evaluator=compare),
        SkipParser(),
    ],
    patterns=["*.md"],
    setup=enter,
    teardown=leave,
).pytest()
