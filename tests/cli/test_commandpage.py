"""docs/commands.md says what the command line of today takes, returns and reads from the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paced.cli.commandpage import VARIABLES, arguments, command_page, commands
from paced.cli.endings import EXIT_CODES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "commands.md"


def section_of(name: str) -> str:
    """The part of the page about one command."""
    return next(part for part in re.split(r"\n##+ ", command_page()) if re.match(rf"`paced {name}[ `]", part))


def test_the_page_in_the_docs_is_the_page_of_today():
    again = "Write it again with: python -m paced.cli.commandpage docs/commands.md"
    assert PAGE.read_text(encoding="utf-8") == command_page(), again


@pytest.mark.parametrize("name", commands())
def test_every_argument_of_every_command_is_on_the_page_with_a_sentence_of_its_own(name):
    rows = [line.split(" | ") for line in section_of(name).splitlines() if line.startswith("| ")][1:]
    described = list(arguments(commands()[name]))
    assert len(rows) == len(described)
    for row, argument in zip(rows, described, strict=True):
        long_name = argument.names[0].removeprefix("--").upper()
        assert argument.names[0] in row[0] or long_name in row[0]
        meaning = row[-1].removesuffix(" |")
        assert meaning.endswith(".")
        assert meaning[0].isupper(), f"paced {name} {argument.names[0]}: {meaning}"


def test_a_choice_shows_its_choices_and_an_option_its_default():
    assert "| `--checkpoint` | one of `base`, `final`, `both` | `both` |" in section_of("evaluate")
    assert "| `FILE` | a path | must be given |" in section_of("fit")


def test_every_exit_code_is_on_the_page():
    for code, meaning in EXIT_CODES.items():
        assert f"| `{code}` | {meaning} |" in command_page()


def test_every_environment_variable_of_the_package_is_on_the_page():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "paced").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r"\bPACED_[A-Z0-9_]+\b", text)}
    assert {"PACED_CACHE", "PACED_TRACEBACK"} <= read
    assert read <= set(VARIABLES)
