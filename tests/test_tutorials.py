"""Every block of a tutorial runs, in the order of the page and in an empty folder of the page's own.

``python`` blocks share one namespace; ``bash`` blocks run as a reader types them; a ``text`` block after one is
what the command prints, where ``...`` stands for anything.
"""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.example import SybilFailure
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def namespace(tmp_path, monkeypatch):
    """What the blocks of a page share: an empty folder, and ``paced`` of this tree and interpreter on the path."""
    commands, folder = tmp_path / "commands", tmp_path / "folder"
    commands.mkdir()
    folder.mkdir()
    (commands / "paced").write_text(f'#!/bin/sh\nexec {sys.executable} -m paced "$@"\n')
    (commands / "paced").chmod(0o755)
    monkeypatch.chdir(folder)
    path = f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return {"environment": os.environ | environment}


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


PARSERS = [
    PythonCodeBlockParser(doctest_optionflags=COMPARED),
    CodeBlockParser(language="bash", evaluator=run_shell),
    CodeBlockParser(language="text", evaluator=compare),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_tutorial_does_what_the_page_says(page, namespace):
    document = Sybil(parsers=PARSERS).parse(page)
    document.namespace.update(namespace)
    examples = list(document.examples())
    assert len(examples) > 5
    for example in examples:
        example.evaluate()


def test_a_page_that_says_something_else_than_is_printed_is_noticed(tmp_path, namespace):
    page = tmp_path / "wrong.md"
    page.write_text("```bash\necho one\n```\n\n```text\ntwo\n```\n")
    document = Sybil(parsers=PARSERS).parse(page)
    document.namespace.update(namespace)
    shell, printed = document.examples()
    shell.evaluate()
    with pytest.raises(SybilFailure, match="did not evaluate as expected"):
        printed.evaluate()
