"""Every block of a tutorial or a how-to page runs, in the order of the page and in an empty folder of the page's own.

``python`` blocks share one namespace; ``bash`` blocks run as a reader types them; a ``text`` block after one is
what the command prints, where ``...`` stands for anything. ``console`` blocks are shown only: they need what a test
machine lacks. Commands of ``paced`` alone run in this process, which has loaded torch already.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.example import SybilFailure
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from paced.cli import app
from paced.cli.endings import ending_of
from paced.grading import comparisons
from paced.problems.adapters import DATASETS
from paced.rollouts.engine import ENGINES
from paced.train.backends import BACKENDS
from paced.train.loss.divergences import DIVERGENCES
from paced.weights import WEIGHTS

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for folder in ("tutorials", "howto") for page in (ROOT / "docs" / folder).glob("*.md"))
SLOW = {
    "distil_in_the_lab", "eight_gpus", "measure_snr", "own_completions", "rate_your_model", "read_a_report", "resume",
    "test_your_weighting", "verify_a_theorem", "weights_into_trl",
}  # fmt: skip
"""Pages that sample, train or start processes: two to eight seconds each; the lab's student a minute, if not cached."""
PARAMETERS = [pytest.param(page, marks=[pytest.mark.slow] * (page.stem in SLOW), id=page.stem) for page in PAGES]
COMPARED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(r"^```(\S*)\n", re.MULTILINE)
RUN, SHOWN = {"python", "bash", "text"}, {"console"}
SHELL = re.compile(r"[|<>;&$*`~]")
"""Characters that ask something of a shell."""
REGISTRIES: tuple[dict, ...] = (WEIGHTS, DIVERGENCES, ENGINES, BACKENDS, DATASETS, comparisons._own)


@pytest.fixture
def namespace(tmp_path, monkeypatch):
    """What the blocks of a page share: an empty folder, ``paced`` of this tree on the path; registries are put back."""
    commands, folder = tmp_path / "commands", tmp_path / "folder"
    commands.mkdir()
    folder.mkdir()
    (commands / "paced").write_text(f'#!/bin/sh\nexec {sys.executable} -m paced "$@"\n')
    (commands / "paced").chmod(0o755)
    for file in (ROOT / "docs" / "tutorials").glob("*.py"):  # what the pages offer for download
        shutil.copy(file, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)  # a page shows what pytest prints by itself
    before = [dict(registry) for registry in REGISTRIES]
    yield {}
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.fixture
def document(namespace, capsys):
    """A function from a page to its examples, ready to be evaluated."""

    def read(page: Path) -> list[Example]:
        parsed = Sybil(parsers=PARSERS).parse(page)
        parsed.namespace.update(namespace | {"captured": capsys})
        return list(parsed.examples())

    return read


def commands_of(block: str) -> list[list[str]] | None:
    """The arguments of each command when a block holds commands of ``paced`` and nothing else."""
    lines = [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    commands = [shlex.split(line, comments=True) for line in lines if not SHELL.search(line)]
    if len(commands) < len(lines) or any(command[:1] != ["paced"] for command in commands):
        return None
    return [command[1:] for command in commands]


def run_block(example: Example) -> None:
    """Run a block of commands; what it prints is kept for the block after it."""
    commands = commands_of(str(example.parsed))
    captured = example.namespace["captured"]
    captured.readouterr()
    if commands is None:
        done = subprocess.run(["bash", "-e", "-c", str(example.parsed)], capture_output=True, text=True, check=False)
        code, printed, notes = done.returncode, done.stdout, done.stderr
    else:
        code, reason = run_here(commands)
        printed, notes = captured.readouterr()
        notes += reason
    assert code == 0, f"exit code {code}\n{printed}{notes}"
    example.namespace["printed"] = printed


def run_here(commands: list[list[str]]) -> tuple[int, str]:
    """The exit code of the first command that does not end with 0, and why."""
    for arguments in commands:
        try:
            result = app(arguments, exit_on_error=False, result_action="return_value", print_error=True)
        except Exception as error:
            sentence, code = ending_of(error)
            return code, sentence
        if isinstance(result, int) and result != 0:
            return result, ""
    return 0, ""


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
    CodeBlockParser(language="bash", evaluator=run_block),
    CodeBlockParser(language="text", evaluator=compare),
]


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")  # Trainer's default, on a machine without an accelerator
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # TRL recomputes when it samples
@pytest.mark.parametrize("page", PARAMETERS)
def test_every_block_of_a_page_does_what_the_page_says(page, document):
    examples = document(page)
    assert len(examples) > 2
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_blocks_that_run_and_few_that_are_only_shown(page):
    languages = [name for name in FENCE.findall(page.read_text(encoding="utf-8")) if name]
    assert set(languages) <= RUN | SHOWN
    assert 3 * sum(name in SHOWN for name in languages) <= len(languages)


def test_a_page_that_says_something_else_than_is_printed_is_noticed(tmp_path, document):
    page = tmp_path / "wrong.md"
    page.write_text("```bash\necho one\n```\n\n```text\ntwo\n```\n")
    shell, printed = document(page)
    shell.evaluate()
    with pytest.raises(SybilFailure, match="did not evaluate as expected"):
        printed.evaluate()


def test_a_command_of_paced_that_fails_is_noticed_and_says_why(tmp_path, document):
    page = tmp_path / "wrong.md"
    page.write_text("```bash\npaced weigh nowhere.csv -o weights.csv\n```\n")
    (command,) = document(page)
    with pytest.raises(AssertionError, match=r"exit code 2\n.*nowhere.csv: no such file"):
        command.evaluate()


@pytest.mark.parametrize(
    ("block", "commands"),
    [
        ("paced fit a.csv  # counts\n", [["fit", "a.csv"]]),
        (
            "paced weigh a.csv \\\n  -o 'b c.csv'\npaced fit a.csv\n",
            [["weigh", "a.csv", "-o", "b c.csv"], ["fit", "a.csv"]],
        ),
        ("paced fit a.csv | head -2\n", None),
        ("paced fit a.csv\nhead a.csv\n", None),
    ],
)
def test_only_commands_of_paced_run_in_this_process(block, commands):
    assert commands_of(block) == commands
